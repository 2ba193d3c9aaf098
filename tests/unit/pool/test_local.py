"""One device's worker: what it was asked to stop, and what it is given after that."""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.messages import Cancelled, Done, Lost, OutOfMemory, WorkerSettings, done_data, known
from daemon.pool.local import LocalPool
from tests.support.atelier import PATIENCE_S, wait_for
from tests.support.pools import order
from tests.support.puppet import Puppet

ORDER = order(Path("/spool"))


def make_pool(*devices: str, threads: int | None = None) -> LocalPool:
    workers = [WorkerSettings(name, "", Path("/engine"), threads=threads) for name in devices]
    return LocalPool(workers, lambda run_id, event: None)


def test_run_that_stopped_in_time_and_goes_on_in_the_same_worker_is_not_ended(
    children: list[Puppet], timers: list[Callable[[], object]]
) -> None:
    pool = make_pool("cpu")
    stopped = pool.submit("cpu", "j1", ORDER)
    pool.cancel("j1", grace_s=60.0)
    children[0].say(event="cancelled", run="j1")
    assert stopped.result(PATIENCE_S) == Cancelled()
    pool.submit("cpu", "j1", ORDER)
    timers[0]()
    assert children[0].alive and len(children) == 1


def test_run_that_does_not_stop_in_time_is_ended_with_its_worker(
    children: list[Puppet], timers: list[Callable[[], object]]
) -> None:
    pool = make_pool("cpu")
    future = pool.submit("cpu", "j1", ORDER)
    pool.cancel("j1", grace_s=60.0)
    timers[0]()
    assert not children[0].alive
    assert future.result(PATIENCE_S) == Lost("was ended")


def test_run_that_was_ended_while_memory_ran_out_for_others_is_not_taken_for_one_of_them(
    children: list[Puppet],
    timers: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("daemon.pool.local.oom_kills", lambda: sys.maxsize)
    pool = make_pool("cpu")
    stopped = pool.submit("cpu", "j1", ORDER)
    pool.cancel("j1", grace_s=60.0)
    timers[0]()
    assert stopped.result(PATIENCE_S) == Lost("was ended")
    lost = pool.submit("cpu", "j2", ORDER)
    children[1].be_killed()
    assert isinstance(lost.result(PATIENCE_S), OutOfMemory)


def test_worker_and_its_libraries_are_told_how_many_threads_they_have(
    children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("daemon.engine.fit.cgroups.processors", lambda: 7)
    devices = ("cpu", "cuda:0")
    for threads in (None, 5):
        pool = make_pool(*devices, threads=threads)
        for device in devices:
            pool.warm(device)
    assert [child.environment["OMP_NUM_THREADS"] for child in children] == ["3", "3", "5", "5"]
    for child, device in zip(children, devices * 2, strict=True):
        (argument,) = child.arguments
        settings = known(WorkerSettings, json.loads(argument))
        assert (settings.device, settings.engine_folder) == (device, Path("/engine"))
        assert str(settings.threads) == child.environment["MKL_NUM_THREADS"]


@pytest.mark.parametrize(
    ("threads", "wish", "adaptive"), [(None, None, True), (2, None, False), (None, "2", False)]
)
def test_only_a_number_of_threads_that_nobody_set_follows_what_others_use(
    children: list[Puppet],
    monkeypatch: pytest.MonkeyPatch,
    threads: int | None,
    wish: str | None,
    adaptive: bool,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wish is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wish)
    make_pool("cpu", threads=threads).warm("cpu")
    (argument,) = children[0].arguments
    assert known(WorkerSettings, json.loads(argument)).adaptive_threads is adaptive


def test_run_is_ended_at_once_where_no_thread_can_wait_for_it_to_stop(
    children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool("cpu")
    future = pool.submit("cpu", "j1", ORDER)

    def start(timer: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Timer.start", start)
    pool.cancel("j1", grace_s=60.0)
    assert future.result(PATIENCE_S) == Lost("was ended")


def test_worker_that_has_not_answered_yet_is_left_to_start(children: list[Puppet]) -> None:
    """Ended now it would be started anew at the next tick, for ever."""
    pool = make_pool("cpu")
    pool.warm("cpu")
    pool.rest("cpu")
    assert children[0].alive


@pytest.mark.parametrize(
    "need",
    [lambda pool: pool.warm("cpu"), lambda pool: pool.submit("cpu", "j1", ORDER)],
    ids=["warm", "submit"],
)
def test_worker_that_is_needed_while_one_goes_to_rest_is_another(
    children: list[Puppet], monkeypatch: pytest.MonkeyPatch, need: Callable[[LocalPool], object]
) -> None:
    """A node is told to rest and to warm, or given a run, by threads of its own."""
    pool = make_pool("cpu")
    pool.warm("cpu")
    children[0].say(event="hello")
    wait_for("its hello", lambda: pool.seats()[0].answered)
    closing, gone = threading.Event(), threading.Event()

    def close_slowly(grace_s: float) -> None:
        closing.set()
        assert gone.wait(PATIENCE_S)
        children[0].be_killed()

    monkeypatch.setattr(children[0], "close", close_slowly)
    resting = threading.Thread(target=pool.rest, args=("cpu",))
    needing = threading.Thread(target=need, args=(pool,))
    resting.start()
    assert closing.wait(PATIENCE_S)
    needing.start()
    needing.join(0.2)
    gone.set()
    for thread in (resting, needing):
        thread.join(PATIENCE_S)
    assert len(children) == 2 and children[1].alive


def shared_pool(monkeypatch: pytest.MonkeyPatch) -> LocalPool:
    """A pool of a GPU of 80 GB with two seats."""
    monkeypatch.setattr("daemon.pool.devices.gpu_bytes", {"cuda:0": 80_000_000_000}.get)
    workers = [WorkerSettings("cuda:0", "", Path("/engine"), number=n, sharers=2) for n in (1, 2)]
    return LocalPool(workers, lambda run_id, event: None)


def test_seats_of_a_gpu_have_a_worker_each_and_tell_what_they_share(
    children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = shared_pool(monkeypatch)
    told = [(one.device, one.sharers, one.total_bytes, one.offers) for one in pool.seats()]
    offers = frozenset({"cuda:0", "cuda", "local"})
    assert told == [(name, 2, 80_000_000_000, offers) for name in ("cuda:0", "cuda:0/2")]
    for seat in pool.seats():
        pool.warm(seat.device)
    settings = [known(WorkerSettings, json.loads(one.arguments[0])) for one in children]
    assert [(one.device, one.number) for one in settings] == [("cuda:0", 1), ("cuda:0", 2)]


def test_worker_that_dies_takes_no_other_run_of_its_gpu_with_it(
    children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = shared_pool(monkeypatch)
    lost, painted = (
        pool.submit(seat, run_id, ORDER) for seat, run_id in (("cuda:0", "a"), ("cuda:0/2", "b"))
    )
    children[0].be_killed()
    assert isinstance(lost.result(PATIENCE_S), Lost)
    assert [seat.run_id for seat in pool.seats()] == [None, "b"]
    children[1].say(event="ended", run="b", result=done_data(Done(seconds=1.0)))
    assert painted.result(PATIENCE_S) == Done(seconds=1.0)


def test_memory_of_a_gpu_is_told_once_and_its_own_is_that_of_all_its_workers(
    children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        "daemon.pool.local.device_memory", lambda *given: asked.append([*map(dict, given)]) or []
    )
    pool = shared_pool(monkeypatch)
    pool.warm("cuda:0")
    pool.warm("cuda:0/2")
    children[1].pid = 2
    pool.memory()
    assert asked == [[{"cuda:0": [1, 2]}, {"cuda:0": [1, 2]}]]
