"""What NVML, the driver's library, tells of a CUDA device's memory, and of whose it is.

Nothing here needs a GPU: without a driver there is nothing to tell, which is None, or [].
"""

import functools
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pynvml

Told = TypeVar("Told")
Handle = Any


@dataclass(frozen=True)
class GpuMemory:
    """The memory of a device, in bytes; used: by everybody, without what the driver keeps back."""

    used_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory of a device; None: the driver does not tell how much."""

    pid: int
    used_bytes: int | None


def memory(device: str, environment: Mapping[str, str] = os.environ) -> GpuMemory | None:
    """The memory of a device such as `cuda:0`; None without a driver or such a device."""

    def look(handle: Handle) -> GpuMemory:
        try:
            found = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
        except pynvml.NVMLError_FunctionNotFound:  # an old driver counts its own as used
            found = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return GpuMemory(int(found.used), int(found.total))

    return ask(device, environment, look)


def processes(device: str, environment: Mapping[str, str] = os.environ) -> list[GpuProcess]:
    """The processes that use a device; [] without a driver, or where it does not tell."""

    def look(handle: Handle) -> list[GpuProcess]:
        found: dict[int, int | None] = {}
        for kind in (
            pynvml.nvmlDeviceGetComputeRunningProcesses,
            pynvml.nvmlDeviceGetGraphicsRunningProcesses,
        ):
            for one in kind(handle):  # who computes and draws is in both
                found[int(one.pid)] = one.usedGpuMemory
        return [GpuProcess(pid, used) for pid, used in found.items()]

    return ask(device, environment, look) or []


def used_by_others(
    taken: GpuMemory, listed: Collection[GpuProcess], own_pids: Collection[int]
) -> int | None:
    """Bytes of a device's memory that processes other than `own_pids` hold.

    None where that cannot be told: in a container whose driver lists no processes, or by numbers
    that mean others here; ours would then pass for somebody else's.
    """
    own = [one.used_bytes for one in listed if one.pid in own_pids]
    strangers = any(not Path(f"/proc/{one.pid}").exists() for one in listed)
    if own_pids and not own and (strangers or not listed):
        return None
    known = [used for used in own if used is not None]
    return max(0, taken.used_bytes - sum(known)) if len(known) == len(own) else None


def ask(device: str, environment: Mapping[str, str], look: Callable[[Handle], Told]) -> Told | None:
    """What `look` finds of a device; None without a driver, such a device, or an answer."""
    try:
        start()
        handle = handle_of(device, environment)
        return look(handle) if handle is not None else None
    except Exception:  # NVMLError as a rule; a library that does not fit its driver, whatever
        start.cache_clear()  # a driver that was loaded anew wants to be greeted anew
        return None


@functools.cache
def start() -> None:
    """Begins to talk to the driver, once: it may take a second. Raises NVMLError without one."""
    pynvml.nvmlInit()


def handle_of(device: str, environment: Mapping[str, str]) -> Handle | None:
    """NVML's handle of a CUDA device, None if there is none or it is not known which.

    CUDA counts only what CUDA_VISIBLE_DEVICES shows. NVML counts by the place on the bus; CUDA
    does so where GPUs are alike, and else only with CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """
    number = int(device.partition(":")[2] or 0)
    shown = environment.get("CUDA_VISIBLE_DEVICES")
    names = [str(one) for one in range(pynvml.nvmlDeviceGetCount())]
    if shown is not None:
        names = [name.strip() for name in shown.split(",")]
    if number >= len(names):
        return None
    name = names[number]
    if name.startswith("MIG-"):
        return pynvml.nvmlDeviceGetHandleByUUID(name)
    handles = [pynvml.nvmlDeviceGetHandleByIndex(one) for one in range(pynvml.nvmlDeviceGetCount())]
    if name.startswith("GPU-"):  # the beginning is enough for CUDA
        alike = [one for one in handles if pynvml.nvmlDeviceGetUUID(one).startswith(name)]
        return alike[0] if len(alike) == 1 else None
    in_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if not in_order and len({pynvml.nvmlDeviceGetName(one) for one in handles}) > 1:
        return None
    return handles[int(name)] if name.isdigit() and int(name) < len(handles) else None
