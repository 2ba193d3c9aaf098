"""How many threads are taken beside others: invented machines, and what is chosen on them."""

import math
from dataclasses import replace

import pytest

from daemon.worker.contention import ThreadTimes
from daemon.worker.thread_choice import (
    CALM_S,
    LOOKS,
    MOST_WAIT_S,
    Look,
    ThreadChoice,
    look_between,
)

LOOK_S = 2.0


class Machine:
    """Processors on which a worker computes, with programs beside it that compute all the time.

    penalty: how much longer a step takes than its share of the processors explains, where threads
    that wait for one another have to share theirs.  quota: what the group of the worker may take.
    """

    def __init__(self, processors: int = 2, *, penalty: float = 1.7, quota: float = math.inf):
        self.processors = processors
        self.others = 0.0
        self.penalty = penalty
        self.quota = quota
        self.now_s = 0.0
        self.worker = ThreadChoice(processors)
        self.taken: list[int] = []

    def step_s(self, threads: int) -> float:
        """Seconds of a step that takes one thread eight on a quiet machine."""
        share = self.share(threads)
        disturbed = self.penalty if share < 1.0 and threads > 1 else 1.0
        return 8.0 / threads / share * disturbed

    def share(self, threads: int) -> float:
        """How much of the time a thread has a processor."""
        wanted = threads + self.others
        return min(1.0, self.processors / wanted, self.quota / threads)

    def look(self, seconds: float = LOOK_S, work: int = 1) -> Look:
        threads = self.worker.threads
        share = self.share(threads)
        used = threads * share + min(self.others, self.processors - threads * share)
        self.now_s += seconds
        return Look(
            ended_s=self.now_s,
            seconds=seconds,
            waiting=threads * (1.0 - share),
            room=self.processors - used + threads * share - threads,
            step_s=self.step_s(threads),
            work=work,
        )

    def paint(self, seconds: float, *, others: float | None = None, look_s: float = LOOK_S) -> int:
        """Paints for so long beside others, and returns with how many threads it ends."""
        if others is not None:
            self.others = others
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.taken.append(self.worker.threads)
            self.worker.decide(self.look(look_s))
        return self.worker.threads

    @property
    def changes(self) -> int:
        """How often the number has changed."""
        return sum(one != next_ for one, next_ in zip(self.taken, self.taken[1:], strict=False))


def test_undisturbed_worker_computes_with_all_its_threads() -> None:
    machine = Machine(8)
    assert machine.paint(3600.0) == 8
    assert machine.changes == 0


def test_one_busy_processor_beside_is_left_to_others_until_it_is_free_again() -> None:
    machine = Machine()
    machine.paint(60.0)
    assert machine.paint(LOOKS * LOOK_S, others=1) == 1
    assert machine.paint(3600.0) == 1
    assert machine.paint(CALM_S - LOOK_S, others=0) == 1
    assert machine.paint(LOOK_S) == 2
    assert machine.paint(3600.0) == 2
    assert machine.changes == 2


def test_disturbance_of_a_moment_changes_nothing() -> None:
    machine = Machine()
    for _ in range(100):
        machine.paint(LOOK_S, others=2)
        assert machine.paint(4.0, others=0) == 2


def test_as_many_threads_are_left_as_there_are_free_processors() -> None:
    machine = Machine(16)
    assert machine.paint(60.0, others=1) == 15
    assert machine.paint(60.0, others=8) == 8
    assert machine.paint(60.0, others=3) == 13
    assert machine.paint(60.0, others=0) == 16


@pytest.mark.parametrize("others", [2, 3, 8])
@pytest.mark.parametrize("penalty", [1.0, 4.0])
def test_on_a_full_machine_steps_themselves_say_how_many_threads_are_fastest(
    others: int, penalty: float
) -> None:
    machine = Machine(penalty=penalty)
    machine.paint(7200.0, others=others)
    fastest = min((1, 2), key=machine.step_s)
    assert machine.taken.count(fastest) > 0.98 * len(machine.taken)


def test_full_machine_of_many_processors_is_not_left_to_others_altogether() -> None:
    machine = Machine(64, penalty=1.0)
    machine.paint(3600.0, others=64)
    assert machine.step_s(machine.worker.threads) <= machine.step_s(64)
    assert machine.taken.count(64) > 0.98 * len(machine.taken)


@pytest.mark.parametrize("quota", [0.5, 1.0, 1.2])
def test_quota_that_came_later_is_kept_to_though_processors_are_idle(quota: float) -> None:
    machine = Machine(quota=quota, penalty=3.0)
    assert machine.paint(7200.0) == 1
    assert machine.taken.count(1) > 0.98 * len(machine.taken)


@pytest.mark.parametrize(("on_s", "off_s"), [(6.0, 14.0), (6.0, 30.0), (40.0, 20.0)])
def test_load_that_comes_and_goes_is_not_followed_every_time(on_s: float, off_s: float) -> None:
    machine = Machine()
    times = int(14_400.0 / (on_s + off_s))
    for _ in range(times):
        machine.paint(on_s, others=1)
        machine.paint(off_s, others=0)
    assert machine.changes < 2 * 14_400.0 / MOST_WAIT_S + 20
    assert machine.paint(MOST_WAIT_S + 60.0) == 2


@pytest.mark.parametrize(("processors", "each"), [(2, 1), (4, 2), (16, 8)])
def test_two_workers_share_the_processors_and_the_last_one_has_them_all(
    processors: int, each: int
) -> None:
    one, other = Machine(processors), Machine(processors)
    for _ in range(900):
        one.others, other.others = other.worker.threads, one.worker.threads
        looks = one.look(), other.look()
        one.worker.decide(looks[0])
        other.worker.decide(looks[1])
    assert one.worker.threads + other.worker.threads == processors
    assert abs(one.worker.threads - each) <= each // 2
    assert one.paint(MOST_WAIT_S + 60.0, others=0) == processors


def test_change_is_not_judged_by_the_steps_of_another_pass() -> None:
    machine = Machine(penalty=1.0)
    machine.others = 2
    for _ in range(LOOKS):
        machine.worker.decide(machine.look(work=1))
    assert machine.worker.threads == 1
    larger = replace(machine.look(work=2), step_s=1000.0)
    assert machine.worker.decide(larger) is None
    assert machine.worker.threads == 1


def test_long_steps_are_tried_out_as_seldom_as_short_ones() -> None:
    machine = Machine(penalty=1.0)
    machine.paint(100 * 3600.0, others=2, look_s=300.0)
    assert machine.taken.count(2) > 0.94 * len(machine.taken)


def test_what_is_changed_says_why() -> None:
    machine = Machine(penalty=1.0)
    machine.others = 2
    told = [machine.worker.decide(machine.look()) for _ in range(LOOKS + 1)]
    assert [one and (one.threads, one.why) for one in told] == [
        *[None] * (LOOKS - 1),
        (1, "other programs use the processors"),
        (2, "that made no step shorter"),
    ]


def times(clock_s: float, own_s: float, idle_s: float, **waited_s: float) -> ThreadTimes:
    return ThreadTimes(clock_s, own_s, waited_s, idle_s)


def test_look_tells_of_every_thread_and_of_what_nobody_uses() -> None:
    before = times(100.0, 50.0, 30.0, a=1.0, b=2.0, gone=9.0)
    after = times(110.0, 65.0, 40.0, a=2.0, b=5.0, new=1.0)
    look = look_between(before, after, [1.0, 3.0], 2, 7)
    # Of 10 seconds the threads waited 1, 3 and 1; 15 were computed and 10 idle: 2.5 processors.
    assert look == Look(110.0, 10.0, 0.5, pytest.approx(0.5), 2.0, 7)


def test_threads_that_wait_for_one_another_leave_no_room_for_more() -> None:
    before, after = times(0.0, 0.0, 0.0, a=0.0), times(10.0, 12.0, 8.0, a=0.0)
    assert look_between(before, after, [1.0], 2, 1).room == pytest.approx(0.0)
