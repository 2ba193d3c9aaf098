"""What the doctor says of queues, monitors and neighbours."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.doctor.queues import check_metrics, check_neighbours, check_queues, examine_queues
from daemon.pool.memory import DeviceMemory
from daemon.settings.config import Address, Config, Schedule, YieldRule
from daemon.state.pause import pause
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
