"""Seats that come and go: which rest, what is wrong with any, what is told while there is none."""

from dataclasses import replace

from daemon.pool.face import Seat
from daemon.service.seating import LEAVES_S, NO_NODE, NODES_COME_S, Seating
from daemon.status.health import Health

CPU, GPU = Seat("cpu"), Seat("cuda:0")
NODE, OTHER = Seat("desk1/cpu", node="desk1"), Seat("desk2/cpu", node="desk2")


class Bench:
    """A seating, its clock, and the health it tells."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.health = Health()
        self.seating = Seating(self.health, lambda: self.now_s)

    def look(self, *seats: Seat, trouble: str | None = None) -> None:
        self.seating.look(seats, trouble)

    def rested(self) -> list[Seat]:
        return self.seating.rested(self.seating.seats)


def test_seats_of_this_machine_rest_together_and_nodes_each_alone() -> None:
    bench = Bench()
    bench.look(CPU, GPU, NODE, OTHER)
    bench.seating.rest("cuda:0", 5.0)
    assert bench.rested() == [NODE, OTHER]
    bench.seating.rest("desk1/cpu", 72.0)
    assert bench.rested() == [OTHER]
    bench.now_s += 5.0
    assert bench.rested() == [CPU, GPU, OTHER]
    bench.now_s += 4.0
    assert bench.rested() == [CPU, GPU, NODE, OTHER]


def test_node_that_leaves_rests_with_all_its_seats_until_it_has_gone_and_come_back() -> None:
    bench = Bench()
    second = Seat("desk1/cuda:0", node="desk1")
    bench.look(CPU, NODE, second, OTHER)
    bench.seating.rest_node("desk1")
    assert bench.rested() == [CPU, OTHER]
    bench.look(CPU, OTHER)
    bench.look(CPU, NODE, second, OTHER)
    assert bench.rested() == [CPU, NODE, second, OTHER]
    bench.seating.rest_node("desk1")
    bench.now_s += LEAVES_S
    assert bench.rested() == [CPU, NODE, second, OTHER]  # it has stayed after all


def test_node_that_comes_back_does_not_rest_for_what_it_did_before() -> None:
    bench = Bench()
    bench.look(NODE)
    bench.seating.rest("desk1/cpu", 300.0)
    bench.look()
    bench.look(NODE)
    assert bench.rested() == [NODE]
    bench.look()
    bench.seating.rest("desk1/cpu", 300.0)  # its end is heard of when it is gone
    bench.look(NODE)
    assert bench.rested() == [NODE]


def test_node_that_stumbles_again_and_again_rests_ever_longer_until_it_has_painted() -> None:
    bench = Bench()
    bench.look(CPU, NODE)
    lasted = []
    for trouble in (*["is broken"] * 8, None, "is broken"):
        bench.seating.note_worker("desk1/cpu", trouble)
        bench.seating.rest("desk1/cpu", 5.0)
        lasted.append(bench.seating._resting_until_s["desk1/cpu"] - bench.now_s)
    assert lasted == [0.625, 1.25, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 0.625, 1.25]
    for _ in range(3):
        bench.seating.note_worker("cpu", "is broken")
        bench.seating.rest("cpu", 5.0)
    bench.now_s += 5.0
    assert CPU in bench.rested()


def test_trouble_of_a_worker_goes_with_its_seat() -> None:
    bench = Bench()
    bench.look(CPU, NODE)
    bench.seating.note_worker("cpu", "is broken")
    bench.seating.note_worker("desk1/cpu", "is broken, too")
    assert bench.health.troubles["worker"] == "cpu: is broken; desk1/cpu: is broken, too"
    bench.look(CPU)
    assert bench.health.troubles["worker"] == "cpu: is broken"
    bench.seating.note_worker("desk1/cpu", "was broken")
    assert bench.health.troubles["worker"] == "cpu: is broken"
    bench.seating.note_worker("cpu", None)
    assert bench.health.troubles == {}


def test_service_without_any_seat_says_that_it_waits_once_nodes_have_had_time_to_come() -> None:
    bench = Bench()
    bench.look()
    assert bench.health.troubles == {}
    bench.now_s += NODES_COME_S
    bench.look()
    assert bench.health.troubles == {"fleet": NO_NODE}
    bench.look(NODE)
    assert bench.health.troubles == {}
    bench.now_s += NODES_COME_S - 1.0
    bench.look()
    assert bench.health.troubles == {}


def test_what_keeps_nodes_away_is_told_once_it_has_lasted_and_while_others_paint() -> None:
    bench = Bench()
    bench.look(CPU, trouble="the scheduler does not answer")
    assert bench.health.troubles == {}
    bench.now_s += NODES_COME_S
    bench.look(CPU, trouble="the scheduler does not answer")
    assert bench.health.troubles == {"fleet": "the scheduler does not answer"}
    bench.look(CPU)
    assert bench.health.troubles == {}


def test_node_is_told_to_rest_once_until_it_has_painted_again() -> None:
    bench = Bench()
    bench.look(CPU, NODE)
    asked = [bench.seating.is_to_rest("desk1/cpu") for _ in range(3)]
    assert asked == [True, False, False]
    assert bench.seating.is_to_rest("cpu") and bench.seating.is_to_rest("cpu")  # it may be starting
    bench.look(CPU, replace(NODE, run_id="j1"))
    bench.look(CPU, NODE)
    assert bench.seating.is_to_rest("desk1/cpu")
    bench.look(CPU)
    assert not bench.seating.is_to_rest("desk1/cpu")
