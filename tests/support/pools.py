"""Pools that play: what `tests/integration/test_pools.py` asks of every pool, it asks of these.

What a run is to do stands in its order's note, as `play`: paint, wait (until it is cancelled), deaf
(never, whatever it is asked), fail, out of memory, die, newer (tell what nobody knows, and paint).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from daemon.host.files import sha256_of
from daemon.messages import (
    Blob,
    Cancelled,
    Done,
    Failed,
    LogLine,
    Lost,
    Outcome,
    OutOfMemory,
    Preview,
    RunOrder,
    WorkerSettings,
)
from daemon.pool.combined import CombinedPool
from daemon.pool.dask import DaskPool
from daemon.pool.face import OnEvent, Seat, WorkerPool
from daemon.pool.local import LocalPool
from daemon.pool.memory import DeviceMemory
from daemon.pool.seat_names import seat_name
from tests.support.actor import PLAN, STEP
from tests.support.atelier import wait_for

PICTURE = b"a picture"


def order(folder: Path, play: str = "paint", **changes: object) -> RunOrder:
    """An order whose files lie in a folder, where PICTURE is to be its picture."""
    made = RunOrder(
        name="photo.jpg",
        picture=Blob(hashlib.sha256(PICTURE).hexdigest(), folder / "picture"),
        max_pixels=100,
        recipe={"size": 64, "seed": 0},
        styles=(),
        result=folder / "result",
        checkpoint=None,
        preview=folder / "preview",
        memory_bytes=None,
        note={"play": play},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Act:
    """A run that a puppet pool has been given."""

    device: str
    order: RunOrder
    future: Future[Outcome]


class PuppetPool:
    """A pool of no processes and threads: an order is played while it is given."""

    def __init__(self, workers: Sequence[WorkerSettings], on_event: OnEvent) -> None:
        self._on_event = on_event
        seats = [
            Seat(
                seat_name(one.device, one.number),
                sharers=one.sharers,
                on_trial=one.on_trial,
            )
            for one in workers
        ]
        self._seats = {seat.device: seat for seat in seats}
        self._living: set[str] = set()
        self.open: dict[str, Act] = {}
        self.trouble: str | None = None

    def seats(self) -> list[Seat]:
        return list(self._seats.values())

    def add(self, *seats: Seat) -> None:
        """Seats come, as those of a node that connects."""
        self._seats |= {seat.device: seat for seat in seats}

    def remove(self, device: str, outcome: Outcome | None = None) -> None:
        """A seat goes, and its run, if there is one, ends so: as Lost unless it is said."""
        run_id = self._seats[device].run_id
        if run_id is not None:
            self.end(run_id, outcome or Lost("is gone"))
        del self._seats[device]

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        self.warm(device)
        self._seats[device] = replace(self._seats[device], run_id=run_id)
        act = self.open[run_id] = Act(device, order, Future())
        self._on_event(run_id, STEP)
        match order.note.get("play", "wait"):
            case "paint" | "newer" as play:
                if play == "newer":
                    self._on_event(run_id, LogLine("INFO", "la"))
                self._paint(run_id, order)
            case "fail":
                self.end(run_id, Failed("input", "no picture"))
            case "out of memory":
                self.end(run_id, OutOfMemory("not enough memory", PLAN))
            case "die":
                self.kill(run_id)
        return act.future

    def _paint(self, run_id: str, order: RunOrder) -> None:
        if order.preview:
            order.preview.write_bytes(b"small")
            self._on_event(run_id, Preview(order.preview))
        order.result.write_bytes(b"painted")
        self.end(run_id, Done(result_sha256=sha256_of(order.result), result_bytes=7))

    def end(self, run_id: str, outcome: Outcome) -> None:
        """Ends a run; where its worker is gone with it the next one starts another."""
        act = self.open.pop(run_id)
        self._seats[act.device] = replace(self._seats[act.device], run_id=None)
        if isinstance(outcome, Lost | OutOfMemory):
            self._living.discard(act.device)
        act.future.set_result(outcome)

    def cancel(self, run_id: str, *, grace_s: float) -> None:
        if act := self.open.get(run_id):
            deaf = act.order.note.get("play") == "deaf"
            self.end(run_id, Lost("was ended by SIGKILL") if deaf else Cancelled())

    def kill(self, run_id: str) -> None:
        if run_id in self.open:
            self.end(run_id, Lost("was ended by SIGKILL"))

    def rest(self, device: str) -> None:
        if self._seats[device].run_id is None:
            self._living.discard(device)

    def warm(self, device: str) -> None:
        self._living.add(device)
        self._seats[device] = replace(self._seats[device], answered=True)

    def memory(self) -> list[DeviceMemory]:
        return [DeviceMemory(name, 2, int(name in self._living), 3) for name in self._seats]

    def close(self, *, grace_s: float) -> None:
        for run_id in tuple(self.open):
            self.kill(run_id)


def local_pool(workers: Sequence[WorkerSettings], on_event: OnEvent) -> WorkerPool:
    """The pool of this machine, with real processes that play."""
    return LocalPool(workers, on_event, worker="tests.support.actor")


def combined_pool(workers: Sequence[WorkerSettings], on_event: OnEvent) -> WorkerPool:
    """Real processes on the first device, and a puppet on each other one."""
    local, others = local_pool(workers[:1], on_event), PuppetPool(workers[1:], on_event)
    return CombinedPool([local, others])


class KeptDaskPool:
    """The face of a pool on the shared fleet, whose bridge stays for later tests unless it works.

    A bridge takes a second of a processor to begin.
    """

    _kept: ClassVar[DaskPool | None] = None
    _on_event: ClassVar[OnEvent] = lambda run_id, event: None

    def __init__(self, workers: Sequence[WorkerSettings], on_event: OnEvent) -> None:
        cls = type(self)
        cls._on_event = on_event
        if cls._kept is None:
            from tests.support.fleet import shared_fleet

            place = shared_fleet().place(embedded=False)
            cls._kept = DaskPool(place, workers[0], lambda run, event: cls._on_event(run, event))
        self._pool = cls._kept
        wait_for("both devices of the node", lambda: len(self._pool.seats()) == len(workers))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def close(self, *, grace_s: float) -> None:
        """Closes the pool if it has open runs; an idle one is kept."""
        if any(seat.run_id for seat in self._pool.seats()):
            type(self)._kept = None
            self._pool.close(grace_s=grace_s)


def dask_pool(workers: Sequence[WorkerSettings], on_event: OnEvent) -> WorkerPool:
    """The pool of two devices of a node on this machine, over TLS, with workers that play."""
    return KeptDaskPool(workers, on_event)  # type: ignore[return-value]


MakePool = Callable[[Sequence[WorkerSettings], OnEvent], WorkerPool]

BACKENDS: Mapping[str, MakePool] = {
    "combined": combined_pool,
    "dask": dask_pool,
    "local": local_pool,
    "puppet": PuppetPool,
}
"""Every kind of pool; a new one is a line here."""
