"""Files that somebody left in a folder, named like modules that any Python would import."""

from collections.abc import Collection
from pathlib import Path

MODULES = (
    "random",
    "json",
    "torch",
    "numpy",
    "sitecustomize",
    "usercustomize",
    "runpy",
    "socket",
    "statistics",
    "pydantic",
    "loguru",
    "safetensors",
    "yaml",
)
PACKAGES = ("PIL", "daemon", "watchdog", "rich")
MARK = "RAN"


def plant(folder: Path, without: Collection[str] = ()) -> None:
    """Leaves modules that tell in a file that they were run; the first look at them is enough."""
    folder.mkdir(parents=True, exist_ok=True)
    tells = f"open({str(folder / MARK)!r}, 'a').write(__name__)\nraise SystemExit(9)\n"
    for name in set(MODULES) - set(without):
        (folder / f"{name}.py").write_text(tells)
    for name in set(PACKAGES) - set(without):
        (folder / name).mkdir(exist_ok=True)
        for file in ("__init__.py", "__main__.py"):
            (folder / name / file).write_text(tells)


def was_run(folder: Path) -> str:
    """The names of the planted modules that were run."""
    mark = folder / MARK
    return mark.read_text() if mark.exists() else ""
