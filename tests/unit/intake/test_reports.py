"""What is told of what is left lying in the inbox."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from loguru import logger

from daemon.errors import SeveralError, SurroundingsError
from daemon.intake.reports import MOST_NAMED, Reports, Wait, as_data, lone_companions, told_after_s

PATH = Path("notes.txt")
GIVE_UP_S = 600.0
AT_REST = Wait(PATH, "is no picture", at_rest=True)
CHANGING = Wait(Path("a.jpg"), "is still changing")


@pytest.fixture
def reports() -> Reports:
    return Reports(settle_s=5.0, give_up_s=GIVE_UP_S)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.record["message"]))
    yield lines
    logger.remove(sink)


def look(reports: Reports, now_s: float, *waits: Wait) -> None:
    reports.begin_look(now_s)
    reports.tell(waits)
    reports.end_look()


def test_what_is_left_lying_is_logged_once_and_again_if_it_was_gone(
    reports: Reports, logged: list[str]
) -> None:
    lying = Wait(PATH, "is no picture", at_rest=True, logged=True)
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


def test_wait_that_goes_on_too_long_is_told_of_and_one_that_ends_is_forgotten(
    reports: Reports,
) -> None:
    bound_s = told_after_s(5.0)
    for now_s in (0.0, bound_s - 1.0, bound_s):
        look(reports, now_s, CHANGING)
    assert reports.due(bound_s - 1.0) == ()
    (wait,) = reports.due(bound_s)
    assert (wait.path, wait.since_s, wait.mend) == (Path("a.jpg"), 0.0, False)
    look(reports, bound_s)
    assert reports.due(bound_s) == ()


def test_wait_whose_reason_changes_is_the_same_wait(reports: Reports) -> None:
    look(reports, 0.0, CHANGING)
    look(reports, 100.0, Wait(Path("a.jpg"), "does not decode"))
    (wait,) = reports.due(100.0)
    assert (wait.since_s, wait.why) == (0.0, "does not decode")


def test_what_somebody_has_to_mend_is_told_of_at_once_and_first(reports: Reports) -> None:
    look(reports, 0.0, CHANGING, AT_REST)
    look(reports, 50.0, CHANGING, AT_REST, Wait(Path("b.jpg"), "may not be read", mend=True))
    assert [str(wait.path) for wait in reports.due(50.0)] == ["b.jpg", "a.jpg", "notes.txt"]


def test_what_has_not_got_on_when_a_cut_picture_is_given_up_needs_a_person(
    reports: Reports,
) -> None:
    look(reports, 0.0, CHANGING, AT_REST)
    assert [wait.mend for wait in reports.due(GIVE_UP_S - 1)] == [False, False]
    assert [(str(w.path), w.mend) for w in reports.due(GIVE_UP_S)] == [
        ("a.jpg", True),
        ("notes.txt", False),
    ]


def test_the_first_are_named_each_with_the_time_since_when(reports: Reports) -> None:
    look(reports, 0.0, *(Wait(Path(f"{number:02d}\n.jpg"), "is empty") for number in range(50)))
    told = as_data(reports.due(90.0), 90.0, datetime(2026, 1, 2, 12, 1, 30, tzinfo=UTC))
    assert len(told) == MOST_NAMED
    assert told[0] == {
        "path": "00\\n.jpg",
        "why": "is empty",
        "since": "2026-01-02T12:00:00Z",
        "mend": False,
    }
