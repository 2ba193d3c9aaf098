"""How much memory the devices have, and how much of it the workers hold."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DeviceMemory:
    """The memory of a device, in bytes. used: by everybody.  own: by the service's workers.

    others: by other programs; None where that cannot be told.
    """

    device: str
    used_bytes: int
    own_bytes: int
    total_bytes: int
    others_bytes: int | None = None


def device_memory(
    devices: Iterable[str], own_pids: Mapping[str, Collection[int]]
) -> list[DeviceMemory]:
    """The memory of each device; without those whose driver tells nothing.

    own_pids: the workers' processes of each device that has any.
    """
    looks = (
        (host_memory if device == "cpu" else cuda_memory)(device, own_pids.get(device, ()))
        for device in devices
    )
    return [memory for memory in looks if memory is not None]


def cuda_memory(device: str, own_pids: Collection[int]) -> DeviceMemory | None:
    """A CUDA device's memory; None where its driver does not tell."""
    from daemon.pool import gpu  # where there is no GPU its library would only take room

    taken = gpu.memory(device)
    if taken is None:
        return None
    processes = gpu.processes(device)
    own = sum(one.used_bytes or 0 for one in processes if one.pid in own_pids)
    others = gpu.used_by_others(taken, processes, own_pids)
    return DeviceMemory(device, taken.used_bytes, own, taken.total_bytes, others)


def host_memory(device: str, own_pids: Collection[int]) -> DeviceMemory | None:
    """The machine's memory, of which the workers hold what is resident; None where it is hidden."""
    try:
        text = Path("/proc/meminfo").read_text("utf-8")
        kilobytes = dict(re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE))
        total = int(kilobytes["MemTotal"]) * 1024
        used = total - int(kilobytes["MemAvailable"]) * 1024
    except (OSError, KeyError):
        return None
    return DeviceMemory(device, used, sum(map(resident_bytes, own_pids)), total)


def resident_bytes(pid: int) -> int:
    """The memory a process has now; 0 when it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1]
    except (OSError, IndexError):  # empty while a process ends
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
