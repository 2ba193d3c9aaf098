"""The processors: what they are, and what others take of them while something is timed."""

import platform
import time
from dataclasses import dataclass
from pathlib import Path

CPUINFO, STAT = Path("/proc/cpuinfo"), Path("/proc/stat")
AT_WORK = slice(0, 3), slice(5, 8)
"""Of a processor's times: user, nice, system; irq, softirq, steal. The others are rest."""

TICKS_A_SECOND = 100
"""Of /proc/stat, on every architecture that torch is built for."""


def processor_name() -> str:
    """The processor as the system calls it."""
    if told := processor_fact("model name"):
        return f"{told} {platform.machine()}"
    return platform.processor() or platform.machine()


def processor_fact(name: str) -> str:
    """What the kernel tells of the first processor by that name; empty where it does not."""
    try:
        lines = CPUINFO.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    facts = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in facts if key.strip() == name), "")


@dataclass(frozen=True)
class ProcessorTimes:
    """Seconds until now.

    clock_s: of the clock.  own_s: that this process computed, in all its threads.  all_s: that all
    programs did on all processors, and that a hypervisor kept; None where the kernel does not tell.
    """

    clock_s: float
    own_s: float
    all_s: float | None


def processor_times() -> ProcessorTimes:
    """The times now."""
    return ProcessorTimes(time.perf_counter(), time.process_time(), all_seconds())


def all_seconds() -> float | None:
    """What all programs have computed since the start of the machine; None if that is not told."""
    try:
        name, *ticks = STAT.read_text("utf-8").partition("\n")[0].split()
        told = [int(one) for one in ticks]
    except (OSError, ValueError):
        return None
    at_work = sum(sum(told[part]) for part in AT_WORK)
    return at_work / TICKS_A_SECOND if name == "cpu" and at_work else None


def share_of_others(before: ProcessorTimes, after: ProcessorTimes, threads: int) -> float:
    """What other programs computed between two looks, to what this process could with its threads.

    0.5: with two threads, one processor.  Where the kernel does not tell, what the process went
    without; threads that waited for one another are in that, so that it is rather too much.
    """
    possible_s = threads * (after.clock_s - before.clock_s)
    own_s = after.own_s - before.own_s
    if possible_s <= 0:
        return 0.0
    if before.all_s is None or after.all_s is None:
        return max(0.0, 1.0 - own_s / possible_s)
    return max(0.0, (after.all_s - before.all_s - own_s) / possible_s)
