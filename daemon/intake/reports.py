"""What is left lying in the inbox and why: told as waits, in the log, and as a look's troubles."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.errors import SeveralError, SurroundingsError
from daemon.host import files
from daemon.intake import settle
from daemon.intake.others import Life
from daemon.intake.scan import Scan, Signature
from daemon.intake.strays import Holding
from daemon.intake.waits import Wait, Waits
from daemon.pictures.companions import word_for
from daemon.state.claimed import CLAIMED_FOLDER

UNDECIDED = "if nothing is heard of it within five minutes they are taken over"


@dataclass(frozen=True)
class Leftover:
    """Something that is left lying, and why.

    mend, at_rest: as of a `Wait`.  logged: whether the log tells of it, once.
    """

    path: Path
    why: str
    mend: bool = False
    at_rest: bool = False
    logged: bool = True


def unpainted(seen: Scan) -> Iterator[Leftover]:
    """What a look saw that is never claimed."""
    for path in seen.strange:
        why = "is a link, pipe or device and is never opened; put a copy there"
        yield Leftover(path, why, at_rest=True)
    for path in seen.foreign:
        why = "is no picture atelierd paints; it stays where it is"
        yield Leftover(path, why, at_rest=True)
    for path in seen.closed:
        why = "cannot be looked into; give the service the right to (chmod g+rx)"
        yield Leftover(path, why, mend=True)


def lone_companions(alone: Iterable[Path], stale: Collection[Path]) -> Iterator[Leftover]:
    """Companions without a picture. stale: those that are not obeyed any more."""
    for path in alone:
        why = f"is a {word_for(path)} without its picture; it stays where it is"
        if path in stale:
            why += ", and is not obeyed for one that comes now: save it anew then, or remove it"
        yield Leftover(path, why, at_rest=True, logged=path in stale)


def held_claims(stuck: Mapping[str, str], holdings: Iterable[Holding]) -> Iterator[Leftover]:
    """Claims that cannot be given back, and those of services that may be gone.

    stuck: by the picture's id, why.
    """
    for picture_id, why in stuck.items():
        yield Leftover(Path(CLAIMED_FOLDER, picture_id), why, mend=True)
    for holding in holdings:
        if holding.life is Life.UNKNOWN:
            path, why = Path(CLAIMED_FOLDER, holding.mark), f"{holding.words}; {UNDECIDED}"
            yield Leftover(path, why, at_rest=True, logged=False)


def restlessness(signature: Signature) -> str:
    """Why a file is not taken yet that has not settled."""
    if signature.size == 0:
        return "is empty: its content has not come; copy it again, or remove it"
    return "is still changing: whoever writes it has not ended"


def why_left(watch: settle.WatchedFile, looked_s: float, settle_s: float) -> str:
    """Why a picture is still there at the end. looked_s: when it was last looked for."""
    if watch.signature.size == 0:
        return "it is empty"
    settled = settle.is_settled(watch, looked_s, settle_s)
    return "it could not be taken" if settled else "it is still being written"


class Reports:
    """Tells of all that does not get on, one look after the other.

    One thread's; `due` may be read by others.
    """

    def __init__(self, *, settle_s: float, give_up_s: float) -> None:
        self._waits = Waits(settle_s, give_up_s)
        self._logged: set[Path] = set()
        self._troubles: list[SurroundingsError] = []
        self._now_s = 0.0

    def begin_look(self, now_s: float) -> None:
        """What is told from now on is of the look at that time."""
        self._now_s, self._troubles = now_s, []

    def end_look(self) -> None:
        """What was not told of has got on; raises SeveralError with what stood in the way."""
        self._waits.end_look()
        if self._troubles:
            raise SeveralError(self._troubles)

    def wait(self, path: Path, why: str, *, mend: bool = False, at_rest: bool = False) -> None:
        """Something does not get on in this look."""
        self._waits.note(path, why, self._now_s, mend=mend, at_rest=at_rest)

    def trouble(self, error: SurroundingsError, path: Path | None = None) -> None:
        """Something stands in the way of this look. path: the one picture it keeps, if it does."""
        self._troubles.append(error)
        if path is not None:
            self.wait(path, str(error), mend=True)

    def tell(self, leftovers: Iterable[Leftover]) -> None:
        """Tells of all that is left lying; what is logged is again if it was gone meanwhile."""
        logged: set[Path] = set()
        for leftover in leftovers:
            self.wait(leftover.path, leftover.why, mend=leftover.mend, at_rest=leftover.at_rest)
            if not leftover.logged:
                continue
            logged.add(leftover.path)
            if leftover.path not in self._logged:
                self._logged.add(leftover.path)
                name = files.printable(leftover.path)
                logger.bind(action="scan").warning("{} {}", name, leftover.why)
        self._logged &= logged

    def due(self, now_s: float) -> tuple[Wait, ...]:
        """What a person is to be told of, since it does not get on."""
        return self._waits.due(now_s)
