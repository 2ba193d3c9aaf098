"""Which pool a configuration means, and what of it is loaded."""

import subprocess
import sys

import pytest

from daemon.pool.combined import CombinedPool
from daemon.pool.local import LocalPool
from daemon.service.pools import make_pool, workers_of
from daemon.settings.config import Config
from daemon.settings.fleet import FleetSettings


def test_pool_of_this_machines_devices_is_the_local_one_alone() -> None:
    pool = make_pool(Config(), ["cpu"], lambda run_id, event: None)
    assert isinstance(pool, LocalPool) and not isinstance(pool, CombinedPool)


def test_service_without_a_fleet_loads_nothing_of_it() -> None:
    code = (
        "import sys; import daemon.service.main; from daemon.service.pools import make_pool; "
        "from daemon.settings.config import Config; make_pool(Config(), ['cpu'], print); "
        "print(*(n for n in sys.modules if n.split('.')[0] in ('dask', 'distributed', "
        "'cryptography') or n == 'daemon.pool.dask'))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout.split() == []


def test_other_devices_or_another_fleet_are_other_workers() -> None:
    plain = Config()
    fleet = plain.model_copy(update={"fleet": FleetSettings(embedded=True)})
    assert workers_of(plain, ["cpu"]) == workers_of(Config(dedupe=False), ["cpu"])
    assert workers_of(plain, ["cpu"]) != workers_of(fleet, ["cpu"])
    assert workers_of(fleet, ["cpu"]) != workers_of(fleet, [])
    two_at_once = Config(per_device=2)
    assert workers_of(plain, ["cuda:0"]) != workers_of(two_at_once, ["cuda:0"])
    assert workers_of(fleet, []) != workers_of(
        fleet.model_copy(update={"checkpoint_every": 5.0}), []
    )


def test_devices_have_the_seats_that_the_configuration_gives_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("daemon.engine.fit.cgroups.processors", lambda: 2)
    pool = make_pool(Config(per_device=3), ["cpu", "cuda:0"], lambda run_id, event: None)
    seats = {seat.device: seat for seat in pool.seats()}
    assert list(seats) == ["cpu", "cuda:0", "cpu/2", "cuda:0/2", "cuda:0/3"]
    assert [seat.sharers for seat in seats.values()] == [2, 3, 2, 3, 3]
    assert all("cuda:0" in seats[name].offers for name in ("cuda:0", "cuda:0/2", "cuda:0/3"))
    assert "cpu" in seats["cpu/2"].offers and seats["cpu/2"].total_bytes
