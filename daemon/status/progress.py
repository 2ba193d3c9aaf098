"""Progress while it happens: bars on a terminal, plain lines now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from daemon.messages import Progress
from daemon.status.live import Live, RunningJob, follow, loss_text
from daemon.status.report import in_words

PLAIN_EVERY_S = 10.0


def on_terminal() -> bool:
    """Whether a person looks at the standard error, where progress goes."""
    return sys.stderr.isatty()


def make_bars() -> Bars:
    """Progress bars with step, loss and ETA."""
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[loss]}"),
        TextColumn("ETA {task.fields[eta]}"),
        console=Console(stderr=True),
        transient=True,
    )


@contextlib.contextmanager
def shown_jobs(*, plain: bool) -> Iterator[Callable[[Sequence[RunningJob]], None]]:
    """Shows running jobs in bars on a terminal; elsewhere, if `plain`, by a line now and then."""
    if not on_terminal():
        ticker = Ticker()

        def tell(running: Sequence[RunningJob]) -> None:
            for job in running if plain else ():
                ticker.tell(job)

        yield tell
        return
    bars = make_bars()
    tasks: dict[str, TaskID] = {}

    def show(running: Sequence[RunningJob]) -> None:
        for job in running:
            if job.id in tasks:
                bars.update(tasks[job.id], **bar_of(job))
            else:
                tasks[job.id] = bars.add_task(**bar_of(job))
        for gone in set(tasks) - {job.id for job in running}:
            bars.remove_task(tasks.pop(gone))

    with bars:  # rich lets what is logged meanwhile appear above the bars
        yield show


@contextlib.contextmanager
def service_progress(*, plain: bool) -> Iterator[Callable[[Live], None]]:
    """Shows a service's running jobs.

    plain: not only on a terminal; a service that runs for ever leaves that to its log.
    """
    with shown_jobs(plain=plain) as show:
        yield lambda live: show(live.running)


@contextlib.contextmanager
def single_progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """Shows one picture's progress."""
    job = RunningJob("", name, "", "")
    with shown_jobs(plain=True) as show:
        show([job])

        def tell(step: Progress) -> None:
            follow(job, step)
            show([job])

        yield tell


@contextlib.contextmanager
def no_progress() -> Iterator[Callable[[Live], None]]:
    """Shows nothing."""
    yield lambda live: None


class Ticker:
    """Plain progress lines on standard error, not more than one in ten seconds a job."""

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}

    def tell(self, job: RunningJob) -> None:
        """Says how far a job is, unless it was said a moment ago; its last step always."""
        now_s = time.monotonic()
        recently = now_s - self._told_s.get(job.id, -PLAIN_EVERY_S) < PLAIN_EVERY_S
        if job.steps == 0 or (recently and job.step < job.steps):
            return
        self._told_s[job.id] = now_s
        line = f"step {job.step}/{job.steps}, {loss_text(job)}, ETA {in_words(job.eta_s)}"
        print(f"{job.picture}: {line}", file=sys.stderr, flush=True)


def bar_of(job: RunningJob) -> dict[str, Any]:
    """What the bar of a job shows."""
    return {
        "description": escape(job.picture) + (f" → {job.preset}" if job.preset else ""),
        "total": max(job.steps, 1),
        "completed": job.step,
        "loss": loss_text(job),
        "eta": in_words(job.eta_s),
    }


@contextlib.contextmanager
def counted_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how many of so many are done; elsewhere than on a terminal not more than a line in ten
    seconds.
    """
    told_s = -PLAIN_EVERY_S

    def tell(done: int, total: int) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s < (0.1 if on_terminal() else PLAIN_EVERY_S) and done < total:
            return
        told_s = now_s
        ends = "\r" if on_terminal() and done < total else "\n"
        print(f"{what}: {done} of {total}", end=ends, file=sys.stderr, flush=True)

    yield tell
