"""What a container or a unit grants of the machine: processors and memory, by control groups.

Both versions are read, together where a machine has both, with every group above the process's own
that is in sight: the tightest limit counts. Torch-free.
Source: cgroups(7), proc(5) for mountinfo; the kernel's cgroup-v2.rst, and memory.rst and
sched-bwc.rst for version 1.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/self")
UNLIMITED = 1 << 60
MOUNT = re.compile(r"^\S+ \S+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class MemoryGroup:
    """What a group may take, and may still take, in bytes."""

    folder: Path
    limit_bytes: int
    left_bytes: int


def threads_of_each(sharers: int, environment: Mapping[str, str] = os.environ) -> int:
    """How many threads each of so many processes should compute with.

    As many as OMP_NUM_THREADS wishes, but no more than processors are granted: threads that wait
    for one another make no step. Else its share of those, at least 1.
    """
    granted = processors()
    if wish := wished_threads(environment):
        return min(wish, granted)
    return max(1, granted // max(sharers, 1))


def wished_threads(environment: Mapping[str, str] = os.environ) -> int | None:
    """How many threads OMP_NUM_THREADS wishes; None where it says nothing that could be meant."""
    wish = re.match(r"\s*0*(\d+)", environment.get("OMP_NUM_THREADS", ""))  # a list is by level
    return int(wish[1][:9]) if wish and wish[1] != "0" else None


def may_adapt(threads: int | None) -> bool:
    """Whether a worker may take fewer threads beside others: nobody has said how many it has."""
    return threads is None and wished_threads() is None


def processors() -> int:
    """The least of this process's affinity and the quotas of its groups, rounded up, at least 1."""
    try:
        least = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # another system
        least = os.cpu_count() or 1
    quotas = (quota(folder) for folder in group_folders("cpu"))
    return max(1, min([least, *(math.ceil(one) for one in quotas if one is not None)]))


def quota(folder: Path) -> float | None:
    """The processors' time a group may take, in processors; None where it is not limited."""
    words = text_of(folder / "cpu.max").split()
    if len(words) != 2:
        words = [text_of(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    with contextlib.suppress(ValueError, ZeroDivisionError):  # "max", or "" where there is none
        found = int(words[0]) / int(words[1])
        return found if found > 0 else None  # version 1 says -1
    return None


def memory_groups() -> list[MemoryGroup]:
    """The groups that limit the process's memory, itself first."""
    found = (memory_group(folder) for folder in group_folders("memory"))
    return [one for one in found if one is not None and one.limit_bytes < UNLIMITED]


def memory_group(folder: Path) -> MemoryGroup | None:
    """What a group's files say; None where it has none for memory."""
    stat = text_of(folder / "memory.stat")
    limits = [number(text_of(folder / name)) for name in ("memory.max", "memory.high")]
    limits.append(number(text_of(folder / "memory.limit_in_bytes")))
    # Version 1 tells of the groups above, which a container may not see.
    limits.append(counted(stat, "hierarchical_memory_limit"))
    taken = number(text_of(folder / "memory.current"))
    if taken is None:
        taken = number(text_of(folder / "memory.usage_in_bytes"))
    known = [limit for limit in limits if limit is not None]
    if taken is None or not known:
        return None
    # Files read or written count too, but give way.
    cached = counted(stat, "total_inactive_file")
    cached = counted(stat, "inactive_file") if cached is None else cached
    limit = min(known)
    return MemoryGroup(folder, limit, max(limit - taken + (cached or 0), 0))


def group_folders(controller: str) -> Iterator[Path]:
    """The folders of the process's groups that hold the files of a controller, itself first."""
    own = dict(own_paths())
    for root, point, kind, options in MOUNT.findall(text_of(PROC / "mountinfo")):
        name = "" if kind == "cgroup2" else controller
        if kind == "cgroup" and controller not in options.split(","):
            continue
        top = Path(unescaped(point))
        inside = Path(own.get(name, "/"))
        root = Path(unescaped(root))
        # A container may see its own group alone, or paths of a hierarchy that is not mounted here.
        below = inside.relative_to(root) if inside.is_relative_to(root) else Path()
        folder = top / below if (top / below).is_dir() else top
        yield from [folder, *(up for up in folder.parents if up.is_relative_to(top))]


def own_paths() -> Iterator[tuple[str, str]]:
    """The process's group of each controller; version 2 has one for all, by an empty name."""
    for line in text_of(PROC / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for name in controllers.split(","):
            yield name, path


def unescaped(path: str) -> str:
    """A path of mountinfo, whose blanks are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def counted(stat: str, name: str) -> int | None:
    """A number of memory.stat."""
    found = re.search(rf"^{name} (\d+)$", stat, re.MULTILINE)
    return int(found[1]) if found else None


def number(text: str) -> int | None:
    """A file's number; `max` is UNLIMITED, and None that there is nothing to read."""
    text = text.strip()
    if text == "max":
        return UNLIMITED
    return int(text) if text.isdigit() else None


def text_of(path: Path) -> str:
    """A file of the kernel; empty where there is none."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
