"""Which companion belongs to which picture, by their names. Pure.

All kinds are paired by one rule, told here of sidecars. A name that is exactly right comes first:
`photo.jpg.yaml`, then `photo.yaml`. One that is nearly right (`photo.yml`, `PHOTO.JPG.YAML`,
another Unicode form, `photo.yaml.txt`, `photo.jpeg.yaml`) is obeyed if nothing else could be meant.
What is left over is told in the picture's record.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from daemon.host import files
from daemon.pictures.companions import CompanionKind, kind_of
from daemon.pictures.formats import suffix_format
from daemon.pictures.names import folded, picture_stem

LONGEST_CHARACTER_BYTES = 4


class Likeness(IntEnum):
    """How well a companion's name fits a picture's, the best first."""

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
"""The companions that could be a picture's, and how well each fits."""


Keyed = Mapping[tuple[Path, str], Sequence[Path]]
"""Companions by their folder and what is in common of their names and their pictures'."""

Seat = tuple[Path, CompanionKind]
"""What a picture has one companion for."""


@dataclass(frozen=True)
class Pairs:
    """The companions of every picture that has any, and what its record is to tell; and the rest.

    alone: the companions that are no picture's.
    """

    companions_of: Mapping[Path, tuple[Path, ...]]
    warnings: Mapping[Path, tuple[str, ...]]
    alone: frozenset[Path]


def match(
    pictures: Collection[Path], companions: Collection[Path], stale: Collection[Path] = ()
) -> Pairs:
    """Pairs what lies in the inbox; of each kind a picture has one companion at most.

    stale: companions that lay there alone for so long that a picture which comes now is another's.
    """
    keyed, folders = by_key(companions), {companion.parent for companion in companions}
    likely = {
        (picture, kind): candidates(kind, picture, keyed[kind])
        for picture in pictures
        if picture.parent in folders
        for kind in keyed
    }
    best: dict[Path, int] = {}
    for fits in likely.values():
        for companion, likeness in fits.items():
            best[companion] = min(best.get(companion, len(Likeness)), likeness.exactness)
    companions_of: dict[Path, tuple[Path, ...]] = {}
    tied = {seat: fitting(fits, best, stale) for seat, fits in likely.items()}
    chosen = {seat: ones[0] for seat, ones in tied.items() if len(ones) == 1}
    for (picture, _), companion in chosen.items():
        companions_of[picture] = (*companions_of.get(picture, ()), companion)
    obeyed = set(chosen.values())
    warnings: dict[Path, tuple[str, ...]] = {}
    for seat, fits in likely.items():
        for companion, likeness in fits.items():
            passed_over = companion not in obeyed or likeness < Likeness.SAME_FORMAT
            if passed_over and companion != chosen.get(seat):
                told = remark(seat, companion, likeness, chosen.get(seat), tied[seat], stale)
                warnings[seat[0]] = (*warnings.get(seat[0], ()), told)
    return Pairs(companions_of, warnings, frozenset(companions) - obeyed)


def fitting(fits: Candidates, best: Mapping[Path, int], stale: Collection[Path]) -> list[Path]:
    """The companions that a picture can have and that fit it best; where several do, none is sure.

    best: of each companion, how exactly it fits the picture that it fits most exactly.
    """
    free = {
        companion: likeness
        for companion, likeness in fits.items()
        if companion not in stale
        and likeness is not Likeness.OTHER_FORMAT
        and likeness.exactness == best[companion]
    }
    return [companion for companion in free if free[companion] == min(free.values())]


def by_key(companions: Iterable[Path]) -> Mapping[CompanionKind, Keyed]:
    """Companions of each kind by what they have in common with the names of their pictures."""
    keyed: dict[CompanionKind, dict[tuple[Path, str], list[Path]]] = {}
    for companion in sorted(companions):
        kind = kind_of(companion.name)
        if kind is not None:
            key = companion.parent, common(kind.stem(companion.name) or "")
            keyed.setdefault(kind, {}).setdefault(key, []).append(companion)
    return keyed


def common(name: str) -> str:
    """What is left of a name without case, Unicode form, spaces around it and picture suffixes."""
    return folded(picture_stem(folded(name)))


def candidates(kind: CompanionKind, picture: Path, keyed: Keyed) -> Candidates:
    """The companions of a kind that could be a picture's."""
    name, keys = picture.name, [common(picture.name)]
    if len(name) + len(kind.ending) > files.NAME_MAX_BYTES // LONGEST_CHARACTER_BYTES:
        cut = kind.own(picture).name.removesuffix(kind.ending)
        keys = [*keys, *({common(cut)} - {*keys})]
    fits = {
        companion: compare(kind, name, companion.name)
        for key in keys
        for companion in keyed.get((picture.parent, key), ())
    }
    return {companion: likeness for companion, likeness in fits.items() if likeness is not None}


def compare(kind: CompanionKind, picture: str, companion: str) -> Likeness | None:
    """How well a companion's name fits a picture's; None if it is another's."""
    plain = Path(picture).stem
    if companion == picture + kind.ending:
        return Likeness.OWN
    if companion == plain + kind.ending:
        return Likeness.PLAIN
    if companion == kind.own(Path(picture)).name:  # cut to fit
        return Likeness.OWN
    stem = kind.stem(companion) or ""
    if stem == picture:
        return Likeness.OWN_BUT_SUFFIX
    if stem == plain:
        return Likeness.PLAIN_BUT_SUFFIX
    if folded(stem) == folded(picture):
        return Likeness.OWN_BUT_SPELLING
    if folded(stem) in (folded(plain), common(picture)):  # also of photo.jpg.jpg
        return Likeness.PLAIN_BUT_SPELLING
    form = suffix_format(folded(stem))
    if not form or folded(Path(folded(stem)).stem) != folded(plain):
        return None
    return Likeness.SAME_FORMAT if form == suffix_format(picture) else Likeness.OTHER_FORMAT


def is_exact(kind: CompanionKind, companion: Path, picture: Path) -> bool:
    """Whether a companion's name is one that comes before all that are only like it."""
    return compare(kind, picture.name, companion.name) in (Likeness.OWN, Likeness.PLAIN)


def remark(
    seat: Seat,
    companion: Path,
    likeness: Likeness,
    chosen: Path | None,
    tied: Sequence[Path],
    stale: Collection[Path],
) -> str:
    """Why a companion beside a picture was not obeyed, and what to do if it should be."""
    picture, kind = seat
    own = files.printable(kind.own(picture).name)
    if likeness is Likeness.OTHER_FORMAT:
        why = f"it is named after a picture of another kind; {own} would be this one's"
    elif companion in stale:
        why = (
            "it had lain in the inbox for longer than sidecar_wait_s before the picture came; "
            "save it anew beside the picture if it is meant for it"
        )
    elif companion in tied:
        others = " and ".join(files.printable(one.name) for one in tied if one != companion)
        why = f"{others} could be meant as well; keep one, called {own}"
    elif chosen is not None:
        why = f"{files.printable(chosen.name)} comes first"
    else:
        why = f"its name fits another picture better; {own} would be this one's"
    return f"The {kind.name} {files.printable(companion.name)} was not obeyed: {why}."
