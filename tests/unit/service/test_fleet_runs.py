"""Runs on seats that come and go, and jobs that ask for some of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from daemon.job import BULK, State
from daemon.ledger.store import EVERY
from daemon.messages import Cancelled, Done, Failed, Lost
from daemon.pool.face import Seat
from daemon.service import runs
from daemon.service.permit import Permit
from daemon.service.seating import NODES_COME_S
from tests.unit.service.test_runs import Bench


def seat(name: str, *tags: str) -> Seat:
    """A seat of a node."""
    node, _, device = name.partition("/")
    kind = device.partition(":")[0]
    return Seat(name, node=node, offers=frozenset({node, kind, *tags}))


class Fleet(Bench):
    """Runs without any device of their own, and no job yet."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.runs.change(self.config, [])
        self.ledger.request_cancel("j1")
        self.ledger.cancel_waiting("not this one")

    def where(self) -> dict[str, str]:
        """The open runs, and on which seats."""
        return {run_id: act.device for run_id, act in sorted(self.pool.open.items())}


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr("daemon.service.runs.DRAIN_LOOK_S", 0.0)
    found = Fleet(tmp_path)
    yield found
    found.ledger.close()


def test_job_waits_for_a_node_and_begins_when_one_comes(fleet: Fleet) -> None:
    fleet.queue("a")
    fleet.tick()
    assert fleet.state("a") is State.READY and fleet.runs.seats == []
    fleet.pool.add(seat("desk1/cpu"))
    fleet.tick()
    assert fleet.where() == {"a": "desk1/cpu"}
    assert [one.device for one in fleet.runs.seats] == ["desk1/cpu"]


def test_service_is_ready_without_waiting_for_nodes(fleet: Fleet) -> None:
    assert fleet.runs.warm()
    fleet.pool.add(seat("desk1/cpu"))
    assert fleet.runs.warm()
    assert not fleet.pool.seats()[0].answered


def test_service_without_a_node_says_so_and_works_again_by_itself(fleet: Fleet) -> None:
    fleet.runs._seating._well_s -= NODES_COME_S
    fleet.tick()
    assert fleet.health.essential == {"fleet": "waits for a node: none is connected"}
    fleet.pool.add(seat("desk1/cpu"))
    fleet.tick()
    assert fleet.health.troubles == {}


def test_job_of_a_node_that_leaves_goes_back_uncharged_and_the_log_says_why(fleet: Fleet) -> None:
    fleet.pool.add(seat("desk1/cpu"))
    fleet.queue("a")
    fleet.tick()
    said: list[str] = []
    handler = logger.add(said.append, format="{message}")
    fleet.pool.remove("desk1/cpu", Cancelled())
    fleet.tick()
    logger.remove(handler)
    assert "back into the line: the node leaves\n" in said
    assert (fleet.state("a"), fleet.ledger.fruitless_starts("a")) == (State.READY, 0)


def test_node_that_leaves_is_given_nothing_more_while_its_seats_are_still_told_of(
    fleet: Fleet,
) -> None:
    fleet.pool.add(seat("desk1/cuda:0"), seat("desk1/cuda:1"))
    fleet.queue("a")
    fleet.tick()
    fleet.pool.end("a", Cancelled())
    fleet.runs.tick(Permit(EVERY))
    assert fleet.where() == {} and fleet.state("a") is State.READY
    fleet.pool.add(seat("desk2/cpu"))
    fleet.runs.tick(Permit(EVERY))
    assert fleet.where() == {"a": "desk2/cpu"}


def test_job_of_a_node_that_is_lost_begins_at_once_on_another(fleet: Fleet) -> None:
    fleet.pool.add(seat("desk1/cpu"), seat("desk2/cpu"))
    fleet.queue("a")
    fleet.tick()
    assert fleet.where() == {"a": "desk1/cpu"}
    fleet.pool.remove("desk1/cpu")
    fleet.runs.tick(Permit(EVERY))
    assert fleet.where() == {"a": "desk2/cpu"}


def test_broken_node_rests_alone_while_its_job_is_painted_elsewhere(fleet: Fleet) -> None:
    fleet.pool.add(seat("desk1/cpu"), seat("desk2/cpu"))
    fleet.queue("a")
    fleet.tick()
    fleet.pool.end("a", Failed("device", "the device is lost"))
    fleet.runs.tick(Permit(EVERY))
    assert fleet.where() == {"a": "desk2/cpu"}
    assert fleet.health.troubles["worker"] == "desk1/cpu: the device is lost"


def test_job_that_a_broken_node_loses_twice_waits_for_another_and_is_not_failed(
    fleet: Fleet,
) -> None:
    fleet.pool.add(seat("desk1/cpu"), seat("desk2/cpu"))
    fleet.queue("long", runs_on="desk2")
    fleet.queue("a")
    fleet.queue("b")
    for _ in range(2):
        fleet.tick()
        assert fleet.where() == {"a": "desk1/cpu", "long": "desk2/cpu"}
        fleet.pool.end("a", Lost("was ended by SIGKILL"))
        fleet.tick()  # the seat rests from now on
    fleet.tick()
    assert fleet.where() == {"b": "desk1/cpu", "long": "desk2/cpu"}
    fleet.pool.end("long", Done(seconds=1.0))
    fleet.tick()
    assert fleet.where() == {"a": "desk2/cpu", "b": "desk1/cpu"}


def test_job_that_two_nodes_lose_fails_as_it_would_here(fleet: Fleet) -> None:
    fleet.pool.add(seat("desk1/cpu"), seat("desk2/cpu"))
    fleet.queue("a")
    for _ in range(3):
        fleet.tick()
        fleet.pool.end("a", Lost("was ended by SIGKILL"))
    fleet.tick()
    assert fleet.ledger.job("a").verdict is State.FAILED


def test_late_end_of_a_run_that_was_given_to_another_seat_changes_nothing(fleet: Fleet) -> None:
    fleet.pool.add(seat("desk1/cpu"), seat("desk2/cpu"))
    fleet.queue("a")
    fleet.tick()
    fleet.pool.remove("desk1/cpu", Lost("is gone"))
    fleet.runs.tick(Permit(EVERY))
    fleet.runs.tick(Permit(EVERY))
    assert fleet.where() == {"a": "desk2/cpu"} and len(fleet.runs) == 1
    fleet.pool.end("a", Done(seconds=1.0, node="desk2"))
    fleet.runs.tick(Permit(None))
    done = fleet.ledger.job("a").outcome
    assert done is not None and done.node == "desk2"


def test_jobs_get_the_nodes_they_ask_for_and_what_nobody_offers_holds_up_no_other(
    fleet: Fleet,
) -> None:
    fleet.queue("x", runs_on="desk9")
    fleet.queue("a", runs_on="night")
    fleet.queue("b")
    fleet.queue("c", runs_on="cuda")
    fleet.pool.add(seat("desk1/cuda:0"), seat("desk2/cpu", "night"), seat("desk3/cpu"))
    fleet.tick()
    assert fleet.where() == {"a": "desk2/cpu", "b": "desk3/cpu", "c": "desk1/cuda:0"}
    assert fleet.state("x") is State.READY and fleet.runs.lacking == ["desk9"]
    fleet.pool.add(seat("desk9/cpu"))
    fleet.tick()
    assert fleet.where()["x"] == "desk9/cpu" and fleet.runs.lacking == []


def test_bulk_job_gives_way_only_to_what_would_be_painted_in_its_place(fleet: Fleet) -> None:
    fleet.pool.add(seat("desk1/cpu"), seat("desk2/cpu"))
    fleet.queue("b1", BULK, runs_on="desk1")
    fleet.tick()
    fleet.queue("a", runs_on="desk2")
    fleet.queue("x", runs_on="desk9")
    fleet.tick()
    fleet.tick()
    assert fleet.where() == {"a": "desk2/cpu", "b1": "desk1/cpu"}
    fleet.queue("c", runs_on="desk1")
    fleet.tick()
    fleet.tick()
    assert fleet.where() == {"a": "desk2/cpu", "c": "desk1/cpu"}
    assert fleet.state("b1") is State.READY


def test_bulk_job_goes_on_where_a_free_node_will_do_for_the_ordinary_one(fleet: Fleet) -> None:
    fleet.pool.add(seat("desk1/cpu"))
    fleet.queue("b1", BULK)
    fleet.tick()
    fleet.pool.add(seat("desk2/cpu"))
    fleet.queue("a")
    fleet.tick()
    fleet.tick()
    assert fleet.where() == {"a": "desk2/cpu", "b1": "desk1/cpu"}


def test_many_nodes_are_given_jobs_over_several_ticks(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_STARTS", 2)
    fleet.pool.add(*(seat(f"desk{number}/cpu") for number in range(5)))
    for number in range(5):
        fleet.queue(f"j-{number}")
    for begun in (2, 4, 5, 5):
        fleet.tick()
        assert len(fleet.where()) == begun
