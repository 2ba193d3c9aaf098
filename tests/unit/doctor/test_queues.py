"""What the doctor says of queues, monitors and neighbours."""

import contextlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.doctor.queues import (
    check_asking,
    check_metrics,
    check_neighbours,
    check_proofs,
    check_queues,
    examine_queues,
)
from daemon.job import Approval, Draft, State
from daemon.ledger.store import Ledger
from daemon.pool.memory import DeviceMemory
from daemon.settings.config import Address, Config, Schedule
from daemon.settings.fleet import FleetSettings
from daemon.settings.machine import YieldRule
from daemon.state import lock
from daemon.state.pause import pause
from daemon.status.live import Live, write_live
from daemon.status.report import Finding

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def taken() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Address("127.0.0.1", server.getsockname()[1])


@pytest.fixture
def free(taken: Address) -> Address:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return Address("127.0.0.1", server.getsockname()[1])


def settings(**changes: object) -> Config:
    return Config().model_copy(update=changes)


def test_metrics_that_another_program_is_in_the_way_of(taken: Address, free: Address) -> None:
    (found,) = check_metrics(settings(metrics=taken), running=False)
    assert not found.ok and "taken by another program" in found.detail
    (found,) = check_metrics(settings(metrics=free), running=False)
    assert found == Finding("metrics", True, f"{free}, free")


def test_metrics_that_a_running_service_does_not_serve(taken: Address, free: Address) -> None:
    (found,) = check_metrics(settings(metrics=free), running=True)
    assert not found.ok and "nobody answers" in found.detail
    (found,) = check_metrics(settings(metrics=taken), running=True)
    assert found == Finding("metrics", True, f"{taken}, served")
    assert list(check_metrics(settings(), running=True)) == []


def test_proofs_that_wait_are_told_and_one_that_was_forgotten_is_minded(tmp_path: Path) -> None:
    config = settings(state=tmp_path)
    assert list(check_proofs(config, NOON)) == []
    with contextlib.closing(Ledger(config.ledger_path)) as ledger:
        assert list(check_proofs(config, NOON)) == []
        ledger.add_picture("p", Path("proof/starry/photo.jpg"))
        draft = Draft("j1", "starry", Path("photo.jpg"), {}, (), approval=Approval.ASKED)
        ledger.admit("p", sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft])
        ledger.claim_job("me")
        ledger.finish_job("j1", "me", State.AWAITING)
        ledger.publish_job("j1")
    now = datetime.now(UTC)
    told = "1 wait for approval, the oldest, j1, for {} days"
    found = list(check_proofs(config, now + timedelta(days=3)))
    assert found == [Finding("proofs", True, told.format(3))]
    (found,) = check_proofs(config, now + timedelta(days=20))
    assert not found.ok and found.detail.startswith(told.format(20) + ": atelierd approve")


def test_jobs_that_ask_for_what_no_device_offers_are_a_fault_that_names_them(
    tmp_path: Path,
) -> None:
    config = settings(state=tmp_path)
    assert list(check_asking(config, ["cpu"])) == []
    with contextlib.closing(Ledger(config.ledger_path)) as ledger:
        ledger.add_picture("p", Path("starry/photo.jpg"))
        drafts = [
            Draft(f"j-{name}", "starry", Path("photo.jpg"), {}, (), runs_on=name)
            for name in ("cpu", "local", "cuda", "")
        ]
        ledger.admit("p", sha256="ab", size=9, width_px=4, height_px=3, drafts=drafts)
    (found,) = check_asking(config, ["cpu"])
    assert not found.ok and found.detail.startswith("1 job waits for cuda, which no device offers")
    assert "j-cuda" in found.detail
    assert list(check_asking(config, ["cpu", "cuda:0"])) == []
    fleet = settings(state=tmp_path, fleet=FleetSettings(embedded=True))
    assert list(check_asking(fleet, ["cpu"])) == []  # which nodes there will be nobody knows
    held = lock.hold(tmp_path)
    write_live(tmp_path, Live(42, "then", lacking=["local"]))
    (found,) = check_asking(fleet, ["cpu"])
    held.release()
    assert "1 job waits for local" in found.detail


def test_queues_and_the_pause_are_told_and_are_no_fault(tmp_path: Path) -> None:
    schedule = Schedule(time_zone="UTC", bulk=("22:00-06:00",))
    config = settings(schedule=schedule, state=tmp_path)
    assert list(check_queues(config, NOON)) == [
        Finding("ordinary jobs", True, "open"),
        Finding("bulk jobs", True, "closed until Fri 22:00"),
    ]
    pause(tmp_path, "noon")
    found = next(check_queues(config, NOON))
    assert found == Finding("pause", True, "painting is paused since noon: atelierd resume")


def test_gpu_whose_users_cannot_be_told_is_a_fault_where_it_matters() -> None:
    config = settings(yield_gpu_when=YieldRule(memory_used_by_others_over=1))
    devices = ["cuda:0", "cpu"]
    unknown = DeviceMemory("cuda:0", 9, 0, 9, others_bytes=None)
    for memory in (None, unknown):
        (found,) = check_neighbours(config, devices, lambda device, own, memory=memory: memory)
        assert not found.ok and "who uses cuda:0 cannot be told" in found.detail
    known = DeviceMemory("cuda:0", 9, 0, 9, others_bytes=0)
    assert list(check_neighbours(config, devices, lambda device, own: known)) == []
    assert list(check_neighbours(settings(), devices, lambda device, own: None)) == []


def test_all_of_it_is_looked_at(tmp_path: Path, free: Address) -> None:
    config = settings(state=tmp_path, metrics=free, devices="cpu")
    whats = [found.what for found in examine_queues(config)]
    assert whats == ["ordinary jobs", "bulk jobs", "metrics"]
