"""How long the queues will take, by what was painted of late. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.job import BULK, QUEUES
from daemon.ledger.rows import Backlog
from daemon.settings.config import Schedule
from daemon.settings.windows import Hours


@dataclass(frozen=True)
class Forecast:
    """One queue's. waiting: jobs.  seconds: of all devices' work, None if nothing was painted yet.

    changes_at: when its window closes, or opens if `open` is false.  room_s: seconds of the window
    at hand, or of the next.  done_at: when its last job will be done.
    """

    waiting: int
    seconds: float | None
    open: bool
    changes_at: datetime | None
    room_s: float | None
    done_at: datetime | None

    @property
    def fits(self) -> bool | None:
        """Whether the window at hand, or the next, is long enough; None if that is not known."""
        if self.seconds is None or self.room_s is None:
            return None
        return self.seconds <= self.room_s

    def as_data(self) -> dict[str, Any]:
        """The forecast as plain data; times are ISO 8601 with the zone of the windows."""
        return {
            "waiting": self.waiting,
            "seconds": None if self.seconds is None else round(self.seconds),
            "open": self.open,
            "changes_at": self.changes_at.isoformat() if self.changes_at else None,
            "window_fits": self.fits,
            "done_at": self.done_at.isoformat(timespec="seconds") if self.done_at else None,
        }


def forecast(
    schedule: Schedule,
    now: datetime,
    backlog: Sequence[Backlog],
    pace: Sequence[tuple[str, int, float]],
    *,
    running_s: float,
    devices: int,
) -> dict[str, Forecast]:
    """Each queue's forecast; bulk jobs begin when the ordinary ones are done.

    pace: preset, work and seconds of jobs of late.  running_s: what the running jobs have left,
    together.
    """
    forecasts: dict[str, Forecast] = {}
    began, ahead_s = now, running_s
    for queue, priority in QUEUES.items():
        parts = [part for part in backlog if (part.priority <= BULK) == (priority <= BULK)]
        waiting = sum(part.count for part in parts)
        seconds = seconds_of(parts, pace)
        seconds = None if seconds is None else seconds / max(devices, 1)
        hours = schedule.hours(priority)
        done_at = None
        if waiting and seconds is not None:
            done_at = hours.finish(began, seconds + ahead_s / max(devices, 1))
            began, ahead_s = done_at or began, 0.0
        forecasts[queue] = Forecast(
            waiting,
            seconds,
            hours.is_open(now),
            local(hours.next_change(now), hours),
            room_s(hours, now),
            local(done_at, hours),
        )
    return forecasts


def seconds_of(backlog: Sequence[Backlog], pace: Sequence[tuple[str, int, float]]) -> float | None:
    """How long waiting jobs take one after the other; None if nothing tells."""
    if not backlog:
        return 0.0
    if not pace:
        return None
    usual = statistics.median(seconds / work for _, work, seconds in pace)
    total = 0.0
    for part in backlog:
        own = [seconds / work for preset, work, seconds in pace if preset == part.preset]
        total += part.work * (statistics.median(own) if own else usual)
    return total


def room_s(hours: Hours, now: datetime) -> float | None:
    """Seconds of the window at hand, or of the next; None where it is always open."""
    if not hours.windows or hours.next_change(now) is None:
        return None
    begin, end = next(hours.stretches(now, days=8))
    return (end - max(begin, now)).total_seconds()


def local(moment: datetime | None, hours: Hours) -> datetime | None:
    """A moment on the clock that the windows mean."""
    return moment.astimezone(hours.zone) if moment is not None else None
