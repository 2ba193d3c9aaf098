"""The bridge and a scheduler that goes: what was sent by the old line is nobody's fault."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daemon.fleet import bridge as bridge_module
from daemon.fleet.bridge import FACTS, Bridge
from daemon.fleet.depot import Depot
from daemon.fleet.node import facts_of
from daemon.fleet.seat_settings import SeatSettings
from daemon.messages import Data, order_data
from tests.support.pools import PICTURE, order

ADDRESS = "tls://127.0.0.1:1"


class Line:
    """A connection of a client to its scheduler."""

    def __init__(self) -> None:
        self.comm = SimpleNamespace(closed=lambda: False)


class ClientWithNode:
    """A client of a scheduler with one node, as far as the bridge asks.

    when_asked: is called when it is asked for its workers, before it tells of them.
    """

    def __init__(self, when_asked: Callable[["ClientWithNode"], None]) -> None:
        self.status = "running"
        self.scheduler_comm = Line()
        self.scheduler = self
        self.asked = 0
        self.task: Future[None] = Future()
        self._when_asked = when_asked
        facts = facts_of(SeatSettings("n", "cpu", "", Path(), Path(), Path(), Path(), 0))
        self.workers: Data = {ADDRESS: {FACTS: facts}}

    def subscribe_topic(self, topic: str, hear: object) -> None: ...

    async def identity(self, n_workers: int) -> Data:
        self.asked += 1
        self._when_asked(self)
        return {"workers": self.workers}

    def submit(self, *work: object, **how: object) -> object:
        def when_done(do: Callable[[Any], None]) -> None:
            self.task.add_done_callback(lambda _: do(SimpleNamespace(status="cancelled")))

        return SimpleNamespace(add_done_callback=when_done, cancel=lambda: asyncio.sleep(0))


def what_is_told(client: ClientWithNode, folder: Path) -> list[str]:
    """The events of a bridge that is given a run as soon as it has seen the node, to its end."""
    told: list[Data] = []
    (folder / "picture").write_bytes(PICTURE)
    payload = order_data(order(folder))
    depot = cast(Depot, SimpleNamespace(grant=lambda *_: None, revoke=lambda _: None))

    async def run() -> None:
        def tell(data: Data) -> None:
            told.append(data)
            if data["event"] == "seats" and not told[1:]:
                asked = {"seat": "n/cpu", "run": "r", "token": "t" * 16, "sha256": ""}
                bridge.obey({"do": "run", "with": {}, "payload": payload, **asked})

        bridge = Bridge(cast(Any, client), depot, "", tell)
        await asyncio.wait_for(bridge.work(), 10.0)
        await asyncio.sleep(0.02)

    asyncio.run(run())
    return [data["event"] for data in told if data["event"] not in ("seats", "trouble")]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the bridge waits for it does not wait for long."""
    for name in ("LOOK_S", "EVENTS_S", "GONE_S"):
        monkeypatch.setattr(bridge_module, name, 0.001)


def test_scheduler_that_was_started_again_at_once_loses_no_run(tmp_path: Path) -> None:
    def start_again(client: ClientWithNode) -> None:
        if client.asked == 2:
            client.scheduler_comm = Line()  # Dask's client has found the new one by itself
            client.workers = {}  # and no node has yet
            client.task.set_result(None)

    assert what_is_told(ClientWithNode(start_again), tmp_path) == []


def test_scheduler_that_goes_while_it_is_asked_loses_no_run(tmp_path: Path) -> None:
    def go(client: ClientWithNode) -> None:
        if client.asked == 2:
            raise OSError("Stream is closed")

    assert what_is_told(ClientWithNode(go), tmp_path) == []


def test_node_that_goes_loses_its_run(tmp_path: Path) -> None:
    def lose_the_node(client: ClientWithNode) -> None:
        client.workers = client.workers if client.asked < 2 else {}
        if client.asked == 40:
            client.scheduler_comm.comm.closed = lambda: True

    assert what_is_told(ClientWithNode(lose_the_node), tmp_path) == ["lost"]
