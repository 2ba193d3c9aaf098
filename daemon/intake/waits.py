"""What lies in the inbox and does not get on, and why: so that no wait is endless and untold."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.host import files

LEAST_TOLD_S, TOLD_SETTLES = 30.0, 6.0
"""A file that only settles is not worth a word: a wait is told of when it takes far longer."""

MOST_NAMED = 20


@dataclass(frozen=True)
class Wait:
    """A file or folder of the inbox that does not get on.

    path: below the inbox.  since_s: of a monotonic clock.  mend: nothing happens before somebody
    acts.  at_rest: nobody has to act, however long it lies there.
    """

    path: Path
    why: str
    since_s: float
    mend: bool = False
    at_rest: bool = False


def told_after_s(settle_s: float) -> float:
    """After how many seconds a person is told of a wait that may still end by itself."""
    return max(LEAST_TOLD_S, TOLD_SETTLES * settle_s)


class Waits:
    """The waits of one look after the other. One thread's; `due` may be read by others."""

    def __init__(self, settle_s: float, give_up_s: float) -> None:
        self._settle_s = settle_s
        self._give_up_s = give_up_s
        self._known: dict[Path, Wait] = {}
        self._noted: dict[Path, Wait] = {}

    def note(
        self, path: Path, why: str, now_s: float, *, mend: bool = False, at_rest: bool = False
    ) -> None:
        """Something does not get on in this look; one that did not before keeps its beginning."""
        known = self._known.get(path)
        since_s = known.since_s if known is not None else now_s
        self._noted[path] = Wait(path, why, since_s, mend, at_rest)

    def end_look(self) -> None:
        """What was not noted since the last look was ended has got on."""
        self._known, self._noted = self._noted, {}

    def due(self, now_s: float) -> tuple[Wait, ...]:
        """What a person is to be told of: at once where one must act; else what waits too long.

        What has waited for so long that a cut picture would be given up needs a person, too.
        """
        longest_s = told_after_s(self._settle_s)
        last_s = max(longest_s, self._give_up_s)
        due = [
            dataclasses.replace(wait, mend=wait.mend or (not wait.at_rest and age_s >= last_s))
            for wait, age_s in ((wait, now_s - wait.since_s) for wait in self._known.values())
            if wait.mend or age_s >= longest_s
        ]
        return tuple(sorted(due, key=lambda wait: (not wait.mend, wait.at_rest, wait.since_s)))


def as_data(waits: Sequence[Wait], now_s: float, now: datetime) -> list[dict[str, Any]]:
    """The first of them as `status` tells them; the clock at the wall only for people to read."""
    return [
        {
            "path": files.printable(wait.path),
            "why": wait.why,
            "since": since(now - timedelta(seconds=now_s - wait.since_s)),
            "mend": wait.mend,
        }
        for wait in waits[:MOST_NAMED]
    ]


def since(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC, in seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
