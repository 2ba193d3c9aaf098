"""One service per state folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.errors import AlreadyRunningError, SurroundingsError
from daemon.state import lock


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_second_service_is_refused_and_told_who_holds_the_folder(state: Path) -> None:
    held = lock.hold(state)
    with pytest.raises(AlreadyRunningError, match=f'"pid": {os.getpid()}'):
        lock.hold(state)
    held.release()


def test_released_folder_can_be_held_again(state: Path) -> None:
    lock.hold(state).release()
    lock.hold(state).release()


def test_lock_names_its_holder(state: Path) -> None:
    held = lock.hold(state)
    assert json.loads((state / "lock").read_text())["pid"] == os.getpid()
    held.release()


def test_folder_is_held_exactly_while_the_lock_is(state: Path) -> None:
    assert not lock.is_held(state)
    held = lock.hold(state)
    assert lock.is_held(state)
    held.release()
    assert not lock.is_held(state)


def test_looking_does_not_take_the_lock(state: Path) -> None:
    lock.hold(state).release()
    assert not lock.is_held(state)
    lock.hold(state).release()


def test_lock_dies_with_its_process(state: Path) -> None:
    script = (
        f"import os, pathlib; from daemon.state.lock import hold;"
        f"held = hold(pathlib.Path({str(state)!r})); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    lock.hold(state).release()


def test_state_folder_that_cannot_be_made_is_trouble_of_the_surroundings(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(SurroundingsError, match="cannot be used"):
        lock.hold(tmp_path / "state")


def test_lock_that_may_not_be_read_is_not_taken_for_a_free_one(closed: Path) -> None:
    with pytest.raises(SurroundingsError, match=r"cannot be told: .*lock: Permission denied; let"):
        lock.is_held(closed)


def test_folder_in_the_place_of_the_lock_is_told(state: Path) -> None:
    (state / "lock").mkdir(parents=True)
    with pytest.raises(SurroundingsError, match=r"cannot be told: .*lock: Is a directory"):
        lock.is_held(state)
