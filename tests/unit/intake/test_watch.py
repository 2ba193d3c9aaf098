"""Watching is a hint: whatever becomes of it, the intake goes on, and says so once."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from daemon.intake import watch
from daemon.intake.watch import FIRST_PAUSE_S, LONGEST_PAUSE_S, Watch


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Watchdog:
    """In the place of watchdog: fails where and how a test wants, and counts its observers."""

    def __init__(self) -> None:
        self.fails: dict[str, Exception] = {}
        self.made = 0
        self.watched: list[str] = []

    def __call__(self) -> "Watchdog":
        self.made += 1
        self.watched = []
        self.step("made")
        return self

    def step(self, name: str) -> None:
        if name in self.fails:
            raise self.fails[name]

    def schedule(self, hint: object, path: str, *, recursive: bool = False) -> str:
        self.step("inner" if recursive else "schedule")
        self.watched.append(path)
        return path

    def unschedule(self, watch: str) -> None:
        self.step("unschedule")
        self.watched.remove(watch)

    def start(self) -> None:
        self.step("start")

    def stop(self) -> None:
        self.step("stop")

    def join(self, timeout_s: float) -> None:
        pass

    def is_alive(self) -> bool:
        return "dead" not in self.fails

    emitters: tuple[()] = ()


@pytest.fixture
def watchdog(monkeypatch: pytest.MonkeyPatch) -> Watchdog:
    made = Watchdog()
    monkeypatch.setattr(watch, "Observer", made)
    monkeypatch.setattr(watch, "readers", list)
    return made


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the log says from INFO up."""
    found: list[str] = []
    number = logger.add(
        lambda message: found.append(str(message)), level="INFO", format="{message}"
    )
    yield found
    logger.remove(number)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox" / "starry").mkdir(parents=True)
    return tmp_path / "inbox"


FAULTS = [
    OSError(24, "inotify instance limit reached"),
    RuntimeError("can't start new thread"),
    ValueError("a bug"),
]


@pytest.mark.parametrize("step", ["made", "schedule", "start", "inner"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_inbox_that_cannot_be_watched_is_said_once_and_left_to_the_scans(
    watchdog: Watchdog, lines: list[str], inbox: Path, step: str, fault: Exception
) -> None:
    clock = Clock()
    watching = Watch(inbox, threading.Event(), clock)
    watchdog.fails[step] = fault
    for _ in range(100):
        watching.ensure()
        clock.now_s += 1.0
    assert watching.blind
    assert len(lines) == 1
    assert str(fault) in lines[0] and "atelierd doctor" in lines[0]
    assert watchdog.made <= 7  # the pauses double: 5, 10, 20, 40, ... s


def test_inbox_is_watched_again_when_that_is_possible(
    watchdog: Watchdog, lines: list[str], inbox: Path
) -> None:
    clock, wake = Clock(), threading.Event()
    watching = Watch(inbox, wake, clock)
    watchdog.fails["made"] = FAULTS[0]
    watching.ensure()
    watchdog.fails.clear()
    clock.now_s += LONGEST_PAUSE_S
    watching.ensure()
    assert not watching.blind
    assert watchdog.watched == [str(inbox), str(inbox / "starry")]
    assert "is watched again" in lines[-1]
    assert wake.is_set()  # what came meanwhile is looked for


def test_another_cause_is_said_too(watchdog: Watchdog, lines: list[str], inbox: Path) -> None:
    clock = Clock()
    watching = Watch(inbox, threading.Event(), clock)
    for fault in FAULTS:
        watchdog.fails["start"] = fault
        watching.ensure()
        clock.now_s += LONGEST_PAUSE_S
    assert [str(fault) in line for fault, line in zip(FAULTS, lines, strict=True)] == [True] * 3


def test_folder_that_is_another_at_each_look_is_not_watched_anew_each_time(
    watchdog: Watchdog, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some FUSE file systems make up inode numbers."""
    numbers = iter(range(1000))
    monkeypatch.setattr(watch, "identity_of", lambda folder: (1, next(numbers)))
    clock = Clock()
    watching = Watch(inbox, threading.Event(), clock)
    for _ in range(100):
        watching.ensure()
        clock.now_s += 1.0
    assert watchdog.made <= 7
    assert watching.blind


def test_folder_that_was_replaced_once_is_watched_anew_at_once(
    watchdog: Watchdog, inbox: Path
) -> None:
    watching = Watch(inbox, threading.Event(), Clock())
    watching.ensure()
    inbox.rename(inbox.with_name("aside"))
    watching.ensure()
    inbox.mkdir()
    watching.ensure()
    assert watchdog.made == 2
    assert not watching.blind and watchdog.watched == [str(inbox)]


def test_thread_that_died_is_replaced(watchdog: Watchdog, inbox: Path) -> None:
    clock = Clock()
    watching = Watch(inbox, threading.Event(), clock)
    watching.ensure()
    watchdog.fails["dead"] = RuntimeError()
    watching.ensure()
    assert watchdog.made == 2
    watchdog.fails.clear()
    clock.now_s += FIRST_PAUSE_S
    watching.ensure()
    assert not watching.blind and watchdog.made == 2


def test_folder_that_is_gone_and_cannot_be_let_go_of_harms_nothing(
    watchdog: Watchdog, inbox: Path, lines: list[str]
) -> None:
    watching = Watch(inbox, threading.Event(), Clock())
    watching.ensure()
    watchdog.fails |= {"unschedule": KeyError("starry"), "stop": OSError(9, "Bad file descriptor")}
    (inbox / "starry").rmdir()
    watching.ensure()
    watching.stop()
    assert lines == [] and not watching.blind


def test_reader_that_could_not_be_started_is_started_with_the_next_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By itself watchdog would keep it, and every observer after it would be deaf."""
    reader = threading.Thread(target=lambda: None)
    monkeypatch.setattr(watch.inotify_c.InotifyFD, "_instance", reader)
    watch.revive_reader()
    reader.join(5.0)
    assert reader.ident is not None
    watch.revive_reader()
    assert watch.readers() == []
