"""What is done now and then: when it is due, and never for more than its share of the time."""

import pytest

from daemon.worker.timeshare import TimeShare


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def nothing() -> None:
    pass


def test_work_is_done_when_it_is_due_or_asked_for(clock: Clock) -> None:
    share = TimeShare(60.0, 20, clock)
    done = []
    for now_s in (101.0, 159.0, 160.0, 200.0, 219.0, 220.0):
        clock.now_s = now_s
        done.append(share.offer(nothing))
    assert done == [False, False, True, False, False, True]
    assert share.offer(nothing, now=True)


def test_long_work_is_done_less_often(clock: Clock) -> None:
    share = TimeShare(1.0, 20, clock)

    def work() -> None:
        clock.now_s += 10.0

    assert share.offer(work, now=True)
    clock.now_s += 199.0
    assert not share.offer(work)
    clock.now_s += 1.0
    assert share.offer(work)


@pytest.mark.parametrize("work_s", [0.001, 0.04, 0.3, 2.0])
@pytest.mark.parametrize("step_s", [0.01, 0.7, 30.0])
def test_work_takes_at_most_its_part_of_the_time(
    clock: Clock, work_s: float, step_s: float
) -> None:
    share = TimeShare(5.0, 100, clock)
    times = 0

    def work() -> None:
        nonlocal times
        times += 1
        clock.now_s += work_s

    while clock.now_s < 5000.0:
        clock.now_s += step_s
        share.offer(work)
    # The last time may have been just now, its share of the time still to come.
    assert times > 1 and (times - 1) * work_s <= (clock.now_s - 100.0) / 100


def test_work_that_fails_takes_its_time_too(clock: Clock) -> None:
    share = TimeShare(1.0, 20, clock)

    def fail() -> None:
        clock.now_s += 10.0
        raise OSError

    with pytest.raises(OSError):
        share.offer(fail, now=True)
    clock.now_s += 199.0
    assert not share.offer(nothing)
