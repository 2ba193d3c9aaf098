"""The order of what waits, as people change it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import StaleJobError
from daemon.job import BULK, ORDINARY, Draft
from daemon.ledger.store import EVERY, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Jobs a to e wait, and behind them x and y of the bulk queue."""
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite3")) as found:
        found.database.connection.execute("PRAGMA synchronous = OFF")  # none of this is kept
        drop(found, "abcde")
        drop(found, "xy", BULK)
        yield found


def drop(ledger: Ledger, ids: str, priority: int = ORDINARY) -> None:
    ledger.add_picture(f"of {ids}", Path("photo.jpg"))
    drafts = [Draft(one, "starry", Path("photo.jpg"), {}, (), priority=priority) for one in ids]
    ledger.admit(f"of {ids}", sha256="", size=1, width_px=1, height_px=1, drafts=drafts)


def line(ledger: Ledger) -> str:
    return "".join(job.id for job in ledger.views.line(limit=-1))


def test_line_that_is_shown_is_the_one_that_is_painted(ledger: Ledger) -> None:
    ledger.places.put_first("c")
    ledger.places.put_before("y", "x")
    assert line(ledger) == "cabdeyx"
    painted = [ledger.claim_job("me") for _ in range(7)]
    assert "".join(job.id for job in painted if job) == "cabdeyx"


def test_job_that_is_put_first_goes_before_those_put_first_before(ledger: Ledger) -> None:
    for one in "dbb":
        ledger.places.put_first(one)
    assert line(ledger) == "bdacexy"


def test_first_of_the_bulk_queue_still_comes_after_every_ordinary_job(ledger: Ledger) -> None:
    ledger.places.put_first("y")
    assert line(ledger) == "abcdeyx"


def test_only_job_of_its_queue_is_first_already(ledger: Ledger) -> None:
    for _ in range(6):
        ledger.claim_job("me")
    ledger.places.put_first("y")
    assert line(ledger) == "y"


@pytest.mark.parametrize(
    ("moved", "before", "found"),
    [("e", "b", "aebcd"), ("a", "c", "bacde"), ("a", "b", "abcde"), ("c", "a", "cabde")],
)
def test_job_is_put_right_before_another(
    ledger: Ledger, moved: str, before: str, found: str
) -> None:
    ledger.places.put_before(moved, before)
    assert line(ledger) == f"{found}xy"


def test_job_before_itself_stays_where_it_is(ledger: Ledger) -> None:
    ledger.places.put_before("b", "b")
    assert line(ledger) == "abcdexy"


def test_job_that_is_put_last_waits_for_all_that_wait_now_and_none_that_come_later(
    ledger: Ledger,
) -> None:
    ledger.places.put_last("a")
    ledger.places.put_last("b")
    drop(ledger, "f")
    ledger.places.put_last("x")
    assert line(ledger) == "cdeabfyx"


def test_order_holds_however_often_jobs_change_their_places(ledger: Ledger) -> None:
    """Halves of halves end somewhere: places are settled anew then."""
    for number in range(130):
        ledger.places.put_before("cb"[number % 2], "bc"[number % 2])
        assert line(ledger)[:3] in ("acb", "abc")
    for _ in range(70):
        ledger.places.put_before("d", "e")
        ledger.places.put_before("a", "e")
    assert sorted(line(ledger)[:5]) == list("abcde") and line(ledger)[2:5] == "dae"


def test_running_job_that_comes_back_has_the_place_it_had(ledger: Ledger) -> None:
    ledger.places.put_first("c")
    assert ledger.claim_job("me") is not None
    ledger.database.run("settle_places", priority=ORDINARY)
    ledger.release_job("c", "me")
    assert line(ledger) == "cabdexy"


def test_job_that_does_not_wait_or_is_of_another_queue_has_no_place_among_others(
    ledger: Ledger,
) -> None:
    ledger.claim_job("me")
    for move in (
        lambda: ledger.places.put_first("a"),
        lambda: ledger.places.put_last("a"),
        lambda: ledger.places.put_before("a", "b"),
        lambda: ledger.places.put_before("b", "a"),
        lambda: ledger.places.put_before("x", "b"),
        lambda: ledger.places.put_first("nobody"),
    ):
        with pytest.raises(StaleJobError):
            move()
    assert line(ledger) == "bcdexy"


def test_line_is_shown_by_an_index_that_has_the_order(ledger: Ledger) -> None:
    for query in ("line", "awaiting"):
        plan = ledger.database.connection.execute(
            f"EXPLAIN QUERY PLAN {ledger.database.queries[query]}",
            {"limit": 1, "offset": 0},
        ).fetchall()
        steps = " ".join(row["detail"] for row in plan)
        assert "USING INDEX job_waiting" in steps or "USING INDEX job_awaiting" in steps
        assert "TEMP B-TREE" not in steps
    assert ledger.first_in(EVERY) == "a"
