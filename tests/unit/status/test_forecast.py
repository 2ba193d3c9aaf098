"""How long the queues take, by what was painted of late."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from daemon.job import BULK, ORDINARY
from daemon.ledger.rows import Backlog
from daemon.settings.config import Schedule
from daemon.status.forecast import Forecast, forecast, seconds_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = 3600.0
PACE = [("wave", 100, 50.0), ("wave", 100, 10.0), ("wave", 100, 20.0), ("oil", 100, 200.0)]
NIGHTS = Schedule(time_zone="UTC", bulk=("22:00-06:00",))


def after(hours: int) -> str:
    """So many hours after noon."""
    return (NOON + timedelta(hours=hours)).isoformat()


def look(*backlog: Backlog, **options: object) -> dict[str, Forecast]:
    known: dict[str, object] = {"running_s": 0.0, "devices": 1}
    return forecast(NIGHTS, NOON, backlog, PACE, **(known | options))  # type: ignore[arg-type]


def test_seconds_are_the_work_at_the_usual_pace_of_each_preset() -> None:
    backlog = [Backlog(0, "wave", 2, 300), Backlog(0, "oil", 1, 100), Backlog(0, "new", 1, 100)]
    assert seconds_of(backlog, PACE) == pytest.approx(300 * 0.2 + 100 * 2.0 + 100 * 0.35)
    assert seconds_of([], []) == 0.0
    assert seconds_of(backlog, []) is None


def test_bulk_begins_when_the_ordinary_jobs_are_done_and_its_window_opens() -> None:
    ordinary = Backlog(ORDINARY, "oil", 5, 18_000)  # ten hours, until 22:00
    found = look(ordinary, Backlog(BULK, "oil", 9, 7_200))  # four hours
    assert found["ordinary"].done_at == after(10)
    assert found["bulk"].done_at == after(14)
    later = look(Backlog(ORDINARY, "oil", 5, 21_600), Backlog(BULK, "oil", 9, 7_200))
    assert later["bulk"].done_at == after(16)


def test_night_that_is_too_short_is_told() -> None:
    found = look(Backlog(BULK, "oil", 99, 16_200))["bulk"]  # nine hours
    assert (found.waiting, found.open, found.window_fits) == (99, False, False)
    assert found.changes_at == after(10)
    assert found.done_at == after(35)
    assert look(Backlog(BULK, "oil", 99, 14_400))["bulk"].window_fits is True
    assert look(Backlog(BULK, "oil", 99, 16_200), devices=2)["bulk"].window_fits is True


def test_running_jobs_come_first() -> None:
    found = look(Backlog(ORDINARY, "oil", 1, 1800), running_s=HOUR)
    assert found["ordinary"].done_at == after(2)


def test_nothing_is_foretold_without_a_picture_painted() -> None:
    found = forecast(NIGHTS, NOON, [Backlog(BULK, "oil", 1, 1)], [], running_s=0.0, devices=0)
    assert asdict(found["bulk"]) == {
        "waiting": 1,
        "seconds": None,
        "open": False,
        "window_fits": None,
        "done_at": None,
        "changes_at": "2026-05-01T22:00:00+00:00",
    }
    assert found["ordinary"].seconds == 0
