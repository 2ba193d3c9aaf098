"""What the kernel tells of this process's threads and of the processors they compute on.

Torch-free. Costs some ten microseconds for each thread.
Source: the kernel's sched-stats.rst for schedstat, proc(5) for stat.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
TASKS = Path("/proc/self/task")
AT_REST = slice(3, 5)
"""Of a processor's times: idle, and idle with a disk at work."""

TICKS_A_SECOND = 100
"""Of /proc/stat, on every architecture that torch is built for."""


@dataclass(frozen=True)
class ThreadTimes:
    """Seconds until now.

    clock_s: of the clock.  own_s: that this process computed, in all its threads.  waited_s: by
    thread, that it could have computed and got no processor: others had it, or a quota was used up.
    idle_s: that the processors which this process may use had nothing to do.
    """

    clock_s: float
    own_s: float
    waited_s: Mapping[str, float]
    idle_s: float


def read_times() -> ThreadTimes | None:
    """The times now; None where the kernel does not tell them."""
    waited_s, idle_s = waited_seconds(), idle_seconds()
    if waited_s is None or idle_s is None:
        return None
    return ThreadTimes(time.perf_counter(), time.process_time(), waited_s, idle_s)


def waited_seconds() -> dict[str, float] | None:
    """What each thread has waited for a processor; None where the kernel does not tell."""
    found: dict[str, float] = {}
    computed = 0
    try:
        for task in TASKS.iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                told = (task / "schedstat").read_text("utf-8").split()
                computed += int(told[0])
                found[task.name] = int(told[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
    return found if computed else None  # a kernel that does not count says 0 of everything


def idle_seconds() -> float | None:
    """What the processors of this process's affinity were idle; None where that is not told."""
    try:
        names = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        lines = [line.split() for line in STAT.read_text("utf-8").splitlines()]
        told = [words[1:] for words in lines if words and words[0] in names]
        ticks = sum(int(one) for times in told for one in times[AT_REST])
    except (AttributeError, OSError, ValueError):
        return None
    return ticks / TICKS_A_SECOND if told else None
