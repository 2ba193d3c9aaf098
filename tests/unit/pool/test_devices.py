"""Which devices are used: only `auto` may fall back to the CPU."""

import threading

import pytest

from daemon.errors import ConfigError
from daemon.pool.devices import MOST_ON_TRIAL, gpu_bytes, resolve_devices, sharers_of, shares_of
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
        ("cpu", "auto", 1),
        ("cpu", 4, 1),
    ],
)
def test_gpu_has_as_many_workers_as_asked_for_or_as_its_memory_has_room_for(
    device: str, per_device: PerDevice, workers: int
) -> None:
    assert sharers_of(device, per_device, CARDS.get) == workers


def test_workers_come_by_their_numbers_so_that_every_gpu_is_used_first() -> None:
    devices = ["cuda:0", "cpu", "cuda:1"]
    found = shares_of(devices, "auto", CARDS.get)
    assert [(one.device, one.number, one.sharers, one.on_trial) for one in found] == [
        ("cuda:0", 1, 4, True),
        ("cpu", 1, 1, False),
        ("cuda:1", 1, 2, True),
        ("cuda:0", 2, 4, True),
        ("cuda:1", 2, 2, True),
        ("cuda:0", 3, 4, True),
        ("cuda:0", 4, 4, True),
    ]
    assert [one.device for one in shares_of(devices, 1, CARDS.get)] == devices
    assert not any(one.on_trial for one in shares_of(devices, 2, CARDS.get))


def test_gpu_whose_driver_hangs_is_one_whose_memory_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr("daemon.pool.gpu.memory", lambda device: hangs.wait())
    monkeypatch.setattr("daemon.pool.devices.DRIVER_S", 0.0)
    assert gpu_bytes("cuda:0") is None
    hangs.set()
