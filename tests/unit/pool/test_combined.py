"""Several pools as one whose seats come and go."""

from pathlib import Path

from daemon.messages import Cancelled, Done, WorkerSettings
from daemon.pool.combined import CombinedPool
from daemon.pool.face import Seat, offers_of
from daemon.pool.local import LocalPool
from tests.support.pools import PuppetPool, order

NODE = Seat("desk2/cuda:0", node="desk2", offers=frozenset({"desk2", "cuda", "night"}))


def puppet(folder: Path, *devices: str) -> PuppetPool:
    workers = [WorkerSettings(device, "classic", folder) for device in devices]
    return PuppetPool(workers, lambda run_id, event: None)


def test_seat_that_comes_takes_runs_and_one_that_goes_is_told_no_more(tmp_path: Path) -> None:
    here, fleet = puppet(tmp_path, "cpu"), puppet(tmp_path)
    pool = CombinedPool([here, fleet])
    assert [seat.device for seat in pool.seats()] == ["cpu"]
    fleet.add(NODE)
    assert [seat.device for seat in pool.seats()] == ["cpu", "desk2/cuda:0"]
    done = pool.submit("desk2/cuda:0", "r1", order(tmp_path)).result(0)
    assert isinstance(done, Done)
    fleet.remove("desk2/cuda:0")
    assert [seat.device for seat in pool.seats()] == ["cpu"]


def test_run_for_a_seat_that_has_gone_meanwhile_goes_back_as_if_it_had_never_begun(
    tmp_path: Path,
) -> None:
    pool = CombinedPool([puppet(tmp_path, "cpu"), puppet(tmp_path)])
    assert pool.submit("desk2/cuda:0", "r1", order(tmp_path)).result(0) == Cancelled()
    pool.rest("desk2/cuda:0")
    pool.warm("desk2/cuda:0")


def test_trouble_of_any_pool_is_told(tmp_path: Path) -> None:
    here, fleet = puppet(tmp_path, "cpu"), puppet(tmp_path)
    pool = CombinedPool([here, fleet])
    assert pool.trouble is None
    fleet.trouble = "the scheduler does not answer"
    assert pool.trouble == "the scheduler does not answer"


def test_seat_of_this_machine_offers_its_device_its_kind_and_local(tmp_path: Path) -> None:
    workers = [WorkerSettings("cuda:1", "classic", tmp_path)]
    (seat,) = LocalPool(workers, lambda run_id, event: None).seats()
    assert (seat.node, seat.offers) == ("", {"cuda:1", "cuda", "local"})
    assert seat.will_do("") and seat.will_do("local") and not seat.will_do("cuda:0")


def test_what_seats_offer_is_all_that_any_does_and_to_be_asked_for_nothing() -> None:
    assert offers_of([Seat("cpu"), NODE]) == {"", "desk2", "cuda", "night"}
    assert offers_of([]) == frozenset()
