"""The bridge between a service and its nodes: Dask's client, and the files that nodes come for.

Its input and output are JSON lines. To it: {do: run, run, token, seat, sha256, with, payload},
{do: cancel, token, grace_s}, {do: kill, token}, {do: rest, seat}, {do: warm, seat, with}. From it:
{event: seats, seats}, {event: trouble, text}, and the events of runs with their `token`. It ends
with its input; where it loses the scheduler it ends too, and is started again.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon import __version__
from daemon.fleet import remote
from daemon.fleet.dask_settings import make_security, set_up_dask
from daemon.fleet.depot import Depot
from daemon.fleet.node import FACTS
from daemon.fleet.order import gives, takes
from daemon.host.process import claim_stdout, heed_input, say
from daemon.messages import Blob, Data, known, order_data, to_order
from daemon.pool.face import kind_of
from daemon.settings.fleet import FleetPlace

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 10.0
RETRY_S = 1.0
LOOK_S = 1.0
NODES_A_LOOK = 100
"""So many nodes are looked at in a second; more are looked at less often."""

UNANSWERED_S = 30.0
EVENTS_S = 2.0
"""How long the last events of a run may be later than its end."""

GONE_S = 0.2
"""The same of a node that is gone: the scheduler tells that after all that the node said."""

MARGIN_S = 10.0
"""How long a node may take to answer beyond what it was given."""

KILL_S = 5.0
ENDS = ("ended", "cancelled", "short", "lost")
SCHEDULER_LOST = 4
"""Exit code of a bridge that has lost the scheduler."""


@dataclass(frozen=True)
class Sent:
    """A run that a node was given: on which worker, as which task, and what shows its preview."""

    id: str
    address: str
    future: "Future[None]"
    preview: Path | None


@dataclass(frozen=True)
class FoundNode:
    """A worker of ours among the scheduler's: its address, what it is, and how it stands."""

    address: str
    facts: Data
    state: Data

    @property
    def offers(self) -> list[str]:
        """The names by which a job can ask for it: node, tags, kind of device."""
        return sorted({self.facts["node"], kind_of(self.facts["device"]), *self.facts["tags"]})

    @property
    def misfit(self) -> str:
        """Why it gets no work; empty if it fits."""
        theirs, ours = self.facts["version"], __version__
        if theirs != ours:
            return f"{self.facts['node']} has atelierd {theirs}, this service {ours}"
        theirs, ours = self.facts["dask"], version("distributed")
        if theirs != ours:
            return f"{self.facts['node']} has distributed {theirs}, this service {ours}"
        return ""


def found_nodes(workers: Mapping[str, Data]) -> Iterable[FoundNode]:
    """Our nodes among a scheduler's workers, other people's left out."""
    for address, worker in workers.items():
        if facts := worker.get(FACTS):
            yield FoundNode(address, facts, worker.get("metrics", {}).get(FACTS) or {})


class Bridge:
    """Carries runs to nodes and what becomes of them back. Everything in one loop's thread."""

    def __init__(
        self, client: "Client", depot: Depot, files_url: str, tell: Callable[[Data], None]
    ):
        self._client = client
        self._depot = depot
        self._files_url = files_url
        self._tell = tell
        self._topic = f"atelierd-{secrets.token_hex(8)}"
        self._sent: dict[str, Sent] = {}
        self._nodes: dict[str, FoundNode] = {}
        self._refused: set[str] = set()
        self._told: list[Data] = []
        self._trouble: str | None = None
        self._line = client.scheduler_comm
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Looks after the nodes until the scheduler is lost."""
        self._client.subscribe_topic(self._topic, self._hear)
        self._client.subscribe_topic("all", self._note_change)
        while self._is_connected:
            try:
                workers = await self._look()
            except OSError:  # it went while it was asked, or never answered
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                pause_s = max(LOOK_S, workers / NODES_A_LOOK)
                await asyncio.wait_for(self._changed.wait(), pause_s)

    @property
    def _is_connected(self) -> bool:
        """Whether the line to the scheduler is the one that the runs were sent by.

        Dask's client makes another by itself where it breaks, and forgets its runs: to a scheduler
        that was started again since, whose nodes are not there yet.
        """
        line = self._line
        running = self._client.status == "running" and self._client.scheduler_comm is line
        return running and line is not None and not line.comm.closed()

    def _note_change(self, event: tuple[float, Any]) -> None:
        """A worker has come or gone."""
        message = event[1]
        if isinstance(message, dict) and message.get("action") in ("add-worker", "remove-worker"):
            self._changed.set()

    # Nodes

    async def _look(self) -> int:
        """Looks at the scheduler's workers; returns how many there are."""
        scheduler: Any = self._client.scheduler
        told = await asyncio.wait_for(scheduler.identity(n_workers=-1), UNANSWERED_S)
        if not self._is_connected:
            return 0
        workers = told["workers"]
        nodes = list(found_nodes(workers))
        misfits = [node for node in nodes if node.misfit]
        fit = [node for node in nodes if not node.misfit]
        self._nodes = {node.facts["seat"]: node for node in fit}  # of two, the one that came last
        self._tell_seats()
        self._refuse(misfits)
        for token, sent in list(self._sent.items()):
            if sent.address not in workers:
                self._later(GONE_S, self._lose, token, "was lost: its node is gone")
        return len(workers)

    def _tell_seats(self) -> None:
        seats = [
            {
                "seat": seat,
                "node": node.facts["node"],
                "offers": node.offers,
                "answered": bool(node.state.get("answered")),
                "memory": node.state.get("memory"),
                "sharers": node.facts.get("sharers", 1),
                "on_trial": node.facts.get("on_trial", False),
            }
            for seat, node in sorted(self._nodes.items())
            if not node.state.get("leaving")
        ]
        if seats != self._told or self._trouble is None:
            self._told = seats
            self._tell({"event": "seats", "seats": seats})

    def _refuse(self, misfits: list[FoundNode]) -> None:
        """Says which nodes get no work, here and there."""
        reasons = {node.address: node.misfit for node in misfits}
        for address in reasons.keys() - self._refused:
            self._ask(address, {"do": "refuse", "reason": reasons[address]})
        self._refused = set(reasons)
        text = "; ".join(sorted(set(reasons.values())))
        text = f"{text}: install the same version there; it gets no work" if text else ""
        if text != self._trouble:
            self._trouble = text
            self._tell({"event": "trouble", "text": text})

    # Runs

    def obey(self, request: Data) -> None:
        """Does what the service asks for."""
        match request["do"]:
            case "run":
                self._run(request)
            case "cancel" | "kill" as how:
                self._stop(request["token"], how, request.get("grace_s", 0.0))
            case "rest" | "warm" if node := self._nodes.get(request["seat"]):
                self._ask(node.address, request)

    def _run(self, request: Data) -> None:
        token, run_id = request["token"], request["run"]
        node = self._nodes.get(request["seat"])
        if node is None:  # it has just gone, which is not the run's fault
            self._tell({"event": "cancelled", "run": run_id, "token": token})
            return
        order = to_order(request["payload"])
        order = replace(order, picture=Blob(request["sha256"], order.picture.path))
        taken, given = takes(order), gives(order)
        self._depot.grant(token, {name: blob.path for name, blob in taken.items()}, given)
        key = f"{run_id}-{token[:8]}"
        payload = {
            "token": token,
            "run": run_id,
            "topic": self._topic,
            "key": key,
            "files_url": self._files_url,
            "with": request["with"],
            "order": order_data(order),
            "takes": {name: blob.sha256 for name, blob in taken.items()},
        }
        future = self._client.submit(
            remote.paint,
            payload,
            key=key,
            workers=[node.address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        self._sent[token] = Sent(run_id, node.address, future, order.preview)
        loop = asyncio.get_running_loop()
        future.add_done_callback(
            lambda done: loop.call_soon_threadsafe(self._note_end, token, done.status)
        )

    def _note_end(self, token: str, status: str) -> None:
        """A task is over; what it has told of its end may come a moment later."""
        if not self._is_connected:
            self._changed.set()  # and with the scheduler the bridge goes, too
            return
        ends = {
            "error": "was lost: its node is gone",
            "finished": "was lost: nothing was heard of its end",
        }
        how = ends.get(status, f"was lost: its task is {status}")
        self._later(EVENTS_S, self._lose, token, how)

    def _hear(self, event: tuple[float, Any]) -> None:
        """What a node says of a run."""
        message = event[1]
        token = message["token"]
        for data in message["events"]:
            sent = self._sent.get(token)
            if sent is None:
                return
            if data["event"] == "preview":
                data["path"] = str(sent.preview)
            if data["event"] in ENDS:
                self._end(token, self._checked(token, data))
            else:
                self._tell(data | {"token": token})

    def _checked(self, token: str, data: Data) -> Data:
        """An end as told; of one whose result is not here as told, that it was lost."""
        result = data.get("result", {})
        if (
            not result.get("ok")
            or self._depot.given(token).get("result") == result["result_sha256"]
        ):
            return data
        return {"event": "lost", "run": data["run"], "how": "was lost: its result did not arrive"}

    def _end(self, token: str, data: Data) -> None:
        """A run is over. First nothing more of it is taken in, then the service hears of it."""
        self._depot.revoke(token)
        del self._sent[token]
        self._tell(data | {"token": token})

    def _lose(self, token: str, how: str) -> None:
        """Gives up a run, unless it is over; its node stops it when it hears of that."""
        if sent := self._sent.get(token):
            self._task(sent.future.cancel())
            self._end(token, {"event": "lost", "run": sent.id, "how": how})

    def _stop(self, token: str, how: str, grace_s: float) -> None:
        """Has a run stopped; one of which nothing is heard in time is given up."""
        sent = self._sent.get(token)
        if sent is None:
            return
        self._ask(sent.address, {"do": how, "token": token, "grace_s": grace_s})
        patience_s = KILL_S if how == "kill" else grace_s + MARGIN_S
        self._later(patience_s, self._lose, token, "was given up: its node does not answer")

    def _ask(self, address: str, request: Data) -> None:
        self._task(self._client.run(remote.ask, request, workers=[address], on_error="ignore"))

    def _task(self, doing: Coroutine[Any, Any, Any] | Any) -> None:
        """Does something beside the rest; what goes wrong there is seen by what does not come."""

        async def do() -> None:
            with contextlib.suppress(Exception):
                await doing

        task = asyncio.get_running_loop().create_task(do())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _later(self, seconds: float, do: Callable[..., None], *arguments: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, do, *arguments)


async def connect(place: FleetPlace, tell: Callable[[Data], None]) -> "Client":
    """A client of the scheduler, as soon as that answers; says why it does not."""
    from distributed import Client

    security = make_security(place.ca, place.cert, place.key)
    while True:
        client = Client(
            place.scheduler,
            security=security,
            asynchronous=True,
            set_as_default=False,
            timeout=CONNECT_S,
            name="atelierd",
        )
        try:
            await client
            return client
        except (OSError, TimeoutError, ValueError) as error:
            why = f"the scheduler {place.scheduler} does not answer: {in_words(error)}"
            tell({"event": "trouble", "text": why})
            with contextlib.suppress(Exception):
                await client.close(timeout=1)
        await asyncio.sleep(RETRY_S)


def in_words(error: BaseException) -> str:
    """The first cause of an error that has something to say."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


async def carry(place: FleetPlace, tell: Callable[[Data], None]) -> None:
    """Works until the scheduler is lost. Raises OSError where the files cannot be offered."""
    depot = Depot(place.files, place.ca, place.cert, place.key)
    depot.start()
    requests: asyncio.Queue[Data] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    heed_input(lambda request: loop.call_soon_threadsafe(requests.put_nowait, request))
    bridge = Bridge(await connect(place, tell), depot, place.files_url, tell)

    async def obey() -> None:
        while True:
            bridge.obey(await requests.get())

    obeying = asyncio.create_task(obey())
    working = asyncio.create_task(bridge.work())
    done, _ = await asyncio.wait([obeying, working], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def main() -> None:
    """Works as its one argument, the fields of `FleetPlace` as JSON, says."""
    import cloudpickle

    out = claim_stdout()
    place = known(FleetPlace, json.loads(sys.argv[1]))
    set_up_dask()
    cloudpickle.register_pickle_by_value(remote)
    lock = threading.Lock()

    def tell(message: Data) -> None:
        with lock:
            say(out, message)

    try:
        asyncio.run(carry(place, tell))
    except OSError as error:
        print(f"cannot work: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    print(f"has lost the scheduler {place.scheduler}", file=sys.stderr, flush=True)
    os._exit(SCHEDULER_LOST)


if __name__ == "__main__":
    main()
