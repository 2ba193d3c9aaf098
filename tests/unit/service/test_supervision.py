"""What is done about runs and free seats, by what is asked for, the clock and the windows."""

from pathlib import Path

import pytest

from daemon.job import BULK, ORDINARY, Job, Outputs, State
from daemon.ledger.store import EVERY
from daemon.pool.face import Seat
from daemon.service.permit import Permit
from daemon.service.run import Run, StopReason
from daemon.service.supervision import (
    PATIENCE_S,
    Instruction,
    Kill,
    Rest,
    Start,
    Stop,
    decide,
    giving_way,
    seat_for,
)
from daemon.status.live import RunningJob

ANYTHING = Permit(EVERY)
BULK_ONLY = Permit((BULK, BULK))
LIMIT_S, STALL_S = 100.0, 10.0


def make_run(
    job_id: str = "j1", *, priority: int = ORDINARY, device: str = "cpu", runs_on: str = ""
) -> Run:
    """A run that began at 0, and was heard then."""
    job = Job(
        id=job_id,
        picture_id="p1",
        preset="starry",
        below=Path("photo.jpg"),
        recipe={"size": 64, "seed": 0},
        styles=(),
        priority=priority,
        state=State.RUNNING,
        verdict=None,
        starts=1,
        cancel_requested=False,
        queued_at="",
        started_at=None,
        finished_at=None,
        outcome=None,
        outputs=Outputs(),
        reason="",
        warnings=(),
        runs_on=runs_on,
    )
    shown = RunningJob(job_id, "photo.jpg", "starry", device)
    return Run(job, shown, LIMIT_S, LIMIT_S, STALL_S, 0.0)


def told(
    run: Run, now_s: float = 1.0, permit: Permit = ANYTHING, *, cancelled: bool = False
) -> list[Instruction]:
    asked = {run.job.id} if cancelled else set()
    return decide([run], [Seat(run.shown.device, run.job.id)], asked, permit, now_s)


def test_run_that_may_goes_on() -> None:
    assert told(make_run()) == []


def test_run_is_stopped_for_whoever_cancels_it() -> None:
    run = make_run()
    assert told(run, cancelled=True) == [Stop(run, StopReason.CANCELLED)]


def test_run_that_takes_too_long_is_stopped_and_not_taken_for_one_that_stalls() -> None:
    run = make_run()
    assert told(run, LIMIT_S + 1) == [Stop(run, StopReason.LATE)]
    run.stop = StopReason.LATE
    assert told(run, LIMIT_S + 1) == []


def test_run_that_says_nothing_is_ended_once_even_while_it_stops() -> None:
    run = make_run()
    assert told(run, STALL_S) == []
    assert told(run, STALL_S + 1) == [Kill(run)]
    run.stop = "painting is paused"
    assert told(run, STALL_S + 1) == [Kill(run)]
    run.stalled = True
    assert told(run, STALL_S + 1) == []


@pytest.mark.parametrize(
    ("permit", "why"),
    [
        (Permit(None, paused=True), "painting is paused"),
        (Permit(EVERY, left=frozenset({"cpu"})), "another program needs cpu"),
        (BULK_ONLY, "its window has closed"),
    ],
)
def test_run_that_may_no_more_is_stopped_with_time_for_its_checkpoint(
    permit: Permit, why: str
) -> None:
    run = make_run()
    assert told(run, permit=permit) == [Stop(run, why, PATIENCE_S)]


def test_run_that_stops_already_is_not_asked_again() -> None:
    run = make_run()
    run.stop = "the service stops"
    assert told(run, permit=Permit(None), cancelled=True) == []


def test_free_seats_take_jobs_where_they_may_and_rest_where_not() -> None:
    seats = [Seat("cuda:0"), Seat("cuda:1", "j1"), Seat("cuda:2")]
    crowded = Permit(EVERY, left=frozenset({"cuda:2"}))
    assert decide([], seats, (), crowded, 0.0) == [Start(seats[0]), Rest("cuda:2")]
    assert decide([], seats, (), Permit(None), 0.0) == [Rest("cuda:0"), Rest("cuda:2")]


def test_last_bulk_run_gives_way_and_only_one_at_a_time() -> None:
    first, last = make_run("b1", priority=BULK), make_run("b2", priority=BULK)
    way = giving_way([first, make_run(), last])
    assert way == Stop(last, "an ordinary job goes first", PATIENCE_S)
    last.stop = way.why
    assert giving_way([first, last]) is None
    assert giving_way([make_run()]) is None


def seat(name: str, *offers: str, node: str = "") -> Seat:
    return Seat(name, node=node, offers=frozenset(offers))


def test_job_gets_the_first_seat_that_will_do_for_it() -> None:
    seats = [seat("cpu", "cpu", "local"), seat("cuda:0", "cuda", "local")]
    assert seat_for("", seats) == seats[0]
    assert seat_for("cuda", seats) == seats[1]


def test_seat_that_others_ask_for_is_left_to_them_where_another_will_do() -> None:
    big, small = seat("a/cuda:0", "big", "cuda"), seat("b/cuda:0", "cuda")
    assert seat_for("", [big, small], ["", "big"]) == small
    assert seat_for("cuda", [big, small], ["big", "cuda"]) == small
    assert seat_for("big", [big, small], ["big"]) == big
    assert seat_for("", [big], ["big"]) == big


def test_gpus_come_first_where_nodes_are_among_the_seats() -> None:
    here, there = seat("cpu", "cpu", "local"), seat("b/cuda:0", "cuda", node="b")
    assert seat_for("", [here, there]) == there
    assert seat_for("local", [here, there]) == here
