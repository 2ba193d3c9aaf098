"""The number of threads that a worker computes with, step by step, and what is told of it."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.paint import Stepped
from daemon.messages import ThreadCount, known, plain
from daemon.worker.contention import ThreadTimes, read_times
from daemon.worker.thread_choice import ThreadChange, ThreadChoice, look_between

THREADS = "threads"
"""Where a checkpoint's facts tell of them."""

LOOK_S = 0.5
"""Between two looks at least: the kernel counts idle processors in hundredths of a second."""


class ThreadKeeper:
    """Sets how many threads torch computes with, and keeps with how many each step was computed.

    threads: all that the worker may compute with.  on_cpu: whether it is they that paint; nothing
    is done or told of them else.  is_adaptive: whether it takes fewer of them while others use the
    processors.  What is chosen outlasts a painting: who is beside it does not go with it.
    """

    def __init__(
        self,
        threads: int,
        *,
        on_cpu: bool,
        is_adaptive: bool,
        read: Callable[[], ThreadTimes | None] = read_times,
        clock: Callable[[], float] = time.perf_counter,
        set_threads: Callable[[int], None] = torch.set_num_threads,
    ) -> None:
        self._all = self._now = threads
        self._at_once = 1
        self._choice = ThreadChoice(threads)
        self._on_cpu = on_cpu
        self._may_choose = self._is_adaptive = is_adaptive and on_cpu and threads > 1
        self._read = read
        self._clock = clock
        self._set_threads = set_threads
        self._work = 0
        self._step_s: list[float] = []
        self._before: ThreadTimes | None = None
        self._place = (1, 1)
        self._counts: list[ThreadCount] = []

    def go_on(self, resumed: Checkpoint) -> None:
        """Takes in with how many threads the steps before a checkpoint were computed."""
        self._counts = told_by(resumed)

    @property
    def counts(self) -> tuple[ThreadCount, ...]:
        """With how many threads the steps of the painting so far were computed."""
        return tuple(self._counts)

    def told_in(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint, which also tells of the threads of the steps before it."""
        return replace(
            checkpoint,
            facts={**checkpoint.facts, THREADS: [plain(one) for one in self._counts]},
        )

    def divide(self, at_once: int) -> None:
        """Takes its part of the threads from now on, where so many jobs are painted at once."""
        part = max(1, self._all // at_once)
        if self._may_choose and (at_once != self._at_once or self._choice.threads > part):
            self._at_once = at_once
            self._choice = ThreadChoice(self._all, part)

    def prepare(self) -> None:
        """Begins with what comes before a pass's first step, which is nothing to compare."""
        self._set(self._choice.threads)
        self._step_s.clear()
        self._before = None
        self._work += 1

    def note(self, moment: Stepped) -> None:
        """Takes in a step."""
        if not self._on_cpu:
            return
        self._step_s.append(moment.step.seconds)
        self._place = moment.pass_number, moment.step.number
        # What comes later is of another painting, or of steps that are taken anew.
        self._counts = [one for one in self._counts if one.begins < self._place]
        if not self._counts or self._counts[-1].threads != self._now:
            self._counts.append(ThreadCount(self._now, *self._place))

    def rest(self) -> str:
        """Looks around between two steps if it is time; returns what it changed, in words."""
        if not self._is_adaptive:
            return ""
        before = self._before
        if before is None:  # what came before the first step is no step
            return self._look_from_now()
        if self._clock() - before.clock_s < LOOK_S:
            return ""
        after = self._read()
        if after is None or after.clock_s <= before.clock_s or not self._step_s:
            return ""
        change = self._choice.decide(
            look_between(before, after, self._step_s, self._now, self._work)
        )
        told = self._describe(change) if change else ""
        self._set(self._choice.threads)
        self._before = after
        self._step_s.clear()
        return told

    def _look_from_now(self) -> str:
        self._before = self._read()
        self._step_s.clear()
        if self._before is not None:
            return ""
        self._is_adaptive = False
        return "the kernel does not tell how long threads wait: their number stays what it is"

    def _describe(self, change: ThreadChange) -> str:
        number, step = self._place
        return (
            f"{change.why}: {in_words(change.threads)} instead of {self._now} from step {step + 1} "
            f"of pass {number} on"
        )

    def _set(self, threads: int) -> None:
        if threads != self._now:
            self._set_threads(threads)
            self._now = threads


def told_by(checkpoint: Checkpoint) -> list[ThreadCount]:
    """The threads of the steps before a checkpoint; nothing where an earlier version wrote it."""
    try:
        return [known(ThreadCount, one) for one in checkpoint.facts[THREADS]]
    except (KeyError, TypeError):
        return []


def in_words(threads: int) -> str:
    """A number of threads as people read it."""
    return "1 thread" if threads == 1 else f"{threads} threads"
