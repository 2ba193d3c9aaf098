"""Several pools as one, such as this machine's devices and a fleet's."""

from collections.abc import Sequence
from concurrent.futures import Future

from daemon.messages import Cancelled, Outcome, RunOrder
from daemon.pool.face import Seat, WorkerPool
from daemon.pool.memory import DeviceMemory


class CombinedPool:
    """The seats of all its pools, in their order; see `face`. No two have a seat of one name."""

    def __init__(self, pools: Sequence[WorkerPool]) -> None:
        self._pools = tuple(pools)

    @property
    def trouble(self) -> str | None:
        """What any of them tells; None if none does."""
        return "; ".join(filter(None, (pool.trouble for pool in self._pools))) or None

    def seats(self) -> list[Seat]:
        """Every pool's seats, as they stand now."""
        return [seat for pool in self._pools for seat in pool.seats()]

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        """Starts a run on a free seat; Cancelled at once where that has gone meanwhile.

        Raises OSError where no worker can be started.
        """
        if pool := self._pool_of(device):
            return pool.submit(device, run_id, order)
        gone: Future[Outcome] = Future()
        gone.set_result(Cancelled())
        return gone

    def cancel(self, run_id: str, *, grace_s: float) -> None:
        """Stops a run, which ends as Cancelled, or as Lost where it has not after `grace_s`."""
        for pool in self._pools:
            pool.cancel(run_id, grace_s=grace_s)

    def kill(self, run_id: str) -> None:
        """Ends the worker of a run at once, which ends as Lost."""
        for pool in self._pools:
            pool.kill(run_id)

    def rest(self, device: str) -> None:
        """Ends a seat's worker if it is idle."""
        if pool := self._pool_of(device):
            pool.rest(device)

    def warm(self, device: str) -> None:
        """Starts a seat's worker if it has none. Raises OSError where that cannot be."""
        if pool := self._pool_of(device):
            pool.warm(device)

    def memory(self) -> list[DeviceMemory]:
        """The memory of every device whose driver tells of it."""
        return [memory for pool in self._pools for memory in pool.memory()]

    def close(self, *, grace_s: float) -> None:
        """Ends every worker."""
        for pool in self._pools:
            pool.close(grace_s=grace_s)

    def _pool_of(self, device: str) -> WorkerPool | None:
        """The pool that has a seat now; None if it has gone meanwhile."""
        for pool in self._pools:
            if any(seat.device == device for seat in pool.seats()):
                return pool
        return None
