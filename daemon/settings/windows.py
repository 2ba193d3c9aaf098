"""When a queue may run: windows of the week, read on a clock that jumps twice a year. Pure."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from daemon.host.zone import machine_zone, named_zone

WINDOW = re.compile(r"(?:([a-z,\- ]+?)\s+)?(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", re.IGNORECASE)
CLOCK = re.compile(r"(\d{1,2}):(\d\d)")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60
AHEAD_DAYS = 8
"""Windows repeat every week: who looks so far ahead sees the next of each."""

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True)
class Window:
    """A time of the week. days: on which it begins, 0 is Monday.

    begin_min, end_min: of the day's clock, in minutes; an end that is not after the beginning is
    the next day's.
    """

    days: frozenset[int]
    begin_min: int
    end_min: int

    def on(self, day: date, zone: tzinfo) -> Stretch:
        """When the window that begins on `day` begins and ends, in UTC."""
        over = DAY_MIN if self.end_min <= self.begin_min else 0
        return instant(day, self.begin_min, zone), instant(day, self.end_min + over, zone)


@dataclass(frozen=True)
class Hours:
    """When a queue may run. No window at all: always."""

    windows: tuple[Window, ...]
    zone: tzinfo

    def is_open(self, now: datetime) -> bool:
        return not self.windows or any(begin <= now for begin, _ in self.stretches(now, days=0))

    def next_change(self, now: datetime) -> datetime | None:
        """When an open queue closes, or a closed one opens; None if it never does."""
        if not self.windows:
            return None
        begin, end = next(self.stretches(now, days=AHEAD_DAYS))
        if begin > now:
            return begin
        return None if end - now >= timedelta(days=AHEAD_DAYS - 1) else end

    def finish(self, now: datetime, work_s: float, *, within_days: int = 366) -> datetime | None:
        """When work of so many seconds is done, at it only while open; None: later than that."""
        open_s = timedelta(seconds=work_s)
        if not self.windows:
            return now + open_s
        for begin, end in self.stretches(now, days=within_days):
            room = end - max(begin, now)
            if open_s <= room:
                return max(begin, now) + open_s
            open_s -= room
        return None

    def stretches(self, now: datetime, days: int) -> Iterator[Stretch]:
        """The times it is open that end after `now`, in order, those that touch made one."""
        today = now.astimezone(self.zone).date()
        openings = sorted(
            window.on(day, self.zone)
            for day in (today + timedelta(days=ahead) for ahead in range(-1, days + 1))
            for window in self.windows
            if day.weekday() in window.days
        )
        last: Stretch | None = None
        for begin, end in openings:
            if end <= now or end <= begin:  # over, or on a day whose clock jumps over it
                continue
            if last is not None and begin <= last[1]:
                last = (last[0], max(last[1], end))
                continue
            if last is not None:
                yield last
            last = (begin, end)
        if last is not None:
            yield last


def instant(day: date, minutes: int, zone: tzinfo) -> datetime:
    """When a clock of that zone first shows so many minutes of that day, in UTC.

    A time that the clock jumps over is when it jumps; of one that comes twice, the first counts.
    So a window's end is always the beginning of the one that begins then.
    """
    wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minutes)
    late = wall.replace(tzinfo=zone).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == wall:
        return late
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)  # clocks jump at whole seconds


def next_time(text: str, zone: tzinfo, now: datetime) -> datetime:
    """The next moment after `now` that the clock shows a time such as 06:00; raises ValueError."""
    minutes = minutes_of(text)
    today = now.astimezone(zone).date()
    moments = (instant(today + timedelta(days=ahead), minutes, zone) for ahead in range(3))
    return next(moment for moment in moments if moment > now)


def minutes_of(text: str) -> int:
    """A time of the clock such as 06:00 in minutes; raises ValueError."""
    found = CLOCK.fullmatch(text.strip())
    minutes = int(found[1]) * 60 + int(found[2]) if found and int(found[2]) < 60 else DAY_MIN
    if minutes >= DAY_MIN:
        raise ValueError(f"must be a time of day such as 06:00, not {text!r}")
    return minutes


def parse_window(text: object) -> Window:
    """A window such as `22:00-06:00` or `sat,sun 00:00-24:00`; raises ValueError."""
    match = WINDOW.fullmatch(text.strip()) if isinstance(text, str) else None
    if not isinstance(text, str) or match is None:
        raise ValueError(
            f'must be a window such as "22:00-06:00" or "mon-fri 22:00-06:00", not {text!r}'
        )
    begin = minutes_of(f"{match[2]}:{match[3]}")
    end_text = f"{match[4]}:{match[5]}"
    end = DAY_MIN if end_text == "24:00" else minutes_of(end_text)
    if begin == end:
        raise ValueError(f"{text!r} ends when it begins; the whole day is 00:00-24:00")
    return Window(parse_days(match[1]), begin, end)


def parse_days(text: str | None) -> frozenset[int]:
    """Days such as `mon-fri` or `sat,sun`; every day where there are none. Raises ValueError."""
    if text is None:
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        last = last if dash else first
        if first not in DAYS or last not in DAYS:
            raise ValueError(f"{part.strip()!r} is no day or days; they are {', '.join(DAYS)}")
        length = (DAYS.index(last) - DAYS.index(first)) % 7
        days |= {(DAYS.index(first) + ahead) % 7 for ahead in range(length + 1)}
    return frozenset(days)


def make_hours(windows: Sequence[str], zone: str | None) -> Hours:
    """Hours from texts that `parse_window` and `find_zone` take."""
    return Hours(tuple(parse_window(window) for window in windows), find_zone(zone))


def find_zone(name: str | None, environment: Mapping[str, str] = os.environ) -> tzinfo:
    """A time zone by its name, or without one the machine's; raises ValueError for a wrong name."""
    if name is None:
        return machine_zone(environment)
    if (zone := named_zone(name)) is None:
        raise ValueError(f"is no time zone such as Europe/Berlin: {name!r}")
    return zone
