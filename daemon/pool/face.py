"""The face that service and commands see of a pool of workers, whatever stands behind it.

A pool is written by having these members; `tests/support/pools.py` has the promises it must keep.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from daemon.messages import Event, Outcome, RunOrder
from daemon.pool.memory import DeviceMemory

CUDA = "cuda"
"""What every seat with such a GPU offers."""

OnEvent = Callable[[str, Event], None]
"""Called with a run's id and what its worker says, from any thread."""


@dataclass(frozen=True)
class Seat:
    """Where one job at a time is painted, known by its device, as it stands now.

    run_id: the run in progress, None while it is free.  answered: whether a worker has ever said
    there that it is ready.  node: whose it is, empty for this machine's.  offers: what jobs may
    ask for that it has, such as its node's name.  sharers: how many seats its device has, itself
    one of them.  on_trial: how many of those pay is found out.  total_bytes: the memory of a device
    that is shared; None: its driver does not tell.
    """

    device: str
    run_id: str | None = None
    answered: bool = False
    node: str = ""
    offers: frozenset[str] = frozenset()
    sharers: int = 1
    on_trial: bool = False
    total_bytes: int | None = None

    def will_do(self, runs_on: str) -> bool:
        """Whether a job may be painted there that asks for so much, or with nothing for nothing."""
        return not runs_on or runs_on in self.offers


def offers_of(seats: Iterable[Seat]) -> frozenset[str]:
    """What jobs may ask for on any of some seats; the empty text is that of those asking nothing.

    Empty where there are no seats.
    """
    return frozenset(name for seat in seats for name in ("", *seat.offers))


def kind_of(device: str) -> str:
    """The kind of a device: `cpu` or `cuda`."""
    return device.partition(":")[0]


class WorkerPool(Protocol):
    """Workers on several seats, which may come and go.

    An order names files by hash, with their paths here; what is told of files names paths here too,
    and a result lies where its order says before its run is over.
    """

    @property
    def trouble(self) -> str | None:
        """What keeps seats away that should be there, in words; None if nothing does."""

    def seats(self) -> list[Seat]:
        """Every seat, as it stands now. One that is gone is not among them; its run ends."""

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        """Starts a run on a free seat; its future is never cancelled and raises nothing.

        It ends as Cancelled, too, where its seat goes in good order. Raises OSError where no worker
        can be started.
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
