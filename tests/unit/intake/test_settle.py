"""When a file has stopped changing; the clock is a number."""

from pathlib import Path

import pytest

from daemon.intake.scan import Sighting, Signature
from daemon.intake.settle import Watch, is_settled, next_look_s, observe

PHOTO = Path("photo.jpg")


def sighting(size: int = 5, *, inode: int = 1, mtime_ns: int = 7, ctime_ns: int = 7) -> Sighting:
    return Sighting(PHOTO, Signature(inode, size, mtime_ns, ctime_ns))


def test_unchanged_file_is_settled_after_its_time() -> None:
    watched = observe({}, [sighting()], 100.0)
    watched = observe(watched, [sighting()], 104.0)
    assert not is_settled(watched[PHOTO], 104.9, 5.0)
    assert is_settled(watched[PHOTO], 105.0, 5.0)


@pytest.mark.parametrize(
    "changed",
    [sighting(6), sighting(inode=2), sighting(mtime_ns=8), sighting(ctime_ns=8)],
    ids=["grown", "replaced", "written to", "its time set back"],
)
def test_changed_file_starts_its_time_anew(changed: Sighting) -> None:
    watched = observe({}, [sighting()], 100.0)
    watched = observe(watched, [changed], 104.0)
    assert not is_settled(watched[PHOTO], 108.9, 5.0)
    assert is_settled(watched[PHOTO], 109.0, 5.0)


def test_empty_file_never_settles() -> None:
    watched = observe({}, [sighting(0)], 0.0)
    assert not is_settled(watched[PHOTO], 1e9, 5.0)
    assert next_look_s(watched, 1.0, 5.0) is None


def test_smallest_file_settles_like_any_other() -> None:
    watched = observe({}, [sighting(1)], 0.0)
    assert next_look_s(watched, 1.0, 5.0) == 4.0
    assert is_settled(watched[PHOTO], 5.0, 5.0)


def test_file_with_old_times_is_not_taken_for_settled() -> None:
    watched = observe({}, [sighting(mtime_ns=0, ctime_ns=0)], 100.0)
    assert not is_settled(watched[PHOTO], 100.0, 5.0)


def test_file_that_is_gone_is_forgotten_and_starts_anew_when_it_returns() -> None:
    watched = observe({}, [sighting()], 100.0)
    assert observe(watched, [], 101.0) == {}
    assert observe({}, [sighting()], 103.0)[PHOTO].since_s == 103.0


def test_next_look_is_when_the_first_file_could_be_settled() -> None:
    late, early = Path("late.jpg"), Path("early.jpg")
    signature = sighting().signature
    watched = {late: Watch(signature, 8.0), early: Watch(signature, 6.0)}
    assert next_look_s(watched, 10.0, 5.0) == 1.0
    assert next_look_s(watched, 11.0, 5.0) == 2.0
    assert next_look_s(watched, 13.0, 5.0) is None
    assert next_look_s({}, 0.0, 5.0) is None
