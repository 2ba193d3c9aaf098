"""Finishers: each is called in order, and again from where one has failed."""

import pytest

from daemon.outbox.finishers import FinishedPicture, Finishers


class Calls:
    """Finishers that note who was called for which picture; those in `failing` fail."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.failing: set[str] = set()

    def finisher(self, name: str):
        def finish(finished: FinishedPicture) -> None:
            self.seen.append((name, finished.picture.id))
            if name in self.failing:
                raise OSError(name)

        return finish


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def finishers(calls: Calls) -> Finishers:
    return Finishers([calls.finisher("file"), calls.finisher("sheet")])


def test_every_finisher_is_called_in_order(finishers, calls, finished, picture, make_job) -> None:
    finishers.finish(finished(picture, [make_job()]))
    assert calls.seen == [("file", "p1"), ("sheet", "p1")]


def test_finisher_that_failed_is_called_again_and_those_before_it_are_not(
    finishers, calls, finished, picture, make_job
) -> None:
    """An original that somebody took away since is not to come back."""
    calls.failing.add("sheet")
    for _ in range(2):
        with pytest.raises(OSError, match="sheet"):
            finishers.finish(finished(picture, [make_job()]))
    calls.failing.clear()
    finishers.finish(finished(picture, [make_job()]))
    assert calls.seen == [("file", "p1"), *[("sheet", "p1")] * 3]


def test_finisher_that_failed_keeps_those_after_it_from_being_called(
    finishers, calls, finished, picture, make_job
) -> None:
    calls.failing.add("file")
    with pytest.raises(OSError, match="file"):
        finishers.finish(finished(picture, [make_job()]))
    assert calls.seen == [("file", "p1")]


def test_picture_that_the_ledger_could_not_note_as_filed_is_finished_anew(
    finishers, calls, finished, picture, make_job
) -> None:
    for _ in range(2):
        finishers.finish(finished(picture, [make_job()]))
    assert calls.seen == [("file", "p1"), ("sheet", "p1")] * 2
