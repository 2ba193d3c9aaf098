"""Folders, workers that are no processes, and timers that never go off by themselves."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.pictures import companions
from daemon.settings.config import Config
from tests.support.puppet import Puppet

NOBODY = 65534


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Settings, and the folders they name."""
    folders = {name: tmp_path / name for name in ("inbox", "outbox", "presets", "state")}
    for folder in folders.values():
        folder.mkdir()
    return Config().model_copy(update=folders)


@pytest.fixture
def masks() -> companions.CompanionKind:
    """A second kind of companion, `photo.jpg.mask.png`, that would be a picture by its suffix."""
    return companions.MASK


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that this process may not look into, not even as root."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o000)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield folder
    os.seteuid(user)
    folder.chmod(0o700)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Puppet]]:
    """Every worker that a pool has started, in order."""
    found: list[Puppet] = []

    def start(*arguments: object, **more: object) -> Puppet:
        found.append(Puppet(*arguments, **more))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr("daemon.pool.local.Child", start)
    yield found
    for child in found:
        child.close(0.0)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no thread can be started, as where a limit of processes is reached."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", start)


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What the pool's timers would do once their time is up; they never go off by themselves."""
    found: list[Callable[[], object]] = []

    class Timer:
        daemon = False

        def __init__(self, seconds: float, then: Callable[[], object]) -> None:
            found.append(then)

        def start(self) -> None:
            pass

    monkeypatch.setattr("threading.Timer", Timer)
    return found
