"""What does not get on is told, with names, and by when."""

from datetime import UTC, datetime
from pathlib import Path

from daemon.intake.waits import MOST_NAMED, Waits, as_data, told_after_s

GIVE_UP_S = 600.0


def test_wait_that_goes_on_too_long_is_told_of_and_one_that_ends_is_forgotten() -> None:
    waits = Waits(5.0, GIVE_UP_S)
    bound_s = told_after_s(5.0)
    for now_s in (0.0, bound_s - 1.0, bound_s):
        waits.note(Path("a.jpg"), "is still changing", now_s)
        waits.end_look()
    assert waits.due(bound_s - 1.0) == ()
    (wait,) = waits.due(bound_s)
    assert (wait.path, wait.since_s, wait.mend) == (Path("a.jpg"), 0.0, False)
    waits.end_look()
    assert waits.due(bound_s) == ()


def test_wait_whose_reason_changes_is_the_same_wait() -> None:
    waits = Waits(5.0, GIVE_UP_S)
    for now_s, why in ((0.0, "is still changing"), (100.0, "does not decode")):
        waits.note(Path("a.jpg"), why, now_s)
        waits.end_look()
    (wait,) = waits.due(100.0)
    assert (wait.since_s, wait.why) == (0.0, "does not decode")


def test_what_somebody_has_to_mend_is_told_of_at_once_and_first() -> None:
    waits = Waits(5.0, GIVE_UP_S)
    waits.note(Path("a.jpg"), "is still changing", 0.0)
    waits.note(Path("notes.txt"), "is no picture", 0.0, at_rest=True)
    waits.end_look()
    waits.note(Path("a.jpg"), "is still changing", 50.0)
    waits.note(Path("notes.txt"), "is no picture", 50.0, at_rest=True)
    waits.note(Path("b.jpg"), "may not be read", 50.0, mend=True)
    waits.end_look()
    assert [str(wait.path) for wait in waits.due(50.0)] == ["b.jpg", "a.jpg", "notes.txt"]


def test_what_has_not_got_on_when_a_cut_picture_is_given_up_needs_a_person() -> None:
    waits = Waits(5.0, GIVE_UP_S)
    waits.note(Path("a.jpg"), "is still changing", 0.0)
    waits.note(Path("notes.txt"), "is no picture", 0.0, at_rest=True)
    waits.end_look()
    assert [wait.mend for wait in waits.due(GIVE_UP_S - 1)] == [False, False]
    assert [(str(w.path), w.mend) for w in waits.due(GIVE_UP_S)] == [
        ("a.jpg", True),
        ("notes.txt", False),
    ]


def test_the_first_are_named_each_with_the_time_since_when() -> None:
    waits = Waits(5.0, GIVE_UP_S)
    for number in range(50):
        waits.note(Path(f"{number:02d}\n.jpg"), "is empty", 0.0)
    waits.end_look()
    told = as_data(waits.due(90.0), 90.0, datetime(2026, 1, 2, 12, 1, 30, tzinfo=UTC))
    assert len(told) == MOST_NAMED
    assert told[0] == {
        "path": "00\\n.jpg",
        "why": "is empty",
        "since": "2026-01-02T12:00:00Z",
        "mend": False,
    }
