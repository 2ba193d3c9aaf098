"""Jobs that ask for a node, a tag or a kind of device: claimed where that is offered, in order."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.job import BULK, ORDINARY, Draft
from daemon.ledger.rows import Asking
from daemon.ledger.store import EVERY, Ledger

CPU = ("", "cpu", "local")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """Jobs a to d wait: for anything, for cuda, for desk2 (bulk), for anything."""
    with contextlib.closing(Ledger(path)) as found:
        found.database.connection.execute("PRAGMA synchronous = OFF")  # none of this is kept
        drop(found, draft("a"), draft("b", "cuda"), draft("c", "desk2", BULK), draft("d"))
        yield found


def draft(job_id: str, runs_on: str = "", priority: int = ORDINARY) -> Draft:
    photo = Path("photo.jpg")
    return Draft(job_id, "starry", photo, {}, (), priority=priority, runs_on=runs_on)


def drop(ledger: Ledger, *drafts: Draft) -> None:
    ledger.add_picture(drafts[0].id, Path("photo.jpg"))
    ledger.admit(drafts[0].id, sha256="", size=1, width_px=1, height_px=1, drafts=drafts)


def claimed(ledger: Ledger, *offers: str) -> str:
    """The ids of what seats that offer so much are given, one after the other."""
    ids = ""
    while job := ledger.claim_job("me", EVERY, offers):
        ids += job.id
    return ids


def test_what_a_job_asks_for_stays_with_it(ledger: Ledger) -> None:
    assert [ledger.job(one).runs_on for one in "abcd"] == ["", "cuda", "desk2", ""]


def test_seat_is_given_what_it_will_do_for_in_the_order_of_the_line(ledger: Ledger) -> None:
    assert claimed(ledger, *CPU) == "ad"
    assert claimed(ledger, "", "cuda") == "b"
    assert claimed(ledger, "", "desk2", "cpu") == "c"


def test_order_is_one_over_all_that_is_asked_for(ledger: Ledger) -> None:
    ledger.places.put_first("d")
    assert claimed(ledger, "", "desk2", "cuda") == "dabc"


def test_seat_that_offers_nothing_is_given_what_asks_for_nothing(ledger: Ledger) -> None:
    assert claimed(ledger, "") == "ad"
    assert claimed(ledger) == ""


def test_whatever_is_asked_for_is_claimed_where_offers_do_not_matter(ledger: Ledger) -> None:
    assert "".join(job.id for _ in range(4) if (job := ledger.claim_job("me"))) == "abdc"


def test_line_that_is_closed_is_closed_to_those_who_ask_too(ledger: Ledger) -> None:
    assert ledger.first_in((ORDINARY, EVERY[1]), ("desk2",)) is None
    assert ledger.first_in((EVERY[0], BULK), ("desk2",)) == "c"


def test_job_that_is_put_off_lets_those_behind_it_go_first(ledger: Ledger) -> None:
    claim = ledger.claim_job("me", EVERY, CPU, ["a", "nobody"])
    assert claim is not None and claim.id == "d"
    assert ledger.first_in(EVERY, CPU, ["a"]) is None
    assert ledger.first_in(EVERY, CPU) == "a"


def test_job_that_came_back_asks_for_what_it_asked_for(ledger: Ledger) -> None:
    assert claimed(ledger, "cuda") == "b"
    ledger.release_job("b", "me")
    assert claimed(ledger, *CPU) == "ad"
    assert claimed(ledger, "cuda") == "b"


def test_what_is_asked_for_is_told_with_how_many_wait_and_which_is_the_first(
    ledger: Ledger,
) -> None:
    drop(ledger, draft("e", "cuda"))
    ledger.places.put_first("e")
    assert ledger.asked_for() == ["", "cuda", "desk2"]
    assert ledger.views.asking() == [Asking("cuda", 2, "e"), Asking("desk2", 1, "c")]
    claimed(ledger, "", "cuda", "desk2")
    assert ledger.asked_for() == [] and ledger.views.asking() == []


@pytest.mark.parametrize("query", ["asked_for", "first_in_line"])
def test_next_job_is_found_by_an_index_that_has_the_order(ledger: Ledger, query: str) -> None:
    values = {"least": EVERY[0], "most": EVERY[1], "runs_on": "", "put_off": "[]"}
    plan = ledger.database.connection.execute(
        f"EXPLAIN QUERY PLAN {ledger.database.queries[query]}", values
    ).fetchall()
    steps = [row["detail"] for row in plan]
    looks = [step for step in steps if " job " in f"{step} " and "INDEX job_asking" in step]
    assert looks and "TEMP B-TREE" not in " ".join(steps)


def test_next_job_is_found_in_a_few_steps_behind_thousands_that_nobody_will_do_for(
    ledger: Ledger,
) -> None:
    drop(ledger, *(draft(f"x{number}", f"gone{number % 3}") for number in range(3_000)))
    drop(ledger, draft("last", "rare"))
    steps: list[int] = []
    ledger.database.connection.set_progress_handler(lambda: steps.append(1), 100)
    assert ledger.first_in(EVERY, ("rare",)) == "last"
    assert ledger.asked_for() == ["", "cuda", "desk2", "gone0", "gone1", "gone2", "rare"]
    ledger.database.connection.set_progress_handler(None, 0)
    assert len(steps) < 30  # hundreds of SQLite's steps; a look at each job is tens of thousands


def test_jobs_of_a_ledger_of_version_9_ask_for_nothing_before_and_after_it_is_brought_up(
    ledger: Ledger, path: Path
) -> None:
    ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("DROP INDEX job_asking")
        old.execute("ALTER TABLE job DROP COLUMN runs_on")
        old.execute("PRAGMA user_version = 9")
        old.commit()
    for opened in (Ledger(path, read_only=True), Ledger(path)):
        with contextlib.closing(opened):
            assert [opened.job(one).runs_on for one in "abcd"] == [""] * 4
    with contextlib.closing(Ledger(path)) as after:
        assert claimed(after, *CPU) == "abdc"
    assert path.with_name("ledger.sqlite3.version-9").exists()
