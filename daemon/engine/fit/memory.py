"""How much memory there is, how much a run took at most, and how it looks when there is none."""

import contextlib
import ctypes
import errno
import os
import re
import resource
import shutil
from pathlib import Path

import torch

from daemon.engine.fit import cgroups

REFUSALS = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "memory allocation error",
    "bad_alloc",
    "alloc_failed",
)
"""In the words of torch's allocator, the C library, CUDA, MKL, C++, and cuBLAS and its kin."""

ONEDNN_REFUSALS = frozenset(
    {
        "could not create a primitive",
        "could not execute a primitive",
        "could not create a memory object",
    }
)
"""All that oneDNN says, which keeps its reason to itself. Of convolutions that it knows it cannot
make one where it gets no memory for its code or its own buffers; what it does not know has no
"primitive descriptor". (A system that forbids code to be written looks the same.)"""

SHARE_OF_FREE = 0.8
"""Of what is free, what a job may take; the rest is for everybody else."""

PART_OF_DISK = 4
"""One part in so many of the free disk may be taken by what lies aside."""


def reset_peak(device: torch.device) -> None:
    """Starts measuring anew, where the platform lets it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        # Linux: "5" resets the peak resident size (proc(5)); elsewhere the peak is the process's.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", "utf-8")


def give_back() -> None:
    """Returns freed memory to the system, where the C library can (glibc)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def held_bytes(device: torch.device) -> int:
    """What is taken now: device memory on CUDA, else resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return proc_kilobytes("/proc/self/status", "VmRSS") * 1024 or most_held_bytes()


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


def share_bytes(device: torch.device, sharers: int, allowed: int | None) -> int | None:
    """What each of so many processes may take of a device; None: all that there is.

    Of a CUDA device a part of what it has, not of what is free now: what another has not taken yet
    is its.  allowed: what those of a CPU may take all together; else each may take its part of what
    is free now, which is everybody's, beside what it holds.
    """
    if sharers < 2:
        return None
    if device.type == "cuda":
        _, total = torch.cuda.mem_get_info(device)
        return int(total * SHARE_OF_FREE) // sharers
    if allowed is not None:
        return allowed // sharers
    return held_bytes(device) + int(free_host_bytes() * SHARE_OF_FREE) // sharers


def give_back_device(device: torch.device) -> None:
    """Returns freed memory of a CUDA device to it, for the other processes that share it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def aside_bytes(device: torch.device, folder: Path) -> int:
    """What may lie aside: in `folder`, or for CUDA in host memory.

    Of the disk a quarter of what is free: two checkpoints of the same vectors, the one before and
    the one being written, must find room too, and the rest of the service. None of a disk that does
    not tell: tiles can be small instead.
    """
    if device.type == "cuda":
        return int(free_host_bytes() * SHARE_OF_FREE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(folder).free // PART_OF_DISK
    except OSError:
        return 0


def to_be_freed_bytes(device: torch.device, folder: Path, aside: int) -> int:
    """What must be freed, of the disk or for CUDA of host memory, for `aside` bytes to lie aside.

    0 if there is room.
    """
    missing = max(0, aside - aside_bytes(device, folder))
    return int(missing / SHARE_OF_FREE) if device.type == "cuda" else missing * PART_OF_DISK


def free_host_bytes() -> int:
    """What the machine and the process's control groups still have."""
    free = proc_kilobytes("/proc/meminfo", "MemAvailable") * 1024 or untold_free_bytes()
    return min([free, *(group.left_bytes for group in cgroups.memory_groups())])


def untold_free_bytes() -> int:
    """What is probably free where the kernel does not tell (no /proc): half of all there is."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def proc_kilobytes(path: str, name: str) -> int:
    """A value of a file such as /proc/meminfo; 0 where there is none."""
    try:
        found = re.search(rf"{name}:\s+(\d+) kB", Path(path).read_text("utf-8"))
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there was no memory: of torch, numpy, Python or the system."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):  # numpy's is a MemoryError
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return False
    said = str(error).lower()
    return said.strip() in ONEDNN_REFUSALS or any(one in said for one in REFUSALS)


def peak_bytes(device: torch.device) -> int:
    """Peak since `reset_peak`: device memory on CUDA, else resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return proc_kilobytes("/proc/self/status", "VmHWM") * 1024 or most_held_bytes()


def most_held_bytes() -> int:
    """The most the process has ever held, which is known without /proc too."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
