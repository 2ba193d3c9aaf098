"""One child process per device, and the small face the service sees of them.

A child is started for its first job and stays warm. Payload and result are plain data; the
pictures themselves lie in files that the payload names, so that even a very large one never
passes through the service.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from loguru import logger

from daemon.engine.fit.cgroups import threads_of_each
from daemon.host.process import Child, Message, limited_to, oom_kills
from daemon.pool.retry import PassPlan

Payload = Mapping[str, Any]
Event = Callable[[str, Message], None]
Waiting = Callable[[int], dict[str, str]]


KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(16 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
}
"""Tells glibc to keep freed memory during a run: every step frees and takes the same blocks, and
getting the middling ones from the system anew takes as long as working on them. The large ones do
go back: kept, they left holes, and the process grew by half a gigabyte a megapixel. The child
gives the rest back afterwards."""


class WorkerLost(Exception):
    """The child ended during a run; the message says how."""


class Cancelled(Exception):
    """The run was stopped because somebody asked for it."""


class MemoryRanOut(Exception):
    """The run ended for want of memory; the message says how it came out.

    plan: of the pass under way, None if there was none yet.
    """

    def __init__(self, how: str, plan: PassPlan | None) -> None:
        super().__init__(how)
        self.plan = plan


@dataclass
class Run:
    """A run in progress, the child it was given to, and the plan it told last."""

    id: str
    future: Future[Message]
    child: Child
    plan: PassPlan | None = None
    oom_kills_before: int = field(default_factory=oom_kills)

    def lost(self, ending: str) -> WorkerLost | MemoryRanOut:
        """What became of the run, whose child is gone."""
        # Others send SIGKILL too; the kernel counts its own before it sends them.
        if self.child.killer is signal.SIGKILL and oom_kills() > self.oom_kills_before:
            return MemoryRanOut(f"the worker {ending}; the kernel had no memory left", self.plan)
        return WorkerLost(ending)


class Slot:
    """One device and its child, which may not have been started yet."""

    def __init__(
        self,
        device: str,
        arguments: Sequence[str],
        on_event: Event,
        *,
        threads: Callable[[], int] = lambda: threads_of_each(1),
        waiting: Waiting = lambda threads: {},
    ) -> None:
        self.device = device
        self._waiting = waiting
        self._threads = threads
        self._arguments = ["--device", device, *arguments]
        self._on_event = on_event
        self._child: Child | None = None
        self._lock = threading.Lock()
        self._run: Run | None = None
        self.answered = False
        """Whether a child has ever said that it is there."""

    @property
    def run_id(self) -> str | None:
        """The run in progress, if any."""
        run = self._run
        return run.id if run else None

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        child = self._child
        return child.pid if child is not None and child.alive else None

    def submit(self, run_id: str, payload: Payload) -> Future[Message]:
        """Starts a run; the slot must be free."""
        future: Future[Message] = Future()
        with self._lock:
            child = self._living()
            self._run = Run(run_id, future, child)
        child.send({"do": "run", "run": run_id, "payload": dict(payload)})
        return future

    def warm(self) -> None:
        """Starts the child if there is none; it answers when it is ready for a run."""
        with self._lock:
            self._living()

    def _living(self) -> Child:
        if self._child is None or not self._child.alive:
            self._child = self._start()
        return self._child

    def kill(self, run_id: str) -> None:
        """Ends the child at once if that is its run, which is lost then."""
        if self._child is not None and self.run_id == run_id:
            self._child.kill()

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

    def _start(self) -> Child:
        threads = self._threads()
        child = Child(
            "daemon.worker.child",
            [*self._arguments, "--threads", str(threads)],
            on_stderr=lambda line: logger.debug("{}: {}", self.device, line),
            environment=KEEP_MEMORY | limited_to(threads) | self._waiting(threads),
        )
        child.listen(lambda: self._listen(child), name=f"worker {self.device}")
        return child

    def _listen(self, child: Child) -> None:
        """Passes on what the child says until it is gone; a run still open then is lost."""
        with contextlib.suppress(ValueError):
            for message in child.messages():
                self._hear(child, message)
        ending = child.ending()
        child.close(0.0)
        if run := self._take(child):
            run.future.set_exception(run.lost(ending))

    def _hear(self, child: Child, message: Message) -> None:
        run_id = str(message.get("run", ""))
        if message.get("spent"):
            self._forget(child)
        match message.get("event"):
            case "hello":
                self.answered = True
            case "ended":
                if run := self._take(child, run_id):
                    run.future.set_result(message["result"])
            case "cancelled":
                if run := self._take(child, run_id):
                    run.future.set_exception(Cancelled(run_id))
            case "short":
                if run := self._take(child, run_id):
                    run.future.set_exception(MemoryRanOut(message["reason"], run.plan))
            case "plan":
                if (run := self._run) and run.id == run_id:
                    run.plan = PassPlan(**message["plan"])
            case _:
                self._on_event(run_id, message)

    def _forget(self, child: Child) -> None:
        """Gives no more runs to a child that is about to end by itself."""
        with self._lock:
            if self._child is child:
                self._child = None

    def _take(self, child: Child, run_id: str | None = None) -> Run | None:
        """The run of this child, which is over now; a newer child's is left alone."""
        with self._lock:
            run = self._run
            if run is None or run.child is not child or run_id not in (None, run.id):
                return None
            self._run = None
        return run


class Pool:
    """The devices. `on_event(run_id, message)` is called from the children's threads.

    threads: what each child computes with; None: its share of what this process is granted then.
    waiting: the variables by which so many threads wait for one another.
    """

    def __init__(
        self,
        devices: Sequence[str],
        arguments: Sequence[str],
        on_event: Event,
        *,
        threads: int | None = None,
        waiting: Waiting = lambda threads: {},
    ) -> None:
        def granted() -> int:
            return threads or threads_of_each(len(devices))

        self._slots = [
            Slot(device, arguments, on_event, threads=granted, waiting=waiting)
            for device in devices
        ]

    def slots(self) -> list[Slot]:
        """Every device's slot."""
        return list(self._slots)

    def free(self) -> list[Slot]:
        """The slots that could take a run now."""
        return [slot for slot in self._slots if slot.run_id is None]

    def submit(self, run_id: str, payload: Payload) -> Future[Message]:
        """Runs on the first free device.

        The future's result is the child's plain account of the run, good or bad; its exceptions
        are those of the surroundings, WorkerLost, MemoryRanOut and Cancelled.
        """
        return self.free()[0].submit(run_id, payload)

    def cancel(self, run_id: str, *, grace_s: float = 8.0) -> None:
        """Stops a run; its future ends with Cancelled, or WorkerLost after `grace_s`."""
        for slot in self._slots:
            slot.cancel(run_id, grace_s)

    def kill(self, run_id: str) -> None:
        """Ends the worker of a run at once; its future ends with WorkerLost."""
        for slot in self._slots:
            slot.kill(run_id)

    def close(self, *, grace_s: float = 2.0) -> None:
        """Ends every child."""
        for slot in self._slots:
            slot.close(grace_s)
