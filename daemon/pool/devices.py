"""Which devices there are, found out without loading torch into the service."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.engine.fit.cgroups import (
    memory_groups,
    processors,
    threads_of_each,
    wished_threads,
)
from daemon.errors import ConfigError, Fault
from daemon.host.bounded import NoAnswerError, within
from daemon.host.process import FOLDER, python, python_environment
from daemon.messages import WorkerSettings
from daemon.pool.face import kind_of
from daemon.pool.memory import host_memory
from daemon.settings.machine import Granted

DRIVER_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What an NVIDIA, AMD or WSL driver leaves; without any of them asking torch is no use."""

PROBE_TIMEOUT_S = 120.0
DRIVER_S = 10.0

SHARE_BYTES = {"cpu": 3_000_000_000, "cuda": 6_000_000_000}
"""What a worker should have of a device that others share, by `auto`, of each kind: itself and its
network, or its context and libraries, take one gigabyte, and a megapixel at most four."""

MOST_ON_TRIAL = 4
"""Workers of one device by `auto`. Each takes a gigabyte of host memory, too."""


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


def device_bytes(device: str, allowed_bytes: int | None = None) -> int | None:
    """How much memory a device has for painting; None where nobody tells.

    allowed_bytes: what workers of the CPU may take of the host's, all together.
    """
    if kind_of(device) != "cpu":
        return gpu_bytes(device)
    host = host_memory(device, ())
    limits = [host.total_bytes if host else None, allowed_bytes]
    limits += [group.limit_bytes for group in memory_groups()]
    return min((limit for limit in limits if limit is not None), default=None)


def sharers_of(
    device: str,
    granted: Granted,
    total_bytes: Callable[[str, int | None], int | None] = device_bytes,
) -> int:
    """How many workers a device has. `auto`: as many as its memory has room for, four at most.

    On the CPU no more than there are threads for: the workers divide them, but for a number that
    somebody has set.
    """
    most = MOST_ON_TRIAL if granted.per_device == "auto" else granted.per_device
    if device == "cpu":
        if granted.threads != "auto":
            parts = processors() // granted.threads
        else:
            parts = processors() if wished_threads() is None else 1
        most = max(1, min(most, parts))
    if granted.per_device != "auto" or most == 1:
        return most
    total = total_bytes(device, None if granted.memory == "auto" else int(granted.memory))
    if total is None:
        logger.info(
            "{} has one job at a time, since its driver does not tell its memory; set per_device "
            "to a number if it has room for more",
            device,
        )
        return 1
    return max(1, min(most, total // SHARE_BYTES[kind_of(device)]))


def shares_of(
    devices: Sequence[str],
    granted: Granted,
    total_bytes: Callable[[str, int | None], int | None] = device_bytes,
) -> Iterator[Share]:
    """Every worker of some devices: each device's first, then each device's second, and so on."""
    sharers = [sharers_of(device, granted, total_bytes) for device in devices]
    for number in range(1, max(sharers, default=0) + 1):
        for device, count in zip(devices, sharers, strict=True):
            if number <= count:
                on_trial = granted.per_device == "auto" and count > 1
                yield Share(device, number, count, on_trial=on_trial)


def threads_among(workers: Iterable[Share | WorkerSettings]) -> int:
    """How many threads each of some workers may compute with, where none are set.

    Those of the CPU may all take the same ones: how they divide them is for each run to say.
    """
    return threads_of_each(sum(one.device != "cpu" or one.number == 1 for one in workers))


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
