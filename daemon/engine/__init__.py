"""Neural style transfer by optimisation, as a library: arrays of pixels in, and out.

Knows nothing of folders, queues or services, and imports nothing else of daemon. `docs/engine.md`
shows it in ten lines. Importing the package or its torch-free modules (`recipe`, `pixels`,
`errors`) never loads torch; asking it for `Engine` or `Style` does.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.engine.engine import Engine, Style
    from daemon.engine.paint import Painted, Planned, Resting, Stepped, finish
    from daemon.engine.pixels import to_levels
    from daemon.engine.recipe import Recipe

HOMES = {
    **dict.fromkeys(("Engine", "Style"), "engine"),
    **dict.fromkeys(("Planned", "Stepped", "Resting", "Painted", "finish"), "paint"),
    "Recipe": "recipe",
    "to_levels": "pixels",
}

__all__ = [
    "Engine",
    "Painted",
    "Planned",
    "Recipe",
    "Resting",
    "Stepped",
    "Style",
    "finish",
    "to_levels",
]


def __getattr__(name: str) -> Any:
    """Loads what is asked for, and torch only with it."""
    import importlib

    if name not in HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
