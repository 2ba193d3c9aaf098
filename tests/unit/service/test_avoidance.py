"""A job that was lost again and again on one node is tried on others, if there are any."""

from daemon.pool.face import Seat
from daemon.service.avoidance import Avoidance
from tests.unit.service.test_supervision import make_run

JOB = make_run().job
A, B, C = (Seat(f"{name}/cpu", node=name, offers=frozenset({name, "cpu"})) for name in "abc")


def lost_on(*seats: Seat) -> Avoidance:
    avoidance = Avoidance()
    for seat in seats:
        avoidance.note_loss(JOB, seat.device)
    return avoidance


def test_job_that_was_lost_once_is_tried_there_again() -> None:
    avoidance = lost_on(A)
    assert avoidance.put_off([A], [A, B]) == []
    assert avoidance.better("j1", [A, B]) == [A, B]


def test_job_that_was_lost_twice_on_a_seat_waits_for_another() -> None:
    avoidance = lost_on(A, A)
    assert avoidance.put_off([A], [A, B]) == ["j1"]
    assert avoidance.put_off([A, B], [A, B]) == []
    assert avoidance.better("j1", [A, B]) == [B]
    assert avoidance.better("another", [A, B]) == [A, B]


def test_job_avoids_no_seat_where_there_is_no_other_that_would_do() -> None:
    assert lost_on(A, A).put_off([A], [A]) == []
    assert lost_on(A, A).better("j1", [A]) == [A]
    assert lost_on(A, A, B, B).put_off([A], [A, B]) == []
    asking = Avoidance()
    for _ in range(2):
        asking.note_loss(make_run(runs_on="a").job, "a/cpu")
    assert asking.put_off([A], [A, B]) == [] and asking.better("j1", [A, B]) == [A, B]


def test_job_that_got_on_avoids_nothing_any_more() -> None:
    avoidance = lost_on(A, A)
    avoidance.forget("j1")
    assert avoidance.put_off([A], [A, B]) == []
