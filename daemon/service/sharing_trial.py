"""Whether several jobs at once on a device give more pictures an hour, found out while it paints.

Pure. Nothing is painted for the sake of it: the first jobs of a kind are painted one at a time, the
next two at a time, and so on, until one more no longer pays.
"""

import statistics
from dataclasses import dataclass, field
from typing import NamedTuple

JOBS = 5
"""Of one kind and at one level, so that one that was cold, or ended early, does not count."""

LEAST_GAIN = 1.05
"""One more job at once must give so many times the pictures, for its gigabyte of host memory.
Medians of JOBS jobs of a kind differ by less."""

MOST_KINDS = 64


class JobKind(NamedTuple):
    """What takes about as long: jobs after one preset, whose pixels have as many binary digits."""

    preset: str
    digits: int


def kind_of_job(preset: str, pixels: int) -> JobKind:
    """The kind of a job."""
    return JobKind(preset, pixels.bit_length())


@dataclass
class SharingTrial:
    """How many jobs at once one device is to have.

    most: never more.  level: so many now.  settled: it stays so.  fixed: somebody has said so.
    """

    most: int
    level: int = 1
    settled: bool = False
    fixed: bool = False
    _seconds: dict[JobKind, dict[int, list[float]]] = field(default_factory=dict)

    def note(self, kind: JobKind, at_once: int, seconds: float) -> str | None:
        """Takes in a job that was painted; what follows from it in words, None if nothing does.

        at_once: how many jobs the device had while it was painted.
        """
        if self.settled or at_once != self.level:
            return None
        if kind not in self._seconds and len(self._seconds) >= MOST_KINDS:
            self._seconds.pop(next(iter(self._seconds)))
        levels = self._seconds.setdefault(kind, {})
        levels.setdefault(at_once, []).append(seconds)
        return self._decide(levels) if len(levels[at_once]) >= JOBS else None

    def retreat(self) -> str | None:
        """Takes in that a job failed beside others for want of what they share; see `note`."""
        if self.fixed or self.level == 1:
            return None
        self.level -= 1
        return f"a job had no room beside others; {self._settle()}"

    def _decide(self, levels: dict[int, list[float]]) -> str | None:
        """Takes the next level, or ends; the first kind of job that was seen enough decides."""
        before = levels.get(self.level - 1, [])
        if self.level > 1 and len(before) < JOBS:
            return None
        told = ""
        if self.level > 1:
            gain = rate(self.level, levels[self.level]) / rate(self.level - 1, before)
            told = f"{self.level} at once give {gain:.2f} times the pictures of {self.level - 1}; "
            if gain < LEAST_GAIN:
                self.level -= 1
                return told + self._settle()
        if self.level == self.most:
            return told + self._settle()
        self.level += 1
        return f"{told}tries {self.level} at once"

    def _settle(self) -> str:
        self.settled = True
        self._seconds.clear()
        return f"stays with {self.level} at once"


def rate(at_once: int, seconds: list[float]) -> float:
    """Pictures a second of so many jobs at once that take so long each."""
    return at_once / max(statistics.median(seconds), 1e-6)
