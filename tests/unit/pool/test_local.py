"""One device's worker: what it was asked to stop, and what it is given after that."""

import threading
from collections.abc import Callable

import pytest

from daemon.pool.local import Pool, Slot
from tests.support.atelier import PATIENCE_S
from tests.support.puppet import Puppet


def test_run_that_stopped_in_time_and_goes_on_in_the_same_worker_is_not_ended(
    children: list[Puppet], timers: list[Callable[[], object]]
) -> None:
    slot = Slot("cpu", [], lambda run, message: None)
    stopped = slot.submit("j1", {})
    slot.cancel("j1", grace_s=60.0)
    children[0].say(event="cancelled", run="j1")
    assert stopped.exception(PATIENCE_S) is not None
    slot.submit("j1", {})
    timers[0]()
    assert children[0].alive and len(children) == 1


def test_run_that_does_not_stop_in_time_is_ended_with_its_worker(
    children: list[Puppet], timers: list[Callable[[], object]]
) -> None:
    slot = Slot("cpu", [], lambda run, message: None)
    future = slot.submit("j1", {})
    slot.cancel("j1", grace_s=60.0)
    timers[0]()
    assert not children[0].alive
    assert "was ended" in str(future.exception(PATIENCE_S))


def test_worker_and_its_libraries_are_told_how_many_threads_they_have(
    children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("daemon.engine.fit.cgroups.processors", lambda: 7)
    devices = ["cpu", "cuda:0"]
    for threads in (None, 5):
        for slot in Pool(devices, [], lambda run, message: None, threads=threads).slots():
            slot.warm()
    given = [child.environment["OMP_NUM_THREADS"] for child in children]
    assert given == ["3", "3", "5", "5"]
    assert all(child.environment["MKL_NUM_THREADS"] in child.arguments for child in children)


def test_run_is_ended_at_once_where_no_thread_can_wait_for_it_to_stop(
    children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = Slot("cpu", [], lambda run, message: None)
    future = slot.submit("j1", {})

    def start(timer: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Timer.start", start)
    slot.cancel("j1", grace_s=60.0)
    assert "was ended" in str(future.exception(PATIENCE_S))
