"""Dask's scheduler in a process of its own, which ends with the input of the one that started it.

Whoever holds a certificate of its CA can have it run code (Dask unpickles): it is best a user of
its own, with nothing else to read.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from daemon.fleet.dask_settings import make_security, set_up_dask
from daemon.host.process import Message, claim_stdout, heed_input, say


async def schedule(
    listen: str, ca: Path, cert: Path, key: Path, told: Callable[[Message], object]
) -> None:
    """Runs a scheduler on `host:port` until SIGTERM or SIGINT. Raises OSError where it cannot.

    told: called with its address once it listens.
    """
    from distributed import Scheduler

    host, _, port = listen.rpartition(":")
    scheduler = Scheduler(
        host=host,
        port=int(port),
        protocol="tls",
        security=make_security(ca, cert, key),
        dashboard=False,
        dashboard_address="127.0.0.1:0",  # by default it takes port 8787, for everybody
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with scheduler:
        told({"event": "listening", "address": scheduler.address})
        await stop.wait()


def main() -> None:
    """Runs a scheduler as its one argument, an object of `listen`, `ca`, `cert`, `key`, says."""
    out = claim_stdout()
    settings = json.loads(sys.argv[1])
    set_up_dask()
    heed_input(lambda message: None)  # nothing is asked of it but its end
    ca, cert, key = (Path(settings[name]) for name in ("ca", "cert", "key"))
    told = partial(say, out)
    asyncio.run(schedule(settings["listen"], ca, cert, key, told=told))


if __name__ == "__main__":
    main()
