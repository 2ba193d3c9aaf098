"""What keeps a path from being looked at, in words."""

import errno
import os
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.host import access


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, f"let user {os.geteuid()} in there"),
        (errno.EROFS, "mount it writable"),
        (errno.ENOSPC, "make room on its disk"),
        (errno.ELOOP, "leads to itself"),
        (errno.ENOTCONN, "its disk or share does not answer"),
        (errno.ESTALE, "its disk or share does not answer"),
    ],
)
def test_error_of_the_system_is_told_with_path_and_remedy(number: int, remedy: str) -> None:
    told = access.explain(OSError(number, os.strerror(number), "/srv/in\x1bbox"))
    assert told.startswith(f"/srv/in\\x1bbox: {os.strerror(number)}; ") and remedy in told


def test_error_without_a_path_or_a_known_remedy_is_told_as_it_is() -> None:
    assert access.explain(OSError("odd")) == "odd"
    assert access.explain(OSError(errno.EDOM, "Odd", b"/a\xff")) == "/a\\udcff: Odd"


def test_folder_is_there_or_not(tmp_path: Path) -> None:
    assert access.is_there(tmp_path)
    assert not access.is_there(tmp_path / "gone")


def test_folder_that_may_not_be_looked_into_is_no_absent_one(closed: Path) -> None:
    with pytest.raises(SurroundingsError, match=f"{closed}: Permission denied; let user"):
        access.is_there(closed)
    with pytest.raises(SurroundingsError, match="Permission denied"):
        access.is_there(closed / "state")


@pytest.mark.parametrize("kind", ["file", "loop", "long"])
def test_what_is_no_folder_is_no_absent_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("x" * 300 if kind == "long" else "x")
    if kind == "file":
        path.touch()
    if kind == "loop":
        path.symlink_to(path)
    with pytest.raises(SurroundingsError, match=r"x: .*; "):
        access.is_there(path)
