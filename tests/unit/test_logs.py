"""Log lines for people, for journald, and for each job."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from daemon import logs
from daemon.spool import Spool

JOB = "0123456789abcdef"


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    logger.remove()


@pytest.mark.parametrize(
    ("level", "priority"), [("INFO", 6), ("WARNING", 4), ("ERROR", 3), ("CRITICAL", 2)]
)
def test_journald_lines_begin_with_their_priority(
    capsys: pytest.CaptureFixture[str], level: str, priority: int
) -> None:
    logs.start_logging("INFO", {"JOURNAL_STREAM": "8:1"})
    logger.bind(job=JOB).log(level, "took {} in", "<a> {b}")
    assert capsys.readouterr().err == f"<{priority}>[01234567] took <a> {{b}} in\n"


def test_lines_for_people_have_time_level_and_job(capsys: pytest.CaptureFixture[str]) -> None:
    logs.start_logging("INFO", {})
    logger.bind(job=JOB).warning("hm")
    logger.info("plain")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" WARNING [01234567] hm") and first.startswith("20")
    assert second.endswith(" INFO    plain")


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.start_logging("WARNING", {})
    logger.info("chatter")
    assert capsys.readouterr().err == ""


def test_each_jobs_lines_go_to_its_own_log_whatever_their_level(tmp_path: Path) -> None:
    logger.remove()
    spool = Spool(tmp_path)
    logs.keep_job_logs(spool)
    logger.bind(job="one").debug("first")
    logger.bind(job="two").error("second")
    logger.info("nobody's")
    (line,) = spool.log("one").read_text().splitlines()
    assert line.endswith("Z DEBUG   first")
    assert spool.log("two").read_text().endswith("Z ERROR   second\n")
    assert len(list(tmp_path.rglob("log"))) == 2
