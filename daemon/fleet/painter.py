"""What a node does with a run: brings its files, has it painted by the usual worker, carries back.

One painter a process, on one device. Its worker is that of a single machine (`pool.local`), so that
warmth, the memory's plan and what happens without memory are as there.
"""

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from loguru import logger

from daemon.errors import SurroundingsError
from daemon.fleet.cache import BlobCache
from daemon.fleet.carrier import Carrier, RevokedError
from daemon.fleet.light import cut_light
from daemon.fleet.order import gives, moved
from daemon.fleet.seat_settings import SeatSettings
from daemon.host.process import children_of
from daemon.messages import (
    Cancelled,
    CheckpointWritten,
    Data,
    Done,
    Ended,
    Event,
    Failed,
    LogLine,
    Lost,
    Outcome,
    OutOfMemory,
    Preview,
    RunOrder,
    WorkerSettings,
    event_data,
    plain,
    to_order,
)
from daemon.pool.crowding import Crowding
from daemon.pool.local import LocalPool
from daemon.pool.memory import DeviceMemory, device_memory

LIGHT_S = 120.0
"""Between checkpoints that travel back: what a node that is lost costs at most, and a little."""

BUNDLE_S = 0.25
GRACE_S = 60.0
"""How long a worker may take to its next step and checkpoint when nobody wants its run here."""

CALM_S = 120.0
"""How long a device is left to others after they last needed it."""

GOES_WITH = {"checkpoint": ("course", "frames/")}
"""What is given with another file: whoever goes on from a checkpoint needs what led there, too."""

OF_THE_WAY = ("checkpoint", "frames/")
"""What is of no use once there is a result."""

Tell = Callable[[str, Data], None]
"""Sends a message under a topic."""


@dataclass
class Visit:
    """A run on this node: its token, whom to tell, and what has been said since it was last told.

    The worker knows it by its token: the same job may come again while one that was given up ends.
    """

    token: str
    run_id: str
    topic: str
    key: str
    carrier: Carrier
    folder: Path
    gives: Mapping[str, Path] = field(default_factory=dict)
    events: list[Data] = field(default_factory=list)
    light_s: float = field(default_factory=time.monotonic)
    carrying: bool = False


class Painter:
    """Paints one run after the other on one seat.

    tell: sends events.  is_wanted: whether the scheduler still wants the task of that key.
    is_alone: whether the scheduler is gone, and this process about to end.
    """

    def __init__(
        self,
        settings: SeatSettings,
        tell: Tell,
        is_wanted: Callable[[str], bool],
        is_alone: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._is_wanted = is_wanted
        self._is_alone = is_alone
        self._cache = BlobCache(settings.folder / "cache", settings.cache_bytes)
        self._carriers: dict[str, Carrier] = {}
        self._pool: LocalPool | None = None
        self._with: Data = {}
        self._visit: Visit | None = None
        self._stopped: dict[str, str] = {}
        self._lock = threading.Lock()
        self._sender = ThreadPoolExecutor(1, "carrier")
        self._crowding = Crowding(settings.yield_over_bytes, CALM_S)
        self.leaving = False
        shutil.rmtree(settings.own_folder, ignore_errors=True)

    # What the scheduler's other side sees

    def state(self) -> Data:
        """What is told with every heartbeat."""
        memory = self._memory()
        answered = self._pool is not None and all(one.answered for one in self._pool.seats())
        self._look_at_others(memory.others_bytes if memory else None)
        return {
            "answered": answered,
            "leaving": self.leaving or self._is_crowded,
            "memory": plain(memory) if memory else None,
        }

    def _memory(self) -> DeviceMemory | None:
        """The device's memory, of which all that its seats' workers hold is the node's own."""
        if self._pool is None or self._settings.sharers == 1:
            return next(iter(self._pool.memory()), None) if self._pool else None
        device, processes = self._settings.device, children_of(os.getppid())
        workers = [pid for process in processes for pid in children_of(process)]
        return next(iter(device_memory([device], {device: workers})), None)

    @property
    def _is_crowded(self) -> bool:
        return bool(self._crowding.left())

    def _look_at_others(self, others_bytes: int | None) -> None:
        device, was_crowded = self._settings.device, self._is_crowded
        if others_bytes is not None and self._crowding.look(device, others_bytes):
            if not was_crowded:
                logger.info("{} is left to another program", device)
            self._give_up("the device is left to another program")

    def obey(self, request: Data) -> None:
        """Does what a service asks beside its runs. Takes no time."""
        match request["do"]:
            case "cancel" | "kill" as how:
                self._stop(request["token"], how, request.get("grace_s", 0.0))
            case "rest" if self._pool:
                threading.Thread(target=self._pool.rest, args=(self._settings.seat_here,)).start()
            case "warm":
                self._pool_with(request["with"]).warm(self._settings.seat_here)
            case "refuse":
                logger.error("no work comes from the service: {}", request["reason"])

    def drain(self) -> None:
        """Takes no further run; the one at hand goes back with where it stands."""
        self.leaving = True
        self._give_up("the node leaves")

    @property
    def is_busy(self) -> bool:
        """Whether a run is at hand."""
        return self._visit is not None

    def close(self) -> None:
        """Ends the worker."""
        if self._pool:
            self._pool.close(grace_s=2.0)

    def _give_up(self, why: str) -> None:
        visit, pool = self._visit, self._pool
        if visit and pool and visit.token not in self._stopped:
            logger.info("the run at hand is stopped: {}", why)
            self._stopped[visit.token] = "cancel"
            pool.cancel(visit.token, grace_s=GRACE_S)

    def _stop(self, token: str, how: str, grace_s: float) -> None:
        with self._lock:
            self._stopped[token] = how  # it may not have begun
            visit, pool = self._visit, self._pool
        if visit is None or visit.token != token or pool is None:
            return
        if how == "kill":
            pool.kill(visit.token)
        else:
            pool.cancel(visit.token, grace_s=grace_s)

    # A run

    def paint(self, payload: Data) -> None:
        """Paints a run to its end and tells what became of it, as the last event of its token."""
        visit = self._begin(payload)
        try:
            outcome = self._paint(visit, payload)
        except RevokedError:
            logger.info("the run at hand is wanted by nobody any more")
            return
        except (SurroundingsError, OSError) as error:
            outcome = Failed("surroundings", f"{self._settings.node}: {error}")
        except Exception as error:
            logger.exception("a fault of the node")
            outcome = Failed(
                "bug", f"{self._settings.node}: {error!r}. This is a fault of atelierd"
            )
        finally:
            self._visit = None
            self._stopped.pop(visit.token, None)
            shutil.rmtree(visit.folder, ignore_errors=True)
        self._send(visit, ended_data(visit.run_id, outcome))

    def _begin(self, payload: Data) -> Visit:
        token = payload["token"]
        visit = Visit(
            token,
            payload["run"],
            payload["topic"],
            payload["key"],
            self._carrier(payload["files_url"]),
            self._settings.own_folder / token[:16],
        )
        with self._lock:
            self._visit = visit
        visit.folder.mkdir(parents=True, exist_ok=True)
        return visit

    def _carrier(self, url: str) -> Carrier:
        if url not in self._carriers:
            mine = self._settings
            self._carriers[url] = Carrier(url, mine.ca, mine.cert, mine.key)
        return self._carriers[url]

    def _paint(self, visit: Visit, payload: Data) -> Outcome:
        if self.leaving:
            return Cancelled()
        with self._brought(visit, payload["takes"]) as taken:
            order = moved(to_order(payload["order"]), taken, visit.folder)
            visit.gives = gives(order)
            pool = self._pool_with(payload["with"])
            with self._lock:
                if how := self._stopped.get(visit.token):
                    return Lost("was ended by SIGKILL") if how == "kill" else Cancelled()
                future = pool.submit(self._settings.seat_here, visit.token, order)
            outcome = self._follow(visit, pool, future)
            return self._carry_back(visit, order, outcome)

    @contextlib.contextmanager
    def _brought(self, visit: Visit, takes: Mapping[str, str]) -> Iterator[dict[str, Path]]:
        """The files of the order on this machine; those of a known hash stay for later runs."""
        fetch = partial(visit.carrier.fetch, visit.token)
        known = {
            sha256: partial(fetch, name, sha256=sha256) for name, sha256 in takes.items() if sha256
        }
        own = {name: visit.folder / f"taken.{name}" for name, sha256 in takes.items() if not sha256}
        for name, place in own.items():
            fetch(name, place)
        with self._cache.held(known) as paths:
            yield own | {name: paths[sha256] for name, sha256 in takes.items() if sha256}

    def _pool_with(self, settings: Data) -> LocalPool:
        """The pool of one seat, with what the service's configuration says of workers."""
        if self._pool is None or self._with != settings:
            self.close()
            mine = self._settings
            worker = WorkerSettings(
                mine.device,
                settings["weights"],
                mine.folder / "engine",
                settings["precision"],
                mine.memory_bytes,
                settings["checkpoint_s"],
                mine.threads,
                adaptive_threads=mine.adaptive_threads,
                number=mine.number,
                sharers=mine.sharers,
                on_trial=mine.on_trial,
            )
            self._pool = LocalPool([worker], self._hear, worker=mine.worker)
            self._with = settings
        return self._pool

    def _follow(self, visit: Visit, pool: LocalPool, future: Future[Outcome]) -> Outcome:
        """Waits for the end; a run that nobody wants any more is stopped."""
        while not wait([future], timeout=BUNDLE_S).done:
            self._flush(visit)
            if visit.token in self._stopped:
                continue
            if self._is_alone():  # the child goes with this process anyhow
                logger.info("the run at hand is ended: the scheduler is gone")
                self._stop(visit.token, "kill", 0.0)
            elif not self._is_wanted(visit.key):
                self._give_up("nobody wants it any more")
        return future.result()

    # Back

    def _hear(self, token: str, event: Event) -> None:
        """Passes on what the worker says; what it says of files waits until they are there."""
        visit = self._visit
        if visit is None or visit.token != token:
            return
        match event:
            case Preview():
                self._carry(visit, "preview", event)
            case CheckpointWritten():
                if time.monotonic() - visit.light_s >= LIGHT_S:
                    visit.light_s = time.monotonic()
                    self._carry(visit, "checkpoint", event)
            case _:
                visit.events.append(event_data(visit.run_id, event))

    def _carry(self, visit: Visit, name: str, then: Event) -> None:
        """Gives a file in the background, unless one is under way, and then tells the event."""
        if visit.carrying:
            return
        visit.carrying = True

        def give() -> None:
            try:
                for one in (name, *GOES_WITH.get(name, ())):
                    self._give_all(visit, one)
                visit.events.append(event_data(visit.run_id, then))
            except (SurroundingsError, OSError) as error:
                self._warn(visit, f"{name} does not get to the service: {error}")
            finally:
                visit.carrying = False

        self._sender.submit(give)

    def _give(self, visit: Visit, name: str) -> None:
        """Gives a file if there is one; of a checkpoint only what is light."""
        path = visit.gives.get(name)
        if path is None or not path.exists():
            return
        if name == "checkpoint":
            light = path.with_name("light")
            cut_light(path, light)
            path = light
        visit.carrier.give(visit.token, name, path)

    def _carry_back(self, visit: Visit, order: RunOrder, outcome: Outcome) -> Outcome:
        """Gives what a run has left, the result last; a run whose result cannot be given is none.

        Raises CarriageError.
        """
        self._sender.submit(lambda: None).result()  # what was under way
        for name in visit.gives:
            if name == "result" or (name in OF_THE_WAY and isinstance(outcome, Done)):
                continue
            try:
                self._give_all(visit, name)
            except RevokedError:
                raise
            except (SurroundingsError, OSError) as error:
                self._warn(visit, f"{name} does not get to the service: {error}")
        if isinstance(outcome, Done):
            visit.carrier.give(visit.token, "result", order.result)
            return replace(outcome, node=self._settings.node)
        return outcome

    def _give_all(self, visit: Visit, name: str) -> None:
        """Gives a file, or every file of a folder, whose name ends in a slash."""
        if not name.endswith("/"):
            self._give(visit, name)
            return
        folder = visit.gives.get(name, visit.folder / "none")
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            visit.carrier.give(visit.token, f"{name}{path.name}", path)

    def _warn(self, visit: Visit, text: str) -> None:
        logger.warning("{}", text)
        visit.events.append(event_data(visit.run_id, LogLine("WARNING", text)))

    def _flush(self, visit: Visit) -> None:
        if visit.events:
            self._send(visit)

    def _send(self, visit: Visit, *last: Data) -> None:
        """Sends what has been said since, in its order."""
        count = len(visit.events)
        bundle, visit.events[:count] = visit.events[:count], []
        self._tell(visit.topic, {"token": visit.token, "events": [*bundle, *last]})


def ended_data(run_id: str, outcome: Outcome) -> Data:
    """Turns the outcome of a run into plain data; with the plan of one without memory."""
    match outcome:
        case Lost(how):
            return {"event": "lost", "run": run_id, "how": how}
        case OutOfMemory(plan=plan) if plan:
            return event_data(run_id, Ended(outcome)) | {"plan": plain(plan)}
    return event_data(run_id, Ended(outcome))
