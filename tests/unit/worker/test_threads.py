"""The threads of a worker: what is set between steps, and what is told of it."""

from typing import Any

import pytest
import torch

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.optimise.steps import Step
from daemon.engine.paint import Stepped
from daemon.engine.schedule import Pass
from daemon.messages import ThreadCount
from daemon.worker.contention import ThreadTimes
from daemon.worker.threads import LOOK_S, THREADS, ThreadKeeper

STEPS = 100
PASSES = (Pass(8, 6, STEPS), Pass(16, 12, STEPS))


class Machine:
    """Two processors: each step of a painting takes a second, two where threads have to wait."""

    def __init__(self) -> None:
        self.now_s = self.own_s = self.waited_s = self.idle_s = 0.0
        self.busy = False
        self.tells = True
        self.looks = 0
        self.set: list[int] = []
        self.threads = 2

    def read(self) -> ThreadTimes | None:
        self.looks += 1
        waited = {"7": 0.0, "8": self.waited_s}
        return ThreadTimes(self.now_s, self.own_s, waited, self.idle_s) if self.tells else None

    def set_threads(self, threads: int) -> None:
        self.set.append(threads)
        self.threads = threads

    def keeper(self, *, on_cpu: bool = True, is_adaptive: bool = True) -> ThreadKeeper:
        return ThreadKeeper(
            2,
            on_cpu=on_cpu,
            is_adaptive=is_adaptive,
            read=self.read,
            clock=lambda: self.now_s,
            set_threads=self.set_threads,
        )

    def step(self, keeper: ThreadKeeper, pass_number: int, number: int) -> str:
        """One step, and the rest after it; returns what is told of a change."""
        waits = self.busy and self.threads == 2
        seconds = 2.0 if waits else 1.0
        self.now_s += seconds
        self.waited_s += seconds / 2 if waits else 0.0
        self.own_s += seconds * (1.5 if waits else self.threads)
        self.idle_s += 0.0 if self.busy else seconds * (2 - self.threads)
        keeper.note(moment(pass_number, number, seconds))
        return keeper.rest()

    def paint(self, keeper: ThreadKeeper, pass_number: int, steps: range) -> list[str]:
        """So many steps of a pass; returns what was told."""
        if steps[0] == 1:
            keeper.prepare()
        told = [self.step(keeper, pass_number, number) for number in steps]
        return [one for one in told if one]


@pytest.fixture
def machine() -> Machine:
    return Machine()


def moment(pass_number: int, number: int, seconds: float) -> Stepped:
    """A step that was taken."""
    palette: Any = None  # nobody looks
    step = Step(number, 1.0, {}, seconds)
    return Stepped(pass_number, PASSES, step, torch.zeros(1, 3, 6, 8), palette)


def test_disturbed_steps_are_computed_with_fewer_threads_and_record_and_log_tell_which(
    machine: Machine,
) -> None:
    keeper = machine.keeper()
    assert machine.paint(keeper, 1, range(1, 11)) == []
    machine.busy = True
    assert machine.paint(keeper, 1, range(11, 21)) == [
        "other programs use the processors: 1 thread instead of 2 from step 13 of pass 1 on"
    ]
    machine.busy = False
    assert machine.paint(keeper, 1, range(21, 61)) == [
        "the processors are free again: 2 threads instead of 1 from step 31 of pass 1 on"
    ]
    assert machine.set == [1, 2]
    assert keeper.counts == (ThreadCount(2, 1, 1), ThreadCount(1, 1, 13), ThreadCount(2, 1, 31))


def test_jobs_that_are_painted_at_once_divide_the_threads_from_the_first_step_on(
    machine: Machine,
) -> None:
    keeper = machine.keeper()
    keeper.divide(2)
    keeper.prepare()
    assert machine.threads == 1
    machine.busy = True
    assert machine.paint(keeper, 1, range(1, 31)) == []
    assert keeper.counts == (ThreadCount(1, 1, 1),)
    keeper.divide(1)
    machine.busy = False
    machine.paint(keeper, 1, range(1, 31))
    assert keeper.counts == (ThreadCount(2, 1, 1),)


def test_who_is_left_alone_takes_the_threads_of_the_others(machine: Machine) -> None:
    keeper = machine.keeper()
    keeper.divide(2)
    assert machine.paint(keeper, 1, range(1, 31)) == [
        "the processors are free again: 2 threads instead of 1 from step 12 of pass 1 on"
    ]


def test_who_took_the_threads_of_the_others_gives_them_back_to_the_next_that_comes(
    machine: Machine,
) -> None:
    keeper = machine.keeper()
    keeper.divide(2)
    machine.paint(keeper, 1, range(1, 31))
    assert machine.threads == 2
    keeper.divide(2)
    keeper.prepare()
    assert machine.threads == 1


def test_no_more_jobs_than_threads_get_more_than_one(machine: Machine) -> None:
    keeper = machine.keeper()
    keeper.divide(5)
    keeper.prepare()
    assert machine.threads == 1


@pytest.mark.parametrize("kind", [{"is_adaptive": False}, {"on_cpu": False}])
def test_number_that_was_set_is_not_divided(machine: Machine, kind: dict[str, bool]) -> None:
    keeper = machine.keeper(**kind)
    keeper.divide(2)
    machine.paint(keeper, 1, range(1, 11))
    assert machine.set == []


def test_who_is_beside_it_is_known_in_the_next_painting_too(machine: Machine) -> None:
    keeper = machine.keeper()
    machine.busy = True
    machine.paint(keeper, 1, range(1, 11))
    assert machine.paint(keeper, 1, range(1, 11)) == []
    assert keeper.counts == (ThreadCount(1, 1, 1),)


@pytest.mark.parametrize(
    "kind", [{"is_adaptive": False}, {"on_cpu": False}, {"on_cpu": False, "is_adaptive": False}]
)
def test_number_that_was_set_and_that_of_a_gpu_stay_whoever_is_beside(
    machine: Machine, kind: dict[str, bool]
) -> None:
    keeper = machine.keeper(**kind)
    machine.busy = True
    assert machine.paint(keeper, 1, range(1, STEPS)) == []
    assert machine.set == [] and machine.looks == 0
    counts = (ThreadCount(2, 1, 1),) if kind.get("on_cpu", True) else ()
    assert keeper.counts == counts


def test_kernel_that_tells_nothing_is_told_of_once_and_changes_nothing(machine: Machine) -> None:
    keeper = machine.keeper()
    machine.tells, machine.busy = False, True
    told = machine.paint(keeper, 1, range(1, STEPS)) + machine.paint(keeper, 2, range(1, STEPS))
    assert told == ["the kernel does not tell how long threads wait: their number stays what it is"]
    assert keeper.counts == (ThreadCount(2, 1, 1),)


def test_kernel_that_tells_nothing_for_a_moment_is_asked_again(machine: Machine) -> None:
    keeper = machine.keeper()
    machine.busy = True
    machine.paint(keeper, 1, range(1, 2))
    machine.tells = False
    assert machine.paint(keeper, 1, range(2, 5)) == []
    machine.tells = True
    machine.paint(keeper, 1, range(5, 11))
    assert machine.threads == 1


def test_short_steps_are_looked_at_twice_a_second_at_most(machine: Machine) -> None:
    keeper = machine.keeper()
    keeper.prepare()
    for number in range(1, 1001):
        machine.now_s += 0.01
        keeper.note(moment(1, number, 0.01))
        keeper.rest()
    assert machine.looks <= 1 + 10.0 / LOOK_S


def test_checkpoint_tells_of_the_steps_before_it(machine: Machine) -> None:
    keeper = machine.keeper()
    machine.busy = True
    machine.paint(keeper, 1, range(1, 11))
    kept = keeper.told_in(Checkpoint({}, {"plan": 1}))
    assert kept.facts["plan"] == 1
    machine.busy = False
    other = Machine()
    later = other.keeper()
    later.go_on(kept)
    later.prepare()
    other.paint(later, 1, range(11, 21))
    assert later.counts == (ThreadCount(2, 1, 1), ThreadCount(1, 1, 4), ThreadCount(2, 1, 11))


def test_steps_that_are_taken_anew_are_told_of_once(machine: Machine) -> None:
    keeper = machine.keeper()
    keeper.go_on(Checkpoint({}, {THREADS: [{"threads": 1, "from_pass": 1, "from_step": 1}]}))
    machine.paint(keeper, 1, range(1, 3))
    assert keeper.counts == (ThreadCount(2, 1, 1),)


@pytest.mark.parametrize("told", [None, 3, [1], [{"threads": 2}], "ab"])
def test_checkpoint_that_tells_no_threads_is_gone_on_from(machine: Machine, told: Any) -> None:
    keeper = machine.keeper()
    keeper.go_on(Checkpoint({}, {} if told is None else {THREADS: told}))
    keeper.prepare()
    machine.paint(keeper, 2, range(7, 9))
    assert keeper.counts == (ThreadCount(2, 2, 7),)
