"""The face that service and commands see of a pool of workers, whatever stands behind it.

A pool is written by having these members; `tests/support/pools.py` has the promises it must keep.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from daemon.messages import Event, Outcome, RunOrder
from daemon.pool.memory import DeviceMemory

OnEvent = Callable[[str, Event], None]
"""Called with a run's id and what its worker says, from any thread."""


@dataclass(frozen=True)
class Seat:
    """Where one job at a time is painted, known by its device, as it stands now.

    run_id: the run in progress, None while it is free.  answered: whether a worker has ever said
    there that it is ready.
    """

    device: str
    run_id: str | None = None
    answered: bool = False


class WorkerPool(Protocol):
    """Workers on several seats. An order names files by hash, with their paths here; what is told
    of files names paths here too, and a result lies where its order says before its run is over.
    """

    def seats(self) -> list[Seat]:
        """Every seat, as it stands now."""

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        """Starts a run on a free seat; its future is never cancelled and raises nothing.

        Raises OSError where no worker can be started.
        """

    def cancel(self, run_id: str, *, grace_s: float) -> None:
        """Stops a run, which ends as Cancelled, or as Lost where it has not after `grace_s`."""

    def kill(self, run_id: str) -> None:
        """Ends the worker of a run at once, which ends as Lost."""

    def rest(self, device: str) -> None:
        """Ends a seat's worker if it is idle, whose memory others may need."""

    def warm(self, device: str) -> None:
        """Starts a seat's worker if it has none. Raises OSError where that cannot be."""

    def memory(self) -> list[DeviceMemory]:
        """The memory of every device whose driver tells of it."""

    def close(self, *, grace_s: float) -> None:
        """Ends every worker; runs still open end as Lost."""
