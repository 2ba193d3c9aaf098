"""Names as people and their machines spell them: what belongs together though it differs a little.

Windows hides suffixes, macOS writes an umlaut as two characters, cameras shout, and `.yml` is YAML.
A name that is written exactly always comes before one that is only like it.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from daemon.pictures.formats import FORMAT_OF_SUFFIX

YAML_NAME = re.compile(r"(.+?)(\.ya?ml(\.txt)*[.\s]*)+", re.IGNORECASE | re.DOTALL)
"""Also what editors on Windows make of it: `.yaml.txt`, `.yaml.yaml`."""

MASK_NAME = re.compile(r"(.+?)\.mask((?:\.[a-z0-9]+)+)[.\s]*", re.IGNORECASE | re.DOTALL)
"""Of any picture's format, so that a mask in a wrong one gets a reason instead of being painted."""


def folded(name: str) -> str:
    """The same for names that differ in case, Unicode form, or spaces around them."""
    if name.isascii():  # most are, and an inbox may hold ten thousand
        return name.lower().strip()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def yaml_stem(name: str) -> str | None:
    """A file's name without what makes it YAML, or None if it is of another kind."""
    if ".y" not in name and ".Y" not in name:  # nearly all, and an inbox may hold ten thousand
        return None
    found = YAML_NAME.fullmatch(name)
    return found[1] if found else None


def is_yaml(name: str) -> bool:
    """Whether a file's name is a sidecar's or a preset's."""
    return yaml_stem(name) is not None


def mask_stem(name: str) -> str | None:
    """A file's name without what makes it a mask, or None if it is of another kind."""
    if ".mask." not in name.lower():
        return None
    found = MASK_NAME.fullmatch(name)
    suffixes = found[2].lower().split(".")[1:] if found else []
    is_picture = all(f".{suffix}" in FORMAT_OF_SUFFIX for suffix in suffixes)
    return found[1] if found and is_picture else None


def picture_stem(name: str) -> str:
    """A name without all that makes it a picture's: `photo` of `photo.jpg`, `photo.png.jpg`."""
    stem, dot, suffix = name.rpartition(".")
    while stem and (dot + suffix).lower() in FORMAT_OF_SUFFIX:
        name = stem
        stem, dot, suffix = name.rpartition(".")
    return name


def lies_in(path: Path, folder: str) -> bool:
    """Whether the topmost folder of a path is called so, or nearly."""
    return len(path.parts) > 1 and folded(path.parts[0]) == folded(folder)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """`name` if it is among the known ones, else the only one that is like it, or None."""
    known = tuple(known)
    if name in known:
        return name
    alike = [other for other in known if folded(other) == folded(name)]
    return alike[0] if len(alike) == 1 else None
