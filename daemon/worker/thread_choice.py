"""How many threads to compute with beside other programs: a decision, without clock or torch.

Threads that divide a step among them wait for the slowest. One that shares its processor with
another program makes the step two or three times as long, where going without it costs one part in
so many: fewer threads are faster while that lasts. What others need is not known beforehand, so
every change is a trial, by the seconds of the steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from daemon.worker.contention import ThreadTimes

BUSY = 0.25
"""Threads waiting for a processor, on average, from which on others are in the way. Heuristic:
the odd demon makes a few hundredths, a program that computes a half."""

LOOKS = 2
"""How many looks in a row must find the same before anything is done."""

ROOM = 0.75
"""How much of a processor must be free before another thread is given to it."""

CALM_S = 10.0
"""How long it must have been free."""

LASTING_S = 60.0
"""More threads that are too many again before this were no help."""

WORTH = 0.95
"""Fewer threads are kept if steps take at most so much of what they took before."""

HARM = 1.05
"""More threads are kept unless steps take more than so much of what they took before."""

LEAST_WAIT_S = 30.0
MOST_WAIT_S = 300.0
LEAST_WAIT_LOOKS = 20
"""A change that was no help is not tried again for so long, so that trying costs a few per cent."""

OTHERS = "other programs use the processors"
FREE = "the processors are free again"
NO_HELP = "that made no step shorter"


@dataclass(frozen=True)
class Look:
    """What was seen from one look to the next.

    ended_s: the clock at its end.  seconds: how long it was.  waiting: how many threads of this
    process waited for a processor, on average.  room: how many processors were left over by its
    threads and by others.  step_s: seconds of a step.  work: the same for steps that may be
    compared.
    """

    ended_s: float
    seconds: float
    waiting: float
    room: float
    step_s: float
    work: int


@dataclass(frozen=True)
class ThreadChange:
    """Another number of threads, and why."""

    threads: int
    why: str


def look_between(
    before: ThreadTimes, after: ThreadTimes, step_s: Sequence[float], threads: int, work: int
) -> Look:
    """What was seen between two readings, the later one some time after the earlier one.

    step_s: seconds of the steps meanwhile, at least one.  threads: what they computed with.
    """
    seconds = after.clock_s - before.clock_s
    waited = sum(
        max(0.0, waited_s - before.waited_s.get(thread, 0.0))
        for thread, waited_s in after.waited_s.items()
    )
    # What threads leave idle that wait for one another is not room for more of them.
    over = after.idle_s - before.idle_s + after.own_s - before.own_s
    return Look(
        after.clock_s, seconds, waited / seconds, over / seconds - threads, fmean(step_s), work
    )


@dataclass(frozen=True)
class Backoff:
    """Until when something is not tried again, and for how long after it fails the next time."""

    until_s: float = -math.inf
    next_s: float = LEAST_WAIT_S

    def after_failure(self, look: Look) -> "Backoff":
        """Twice as long as the time before, up to five minutes; longer where steps are long."""
        wait_s = max(self.next_s, LEAST_WAIT_LOOKS * look.seconds)
        return Backoff(look.ended_s + wait_s, min(2 * self.next_s, MOST_WAIT_S))


@dataclass(frozen=True)
class ThreadTrial:
    """A change that is being tried: from how many threads, and the last look with those."""

    threads: int
    look: Look


class ThreadChoice:
    """Chooses how many threads to compute with, from `most` down to 1, look by look.

    Undisturbed it stays with `most`.  Another worker that does the same is a program like others:
    both go down until they no longer wait, and share what is there.
    """

    def __init__(self, most: int, threads: int | None = None) -> None:
        """threads: what it begins with; None: `most`."""
        self.threads = threads or most
        self._most = most
        self._trial: ThreadTrial | None = None
        self._raised_s = -math.inf
        self._fewer = self._more = Backoff()
        self._busy_looks = self._free_looks = 0
        self._free_s = 0.0

    def decide(self, look: Look) -> ThreadChange | None:
        """Takes in a look, and says so if another number is to be taken from now on."""
        if self._trial is not None:
            return self._judge(self._trial, look)
        self._busy_looks = self._busy_looks + 1 if look.waiting >= BUSY else 0
        is_free = look.room >= ROOM
        self._free_looks = self._free_looks + 1 if is_free else 0
        self._free_s = self._free_s + look.seconds if is_free else 0.0
        if self.threads > 1 and self._busy_looks >= LOOKS and look.ended_s >= self._fewer.until_s:
            return self._take_fewer(look)
        is_calm = self._free_looks >= LOOKS and self._free_s >= CALM_S
        if self.threads < self._most and is_calm and look.ended_s >= self._more.until_s:
            return self._take_more(look)
        return None

    def _take_fewer(self, look: Look) -> ThreadChange:
        """Goes without the processors that others are on; at most half of the threads at a time."""
        was_raised_for_nothing = look.ended_s - self._raised_s < LASTING_S
        self._more = self._more.after_failure(look) if was_raised_for_nothing else Backoff()
        # Two who share a processor wait half of the time each.
        others = max(1, round(2 * look.waiting))
        return self._try(self.threads - min(others, self.threads // 2), look, OTHERS)

    def _take_more(self, look: Look) -> ThreadChange:
        """Takes the processors that nobody uses."""
        self._raised_s = look.ended_s
        more = max(1, math.floor(look.room + 1.0 - ROOM))
        return self._try(min(self._most, self.threads + more), look, FREE)

    def _try(self, threads: int, look: Look, why: str) -> ThreadChange:
        self._trial = ThreadTrial(self.threads, look)
        self.threads = threads
        self._busy_looks = self._free_looks = 0
        self._free_s = 0.0
        return ThreadChange(threads, why)

    def _judge(self, trial: ThreadTrial, look: Look) -> ThreadChange | None:
        """Keeps what is tried, or goes back to what was before; other work tells nothing of it."""
        self._trial = None
        is_fewer = self.threads < trial.threads
        most = (WORTH if is_fewer else HARM) * trial.look.step_s
        if look.work != trial.look.work or look.step_s <= most:
            return None
        if is_fewer:
            self._fewer = self._fewer.after_failure(look)
        else:
            self._more = self._more.after_failure(look)
        self.threads = trial.threads
        return ThreadChange(self.threads, NO_HELP)
