"""A pool of seats on other machines, behind a process of its own that speaks to Dask.

Nothing of Dask is loaded here: the bridge (`fleet.bridge`) is told of runs as a worker is, in JSON
lines, and says what becomes of them. Every run has a token of its own; what is said under one that
is over, late or by a node that was given up, changes nothing.
"""

import json
import secrets
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace

from loguru import logger

from daemon.host.kept import KeptChild
from daemon.host.process import Message
from daemon.messages import (
    Cancelled,
    Data,
    Ended,
    Lost,
    Outcome,
    OutOfMemory,
    PassPlan,
    RunOrder,
    WorkerSettings,
    known,
    order_data,
    plain,
    to_event,
)
from daemon.pool.face import OnEvent, Seat
from daemon.pool.memory import DeviceMemory
from daemon.pool.seat_names import card_of
from daemon.settings.fleet import FleetPlace

BRIDGE = "daemon.fleet.bridge"
SCHEDULER = "daemon.fleet.scheduler"


@dataclass(frozen=True)
class FarRun:
    """A run in progress on another machine, known there by its token."""

    id: str
    token: str
    seat: str
    future: Future[Outcome]


class DaskPool:
    """The pool of the nodes that work for a scheduler; see `face`.

    place: where the scheduler and the files are, and what certificates to show.  workers: of whose
    settings the weights, the precision and the checkpoints hold for nodes too.
    """

    def __init__(self, place: FleetPlace, workers: WorkerSettings, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._with: Data = {
            "weights": workers.weights,
            "precision": workers.precision,
            "checkpoint_s": workers.checkpoint_s,
        }
        self._lock = threading.Lock()
        self._open: dict[str, FarRun] = {}
        self._seats: list[Seat] = []
        self._memory: list[DeviceMemory] = []
        self._trouble: str | None = "the scheduler has not answered yet"
        self._scheduler = self._make_scheduler(place) if place.listen else None
        self._bridge = KeptChild(
            BRIDGE,
            [json.dumps(plain(place))],
            name="bridge to the nodes",
            on_message=self._hear,
            on_end=self._lose_all,
        )
        for child in (self._scheduler, self._bridge):
            if child is not None:
                child.start()

    @staticmethod
    def _make_scheduler(place: FleetPlace) -> KeptChild:
        settings = {
            "listen": place.listen,
            "ca": str(place.ca),
            "cert": str(place.scheduler_cert),
            "key": str(place.scheduler_key),
        }
        return KeptChild(
            SCHEDULER, [json.dumps(settings)], name="scheduler", on_message=lambda message: None
        )

    @property
    def trouble(self) -> str | None:
        """What is wrong with the fleet, None if nothing is."""
        return self._trouble

    def pids(self) -> dict[str, int]:
        """The processes of this machine that the fleet takes, by what they are."""
        found = {"bridge": self._bridge.pid}
        found |= {"scheduler": self._scheduler.pid} if self._scheduler else {}
        return {name: pid for name, pid in found.items() if pid is not None}

    # The face

    def seats(self) -> list[Seat]:
        """Every device of every node, as it stands now."""
        with self._lock:
            busy = {run.seat: run.id for run in self._open.values()}
            return [replace(seat, run_id=busy.get(seat.device)) for seat in self._seats]

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        """Starts a run on a free seat. One that has just gone ends it as Cancelled."""
        run = FarRun(run_id, secrets.token_urlsafe(24), device, Future())
        with self._lock:
            self._open[run.token] = run
        sent = self._bridge.send(
            {
                "do": "run",
                "run": run_id,
                "token": run.token,
                "seat": device,
                "sha256": order.picture.sha256,
                "with": self._with,
                "payload": order_data(order),
            }
        )
        if not sent:
            self._end(run.token, Cancelled())
        return run.future

    def cancel(self, run_id: str, *, grace_s: float) -> None:
        """Stops a run, which ends as Cancelled, or as Lost where it has not after `grace_s`."""
        self._ask(run_id, {"do": "cancel", "grace_s": grace_s})

    def kill(self, run_id: str) -> None:
        """Ends the worker of a run at once, which ends as Lost."""
        self._ask(run_id, {"do": "kill"})

    def rest(self, device: str) -> None:
        """Ends a seat's worker if it is idle."""
        self._bridge.send({"do": "rest", "seat": device})

    def warm(self, device: str) -> None:
        """Starts a seat's worker if it has none."""
        self._bridge.send({"do": "warm", "seat": device, "with": self._with})

    def memory(self) -> list[DeviceMemory]:
        """The memory of every device whose driver tells of it."""
        return list(self._memory)

    def close(self, *, grace_s: float) -> None:
        """Ends the bridge, and the scheduler if it is ours; runs still open end as Lost."""
        for token in list(self._open):
            self._end(token, Lost("was left when the service stopped"))
        self._bridge.close(grace_s)
        if self._scheduler:
            self._scheduler.close(grace_s)

    def _ask(self, run_id: str, request: Data) -> None:
        with self._lock:
            tokens = [run.token for run in self._open.values() if run.id == run_id]
        for token in tokens:
            self._bridge.send(request | {"token": token})

    # What the bridge says

    def _hear(self, message: Message) -> None:
        match message.get("event"):
            case "seats":
                self._take_seats(message["seats"])
            case "trouble":
                self._note_trouble(message["text"])
            case "lost":
                self._end(message["token"], Lost(message["how"]))
            case _:
                self._hear_of_run(message)

    def _hear_of_run(self, message: Message) -> None:
        run = self._open.get(message.get("token", ""))
        if run is None:
            return
        match event := to_event(message):
            case Ended(OutOfMemory(how)):
                plan = message.get("plan")
                self._end(run.token, OutOfMemory(how, known(PassPlan, plan) if plan else None))
            case Ended(outcome):
                self._end(run.token, outcome)
            case event if event is not None:
                self._on_event(run.id, event)

    def _take_seats(self, told: list[Data]) -> None:
        seats = [
            Seat(
                one["seat"], None, one["answered"], node=one["node"],
                offers=frozenset(one["offers"]),
                sharers=one["sharers"], on_trial=one["on_trial"],
                total_bytes=one["memory"]["total_bytes"] if one["memory"] else None,
            )
            for one in told
        ]  # fmt: skip
        memory = {card_of(one["seat"]): one["memory"] for one in told if one["memory"]}
        with self._lock:
            self._seats = seats
            self._memory = [known(DeviceMemory, one, device=card) for card, one in memory.items()]

    def _note_trouble(self, text: str) -> None:
        if text and text != self._trouble:
            logger.warning("the fleet: {}", text)
        self._trouble = text or None

    def _lose_all(self, how: str) -> None:
        """The bridge is gone: no run's fault, and each goes back into the line as it stands."""
        with self._lock:
            self._seats, self._memory = [], []
        self._trouble = f"the bridge to the nodes {how}"
        for token in list(self._open):
            self._end(token, Cancelled())

    def _end(self, token: str, outcome: Outcome) -> None:
        with self._lock:
            run = self._open.pop(token, None)
        if run is not None:
            run.future.set_result(outcome)
