"""What service and commands may rely on with every pool, whatever stands behind it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import psutil
import pytest

from daemon.host.kept import KeptChild
from daemon.messages import (
    Cancelled,
    Done,
    Event,
    Failed,
    LogLine,
    Lost,
    Outcome,
    OutOfMemory,
    Preview,
    Progress,
    WorkerSettings,
)
from tests.support.actor import PLAN, STEP
from tests.support.atelier import PATIENCE_S, wait_for
from tests.support.fleet import shared_fleet
from tests.support.pools import BACKENDS, PICTURE, MakePool, order

DEVICES = ("cpu", "cuda:0")


class Stage:
    """A pool of two seats, and what was heard of its runs."""

    def __init__(self, make: MakePool, folder: Path) -> None:
        self.folder = folder
        (folder / "picture").write_bytes(PICTURE)
        self.heard: list[tuple[str, Event]] = []
        workers = [WorkerSettings(name, "classic", folder, threads=1) for name in DEVICES]
        self.pool = make(workers, lambda run_id, event: self.heard.append((run_id, event)))
        self.first, self.second = (seat.device for seat in self.pool.seats())

    def submit(self, run_id: str, play: str = "paint", device: str = "") -> Future[Outcome]:
        return self.pool.submit(device or self.first, run_id, order(self.folder, play))

    def play(self, run_id: str, play: str = "paint") -> Outcome:
        """How a run ends that ends by itself."""
        return self.submit(run_id, play).result(PATIENCE_S)

    def events(self, run_id: str) -> list[Event]:
        return [event for heard_of, event in self.heard if heard_of == run_id]

    def is_free(self, device: str = "") -> bool:
        (run_id,) = (
            seat.run_id for seat in self.pool.seats() if seat.device == (device or self.first)
        )
        return run_id is None

    def own_bytes(self) -> int:
        return sum(memory.own_bytes for memory in self.pool.memory())

    def has_answered(self) -> bool:
        return next(seat.answered for seat in self.pool.seats() if seat.device == self.first)


@pytest.fixture(params=sorted(BACKENDS))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    found = Stage(BACKENDS[request.param], tmp_path)
    yield found
    found.pool.close(grace_s=2.0)


def test_seats_are_the_devices_in_their_order_and_free(stage: Stage) -> None:
    seats = [seat.device for seat in stage.pool.seats()]
    assert [seat.rpartition("/")[2] for seat in seats] == list(DEVICES)
    assert all(stage.is_free(seat) for seat in seats)


def test_pool_that_has_all_its_seats_tells_of_no_trouble(stage: Stage) -> None:
    assert stage.pool.trouble is None


def test_run_that_goes_well_leaves_its_result_where_the_order_says(stage: Stage) -> None:
    done = stage.play("r1")
    assert isinstance(done, Done) and done.result_bytes == 7
    assert (stage.folder / "result").read_bytes() == b"painted"
    assert stage.is_free()


def test_events_are_told_in_order_and_under_the_run(stage: Stage) -> None:
    stage.play("r1")
    assert stage.events("r1") == [STEP, Preview(stage.folder / "preview")]
    assert (stage.folder / "preview").read_bytes() == b"small"
    assert not stage.events("r2")


def test_loss_that_nobody_knows_is_told_by_its_name(stage: Stage) -> None:
    stage.play("r1")
    (step,) = (event for event in stage.events("r1") if isinstance(event, Progress))
    assert step.losses["edges"] == 0.25


def test_failure_is_the_jobs_own_and_the_seat_goes_on(stage: Stage) -> None:
    assert stage.play("r1", "fail") == Failed("input", "no picture")
    assert isinstance(stage.play("r2"), Done)


def test_runs_on_two_seats_do_not_know_of_each_other(stage: Stage) -> None:
    waiting = stage.submit("r1", "wait")
    other = stage.submit("r2", device=stage.second)
    assert isinstance(other.result(PATIENCE_S), Done)
    assert not waiting.done() and not stage.is_free() and stage.is_free(stage.second)
    stage.pool.cancel("r1", grace_s=PATIENCE_S)
    assert waiting.result(PATIENCE_S) == Cancelled()


def test_cancelled_run_ends_as_such_and_the_seat_goes_on(stage: Stage) -> None:
    waiting = stage.submit("r1", "wait")
    wait_for("a step", lambda: stage.events("r1"))
    stage.pool.cancel("r1", grace_s=PATIENCE_S)
    assert waiting.result(PATIENCE_S) == Cancelled()
    assert isinstance(stage.play("r2"), Done)


def test_run_that_is_cancelled_before_its_worker_has_begun_ends_as_such(stage: Stage) -> None:
    waiting = stage.submit("r1", "wait")
    stage.pool.cancel("r1", grace_s=PATIENCE_S)
    assert waiting.result(PATIENCE_S) == Cancelled()


def test_run_that_does_not_stop_in_time_is_lost_with_its_worker(stage: Stage) -> None:
    deaf = stage.submit("r1", "deaf")
    wait_for("a step", lambda: stage.events("r1"))
    stage.pool.cancel("r1", grace_s=0.1)
    assert isinstance(deaf.result(PATIENCE_S), Lost)
    assert isinstance(stage.play("r2"), Done)


def test_killed_run_is_lost_and_says_how(stage: Stage) -> None:
    waiting = stage.submit("r1", "deaf")
    wait_for("a step", lambda: stage.events("r1"))
    stage.pool.kill("r1")
    lost = waiting.result(PATIENCE_S)
    assert isinstance(lost, Lost) and "SIGKILL" in lost.how
    assert isinstance(stage.play("r2"), Done)


def test_worker_that_ends_by_itself_loses_its_run(stage: Stage) -> None:
    lost = stage.play("r1", "die")
    assert isinstance(lost, Lost) and "SIGKILL" in lost.how
    assert stage.is_free()
    assert isinstance(stage.play("r2"), Done)


@pytest.mark.parametrize("name", ["cancel", "kill"])
def test_run_that_is_over_or_unknown_cannot_be_stopped(stage: Stage, name: str) -> None:
    stops: dict[str, Callable[[str], object]] = {
        "cancel": partial(stage.pool.cancel, grace_s=0.0),
        "kill": stage.pool.kill,
    }
    stage.play("r1")
    waiting = stage.submit("r2", "wait")
    for run_id in ("r1", "nobody"):
        stops[name](run_id)
    assert not waiting.done()
    assert isinstance(stage.submit("r3", device=stage.second).result(PATIENCE_S), Done)
    assert not waiting.done()


def test_run_without_memory_tells_the_plan_and_the_next_gets_a_fresh_worker(stage: Stage) -> None:
    assert stage.play("r1", "out of memory") == OutOfMemory("not enough memory", PLAN)
    assert stage.is_free()
    assert isinstance(stage.play("r2"), Done)


def test_what_a_newer_worker_says_beyond_it_harms_nothing(stage: Stage) -> None:
    assert isinstance(stage.play("r1", "newer"), Done)
    assert LogLine("INFO", "la") in stage.events("r1")


def test_warm_seat_has_answered_and_its_worker_holds_memory_until_it_rests(stage: Stage) -> None:
    stage.pool.rest(stage.first)  # a node's may be warm from before
    wait_for("a cold seat", lambda: stage.own_bytes() == 0)
    stage.pool.warm(stage.first)
    wait_for("the worker", lambda: stage.has_answered() and stage.own_bytes() > 0)
    stage.pool.rest(stage.first)
    wait_for("its end", lambda: stage.own_bytes() == 0)
    assert stage.has_answered()
    assert isinstance(stage.play("r1"), Done)


def test_seat_that_paints_does_not_rest(stage: Stage) -> None:
    waiting = stage.submit("r1", "wait")
    wait_for("a step", lambda: stage.events("r1"))
    stage.pool.rest(stage.first)
    assert not waiting.done()
    stage.pool.cancel("r1", grace_s=PATIENCE_S)
    assert waiting.result(PATIENCE_S) == Cancelled()


def test_closed_pool_loses_what_runs(stage: Stage) -> None:
    runs = [stage.submit("r1", "wait"), stage.submit("r2", "deaf", device=stage.second)]
    stage.pool.close(grace_s=0.2)
    assert all(isinstance(run.result(PATIENCE_S), Lost) for run in runs)


def test_node_listens_for_others_at_its_tls_port_alone() -> None:
    node = shared_fleet().start_node("cpu", "other")
    wait_for("its port", lambda: far_ports(node))
    assert len(far_ports(node)) == 1
    node.retire()
    node.close(1.0)


def far_ports(child: KeptChild) -> set[int]:
    """The ports at which other machines reach a process."""
    if child.pid is None:
        return set()
    connections = psutil.Process(child.pid).net_connections("tcp")
    listening = [one.laddr for one in connections if one.status == psutil.CONN_LISTEN]
    return {one.port for one in listening if one.ip not in ("127.0.0.1", "::1")}
