"""What is told of what is left lying in the inbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from daemon.errors import SeveralError, SurroundingsError
from daemon.intake.reports import Leftover, Reports, lone_companions

PATH = Path("notes.txt")


@pytest.fixture
def reports() -> Reports:
    return Reports(settle_s=5.0, give_up_s=60.0)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.record["message"]))
    yield lines
    logger.remove(sink)


def look(reports: Reports, now_s: float, *leftovers: Leftover) -> None:
    reports.begin_look(now_s)
    reports.tell(leftovers)
    reports.end_look()


def test_what_is_left_lying_is_logged_once_and_again_if_it_was_gone(
    reports: Reports, logged: list[str]
) -> None:
    lying = Leftover(PATH, "is no picture", at_rest=True)
    look(reports, 0.0, lying)
    look(reports, 1.0, lying)
    assert logged == ["notes.txt is no picture"]
    look(reports, 2.0)
    look(reports, 3.0, lying)
    assert logged == ["notes.txt is no picture"] * 2


def test_look_ends_with_all_that_stood_in_its_way(reports: Reports) -> None:
    reports.begin_look(0.0)
    reports.trouble(SurroundingsError("the queue is full"))
    reports.trouble(SurroundingsError("it may not be read"), PATH)
    with pytest.raises(SeveralError, match=r"the queue is full; it may not be read"):
        reports.end_look()
    assert [(wait.path, wait.mend) for wait in reports.due(0.0)] == [(PATH, True)]
    look(reports, 1.0)
    assert reports.due(1.0) == ()


def test_sidecar_alone_is_logged_only_once_it_is_not_obeyed_any_more() -> None:
    fresh, stale = lone_companions([Path("a.yaml"), Path("b.yaml")], {Path("b.yaml")})
    assert (fresh.logged, stale.logged) == (False, True)
    assert "save it anew" in stale.why and "save it anew" not in fresh.why


def test_companion_alone_is_told_by_the_name_of_its_kind(masks) -> None:
    (mask,) = lone_companions([Path("a.mask.png")], ())
    assert mask.why == "is a mask without its picture; it stays where it is"
