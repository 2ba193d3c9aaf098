"""Says where a fleet's first wall stands: real ledger, scheduler and bridge, nodes that only wait.

    python bench/fleet.py --nodes 2,10,100,1000 --job-s 10 --result-kb 200

Each node is a real Dask worker over TLS that fetches the picture, waits as long as a job takes, and
gives a result; many of them share a process. Jobs are claimed from a real ledger, and end in it.
"""

import argparse
import asyncio
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loguru import logger

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from daemon.fleet.authority import CertificateOrder, make_certificates  # noqa: E402
from daemon.fleet.carrier import Carrier  # noqa: E402
from daemon.fleet.dask_settings import set_up_dask  # noqa: E402
from daemon.fleet.node import make_worker  # noqa: E402
from daemon.fleet.seat_settings import SeatSettings  # noqa: E402
from daemon.host.files import sha256_of  # noqa: E402
from daemon.job import Draft, State, StyleRef  # noqa: E402
from daemon.ledger.store import EVERY, Ledger  # noqa: E402
from daemon.messages import Data, Done, Ended, event_data  # noqa: E402
from daemon.pool.dask import DaskPool  # noqa: E402
from daemon.pool.memory import resident_bytes  # noqa: E402
from daemon.service.permit import Permit  # noqa: E402
from daemon.service.runs import Runs  # noqa: E402
from daemon.settings.config import Config  # noqa: E402
from daemon.settings.fleet import FleetSettings  # noqa: E402
from daemon.state.spool import Spool  # noqa: E402
from daemon.status.health import Health  # noqa: E402
from daemon.status.metrics import Metrics  # noqa: E402

NODES_A_PROCESS = 125
PICTURE_BYTES = 300_000
ANYTHING = Permit(EVERY)
TICK_S = 0.05
COME_S = 300.0


class WaitingPainter:
    """Does of a run all that concerns the fleet, and waits instead of painting."""

    leaving = False

    def __init__(self, settings: SeatSettings, job_s: float, result: bytes) -> None:
        self._settings = settings
        self._job_s = job_s
        self._result = result
        self._carrier: Carrier | None = None
        self.worker: Any = None

    def state(self) -> Data:
        """What is told with every heartbeat."""
        return {"answered": True, "leaving": False, "memory": None}

    def obey(self, request: Data) -> None:
        """Nothing takes so long that it could be stopped."""

    def paint(self, payload: Data) -> None:
        """Fetches the picture, waits, gives the result and tells the end."""
        mine = self._settings
        if self._carrier is None:
            self._carrier = Carrier(payload["files_url"], mine.ca, mine.cert, mine.key)
        token, run = payload["token"], payload["run"]
        mine.folder.mkdir(parents=True, exist_ok=True)
        picture, result = mine.folder / "picture", mine.folder / "result"
        self._carrier.fetch(token, "picture", picture, payload["takes"]["picture"])
        time.sleep(self._job_s)
        result.write_bytes(self._result)
        self._carrier.give(token, "result", result)
        done = Done(result_sha256=sha256_of(result), result_bytes=len(self._result), seconds=1.0)
        ended = event_data(run, Ended(done))
        self.worker.log_event(payload["topic"], {"token": token, "events": [ended]})


async def work(seats: list[SeatSettings], job_s: float, result_bytes: int) -> None:
    """Runs many nodes in this process."""

    def make(settings: SeatSettings) -> Any:
        painter = WaitingPainter(settings, job_s, os.urandom(result_bytes))
        worker: Any = make_worker(settings, painter.state)
        worker.painter = painter
        painter.worker = worker
        return worker

    workers = [make(settings) for settings in seats]
    for worker in workers:
        await worker
    await asyncio.gather(*(worker.finished() for worker in workers))


def be_nodes(settings: Data) -> None:
    """What a child of this bench does."""

    def end() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    set_up_dask()
    folder = Path(settings["folder"])
    pair = folder / "fleet" / "nodes" / "desk"
    seats = [
        SeatSettings(
            f"n{number}",
            "cpu",
            settings["scheduler"],
            pair / "ca.pem",
            pair / "node.pem",
            pair / "node.key",
            folder / f"n{number}",
            1 << 30,
        )
        for number in settings["numbers"]
    ]
    asyncio.run(work(seats, settings["job_s"], settings["result_bytes"]))


@contextmanager
def nodes(folder: Path, count: int, scheduler: str, options: argparse.Namespace) -> Iterator[None]:
    """So many nodes, in as many processes as they need."""
    children = []
    for first in range(0, count, NODES_A_PROCESS):
        settings = {
            "folder": str(folder),
            "scheduler": scheduler,
            "numbers": list(range(first, min(first + NODES_A_PROCESS, count))),
            "job_s": options.job_s,
            "result_bytes": int(options.result_kb * 1000),
        }
        command = [sys.executable, __file__, "--be-nodes", json.dumps(settings)]
        children.append(subprocess.Popen(command, stdin=subprocess.PIPE))
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def fill(ledger: Ledger, spool: Spool, count: int) -> None:
    """Queues so many jobs of one picture each."""
    content = os.urandom(PICTURE_BYTES)
    with ledger.together():
        for number in range(count):
            picture_id, job_id = f"p{number:06}", secrets.token_hex(16)
            ledger.add_picture(picture_id, Path(f"starry/{number}.jpg"))
            place = spool.picture(picture_id)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            draft = Draft(
                job_id, "starry", Path(f"{number}.jpg"), {"size": 64, "seed": 0},
                (StyleRef("wave.png", "5a", 1.0),),
            )  # fmt: skip
            ledger.admit(
                picture_id,
                sha256=sha256_of(place),
                size=len(content),
                width_px=64,
                height_px=64,
                drafts=[draft],
            )


def measure(count: int, options: argparse.Namespace) -> str:
    """A row of the table: so many nodes, each with a few jobs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = FleetSettings(embedded=True, listen="127.0.0.1:28786", files="127.0.0.1:28787",
                                 files_url="https://127.0.0.1:28787")  # fmt: skip
        limits = Config().limits.model_copy(update={"free_bytes": 0})
        config = Config().model_copy(
            update={"state": folder, "limits": limits, "fleet": settings, "gallery": False}
        )
        place = settings.place(folder)
        order = CertificateOrder(
            folder / "fleet", ("127.0.0.1",), ("desk",), place.scheduler, place.files_url, 30
        )
        for _ in make_certificates(order):
            pass
        ledger, spool, health = Ledger(config.ledger_path), Spool(folder), Health()
        jobs = max(options.least_jobs, count * options.jobs_a_node)
        fill(ledger, spool, jobs)
        pools: list[DaskPool] = []

        def make_pool(config: Config, devices: Any, hear: Any) -> DaskPool:
            pools.append(DaskPool(place, config.worker(""), hear))
            return pools[0]

        metrics = Metrics(config.ledger_path, [], health, lambda: [])
        wake = threading.Event()
        runs = Runs(config, [], ledger, "bench", spool, health, metrics, wake.set, make_pool)
        runs.start()
        try:
            with nodes(folder, count, place.scheduler, options):
                return row(count, jobs, runs, ledger, pools[0], wake, options)
        finally:
            runs.join(2.0)
            ledger.close()


def row(
    count: int,
    jobs: int,
    runs: Runs,
    ledger: Ledger,
    pool: DaskPool,
    wake: threading.Event,
    options: argparse.Namespace,
) -> str:
    """Waits for the nodes, runs the jobs, and tells what that took."""
    began_s = time.monotonic()
    while len(pool.seats()) < count:
        if time.monotonic() - began_s > COME_S:
            raise SystemExit(f"only {len(pool.seats())} of {count} nodes came: {pool.trouble}")
        time.sleep(0.1)
    come_s = time.monotonic() - began_s
    own_s, began_s, most = time.process_time(), time.monotonic(), {"service": 0}
    before = processor_seconds(pool)
    while ledger.counts()[State.PUBLISHING] < jobs:
        wake.clear()
        runs.tick(ANYTHING)
        for name, pid in {**pool.pids(), "service": os.getpid()}.items():
            most[name] = max(most.get(name, 0), resident_bytes(pid))
        wake.wait(TICK_S)
    seconds = time.monotonic() - began_s
    ideal_s = -(-jobs // count) * options.job_s
    spent = {name: took - before[name] for name, took in processor_seconds(pool).items()}
    spent["service"] = time.process_time() - own_s
    share = ", ".join(f"{name} {100 * took / seconds:.0f} %" for name, took in spent.items())
    memory = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in most.items())
    carried = jobs * (PICTURE_BYTES + options.result_kb * 1000) / seconds / 1e6
    return (
        f"| {count} | {come_s:.0f} | {jobs} | {seconds:.1f} | {seconds / ideal_s:.2f} "
        f"| {jobs / seconds:.1f} | {carried:.1f} | {share} | {memory} |"
    )


def processor_seconds(pool: DaskPool) -> dict[str, float]:
    """What the fleet's processes of this machine have taken of a processor so far."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = {}
    for name, pid in pool.pids().items():
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        found[name] = (int(fields[11]) + int(fields[12])) / ticks
    return found


def main() -> None:
    """Measures each number of nodes, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", default="2,10,100", help="numbers of nodes, by commas")
    parser.add_argument("--job-s", type=float, default=5.0, help="seconds that a job takes")
    parser.add_argument("--jobs-a-node", type=int, default=3)
    parser.add_argument("--least-jobs", type=int, default=20)
    parser.add_argument("--result-kb", type=float, default=300.0)
    parser.add_argument("--be-nodes", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_nodes:
        be_nodes(json.loads(options.be_nodes))
        return
    logger.remove()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(
        "| nodes | s until there | jobs | s | of ideal | jobs/s | MB/s | of a core | MB at most |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for count in map(int, options.nodes.split(",")):
        print(measure(count, options), flush=True)


if __name__ == "__main__":
    main()
