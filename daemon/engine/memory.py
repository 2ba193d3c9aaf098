"""How much memory there is, how much a run took at most, and how it looks when there is none."""

import contextlib
import ctypes
import errno
import re
import shutil
from pathlib import Path

import torch

CGROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60

REFUSALS = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "memory allocation error",
    "bad_alloc",
    "alloc_failed",
)
"""In the words of torch's allocator, the C library, CUDA, MKL, C++, and cuBLAS and its kin."""

SHARE_OF_FREE = 0.8
"""Of what is free, what a job may take; the rest is for everybody else."""


def reset_peak(device: torch.device) -> None:
    """Starts measuring anew, where the platform lets it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        # Linux: "5" resets the peak resident size (proc(5)); elsewhere the peak is the process's.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def give_back() -> None:
    """Returns freed memory to the system, where the C library can (glibc)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def held_bytes(device: torch.device) -> int:
    """What is taken now: device memory on CUDA, else resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return proc_kilobytes("/proc/self/status", "VmRSS") * 1024


def budget_bytes(device: torch.device, allowed: int | None) -> int:
    """What the process may take: `allowed`, or what it has and four fifths of what is free."""
    if allowed is not None:
        return allowed
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    else:
        free = free_host_bytes()
    return held_bytes(device) + int(free * SHARE_OF_FREE)


def aside_bytes(device: torch.device, folder: Path) -> int:
    """What may lie aside: in `folder`, or for CUDA in host memory.

    Of the disk a quarter of what is free: two checkpoints of the same vectors, the one before and
    the one being written, must find room too, and the rest of the service.
    """
    if device.type == "cuda":
        return int(free_host_bytes() * SHARE_OF_FREE)
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free // 4


def free_host_bytes() -> int:
    """What the machine and the process's control group still have."""
    return min(proc_kilobytes("/proc/meminfo", "MemAvailable") * 1024, left_in_cgroup())


def left_in_cgroup() -> int:
    """What the control group of the process (a container, a systemd unit) may still take."""
    least = UNLIMITED
    try:
        unit = Path("/proc/self/cgroup").read_text().strip().rpartition("::/")[2]
    except OSError:
        return least
    folder = CGROUPS / unit
    while folder.is_relative_to(CGROUPS):
        with contextlib.suppress(OSError, ValueError):
            limit = int((folder / "memory.max").read_text())  # "max" where there is none
            taken = int((folder / "memory.current").read_text())
            # Files read or written count too, but give way.
            cached = re.search(r"^inactive_file (\d+)", (folder / "memory.stat").read_text(), re.M)
            least = min(least, limit - taken + (int(cached.group(1)) if cached else 0))
        folder = folder.parent
    return max(least, 0)


def proc_kilobytes(path: str, name: str) -> int:
    """A value of a file such as /proc/meminfo; 0 where there is none."""
    try:
        found = re.search(rf"{name}:\s+(\d+) kB", Path(path).read_text())
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def ran_out(error: BaseException) -> bool:
    """Whether an error means that there was no memory: of torch, numpy, Python or the system."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):  # numpy's is a MemoryError
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(one in said for one in REFUSALS)


def peak_bytes(device: torch.device) -> int:
    """Peak since `reset_peak`: device memory on CUDA, else resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = proc_kilobytes("/proc/self/status", "VmHWM") * 1024
    if not peak:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return peak
