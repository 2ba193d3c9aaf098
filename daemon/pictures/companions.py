"""What may lie beside a picture and belongs to it: the kinds of companion, and their names.

All of them are paired, waited for, shared, given back, filed and retried by one rule. Pure.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.host import files
from daemon.pictures.names import mask_stem, yaml_stem


@dataclass(frozen=True)
class CompanionKind:
    """A kind of companion. name: what people call it.

    ending: with it after its own name a picture's companion is that picture's alone.
    stem: of a file's name, what is left without what makes it of this kind; None if it is not.
    """

    name: str
    ending: str
    stem: Callable[[str], str | None]

    def own(self, picture: Path) -> Path:
        """The companion that is this picture's alone, `photo.jpg.yaml`, whether it is there or not.

        The middle of a name is cut where it would not fit a directory entry.
        """
        return picture.with_name(files.with_ending(picture.name, self.ending))

    def among(self, paths: Iterable[Path]) -> Path | None:
        """The first companion of this kind among paths."""
        return next((path for path in paths if self.stem(path.name) is not None), None)


SIDECAR = CompanionKind("sidecar", ".yaml", yaml_stem)
MASK = CompanionKind("mask", ".mask.png", mask_stem)

KINDS = (SIDECAR, MASK)


def kind_of(name: str) -> CompanionKind | None:
    """The kind of companion that a file's name makes it; None for what is no companion."""
    return next((kind for kind in KINDS if kind.stem(name) is not None), None)


def word_for(companion: Path) -> str:
    """What people call a companion."""
    kind = kind_of(companion.name)
    return kind.name if kind is not None else "companion"


def own_of(picture: Path) -> dict[CompanionKind, Path]:
    """The companions that are a picture's alone, of each kind, whether they are there or not."""
    return {kind: kind.own(picture) for kind in KINDS}


def by_kind(paths: Iterable[Path]) -> dict[CompanionKind, Path]:
    """The companions among paths, the first of each kind."""
    known = tuple(paths)
    found = {kind: kind.among(known) for kind in KINDS}
    return {kind: path for kind, path in found.items() if path is not None}
