"""Seconds from handing a run to a worker to the end of its first step, cold and warm.

Run as `python bench/startup.py [RUNS]`. Cold: the child is started for it, as after the start of
the service, but with the weights in the system's file cache. Warm: the same child, another run.
"""

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

from surroundings import ROOT, make_order
from table import print_row

from daemon.messages import Cancelled, Event, Progress, RunOrder, WorkerSettings
from daemon.pool.face import WorkerPool
from daemon.pool.local import LocalPool


def first_step_s(pool: WorkerPool, stepped: threading.Event, run_id: str, work: RunOrder) -> float:
    """Submits a run, waits for its first step, and cancels it."""
    stepped.clear()
    began = time.perf_counter()
    future = pool.submit("cpu", run_id, work)
    stepped.wait(120)
    seconds = time.perf_counter() - began
    pool.cancel(run_id, grace_s=60)
    assert future.result(120) == Cancelled()
    return seconds


def main() -> None:
    """Prints both, as medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=3)
    cold, warm, first = [], [], None
    for number in range(parser.parse_args().runs):
        stepped = threading.Event()

        def hear(run_id: str, event: Event, stepped: threading.Event = stepped) -> None:
            if isinstance(event, Progress):
                stepped.set()

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            engine = ROOT / "state" / "engine" if number else folder / "engine"
            pool = LocalPool([WorkerSettings("cpu", "classic", engine)], hear)
            photo = ROOT / "docs" / "images" / "rocket.jpg"
            seconds = first_step_s(pool, stepped, "cold", make_order(folder, photo))
            if number:
                cold.append(seconds)
            else:
                first = seconds
            other = ROOT / "docs" / "images" / "chelsea.jpg"
            warm.append(first_step_s(pool, stepped, "warm", make_order(folder, other)))
            pool.close(grace_s=2.0)
    print(f"first start ever, with the trial of arithmetic and no cache: {first:.2f} s")
    print(f"child started to first step: {statistics.median(cold):.2f} s")
    print(f"warm child to first step:    {statistics.median(warm):.2f} s")
    print_row(
        "a job's first step in a warm worker",
        f"{statistics.median(warm):.2f} s",
        f"in one started for it {statistics.median(cold):.2f} s, in the first ever {first:.2f} s",
    )


if __name__ == "__main__":
    main()
