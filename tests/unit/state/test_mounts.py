"""Folders whose file system has gone from under them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.state.mounts import MOUNTS_FILE, Mounts, mount_point
from tests.support.atelier import may_mount, mounted


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return Mounts(tmp_path / "state")


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Path]:
    """A folder that only a mounted disk holds; the disk is gone after the `with` of a test."""
    if not may_mount():
        pytest.skip("may not mount anything here")
    yield tmp_path / "share"


def test_folder_that_was_never_seen_is_as_good_as_any(mounts: Mounts, tmp_path: Path) -> None:
    mounts.check(tmp_path / "inbox")


def test_empty_mount_point_is_not_taken_for_the_folder(mounts: Mounts, share: Path) -> None:
    with mounted(share, "size=1m"):
        assert mount_point(share / "inbox") == share
        for folder in (share, share / "inbox"):
            mounts.remember(folder)
            mounts.check(folder)
    for folder in (share, share / "inbox"):
        with pytest.raises(SurroundingsError, match="nothing is mounted at") as caught:
            mounts.check(folder)
        assert str(share) in str(caught.value) and MOUNTS_FILE in str(caught.value)
    with mounted(share, "size=1m"):
        mounts.check(share / "inbox")


def test_folder_that_came_to_lie_elsewhere_is_known_there(mounts: Mounts, share: Path) -> None:
    with mounted(share, "size=1m"):
        mounts.remember(share)
    mounts.remember(share)
    mounts.check(share)


def test_unreadable_memory_says_what_to_do(mounts: Mounts, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / MOUNTS_FILE).write_text("{")
    with pytest.raises(SurroundingsError, match="delete it while all folders are mounted"):
        mounts.check(tmp_path)
