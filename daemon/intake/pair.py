"""Which sidecar belongs to which picture, by their names. Pure.

A name that is exactly right comes first: `photo.jpg.yaml`, then `photo.yaml`. One that is nearly
right (`photo.yml`, `PHOTO.JPG.YAML`, another Unicode form, `photo.yaml.txt`, `photo.jpeg.yaml`) is
obeyed if nothing else could be meant. What is left over is told in the picture's record.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from daemon.host import files
from daemon.pictures.formats import suffix_format
from daemon.pictures.names import folded, picture_stem, yaml_stem

LONGEST_CHARACTER_BYTES = 4


class Likeness(IntEnum):
    """How well a sidecar's name fits a picture's, the best first."""

    OWN = 0
    PLAIN = 1
    OWN_BUT_SUFFIX = 2
    PLAIN_BUT_SUFFIX = 3
    OWN_BUT_SPELLING = 4
    PLAIN_BUT_SPELLING = 5
    SAME_FORMAT = 6
    OTHER_FORMAT = 7

    @property
    def exactness(self) -> int:
        """The same for names that are as good as each other for different pictures."""
        return self // 2


Candidates = Mapping[Path, Likeness]
"""The sidecars that could be a picture's, and how well each fits."""


@dataclass(frozen=True)
class Pairs:
    """Every picture's sidecar, None if it has none; what its record is to tell; and the rest.

    alone: the sidecars that are no picture's.
    """

    sidecar_of: Mapping[Path, Path | None]
    warnings: Mapping[Path, tuple[str, ...]]
    alone: frozenset[Path]


def match(
    pictures: Collection[Path], sidecars: Collection[Path], stale: Collection[Path] = ()
) -> Pairs:
    """Pairs what lies in the inbox.

    stale: sidecars that lay there alone for so long that a picture which comes now is another's.
    """
    keyed, folders = by_key(sidecars), {sidecar.parent for sidecar in sidecars}
    likely = {
        picture: candidates(picture, keyed) if picture.parent in folders else {}
        for picture in pictures
    }
    best: dict[Path, int] = {}
    for found in likely.values():
        for sidecar, likeness in found.items():
            best[sidecar] = min(best.get(sidecar, len(Likeness)), likeness.exactness)
    tied = {picture: fitting(found, best, stale) for picture, found in likely.items()}
    chosen = {picture: ones[0] if len(ones) == 1 else None for picture, ones in tied.items()}
    obeyed = set(chosen.values())
    warnings = {
        picture: tuple(
            remark(picture, sidecar, found[sidecar], chosen[picture], tied[picture], stale)
            for sidecar in found
            if sidecar != chosen[picture]
            and (sidecar not in obeyed or found[sidecar] < Likeness.SAME_FORMAT)
        )
        for picture, found in likely.items()
        if found
    }
    return Pairs(chosen, warnings, frozenset(sidecars).difference(obeyed))


def fitting(found: Candidates, best: Mapping[Path, int], stale: Collection[Path]) -> list[Path]:
    """The sidecars that a picture can have and that fit it best; where several do, none is sure.

    best: of each sidecar, how exactly it fits the picture that it fits most exactly.
    """
    free = {
        sidecar: likeness
        for sidecar, likeness in found.items()
        if sidecar not in stale
        and likeness is not Likeness.OTHER_FORMAT
        and likeness.exactness == best[sidecar]
    }
    return [sidecar for sidecar in free if free[sidecar] == min(free.values())]


def by_key(sidecars: Iterable[Path]) -> Mapping[tuple[Path, str], list[Path]]:
    """Sidecars by their folder and what they have in common with the names of their pictures."""
    found: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for sidecar in sorted(sidecars):
        found[sidecar.parent, common(yaml_stem(sidecar.name) or sidecar.stem)].append(sidecar)
    return dict(found)


def common(name: str) -> str:
    """What is left of a name without case, Unicode form, spaces around it and picture suffixes."""
    return folded(picture_stem(folded(name)))


def candidates(picture: Path, keyed: Mapping[tuple[Path, str], Sequence[Path]]) -> Candidates:
    """The sidecars that could be a picture's."""
    name, keys = picture.name, [common(picture.name)]
    if len(name) + len(files.SIDECAR_SUFFIX) > files.NAME_MAX_BYTES // LONGEST_CHARACTER_BYTES:
        cut = files.sidecar_of(picture).name.removesuffix(files.SIDECAR_SUFFIX)
        keys = [*keys, *({common(cut)} - {*keys})]
    found = {
        sidecar: compare(name, sidecar.name)
        for key in keys
        for sidecar in keyed.get((picture.parent, key), ())
    }
    return {sidecar: likeness for sidecar, likeness in found.items() if likeness is not None}


def compare(picture: str, sidecar: str) -> Likeness | None:
    """How well a sidecar's name fits a picture's; None if it is another's."""
    plain = Path(picture).stem
    if sidecar == picture + files.SIDECAR_SUFFIX:
        return Likeness.OWN
    if sidecar == plain + files.SIDECAR_SUFFIX:
        return Likeness.PLAIN
    if sidecar == files.sidecar_of(Path(picture)).name:  # cut to fit
        return Likeness.OWN
    stem = yaml_stem(sidecar) or ""
    if stem == picture:
        return Likeness.OWN_BUT_SUFFIX
    if stem == plain:
        return Likeness.PLAIN_BUT_SUFFIX
    if folded(stem) == folded(picture):
        return Likeness.OWN_BUT_SPELLING
    if folded(stem) in (folded(plain), common(picture)):  # also of photo.jpg.jpg
        return Likeness.PLAIN_BUT_SPELLING
    kind = suffix_format(folded(stem))
    if not kind or folded(Path(folded(stem)).stem) != folded(plain):
        return None
    return Likeness.SAME_FORMAT if kind == suffix_format(picture) else Likeness.OTHER_FORMAT


def is_exact(sidecar: Path, picture: Path) -> bool:
    """Whether a sidecar's name is one that comes before all that are only like it."""
    return compare(picture.name, sidecar.name) in (Likeness.OWN, Likeness.PLAIN)


def remark(
    picture: Path,
    sidecar: Path,
    likeness: Likeness,
    chosen: Path | None,
    tied: Sequence[Path],
    stale: Collection[Path],
) -> str:
    """Why a sidecar beside a picture was not obeyed, and what to do if it should be."""
    own = files.printable(files.sidecar_of(picture).name)
    if likeness is Likeness.OTHER_FORMAT:
        why = f"it is named after a picture of another kind; {own} would be this one's"
    elif sidecar in stale:
        why = (
            "it had lain in the inbox for longer than sidecar_wait_s before the picture came; "
            "save it anew beside the picture if it is meant for it"
        )
    elif sidecar in tied:
        others = " and ".join(files.printable(one.name) for one in tied if one != sidecar)
        why = f"{others} could be meant as well; keep one, called {own}"
    elif chosen is not None:
        why = f"{files.printable(chosen.name)} comes first"
    else:
        why = f"its name fits another picture better; {own} would be this one's"
    return f"The sidecar {files.printable(sidecar.name)} was not obeyed: {why}."
