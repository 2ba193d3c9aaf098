"""Which devices are used: only `auto` may fall back to the CPU."""

import threading
from pathlib import Path

import pytest

from daemon.engine.fit.cgroups import MemoryGroup
from daemon.errors import ConfigError
from daemon.pool import devices as devices_module
from daemon.pool.devices import (
    MOST_ON_TRIAL,
    device_bytes,
    gpu_bytes,
    resolve_devices,
    sharers_of,
    shares_of,
    threads_among,
)
from daemon.settings.config import Config
from daemon.settings.machine import PerDevice

NONE: list[str] = []
ONE, TWO = ["cuda:0"], ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("wanted", "present", "used"),
    [
        ("auto", NONE, ["cpu"]),
        ("auto", TWO, TWO),
        ("cuda", TWO, TWO),
        (["cuda"], TWO, TWO),
        ("cuda:1", TWO, ["cuda:1"]),
        (["cuda:1", "cuda:0"], TWO, ["cuda:1", "cuda:0"]),
        (["cpu", "cuda:0"], ONE, ["cpu", "cuda:0"]),
        (["cuda", "cuda:0"], ONE, ONE),
    ],
)
def test_devices_are_those_asked_for(
    wanted: str | list[str], present: list[str], used: list[str]
) -> None:
    assert resolve_devices(wanted, "config.yaml", lambda: present) == used


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        ("cuda", NONE),
        (["cuda"], NONE),
        ("cuda:1", ONE),
        (["cpu", "cuda:0"], NONE),
        (["cuda:0", "cuda:1"], ONE),
    ],
)
def test_device_that_is_not_there_is_never_replaced_by_the_cpu(
    wanted: str | list[str], present: list[str]
) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml:1: devices: asks for cuda"):
        resolve_devices(wanted, "config.yaml", lambda: present)


@pytest.mark.parametrize("wanted", ["cpu", ["cpu"]])
def test_nobody_looks_for_devices_where_only_the_cpu_is_wanted(wanted: str | list[str]) -> None:
    def look() -> list[str]:
        raise AssertionError("looked")

    assert resolve_devices(wanted, "config.yaml", look) == ["cpu"]


CARDS = {"cuda:0": 80_000_000_000, "cuda:1": 13_000_000_000, "cuda:2": 4_000_000_000}


def bytes_of(device: str, allowed: int | None) -> int | None:
    """The memory of the cards, and of a machine with 24 GB."""
    return CARDS.get(device) if device != "cpu" else min(24_000_000_000, allowed or 1 << 60)


@pytest.fixture
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name in ("daemon.engine.fit.cgroups", "daemon.pool.devices"):
        monkeypatch.setattr(f"{name}.processors", lambda: 8)


@pytest.mark.parametrize(
    ("device", "per_device", "workers"),
    [
        ("cuda:0", 1, 1),
        ("cuda:0", 3, 3),
        ("cuda:2", 3, 3),
        ("cuda:0", "auto", MOST_ON_TRIAL),
        ("cuda:1", "auto", 2),
        ("cuda:2", "auto", 1),
        ("cuda:9", "auto", 1),
        ("cpu", "auto", MOST_ON_TRIAL),
        ("cpu", 3, 3),
    ],
)
@pytest.mark.usefixtures("eight_processors")
def test_device_has_as_many_workers_as_asked_for_or_as_its_memory_has_room_for(
    device: str, per_device: PerDevice, workers: int
) -> None:
    assert sharers_of(device, Config(per_device=per_device), bytes_of) == workers


@pytest.mark.parametrize(
    ("granted", "workers"),
    [
        ({"per_device": 16}, 8),
        ({"per_device": 16, "threads": 4}, 2),
        ({"threads": 4}, 2),
        ({"threads": 5}, 1),
        ({"threads": 64}, 1),
        ({"memory": "6GB"}, 2),
        ({"memory": "4GB"}, 1),
        ({"memory": "4GB", "per_device": 2}, 2),
    ],
)
@pytest.mark.usefixtures("eight_processors")
def test_cpu_has_no_more_workers_than_processors_and_what_they_are_granted_allow(
    granted: dict[str, object], workers: int
) -> None:
    assert sharers_of("cpu", Config.model_validate(granted), bytes_of) == workers


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize(
    ("wish", "granted", "workers"),
    [
        ("1", {}, 1),
        ("4", {}, 1),
        ("4", {"threads": 2}, 4),
        ("2", {"threads": 2, "per_device": 3}, 3),
        ("64", {"threads": 2}, 4),
    ],
)
def test_threads_wished_in_the_environment_are_those_of_one_worker_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch, wish: str, granted: dict[str, object], workers: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert sharers_of("cpu", Config.model_validate(granted), bytes_of) == workers


@pytest.mark.usefixtures("eight_processors")
def test_workers_of_the_cpu_may_take_the_same_threads_and_those_of_gpus_a_part() -> None:
    def threads(*devices: str, per_device: PerDevice = 2) -> int:
        return threads_among(shares_of(devices, Config(per_device=per_device), bytes_of))

    assert threads("cpu") == 8
    assert threads("cuda:0") == 4
    assert threads("cuda:0", "cuda:1") == 2
    assert threads("cpu", "cuda:0", per_device=1) == 4


def test_memory_of_the_cpu_is_the_least_of_the_machine_its_groups_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(devices_module, "memory_groups", list)
    whole = device_bytes("cpu")
    assert whole is not None and whole > 1 << 29
    assert device_bytes("cpu", 7) == 7
    assert device_bytes("cpu", 1 << 60) == whole
    group = MemoryGroup(tmp_path, 1 << 28, 1)
    monkeypatch.setattr(devices_module, "memory_groups", lambda: [group])
    assert device_bytes("cpu") == 1 << 28


def test_workers_come_by_their_numbers_so_that_every_device_is_used_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices = ["cuda:0", "cpu", "cuda:1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = shares_of(devices, Config(), bytes_of)
    assert [(one.device, one.number, one.sharers, one.on_trial) for one in found] == [
        ("cuda:0", 1, 4, True),
        ("cpu", 1, 1, False),
        ("cuda:1", 1, 2, True),
        ("cuda:0", 2, 4, True),
        ("cuda:1", 2, 2, True),
        ("cuda:0", 3, 4, True),
        ("cuda:0", 4, 4, True),
    ]
    alone, pairs = Config(per_device=1), Config(per_device=2)
    assert [one.device for one in shares_of(devices, alone, bytes_of)] == devices
    assert not any(one.on_trial for one in shares_of(devices, pairs, bytes_of))


def test_gpu_whose_driver_hangs_is_one_whose_memory_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr("daemon.pool.gpu.memory", lambda device: hangs.wait())
    monkeypatch.setattr("daemon.pool.devices.DRIVER_S", 0.0)
    assert gpu_bytes("cuda:0") is None
    hangs.set()
