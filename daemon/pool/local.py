"""One child process per device of this machine, or several where they share it.

A child is started for its first job and stays warm. Orders and outcomes are plain data; the
pictures themselves lie in files that an order names, so that even a very large one never passes
through the service.
"""

import contextlib
import json
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial

from loguru import logger

from daemon.engine.fit.cgroups import may_adapt
from daemon.host.process import Child, Message, limited_to, oom_kills
from daemon.messages import (
    Ended,
    Hello,
    Lost,
    Outcome,
    OutOfMemory,
    PassPlan,
    RunOrder,
    WorkerSettings,
    order_data,
    plain,
    to_event,
)
from daemon.pool.devices import device_bytes, threads_among
from daemon.pool.face import OnEvent, Seat, kind_of
from daemon.pool.memory import DeviceMemory, device_memory
from daemon.pool.seat_names import card_of, seat_name

WORKER = "daemon.worker.child"

LOCAL = "local"
"""What every seat of this machine offers."""

KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(16 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
}
"""Tells glibc to keep freed memory during a run: every step frees and takes the same blocks, and
getting the middling ones from the system anew takes as long as working on them. The large ones do
go back: kept, they left holes, and the process grew by half a gigabyte a megapixel. The child
gives the rest back afterwards."""


def offers_here(device: str) -> frozenset[str]:
    """What jobs may ask for that a device of this machine has: its name, its kind, and `local`."""
    return frozenset({device, kind_of(device), LOCAL})


@dataclass
class OpenRun:
    """A run in progress, the child it was given to, and the plan it told last."""

    id: str
    future: Future[Outcome]
    child: Child
    plan: PassPlan | None = None
    oom_kills_before: int = field(default_factory=oom_kills)

    def lost(self, ending: str) -> Lost | OutOfMemory:
        """What became of the run, whose child is gone."""
        # Others send SIGKILL too; the kernel counts its own before it sends them.
        is_ours = self.child.killed_here or self.child.killer is not signal.SIGKILL
        if not is_ours and oom_kills() > self.oom_kills_before:
            return OutOfMemory(f"the worker {ending}; the kernel had no memory left", self.plan)
        return Lost(ending)


class Slot:
    """One seat and its child, which may not have been started yet.

    device: the seat's name.  granted_threads: what its child computes with, where none are set.
    total_bytes: see `Seat`.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        on_event: OnEvent,
        module: str,
        *,
        granted_threads: int,
        total_bytes: int | None = None,
    ) -> None:
        self.device = seat_name(settings.device, settings.number)
        self._offers = offers_here(settings.device)
        self._total_bytes = total_bytes
        self._settings = settings
        self._module = module
        self._granted_threads = granted_threads
        self._on_event = on_event
        self._child: Child | None = None
        self._lock = threading.Lock()
        self._run: OpenRun | None = None
        self._answered = False

    @property
    def seat(self) -> Seat:
        """The slot as others see it."""
        run = self._run
        run_id = run.id if run else None
        return Seat(
            self.device,
            run_id,
            self._answered,
            offers=self._offers,
            sharers=self._settings.sharers,
            on_trial=self._settings.on_trial,
            total_bytes=self._total_bytes,
        )

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        child = self._child
        return child.pid if child is not None and child.alive else None

    def submit(self, run_id: str, order: RunOrder) -> Future[Outcome]:
        """Starts a run; the slot must be free."""
        future: Future[Outcome] = Future()
        with self._lock:
            child = self._living()
            self._run = OpenRun(run_id, future, child)
        child.send({"do": "run", "run": run_id, "payload": order_data(order)})
        return future

    def warm(self) -> None:
        """Starts the child if there is none; it answers when it is ready for a run."""
        with self._lock:
            self._living()

    def rest(self) -> None:
        """Ends the child if it is idle, and not just starting; who needs one meanwhile waits."""
        with self._lock:
            if self._run is None and self._answered and self.pid is not None:
                self.close(1.0)

    def kill(self, run_id: str) -> None:
        """Ends the child at once if that is its run, which is lost then."""
        run = self._run
        if run is not None and run.id == run_id:
            run.child.kill()

    def cancel(self, run_id: str, grace_s: float) -> None:
        """Asks the child to stop the run, and ends the child if it does not in time."""
        run = self._run
        if run is None or run.id != run_id:
            return
        run.child.send({"do": "cancel", "run": run_id})

        def end() -> None:
            if self._run is run:  # and not a later run of the same job
                logger.warning("{} did not stop within {} s; ending it", self.device, grace_s)
                run.child.kill()

        timer = threading.Timer(grace_s, end)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # no thread is to be had: nobody could end it later
            end()

    def close(self, grace_s: float) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.close(grace_s)

    def _living(self) -> Child:
        if self._child is None or not self._child.alive:
            self._child = self._start()
        return self._child

    def _start(self) -> Child:
        threads = self._settings.threads or self._granted_threads
        adapts = may_adapt(self._settings.threads) or self._settings.adaptive_threads
        settings = replace(self._settings, threads=threads, adaptive_threads=adapts)
        child = Child(
            self._module,
            [json.dumps(plain(settings))],
            on_stderr=lambda line: logger.debug("{}: {}", self.device, line),
            environment=KEEP_MEMORY | limited_to(threads),
        )
        child.listen(partial(self._listen, child), name=f"worker {self.device}")
        return child

    def _listen(self, child: Child) -> None:
        """Passes on what the child says until it is gone; a run still open then is lost."""
        with contextlib.suppress(ValueError):
            for message in child.messages():
                self._hear(child, message)
        ending = child.ending()
        child.close(0.0)
        if run := self._take(child):
            run.future.set_result(run.lost(ending))

    def _hear(self, child: Child, message: Message) -> None:
        run_id = str(message.get("run", ""))
        match event := to_event(message):
            case Hello():
                self._answered = True
            case PassPlan():
                if (run := self._run) and run.id == run_id:
                    run.plan = event
            case Ended():
                self._end(child, run_id, event)
            case event if event is not None:
                self._on_event(run_id, event)

    def _end(self, child: Child, run_id: str, ended: Ended) -> None:
        """Ends a run as its child says; a child that is spent gets no other."""
        if ended.spent:
            with self._lock:
                if self._child is child:
                    self._child = None
        if run := self._take(child, run_id):
            outcome = ended.outcome
            if isinstance(outcome, OutOfMemory):
                outcome = replace(outcome, plan=run.plan)
            run.future.set_result(outcome)

    def _take(self, child: Child, run_id: str | None = None) -> OpenRun | None:
        """The run of this child, which is over now; a newer child's is left alone."""
        with self._lock:
            run = self._run
            if run is None or run.child is not child or run_id not in (None, run.id):
                return None
            self._run = None
        return run


class LocalPool:
    """The pool of this machine's seats, each with a child of the module `worker`; see `face`."""

    def __init__(
        self, workers: Sequence[WorkerSettings], on_event: OnEvent, *, worker: str = WORKER
    ) -> None:
        shared = {one.device: one.memory_bytes for one in workers if one.sharers > 1}
        totals = {device: device_bytes(device, allowed) for device, allowed in shared.items()}
        threads = threads_among(workers)
        slots = [
            Slot(
                one,
                on_event,
                worker,
                granted_threads=threads,
                total_bytes=totals.get(one.device),
            )
            for one in workers
        ]
        self._slots = {slot.device: slot for slot in slots}

    @property
    def trouble(self) -> None:
        """Nothing: its seats are always there."""
        return None

    def seats(self) -> list[Seat]:
        """Every seat, as it stands now."""
        return [slot.seat for slot in self._slots.values()]

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        """Starts a run on a free seat. Raises OSError where no child can be started."""
        return self._slots[device].submit(run_id, order)

    def cancel(self, run_id: str, *, grace_s: float) -> None:
        """Stops a run, which ends as Cancelled, or as Lost where it has not after `grace_s`."""
        for slot in self._slots.values():
            slot.cancel(run_id, grace_s)

    def kill(self, run_id: str) -> None:
        """Ends the child of a run at once, which ends as Lost."""
        for slot in self._slots.values():
            slot.kill(run_id)

    def rest(self, device: str) -> None:
        """Ends a device's child if it is idle."""
        self._slots[device].rest()

    def warm(self, device: str) -> None:
        """Starts a device's child if there is none. Raises OSError where that cannot be."""
        self._slots[device].warm()

    def pids(self) -> dict[str, int]:
        """The process of each seat's child that lives."""
        slots = self._slots.values()
        return {slot.device: pid for slot in slots if (pid := slot.pid) is not None}

    def memory(self) -> list[DeviceMemory]:
        """The memory of every device whose driver tells of it."""
        pids: dict[str, list[int]] = {card_of(device): [] for device in self._slots}
        for device, pid in self.pids().items():
            pids[card_of(device)].append(pid)
        return device_memory(pids, pids)

    def close(self, *, grace_s: float) -> None:
        """Ends every child."""
        for slot in self._slots.values():
            slot.close(grace_s)
