"""Which devices there are, found out without loading torch into the service."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.errors import ConfigError, Fault
from daemon.host.bounded import NoAnswerError, within
from daemon.host.process import FOLDER, python, python_environment
from daemon.settings.machine import PerDevice

DRIVER_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What an NVIDIA, AMD or WSL driver leaves; without any of them asking torch is no use."""

PROBE_TIMEOUT_S = 120.0
DRIVER_S = 10.0

SHARE_BYTES = 6_000_000_000
"""What a worker should have of a GPU that others share, by `auto`: its context and libraries take
one of them, and a megapixel at most four."""

MOST_ON_TRIAL = 4
"""Workers of one GPU by `auto`. Each takes a gigabyte of host memory, too."""


def cuda_devices() -> list[str]:
    """The CUDA devices torch sees, asked in a process of its own."""
    if not any(Path(name).exists() for name in DRIVER_FILES):
        return []
    try:
        answer = subprocess.run(
            python("daemon.worker.probe"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
            cwd=FOLDER,
            env=python_environment(),
        )
        found: list[str] = json.loads(answer.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return []
    return found


@dataclass(frozen=True)
class Share:
    """One worker of a device, its number from 1, and of how many; see `WorkerSettings`."""

    device: str
    number: int
    sharers: int
    on_trial: bool


def gpu_bytes(device: str) -> int | None:
    """How much memory a CUDA device has; None where its driver does not tell, or hangs."""
    from daemon.pool import gpu  # where nobody asks its library would only take room

    found: list[gpu.GpuMemory | None] = [None]
    with contextlib.suppress(NoAnswerError):
        within(DRIVER_S, lambda: found.append(gpu.memory(device)))
    return found[-1].total_bytes if found[-1] else None


def sharers_of(
    device: str, per_device: PerDevice, total_bytes: Callable[[str], int | None] = gpu_bytes
) -> int:
    """How many workers a device has. `auto`: as many as its memory has room for, four at most.

    One on the CPU, whose threads a single worker keeps busy.
    """
    if device == "cpu":
        return 1
    if per_device != "auto":
        return per_device
    total = total_bytes(device)
    if total is None:
        logger.warning(
            "{} has one job at a time, since its driver does not tell its memory; set per_device "
            "to a number if it has room for more",
            device,
        )
        return 1
    return max(1, min(MOST_ON_TRIAL, total // SHARE_BYTES))


def shares_of(
    devices: Sequence[str],
    per_device: PerDevice,
    total_bytes: Callable[[str], int | None] = gpu_bytes,
) -> Iterator[Share]:
    """Every worker of some devices: each device's first, then each device's second, and so on."""
    sharers = [sharers_of(device, per_device, total_bytes) for device in devices]
    for number in range(1, max(sharers, default=0) + 1):
        for device, count in zip(devices, sharers, strict=True):
            if number <= count:
                yield Share(device, number, count, on_trial=per_device == "auto" and count > 1)


def resolve_devices(
    wanted: str | Sequence[str], config_file: str, find: Callable[[], list[str]] = cuda_devices
) -> list[str]:
    """The devices to use; of `none` there are none.

    Raises ConfigError if one that was asked for is not there: only `auto` may fall back to the
    CPU.
    """
    if wanted == "none":
        return []
    if wanted == "cpu":
        return ["cpu"]
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if all(name == "cpu" for name in names):
        return names
    present = find()
    if wanted == "auto":
        return present or ["cpu"]
    expanded = present if names == ["cuda"] else ["cuda:0" if n == "cuda" else n for n in names]
    expanded = list(dict.fromkeys(expanded))  # `cuda` beside `cuda:0` is one device
    missing = [name for name in expanded if name != "cpu" and name not in present]
    if missing or not expanded:
        seen = ", ".join(present) or "none"
        message = (
            f"asks for {', '.join(missing) or 'cuda'}, but torch sees these CUDA devices: {seen}; "
            "check nvidia-smi, or set devices: auto"
        )
        raise ConfigError([Fault(config_file, 1, "devices", message)])
    return expanded
