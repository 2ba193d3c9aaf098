"""What lies in the inbox and does not get on, and why: so that no wait is endless and untold."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loguru import logger

from daemon.errors import SeveralError, SurroundingsError
from daemon.host import files
from daemon.intake import settle
from daemon.intake.others import Life
from daemon.intake.scan import Scan, Signature
from daemon.intake.strays import Holding
from daemon.pictures.companions import word_for
from daemon.state.claimed import CLAIMED_FOLDER

LEAST_TOLD_S, TOLD_SETTLES = 30.0, 6.0
"""A file that only settles is not worth a word: a wait is told of when it takes far longer."""

MOST_NAMED = 20
UNDECIDED = "if nothing is heard of it within five minutes they are taken over"


@dataclass(frozen=True)
class Wait:
    """A file or folder of the inbox that does not get on, and why.

    path: below the inbox.  mend: nothing happens before somebody acts.  at_rest: nobody has to
    act, however long it lies there.  logged: the log tells of it, once.  foreign: it is no picture,
    and only counted.  since_s: since which look, of a monotonic clock.
    """

    path: Path
    why: str
    mend: bool = False
    at_rest: bool = False
    logged: bool = False
    foreign: bool = False
    since_s: float = 0.0


def unpainted(seen: Scan) -> Iterator[Wait]:
    """What a look saw that is never claimed."""
    for path in seen.strange:
        why = "is a link, pipe or device and is never opened; put a copy there"
        yield Wait(path, why, at_rest=True, logged=True)
    for sighting in seen.foreign:
        why = "is no picture; it stays where it is"
        yield Wait(sighting.path, why, at_rest=True, logged=True, foreign=True)
    for path in seen.closed:
        why = "cannot be looked into; give the service the right to (chmod g+rx)"
        yield Wait(path, why, mend=True, logged=True)


def lone_companions(alone: Iterable[Path], stale: Collection[Path]) -> Iterator[Wait]:
    """Companions without a picture. stale: those that are not obeyed any more."""
    for path in alone:
        why = f"is a {word_for(path)} without its picture; it stays where it is"
        if path in stale:
            why += ", and is not obeyed for one that comes now: save it anew then, or remove it"
        yield Wait(path, why, at_rest=True, logged=path in stale)


def held_claims(stuck: Mapping[str, str], holdings: Iterable[Holding]) -> Iterator[Wait]:
    """Claims that cannot be given back, and those of services that may be gone.

    stuck: by the picture's id, why.
    """
    for picture_id, why in stuck.items():
        yield Wait(Path(CLAIMED_FOLDER, picture_id), why, mend=True, logged=True)
    for holding in holdings:
        if holding.life is Life.UNKNOWN:
            path, why = Path(CLAIMED_FOLDER, holding.mark), f"{holding.words}; {UNDECIDED}"
            yield Wait(path, why, at_rest=True)


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


def told_after_s(settle_s: float) -> float:
    """After how many seconds a person is told of a wait that may still end by itself."""
    return max(LEAST_TOLD_S, TOLD_SETTLES * settle_s)


class Reports:
    """Tells of all that does not get on, one look after the other.

    One thread's; `due` and `foreign` may be read by others.
    """

    def __init__(self, *, settle_s: float, give_up_s: float) -> None:
        self._longest_s = told_after_s(settle_s)
        self._last_s = max(self._longest_s, give_up_s)
        self._known: dict[Path, Wait] = {}
        self._noted: dict[Path, Wait] = {}
        self._logged: set[Path] = set()
        self._troubles: list[SurroundingsError] = []
        self._now_s = 0.0

    def begin_look(self, now_s: float) -> None:
        """What is told from now on is of the look at that time."""
        self._now_s, self._troubles = now_s, []

    def end_look(self) -> None:
        """What was not told of has got on; raises SeveralError with what stood in the way."""
        self._known, self._noted = self._noted, {}
        if self._troubles:
            raise SeveralError(self._troubles)

    def note(self, wait: Wait) -> None:
        """Something does not get on in this look; one that did not before keeps its beginning."""
        known = self._known.get(wait.path)
        since_s = known.since_s if known is not None else self._now_s
        self._noted[wait.path] = dataclasses.replace(wait, since_s=since_s)

    def trouble(self, error: SurroundingsError, path: Path | None = None) -> None:
        """Something stands in the way of this look. path: the one picture it keeps, if it does."""
        self._troubles.append(error)
        if path is not None:
            self.note(Wait(path, str(error), mend=True))

    def tell(self, waits: Iterable[Wait]) -> None:
        """Tells of all that is left lying; what is logged is again if it was gone meanwhile."""
        logged: set[Path] = set()
        for wait in waits:
            self.note(wait)
            if wait.logged and wait.path not in self._logged | logged:
                name = files.printable(wait.path)
                logger.bind(action="scan").warning("{} {}", name, wait.why)
            logged |= {wait.path} if wait.logged else set()
        self._logged = logged

    @property
    def foreign(self) -> tuple[Path, ...]:
        """The files that are no pictures, as the last look saw them."""
        return tuple(path for path, wait in self._known.items() if wait.foreign)

    def due(self, now_s: float) -> tuple[Wait, ...]:
        """What a person is to be told of: at once where one must act; else what waits too long.

        What has waited for so long that a cut picture would be given up needs a person, too.
        """
        due = [
            dataclasses.replace(
                wait, mend=wait.mend or (not wait.at_rest and age_s >= self._last_s)
            )
            for wait, age_s in ((wait, now_s - wait.since_s) for wait in self._known.values())
            if wait.mend or (age_s >= self._longest_s and not wait.foreign)
        ]
        return tuple(sorted(due, key=lambda wait: (not wait.mend, wait.at_rest, wait.since_s)))


def as_data(waits: Sequence[Wait], now_s: float, now: datetime) -> list[dict[str, Any]]:
    """The first of them as `status` tells them; the clock at the wall only for people to read."""

    def since(wait: Wait) -> datetime:
        return now.astimezone(UTC).replace(tzinfo=None) - timedelta(seconds=now_s - wait.since_s)

    return [
        {
            "path": files.printable(wait.path),
            "why": wait.why,
            "since": f"{since(wait).isoformat(timespec='seconds')}Z",
            "mend": wait.mend,
        }
        for wait in waits[:MOST_NAMED]
    ]
