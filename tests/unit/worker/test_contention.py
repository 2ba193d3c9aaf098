"""What the kernel tells of threads that wait, and of processors at rest."""

from pathlib import Path

import pytest

from daemon.worker import contention
from daemon.worker.contention import idle_seconds, read_times, waited_seconds

STAT = """cpu  100 0 0 4000 60 0 0 0 0 0
cpu0 50 0 0 1000 10 0 0 0 0 0
cpu1 50 0 0 2000 20 0 0 0 0 0
cpu11 50 0 0 1000 30 0 0 0 0 0
intr 5
"""


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in place of /proc, of a process with two threads on two of three processors."""
    for task, told in (("7", "900 1500000000 3"), ("8", "800 500000000 2")):
        (tmp_path / "task" / task).mkdir(parents=True)
        (tmp_path / "task" / task / "schedstat").write_text(f"{told}\n")
    (tmp_path / "stat").write_text(STAT)
    monkeypatch.setattr(contention, "TASKS", tmp_path / "task")
    monkeypatch.setattr(contention, "STAT", tmp_path / "stat")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {1, 11})
    return tmp_path


def test_threads_are_told_apart_and_only_processors_of_the_affinity_count(kernel: Path) -> None:
    times = read_times()
    assert times is not None
    assert times.waited_s == {"7": 1.5, "8": 0.5}
    assert times.idle_s == pytest.approx(30.5)
    assert times.clock_s > 0 and times.own_s > 0


def test_thread_that_ends_meanwhile_is_left_out(kernel: Path) -> None:
    (kernel / "task" / "7" / "schedstat").unlink()
    assert waited_seconds() == {"8": 0.5}


@pytest.mark.parametrize("told", ["", "x y z\n", "0 0 0\n", "5\n"])
def test_kernel_that_does_not_count_waiting_tells_nothing(kernel: Path, told: str) -> None:
    for task in ("7", "8"):
        (kernel / "task" / task / "schedstat").write_text(told)
    assert waited_seconds() is None
    assert read_times() is None


def test_system_without_such_files_tells_nothing(
    kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contention, "TASKS", kernel / "none")
    assert waited_seconds() is None
    monkeypatch.delattr("os.sched_getaffinity")
    assert idle_seconds() is None


@pytest.mark.parametrize("told", ["", "cpu1\n", "cpu1 a b c d e\n", "cpu0 1 2 3 4 5\n"])
def test_processors_that_are_not_told_of_tell_nothing(kernel: Path, told: str) -> None:
    (kernel / "stat").write_text(told)
    assert not idle_seconds()
    (kernel / "stat").unlink()
    assert idle_seconds() is None
