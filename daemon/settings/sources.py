"""The files that a preset names, which lie in its folder: its style images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.engine.errors import PictureError
from daemon.host import files
from daemon.pictures.read import read_header
from daemon.pictures.regions import WHOLE, region_colour
from daemon.settings.yamlfile import Document, KeyPath

MOST_STYLES = 16
"""Of one preset."""

Stamp = tuple[int, int, int, int] | None
"""What changes when a file does: size, time of change, inode, time of status; None if not there."""


@dataclass(frozen=True)
class StyleSource:
    """A style image on disk and its weight.

    name: the file's in the presets folder.  sha256: of its bytes, None unless the spool has them.
    region: the colour, `#rrggbb`, that masks have for its part of pictures; empty if it has none.
    """

    path: Path
    weight: float
    name: str
    sha256: str | None = None
    region: str = ""


def stamp(path: Path) -> Stamp:
    """What a file is like now, links seen through."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return info.st_size, info.st_mtime_ns, info.st_ino, info.st_ctime_ns


def check_styles(folder: Path, document: Document, stamps: dict[Path, Stamp]) -> list[StyleSource]:
    """The style images a document names, as far as they are usable; faults for the others.

    stamps: gets what each was like before it was looked at.
    """
    sources = []
    entries = document.data.get("styles")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        name = entry.get("image") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue  # already a fault of the model's
        where = ("styles", index, "image")
        path = folder / name
        stamps[path] = stamp(path)
        if not lies_in(folder, path):
            document.fault("must lie in the presets folder", where)
            continue
        check_image(path, where, document, stamps)
        weight = entry.get("weight", 1.0)
        share = float(weight) if isinstance(weight, int | float) else 1.0
        sources.append(StyleSource(path, share, path.name, region=region_in(entry)))
    check_regions(document)
    return sources


def check_regions(document: Document) -> None:
    """Notes a fault if some of a document's styles are for a region, and others are not."""
    entries = document.data.get("styles")
    styles = entries if isinstance(entries, list) else ()
    named = [bool(one.get("region")) for one in styles if isinstance(one, dict)]
    if any(named) and not all(named):
        document.fault("give every style a region, or none", ("styles",))


def region_in(entry: Mapping[str, Any]) -> str:
    """The region of a style entry as `#rrggbb`; empty if it has none, or one that is no colour."""
    name = entry.get("region")
    try:
        return region_colour(name) if isinstance(name, str) and name else WHOLE
    except ValueError:
        return WHOLE  # already a fault of the model's


def lies_in(folder: Path, path: Path) -> bool:
    """Whether a path leads to something inside the folder, links seen through."""
    try:
        return folder.resolve() in path.resolve().parents
    except (ValueError, RuntimeError):
        return False  # a name that no file system can hold, or a link that leads to itself


def check_image(path: Path, where: KeyPath, document: Document, stamps: dict[Path, Stamp]) -> None:
    """Notes a fault unless `path` is a picture by its header."""
    try:
        with files.open_ordinary(path) as file:
            read_header(file, path.name)
    except FileNotFoundError:
        document.fault(f"style image {path} is missing; put it there", where)
    except OSError as error:
        stamps[path] = None
        document.fault(f"style image {path} cannot be read: {error.strerror}", where)
    except PictureError as error:
        document.fault(str(error), where)
