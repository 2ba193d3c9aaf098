"""A node's process for one seat: a Dask worker whose tasks are runs.

Its standard input says when it is to be drained, and ends it when it is closed.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

from loguru import logger

from daemon import __version__
from daemon.errors import SurroundingsError
from daemon.fleet.painter import Painter
from daemon.fleet.peer import check_scheduler
from daemon.fleet.seat_settings import SeatSettings
from daemon.host.process import Message, heed_input
from daemon.messages import Data, known
from daemon.settings.address import Address

if TYPE_CHECKING:
    from distributed import Worker

FACTS = "atelierd"
"""Under which a worker's facts stand among those that Dask tells of it."""

JOIN_S = "30s"
HANDED_OVER_S = 10.0


def facts_of(settings: SeatSettings) -> Data:
    """What a node tells of itself once: names, tags, and the versions of what must fit."""
    return {
        "node": settings.node,
        "device": settings.device,
        "seat": settings.seat,
        "sharers": settings.sharers,
        "on_trial": settings.on_trial,
        "tags": list(settings.tags),
        "version": __version__,
        "dask": version("distributed"),
    }


def make_worker(settings: SeatSettings, state: Callable[[], Data]) -> "Worker":
    """A Dask worker for one run at a time, over TLS alone, without limits and pages of its own."""
    from distributed import Worker
    from distributed.worker import DEFAULT_METRICS, DEFAULT_STARTUP_INFORMATION

    from daemon.fleet.dask_settings import make_security

    facts = facts_of(settings)
    port = settings.port or (free_port() if settings.host else 0)
    return Worker(
        settings.scheduler,
        nthreads=1,
        memory_limit=0,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        protocol="tls",
        security=make_security(settings.ca, settings.cert, settings.key),
        local_directory=str(settings.folder / "dask"),
        death_timeout=JOIN_S,
        port=port or None,
        contact_address=f"tls://{Address(settings.host, port)}" if settings.host else None,
        metrics={**DEFAULT_METRICS, FACTS: lambda worker: state()},
        startup_information={**DEFAULT_STARTUP_INFORMATION, FACTS: lambda worker: facts},
    )


def free_port() -> int:
    """A port that nothing listens at just now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return port


async def serve(settings: SeatSettings) -> None:
    """Works for the scheduler until it is gone, or until drained. Raises OSError, TimeoutError."""
    from distributed.core import Status

    ending = (Status.closing, Status.closed, Status.failed)
    loop = asyncio.get_running_loop()
    draining = asyncio.Event()

    def tell(topic: str, message: Data) -> None:
        worker.log_event(topic, message)

    def is_wanted(key: str) -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state != "cancelled"

    def is_alone() -> bool:
        return worker.status in ending  # until the run at hand has ended, or for half a minute

    mine = Painter(settings, tell, is_wanted, is_alone)
    worker = make_worker(settings, mine.state)
    worker.painter = mine  # type: ignore[attr-defined]  # for `remote`, which knows no other

    def heed(request: Message) -> None:
        if request.get("do") == "drain":
            loop.call_soon_threadsafe(draining.set)

    heed_input(heed)
    async with worker:
        logger.info("{} works for {}", settings.seat, settings.scheduler)
        gone = asyncio.create_task(worker.finished())
        asked = asyncio.create_task(draining.wait())
        await asyncio.wait([gone, asked], return_when=asyncio.FIRST_COMPLETED)
        if draining.is_set():
            mine.drain()
            await handed_over(worker, mine)
        else:
            logger.warning("the scheduler {} is gone", settings.scheduler)
    mine.close()


async def handed_over(worker: "Worker", mine: Painter) -> None:
    """Waits until the run at hand has ended, and for a moment until that has been heard."""
    while mine.is_busy:
        await asyncio.sleep(0.1)
    for _ in range(int(HANDED_OVER_S / 0.1)):
        if not worker.state.tasks:
            return
        await asyncio.sleep(0.1)


def main() -> None:
    """Works as its one argument, the fields of `SeatSettings` as JSON, says."""
    from daemon.fleet.dask_settings import set_up_dask

    # The supervisor hears it, and has us drained. Slurm tells every process of a job at once; what
    # is ignored here is so in the child that paints, too.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    data = json.loads(sys.argv[1])
    settings = known(SeatSettings, data, tags=tuple(data.get("tags", ())))
    logger.remove()
    logger.add(sys.stderr, format="{message}", level="INFO")
    set_up_dask()
    try:
        check_scheduler(settings.scheduler, settings.ca, settings.cert, settings.key)
        asyncio.run(serve(settings))
    except (OSError, TimeoutError, ValueError, SurroundingsError) as error:
        logger.error("cannot work for {}: {}", settings.scheduler, error)
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)  # threads of a run that nobody waits for


if __name__ == "__main__":
    main()
