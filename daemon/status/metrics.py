"""The service's numbers, for Prometheus to fetch: docs/reference.md lists them.

What happens is counted here as it happens, which costs next to nothing; what stands is looked up
when somebody asks.
"""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
)

from daemon import __version__
from daemon.job import QUEUES, Job, State
from daemon.ledger.database import SCHEMA_VERSION
from daemon.messages import Progress
from daemon.pool.memory import DeviceMemory
from daemon.status.health import Health
from daemon.status.http import Route
from daemon.status.scrape import MOST_DEVICES, HealthState, LedgerState, MemoryState

SIZES_PX = (512, 1024, 2048, 4096)
VERDICTS = (State.DONE, State.FAILED, State.CANCELLED)
ERROR_KINDS = ("input", "surroundings", "device", "worker_lost", "out_of_memory", "bug", "hook")
HOOK_EVENTS = ("done", "failed", "proof", "idle")
HOOK_OUTCOMES = ("fine", "failed")

MORE = "more"
"""What seats beyond the first MOST_DEVICES count as."""

UPWARDS = (1, 2, 5, 10, 20, 30)
HOURS = (1, 2, 4, 8, 12)
JOB_BUCKETS_S = (*UPWARDS, *(n * 60 for n in UPWARDS), *(n * 3600 for n in HOURS))
BRIEF_BUCKETS_S = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60)


class Metrics:
    """Counts what happens, and holds what stands. Its verbs may be called from any thread.

    ledger: looked into, read-only, whenever somebody asks.  memory: of the devices, likewise.
    """

    def __init__(
        self,
        ledger: Path,
        devices: Sequence[str],
        health: Health,
        memory: Callable[[], Iterable[DeviceMemory]],
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter began is told once, by the start time
        self.registry = CollectorRegistry()
        self._devices = list(devices)
        self._labels = frozenset(devices)
        self._count_jobs(devices)
        self._count_rounds()
        self._count_troubles(devices)
        self._describe_service()
        for collector in (LedgerState(ledger), HealthState(health), MemoryState(memory)):
            self.registry.register(collector)
        ProcessCollector(registry=self.registry)

    def _count_jobs(self, devices: Sequence[str]) -> None:
        self._job_seconds = Histogram(
            "atelierd_job_seconds",
            "Seconds that painting a job took, by the longest side of its result in pixels.",
            ("preset", "size"),
            buckets=JOB_BUCKETS_S,
            registry=self.registry,
        )
        self._ended = self._counter("jobs_ended", "Jobs that are over.", verdict=VERDICTS)
        self._steps = self._counter("steps", "Optimisation steps taken.", device=devices)
        self._work = self._counter("work", "Pixels times steps taken.", device=devices)
        self._pace = self._gauge(
            "steps_per_second", "Of the job that runs; 0 if none does.", device=devices
        )
        self._eta = self._gauge(
            "running_eta_seconds", "Until the job that runs is painted.", device=devices
        )

    def _count_rounds(self) -> None:
        self._scan_seconds = Histogram(
            "atelierd_scan_seconds",
            "Seconds that a look at the inbox took, with claiming.",
            buckets=BRIEF_BUCKETS_S,
            registry=self.registry,
        )
        self._publish_seconds = Histogram(
            "atelierd_publish_seconds",
            "Seconds that putting a job into the outbox took.",
            buckets=BRIEF_BUCKETS_S,
            registry=self.registry,
        )
        self._last_scan = self._gauge(
            "last_scan_timestamp_seconds", "When the inbox was last looked at; 0 if never."
        )

    def _count_troubles(self, devices: Sequence[str]) -> None:
        self._errors = self._counter("errors", "What went wrong, by consequence.", kind=ERROR_KINDS)
        self._restarts = self._counter(
            "worker_restarts", "Workers that were lost during a run.", device=devices
        )
        self._hooks = self._counter(
            "hooks", "Hooks that were run.", event=HOOK_EVENTS, outcome=HOOK_OUTCOMES
        )

    def _describe_service(self) -> None:
        self._paused = self._gauge("paused", "Whether somebody has paused the queue.")
        self._open = self._gauge(
            "queue_open", "Whether a queue's jobs may begin.", queue=tuple(QUEUES)
        )
        for queue in QUEUES:
            self.show_queue(queue, open_now=True)
        self._gauge("start_time_seconds", "When the service started.").set_to_current_time()
        build = {
            "version": __version__,
            "python": platform.python_version(),
            "ledger_schema": str(SCHEMA_VERSION),
        }
        Info("atelierd_build", "What runs.", registry=self.registry).info(build)

    def _counter(self, name: str, text: str, **labels: Sequence[str]) -> Counter:
        """Makes a counter that begins with 0 for all the values its labels may have."""
        made = Counter(f"atelierd_{name}", text, tuple(labels), registry=self.registry)
        begin(made, labels)
        return made

    def _gauge(self, name: str, text: str, **labels: Sequence[str]) -> Gauge:
        made = Gauge(f"atelierd_{name}", text, tuple(labels), registry=self.registry)
        begin(made, labels)
        return made

    def route(self) -> Route:
        """Gives the way to fetch them: they are the answer at whatever path Prometheus asks."""
        return Route("", make_wsgi_app(self.registry))

    # What happens

    def show_seats(self, devices: Sequence[str]) -> None:
        """Keeps series for the seats there are now, and removes those of seats that are gone.

        There are at most MOST_DEVICES; what further seats do counts as MORE.
        """
        if list(devices) == self._devices:
            return
        labels = frozenset((*devices[:MOST_DEVICES], *([MORE] if devices[MOST_DEVICES:] else [])))
        before, self._devices, self._labels = self._labels, list(devices), labels
        for made in (self._steps, self._work, self._pace, self._eta, self._restarts):
            for device in before - labels:
                made.remove(device)
            for device in labels - before:
                made.labels(device)

    def _label(self, device: str) -> str | None:
        """The label of a seat's series; None where it is gone, and so are they."""
        if device in self._labels:
            return device
        return MORE if MORE in self._labels else None

    def observe_progress(self, device: str, progress: Progress, eta_s: float | None) -> None:
        """Counts a step that a worker took, and shows how long its job will still take."""
        size = progress.passes[progress.pass_number - 1]
        self.count_steps(device, 1, pixels=size.width_px * size.height_px)
        if device in self._labels:
            self._pace.labels(device).set(1 / progress.seconds if progress.seconds else 0)
            self._eta.labels(device).set(eta_s or 0)

    def count_steps(self, device: str, steps: int, *, pixels: int) -> None:
        """Counts steps that were taken, of a picture of so many pixels."""
        if label := self._label(device):
            self._steps.labels(label).inc(steps)
            self._work.labels(label).inc(steps * pixels)

    def rest(self, device: str) -> None:
        """Shows that a run has ended: nothing is painted there now."""
        if device in self._labels:
            self._pace.labels(device).set(0)
            self._eta.labels(device).set(0)

    def observe_job(self, job: Job) -> None:
        """Counts a job that is over. One that got another's result has no seconds of painting."""
        if job.verdict not in VERDICTS:
            return
        self._ended.labels(job.verdict).inc()
        if job.verdict is State.FAILED and job.starts == 0:  # what was dropped could not be taken
            self.count_error("input")
        done = job.outcome
        if job.verdict is State.DONE and done and done.passes and not done.same_as:
            longest_px = max(done.passes[-1].width_px, done.passes[-1].height_px)
            seconds = self._job_seconds.labels(job.preset, size_label(longest_px))
            seconds.observe(done.seconds or 0.0)

    def observe_scan(self, seconds: float) -> None:
        """Counts a look at the inbox that nothing stood in the way of."""
        self._scan_seconds.observe(seconds)
        self._last_scan.set_to_current_time()

    def observe_publish(self, seconds: float) -> None:
        """Counts a job that was put into the outbox."""
        self._publish_seconds.observe(seconds)

    def count_error(self, kind: str) -> None:
        """Counts what went wrong; the kinds are ERROR_KINDS."""
        self._errors.labels(kind).inc()

    def count_restart(self, device: str) -> None:
        """Counts a worker that was lost during a run; the next run starts another."""
        if label := self._label(device):
            self._restarts.labels(label).inc()

    def count_hook(self, event: str, outcome: str) -> None:
        """Counts a hook that was run; outcome: one of HOOK_OUTCOMES."""
        self._hooks.labels(event, outcome).inc()
        if outcome != "fine":
            self.count_error("hook")

    def show_paused(self, paused: bool) -> None:
        """Shows whether somebody has paused the queue."""
        self._paused.set(paused)

    def show_queue(self, queue: str, *, open_now: bool) -> None:
        """Shows whether the jobs of `ordinary` or `bulk` may begin now."""
        self._open.labels(queue).set(open_now)


def begin(made: Counter | Gauge, labels: Mapping[str, Sequence[str]]) -> None:
    """Makes a series for every combination of labels: a counter that comes later loses its first.

    Prometheus sees how a counter grows, and not that it came with 1.
    """
    combined: list[tuple[str, ...]] = [()]
    for values in labels.values():
        combined = [(*before, value) for before in combined for value in values]
    for values in combined if labels else ():
        made.labels(*values)


def size_label(longest_px: int) -> str:
    """Words the longest side of a result, in few ways since each makes series of its own."""
    return next((f"<={most}" for most in SIZES_PX if longest_px <= most), f">{SIZES_PX[-1]}")
