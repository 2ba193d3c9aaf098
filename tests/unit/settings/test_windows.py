"""Windows of the week: across midnight, by days, and on the two days whose clock jumps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tzdata
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.host.zone import MachineZone, unknown_zone
from daemon.settings import windows
from daemon.settings.windows import Hours, find_zone, instant, make_hours, next_time, parse_window

ZONE_FILES = Path(tzdata.__file__).with_name("zoneinfo")
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kolkata",
    "UTC",
    "Africa/Cairo",
    "Pacific/Apia",
    "America/Sao_Paulo",
)
MINUTE = timedelta(minutes=1)
NIGHT = ("22:00-06:00",)

moments = st.integers(0, 4 * 366 * 24 * 60).map(
    lambda minutes: datetime(2022, 1, 1, tzinfo=UTC) + minutes * MINUTE
)
zones = st.sampled_from(ZONES)
clocks = st.integers(0, 24 * 60 - 1)


def at(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def nights(zone: str, window: str, year: int = 2026) -> list[tuple[date, timedelta]]:
    """Day and length of every night that begins in a year."""
    hours = make_hours([window], zone)
    since = datetime(year, 1, 1, 12, tzinfo=ZoneInfo(zone))
    found = [
        (begin.astimezone(hours.zone).date(), end - begin)
        for begin, end in hours.stretches(since, days=365)
    ]
    return [one for one in found if one[0].year == year]


def test_night_is_seven_hours_in_spring_and_nine_in_autumn() -> None:
    odd = {
        day: length
        for day, length in nights("Europe/Berlin", "22:00-06:00")
        if length != timedelta(hours=8)
    }
    assert odd == {date(2026, 3, 28): timedelta(hours=7), date(2026, 10, 24): timedelta(hours=9)}


@pytest.mark.parametrize(
    ("window", "spring", "autumn"),
    [
        ("22:00-02:30", "03:00", "02:30"),  # 02:30 does not come: it ends at the jump
        ("02:30-06:00", "03:00", "02:30"),  # and comes twice: the first counts
        ("01:00-03:00", "03:00", "03:00"),
    ],
)
def test_times_that_the_clock_jumps_over_or_shows_twice(
    window: str, spring: str, autumn: str
) -> None:
    edge = window.split("-")[0 if window.startswith("02") else 1]
    minutes = windows.minutes_of(edge)
    for day, shown in ((date(2026, 3, 29), spring), (date(2026, 10, 25), autumn)):
        found = instant(day, minutes, BERLIN).astimezone(BERLIN)
        assert (f"{found:%H:%M}", found.fold) == (shown, 0)


def test_window_belongs_to_the_day_it_begins_on() -> None:
    hours = make_hours(["fri 22:00-06:00"], "Europe/Berlin")
    assert hours.is_open(at("2026-11-21T05:59"))  # a Saturday
    assert not hours.is_open(at("2026-11-20T05:59"))
    assert not hours.is_open(at("2026-11-21T22:30"))


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("22:00-06:00", {0, 1, 2, 3, 4, 5, 6}),
        ("mon-fri 22:00-06:00", {0, 1, 2, 3, 4}),
        ("Sat,Sun 00:00-24:00", {5, 6}),
        ("fri-mon, wed 8:00 - 9:15", {4, 5, 6, 0, 2}),
    ],
)
def test_days_of_a_window(text: str, days: set[int]) -> None:
    assert parse_window(text).days == days


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22-06",
        "25:00-06:00",
        "22:60-23:00",
        "22:00",
        "moon 22:00-06:00",
        "06:00-06:00",
        "22:00-24:30",
        "mon- 22:00-23:00",
        7,
        None,
        ["22:00-06:00"],
    ],
)
def test_what_is_no_window_is_refused_with_what_would_be(text: object) -> None:
    with pytest.raises(ValueError, match=r"22:00|06:00|00:00-24:00|mon, tue"):
        parse_window(text)


def test_windows_that_touch_are_one_stretch() -> None:
    hours = make_hours(
        ["fri 18:00-24:00", "sat,sun 00:00-24:00", "mon 00:00-06:00"], "Europe/Berlin"
    )
    now = at("2026-11-20T12:00")
    assert next(hours.stretches(now, days=7)) == (at("2026-11-20T18:00"), at("2026-11-23T06:00"))
    assert hours.next_change(now) == at("2026-11-20T18:00")
    assert hours.next_change(at("2026-11-22T12:00")) == at("2026-11-23T06:00")


def test_what_is_always_open_never_changes() -> None:
    now = at("2026-11-20T12:00")
    for spans in ([], ["00:00-24:00"], ["00:00-12:00", "12:00-24:00"]):
        hours = make_hours(spans, "Europe/Berlin")
        assert hours.is_open(now)
        assert hours.next_change(now) is None


def test_work_is_done_in_as_many_nights_as_it_takes() -> None:
    hours = make_hours(NIGHT, "Europe/Berlin")
    noon = at("2026-11-20T12:00")
    assert hours.finish(noon, 3600) == at("2026-11-20T23:00")
    assert hours.finish(noon, 8 * 3600) == at("2026-11-21T06:00")
    assert hours.finish(noon, 9 * 3600) == at("2026-11-21T23:00")
    assert hours.finish(at("2026-11-20T23:00"), 3600) == at("2026-11-21T00:00")
    assert hours.finish(noon, 400 * 8 * 3600) is None
    assert make_hours([], "UTC").finish(noon, 60.0) == noon + MINUTE


def test_next_time_is_today_or_tomorrow_or_where_the_clock_jumps() -> None:
    assert next_time("06:00", BERLIN, at("2026-11-20T05:00")) == at("2026-11-20T06:00")
    assert next_time("06:00", BERLIN, at("2026-11-20T06:00")) == at("2026-11-21T06:00")
    spring = next_time("02:30", BERLIN, at("2026-03-28T22:00"))
    assert spring == at("2026-03-29T03:00")


@settings(max_examples=300)
@given(zone=zones, begin=clocks, end=clocks, now=moments)
def test_two_windows_that_fill_the_day_take_turns(
    zone: str, begin: int, end: int, now: datetime
) -> None:
    """At every moment one of them is open, and never both: in all zones, on all days."""
    if begin == end:
        return
    one = make_hours([f"{clock(begin)}-{clock(end)}"], zone)
    other = make_hours([f"{clock(end)}-{clock(begin)}"], zone)
    assert one.is_open(now) is not other.is_open(now)


@settings(max_examples=300)
@given(zone=zones, begin=clocks, end=clocks, now=moments)
def test_window_is_open_as_the_clock_reads_where_it_does_not_jump(
    zone: str, begin: int, end: int, now: datetime
) -> None:
    if begin == end:
        return
    hours = make_hours([f"{clock(begin)}-{clock(end)}"], zone)
    shown = now.astimezone(hours.zone)
    day = timedelta(hours=26)
    around = {(now + offset).astimezone(hours.zone).utcoffset() for offset in (-day, 0 * day, day)}
    if len(around) > 1:  # the clock jumps nearby
        return
    read = shown.hour * 60 + shown.minute
    inside = begin <= read < end if begin < end else (read >= begin or read < end)
    assert hours.is_open(now) is inside


@settings(max_examples=300)
@given(zone=zones, begin=clocks, end=clocks, now=moments)
def test_next_change_is_the_first_moment_that_differs(
    zone: str, begin: int, end: int, now: datetime
) -> None:
    if begin == end:
        return
    hours = make_hours([f"{clock(begin)}-{clock(end)}"], zone)
    change = hours.next_change(now)
    assert change is not None
    assert hours.is_open(change) is not hours.is_open(now)
    assert hours.is_open(change - timedelta(seconds=1)) is hours.is_open(now)
    assert change - now <= timedelta(hours=49)  # Apia once left a day out


@settings(max_examples=200)
@given(zone=zones, begin=clocks, end=clocks, year=st.integers(2022, 2035))
def test_every_night_comes_once_and_lasts_as_long_as_the_clock_says(
    zone: str, begin: int, end: int, year: int
) -> None:
    if (end - begin) % (24 * 60) not in range(1, 22 * 60):  # longer ones may touch at a jump
        return
    found = nights(zone, f"{clock(begin)}-{clock(end)}", year)
    usual = timedelta(minutes=(end - begin) % (24 * 60))
    lengths = [length for _, length in found]
    assert len({day for day, _ in found}) == len(found) >= 362
    assert sum(length != usual for length in lengths) <= 4
    assert all(abs(length - usual) <= timedelta(hours=1) for length in lengths)


def test_zone_is_the_named_one_or_the_environments_or_the_machines() -> None:
    assert find_zone("Asia/Kolkata", {"TZ": "Europe/Berlin"}) == ZoneInfo("Asia/Kolkata")
    assert find_zone(None, {"TZ": ":Europe/Berlin"}) == BERLIN
    for own in ({}, {"TZ": ""}, {"TZ": ":/etc/localtime"}, {"TZ": "Nowhere/City"}):
        assert isinstance(find_zone(None, own), MachineZone)
    for wrong in ("Europe/Nowhere", "../etc/passwd", "/etc/localtime", "a\0b"):
        with pytest.raises(ValueError, match="no time zone such as"):
            find_zone(wrong, {})


@contextmanager
def machine_in(zone: str) -> Iterator[None]:
    """Meanwhile C programs live in that zone: a name of tzdata's, a file's, or a POSIX rule."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZDIR", str(ZONE_FILES))  # there is not one on every machine
        patch.setenv("TZ", zone)
        time.tzset()
        try:
            yield
        finally:
            patch.undo()
            time.tzset()


@settings(max_examples=300)
@given(zone=zones, now=moments)
def test_machines_clock_shows_what_its_zone_says(zone: str, now: datetime) -> None:
    named = now.astimezone(ZoneInfo(zone))
    with machine_in(f":{zone}"):
        shown = now.astimezone(MachineZone())
        assert shown.replace(tzinfo=None) == named.replace(tzinfo=None)
        assert (shown.fold, shown.utcoffset()) == (named.fold, named.utcoffset())
        assert shown.astimezone(UTC) == now


@settings(max_examples=100)
@given(zone=zones, begin=clocks, end=clocks, now=moments)
def test_windows_of_the_machines_clock_are_those_of_its_zone(
    zone: str, begin: int, end: int, now: datetime
) -> None:
    if begin == end:
        return
    windows = [f"{clock(begin)}-{clock(end)}"]
    named = make_hours(windows, zone)
    with machine_in(zone):
        own = Hours(named.windows, MachineZone())
        assert own.is_open(now) is named.is_open(now)
        assert own.next_change(now) == named.next_change(now)


@pytest.mark.parametrize(
    ("variable", "zone"),
    [
        (f":{ZONE_FILES}/America/New_York", "America/New_York"),
        (f"{ZONE_FILES}/America/New_York", "America/New_York"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"),
        ("<+03>-3", "Europe/Istanbul"),
        ("", "UTC"),
        ("Nowhere/City", "UTC"),
        (":/nowhere", "UTC"),
        ("Pariss", "UTC"),
    ],
)
def test_whatever_c_programs_understand_is_the_zone_of_the_windows(
    variable: str, zone: str
) -> None:
    with machine_in(variable):
        hours = make_hours(["22:00-06:00"], None)
        for day in ("2026-01-15", "2026-07-15"):
            assert hours.is_open(at(f"{day}T22:00", zone))
            assert not hours.is_open(at(f"{day}T21:59", zone))


@pytest.mark.parametrize(
    ("variable", "unknown"),
    [
        (None, None),
        ("", None),
        ("Europe/Berlin", None),
        (":Europe/Berlin", None),
        (f":{ZONE_FILES}/UTC", None),
        ("CET-1CEST,M3.5.0,M10.5.0/3", None),
        ("<+03>-3", None),
        ("EST5EDT", None),
        ("UTC0", None),
        ("Nowhere/City", "Nowhere/City"),
        ("Pariss", "Pariss"),
        (":/nowhere", "/nowhere"),
        (f"{__file__}", __file__),
        ("a\0b", "a\0b"),
    ],
)
def test_zone_that_nobody_knows_is_told(variable: str | None, unknown: str | None) -> None:
    assert unknown_zone({} if variable is None else {"TZ": variable}) == unknown
