"""When a file has stopped changing; the clock is a number."""

from pathlib import Path

import pytest

from daemon.intake.scan import Sighting, Signature
from daemon.intake.settle import (
    WatchedFile,
    is_settled,
    next_look_s,
    observe,
    proof,
    wants_content,
    with_content,
)

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
    watched = {late: WatchedFile(signature, 8.0, 8.0), early: WatchedFile(signature, 6.0, 6.0)}
    assert next_look_s(watched, 10.0, 5.0) == 1.0
    assert next_look_s(watched, 11.0, 5.0) == 2.0
    assert next_look_s(watched, 13.0, 5.0) is None
    assert next_look_s({}, 0.0, 5.0) is None


def look_at_odd(
    watched: dict[Path, WatchedFile], now_s: float, content: str, size: int = 5
) -> dict[Path, WatchedFile]:
    """A look at a file whose inode and times are others each time; its content if it is wanted."""
    odd = sighting(size, inode=int(now_s), mtime_ns=int(now_s), ctime_ns=int(now_s))
    watched = observe(watched, [odd], now_s)
    if wants_content(watched[PHOTO], now_s, 5.0):
        watched[PHOTO] = with_content(watched[PHOTO], content, now_s, 5.0)
    return watched


def test_file_whose_inode_and_times_differ_at_every_look_settles_by_its_content() -> None:
    watched: dict[Path, WatchedFile] = {}
    settled = []
    for now_s in range(0, 40, 2):
        watched = look_at_odd(watched, float(now_s), "same")
        settled.append(proof(watched[PHOTO], float(now_s), 5.0))
    assert settled[:11] == [None] * 11  # read after 16 s, the same 6 s later
    assert settled[11:] == ["same"] * 9


def test_content_that_goes_on_changing_is_read_less_and_less_often_and_never_settles() -> None:
    # A copy from Windows: the size is reserved and the time set first, then the bytes come.
    watched: dict[Path, WatchedFile] = {}
    read_at = []
    for now_s in range(300):
        before = watched.get(PHOTO)
        watched = look_at_odd(watched, float(now_s), f"bytes {now_s}")
        assert proof(watched[PHOTO], float(now_s), 5.0) is None
        if before is not None and watched[PHOTO].content != before.content:
            read_at.append(now_s)
    assert read_at == [15, 20, 30, 50, 90, 150, 210, 270]


def test_content_that_came_to_rest_at_last_settles() -> None:
    watched: dict[Path, WatchedFile] = {}
    for now_s in range(100):
        content = "half" if now_s < 18 else "whole"
        watched = look_at_odd(watched, float(now_s), content)
    assert proof(watched[PHOTO], 99.0, 5.0) == "whole"


def test_file_that_its_content_has_shown_to_be_settled_is_read_no_more() -> None:
    watched: dict[Path, WatchedFile] = {}
    for now_s in range(22):
        watched = look_at_odd(watched, float(now_s), "same")
    assert proof(watched[PHOTO], 22.0, 5.0) == "same"
    for now_s in range(22, 1000):
        assert not wants_content(watched[PHOTO], float(now_s), 5.0)
        watched = look_at_odd(watched, float(now_s), "same")


def test_file_that_grows_is_not_read_for_its_content() -> None:
    watched: dict[Path, WatchedFile] = {}
    for now_s in range(60):
        watched = look_at_odd(watched, float(now_s), "more", size=5 + now_s)
        assert watched[PHOTO].content is None


def test_ordinary_file_is_never_read_for_its_content() -> None:
    watched = observe({}, [sighting()], 0.0)
    for now_s in range(60):
        watched = observe(watched, [sighting()], float(now_s))
        assert not wants_content(watched[PHOTO], float(now_s), 5.0) or now_s < 5
    assert proof(watched[PHOTO], 60.0, 5.0) == sighting().signature
