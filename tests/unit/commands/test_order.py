"""Moving jobs in the line, as the command line and the page do."""

from pathlib import Path

import pytest

from daemon.commands.order import first_jobs, move_job
from daemon.job import BULK, ORDINARY, Draft
from daemon.ledger.store import Ledger
from daemon.settings.config import Config


@pytest.fixture(autouse=True)
def ledger(config: Config) -> Ledger:
    """A running job, three that wait, and one of the bulk queue."""
    made = Ledger(config.ledger_path)
    made.add_picture("p1", Path("wave/photo.jpg"))
    priorities = {"run0": ORDINARY, "aa11": ORDINARY, "bb22": ORDINARY, "cc33": ORDINARY}
    drafts = [
        Draft(one, "wave", Path(f"{one}.jpg"), {}, (), priority=priority)
        for one, priority in (priorities | {"dd44": BULK}).items()
    ]
    made.admit("p1", sha256="", size=1, width_px=1, height_px=1, drafts=drafts)
    made.claim_job("me")
    return made


def line(ledger: Ledger) -> list[str]:
    return [job.id[:2] for job in ledger.views.line(limit=9)]


def test_jobs_are_put_first_in_the_order_they_were_named_in(config: Config, ledger: Ledger) -> None:
    assert first_jobs(config, ["cc", "BB", "zz"]) == [
        ("cc33 cc33.jpg: first of the ordinary jobs", ""),
        ("bb22 bb22.jpg: first of the ordinary jobs", ""),
        ("", "zz: no job begins with 'zz'; see atelierd status"),
    ]
    assert line(ledger) == ["cc", "bb", "aa", "dd"]


def test_job_is_moved_before_another_and_to_the_end_of_its_queue(
    config: Config, ledger: Ledger
) -> None:
    assert move_job(config, "cc", "aa") == ("cc33 cc33.jpg: before aa11 aa11.jpg", "")
    assert line(ledger) == ["cc", "aa", "bb", "dd"]
    assert move_job(config, "aa", None) == ("aa11 aa11.jpg: last of the ordinary jobs", "")
    assert line(ledger) == ["cc", "bb", "aa", "dd"]


@pytest.mark.parametrize(
    ("asked", "before", "fault"),
    [
        ("run", "aa", "run0 run0.jpg is running; only waiting jobs have a place"),
        ("aa", "run", "run0 run0.jpg is running; only waiting jobs have a place"),
        ("dd", "aa", "is one of the bulk jobs, and aa11 one of the ordinary jobs"),
        ("zz", None, "no job begins with 'zz'"),
    ],
)
def test_job_that_cannot_be_moved_says_why(
    config: Config, ledger: Ledger, asked: str, before: str | None, fault: str
) -> None:
    answer = move_job(config, asked, before)
    assert answer.done == "" and fault in answer.fault
    assert line(ledger) == ["aa", "bb", "cc", "dd"]


def test_nothing_is_moved_where_there_are_no_jobs_yet(config: Config, ledger: Ledger) -> None:
    config.ledger_path.unlink()
    assert first_jobs(config, ["aa"]) == [("", "aa: there are no jobs yet")]
    assert move_job(config, "aa", None) == ("", "aa: there are no jobs yet")
