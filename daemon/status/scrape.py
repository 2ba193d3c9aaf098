"""What stands at the moment somebody fetches the metrics: ledger, health, memory of the devices."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

from daemon.errors import SurroundingsError
from daemon.job import State
from daemon.ledger.rows import Waiting
from daemon.ledger.store import Ledger
from daemon.pool.memory import DeviceMemory
from daemon.status.health import Health

PARTS = ("disk", "inbox", "ledger", "metrics", "outbox", "state folder", "worker")

MOST_DEVICES = 1000
"""How many devices have series of their own."""

KEPT_FOR = 100
KEPT_MOST_S = 15.0
"""What the ledger said is told again for a hundred times as long as it took to ask, or so long."""


class LedgerState:
    """What the ledger holds at the moment somebody asks, or a little before where asking is slow.

    Each look opens the ledger anew: it may have been put aside for another.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[Mapping[State, int], Mapping[str, Waiting]] | None = None
        self._until_s = 0.0

    def collect(self) -> Iterator[Metric]:
        """What the ledger says; only that it cannot be read, if so."""
        try:
            counts, waiting = self._look()
        except SurroundingsError:
            counts, waiting = {}, {}
        readable = GaugeMetricFamily("atelierd_ledger_readable", "Whether the ledger can be read.")
        readable.add_metric([], float(bool(counts)))
        yield readable
        yield family(
            "jobs", "Jobs by state.", "state", {str(state): n for state, n in counts.items()}
        )
        series: list[tuple[str, str, Callable[[Waiting], float]]] = [
            ("waiting_jobs", "Jobs that wait.", lambda queue: queue.jobs),
            ("queue_age_seconds", "Since the oldest that waits was queued.", age_s),
            (
                "waiting_bytes",
                "Bytes of the pictures of jobs that wait.",
                lambda queue: queue.bytes,
            ),
            ("waiting_work", "Pixels times steps that wait.", lambda queue: queue.work),
        ]
        for kind, text, of in series:
            yield family(kind, text, "queue", {name: of(queue) for name, queue in waiting.items()})

    def _look(self) -> tuple[Mapping[State, int], Mapping[str, Waiting]]:
        with self._lock:  # several may ask at once, and one answer does for all
            began_s = self._clock()
            if self._kept is None or began_s >= self._until_s:
                ledger = Ledger(self._path, read_only=True)
                try:
                    self._kept = ledger.counts(), ledger.views.waiting_by_queue()
                finally:
                    ledger.close()
                now_s = self._clock()
                self._until_s = now_s + min(KEPT_MOST_S, KEPT_FOR * (now_s - began_s))
            return self._kept


class HealthState:
    """Which parts are in trouble; one that was keeps its series and shows 0."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._parts = set(PARTS)

    def collect(self) -> Iterator[Metric]:
        """Yields a gauge by part: 1 where there is a trouble."""
        troubles = dict(self._health.troubles)
        self._parts |= set(troubles)
        values = {part: float(part in troubles) for part in sorted(self._parts)}
        yield family("health_trouble", "Whether a part is in trouble.", "part", values)


class MemoryState:
    """The devices' memory; a device whose driver does not tell has no series."""

    def __init__(self, memory: Callable[[], Iterable[DeviceMemory]]) -> None:
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        """Yields what is used, by all and by us, and what there is, by device."""
        devices = list(self._memory())[:MOST_DEVICES]
        for name, text in (
            ("used", "Memory of a device that everybody holds."),
            ("own", "Memory of a device that the workers hold."),
            ("total", "Memory of a device."),
        ):
            values = {each.device: float(getattr(each, f"{name}_bytes")) for each in devices}
            yield family(f"device_memory_{name}_bytes", text, "device", values)


def family(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """A gauge with its values of this moment, by its one label."""
    made = GaugeMetricFamily(f"atelierd_{name}", text, labels=[label])
    for label_value, value in values.items():
        made.add_metric([label_value], value)
    return made


def age_s(waiting: Waiting) -> float:
    """Seconds since the oldest was queued; 0 if none waits, or the clock was set back."""
    if waiting.oldest is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(waiting.oldest)).total_seconds())
