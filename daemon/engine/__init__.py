"""Neural style transfer by optimisation, as a library: pictures in, pictures out.

Knows nothing of folders, queues or services. Importing the package or its torch-free modules
(`recipe`, `picture`, `errors`) never loads torch; asking it for `Engine` or `Style` does:

    engine = Engine("cpu", "classic", Path("cache"))
    for moment in engine.paint(photograph, [Style(painting)], Recipe(size=512)):
        match moment:
            case Stepped(step=step):
                print(step.number, step.losses)
            case Painted(image=image):
                image.save("painted.png")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.engine.engine import Engine, Style
    from daemon.engine.paint import Painted, Planned, Resting, Stepped, finish
    from daemon.engine.recipe import Recipe

HOMES = {"Engine": "engine", "Style": "engine", "Recipe": "recipe"} | dict.fromkeys(
    ("Planned", "Stepped", "Resting", "Painted", "finish"), "paint"
)

__all__ = ["Engine", "Painted", "Planned", "Recipe", "Resting", "Stepped", "Style", "finish"]


def __getattr__(name: str) -> Any:
    """Loads what is asked for, and torch only with it."""
    import importlib

    if name not in HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
