"""How long the queues will take, by what was painted of late. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.job import BULK, QUEUES
from daemon.ledger.rows import Backlog
from daemon.settings.config import Schedule
from daemon.settings.windows import Hours


@dataclass(frozen=True)
class Forecast:
    """One queue's. waiting: jobs.  seconds: of all devices' work, None if nothing was painted yet.

    changes_at: when its window closes, or opens if `open` is false.  window_fits: whether the
    window at hand, or the next, is long enough; None if that is not known.  done_at: when its last
    job will be done.  Times are ISO 8601 with the zone of the windows.
    """

    waiting: int
    seconds: int | None
    open: bool
    changes_at: str | None
    window_fits: bool | None
    done_at: str | None


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
        room, done_at = room_s(hours, now), None
        if waiting and seconds is not None:
            done_at = hours.finish(began, seconds + ahead_s / max(devices, 1))
            began, ahead_s = done_at or began, 0.0
        forecasts[queue] = Forecast(
            waiting,
            None if seconds is None else round(seconds),
            hours.is_open(now),
            local(hours.next_change(now), hours),
            None if seconds is None or room is None else seconds <= room,
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


def local(moment: datetime | None, hours: Hours) -> str | None:
    """A moment on the clock that the windows mean, to the second."""
    return moment.astimezone(hours.zone).isoformat(timespec="seconds") if moment else None
