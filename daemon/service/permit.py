"""Decides what may run now: the windows of the queues, the pause, and GPUs that others need."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from daemon.job import BULK, ORDINARY
from daemon.ledger.store import EVERY, Line
from daemon.pool.seat_names import card_of
from daemon.settings.config import Schedule


@dataclass(frozen=True)
class Permit:
    """Says which jobs may run now, and on which devices.

    line: the priorities that may; None if none.  paused: on request.  left: devices that others
    need.
    """

    line: Line | None
    paused: bool = False
    left: frozenset[str] = frozenset()

    def opens(self, priority: int) -> bool:
        """Whether jobs of that priority may run."""
        return self.line is not None and self.line[0] <= priority <= self.line[1]

    def lets_start_on(self, device: str) -> bool:
        """Whether anything may begin on a device's seat."""
        return self.line is not None and card_of(device) not in self.left

    def forbids(self, priority: int, device: str) -> str | None:
        """Why a job of that priority may not run on that device's seat; None if it may."""
        if self.paused:
            return "painting is paused"
        if card_of(device) in self.left:
            return f"another program needs {card_of(device)}"
        return None if self.opens(priority) else "its window has closed"


def permit(
    schedule: Schedule, now: datetime, *, paused: bool, left: Collection[str] = ()
) -> Permit:
    """Decides what may run at `now`."""
    if paused:
        return Permit(None, paused=True)
    ordinary = schedule.hours(ORDINARY).is_open(now)
    bulk = schedule.hours(BULK).is_open(now)
    least, most = EVERY
    line = (least if bulk else ORDINARY, most if ordinary else BULK)
    return Permit(line if ordinary or bulk else None, left=frozenset(left))
