"""Which devices are used: only `auto` may fall back to the CPU."""

import pytest

from daemon.errors import ConfigError
from daemon.pool.devices import resolve_devices

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
