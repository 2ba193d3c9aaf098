"""What the service costs beside painting: a flood of files, the queue's speed, idling.

Run as `python bench/service.py flood [FILES]`, `queue [JOBS]` or `idle [SECONDS]`.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import yaml
from PIL import Image
from table import print_row

from daemon.job import Draft, State
from daemon.ledger.store import Ledger

ROOT = Path(__file__).parent.parent
COMMAND = Path(sys.executable).with_name("atelierd")
TICKS = os.sysconf("SC_CLK_TCK")
WORKERS = 4


@contextlib.contextmanager
def service(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A running service on folders of its own, every waiting time as it is by default."""
    folder.joinpath("presets").mkdir()
    style = ROOT / "presets" / "starry.jpg"
    folder.joinpath("presets/slow.jpg").write_bytes(style.read_bytes())
    recipe = {"styles": [{"image": "slow.jpg"}], "size": 256, "steps": 10_000, "normalise": "raw"}
    folder.joinpath("presets/slow.yaml").write_text(yaml.safe_dump(recipe))
    folder.joinpath("config.yaml").write_text("log_level: WARNING\n")
    command = [COMMAND, "--config", folder / "config.yaml", "run"]
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:  # a session of its own, as a service has: the kernel shares cores between these
        try:
            until(
                lambda: (folder / "inbox/slow").is_dir() and (folder / "state/live.json").exists()
            )
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def until(look) -> float:  # type: ignore[no-untyped-def]
    """Seconds until `look` is true."""
    began = time.perf_counter()
    while not look():
        time.sleep(0.05)
    return time.perf_counter() - began


def memory_mb(pid: int, kind: str) -> float:
    """A process's memory in MB by its name in /proc/PID/status."""
    found = re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1000


def flood(files: int) -> None:
    """Drops so many small pictures at once, while one job runs."""
    with tempfile.TemporaryDirectory() as name, service(Path(name)) as process:
        folder = Path(name)
        ledger = Ledger(folder / "state/ledger.sqlite3", read_only=True)
        (folder / "inbox/slow/first.jpg").write_bytes(
            (ROOT / "docs/images/rocket.jpg").read_bytes()
        )
        until(lambda: ledger.counts()[State.RUNNING])
        source, wave = io.BytesIO(), folder / "inbox/.wave"
        Image.effect_noise((48, 36), 40).convert("RGB").save(source, "JPEG")
        wave.mkdir()
        for number in range(files):
            (wave / f"{number:05}.jpg").write_bytes(source.getvalue() + b"%d" % number)
        wave.rename(folder / "inbox/slow/wave")
        answers: list[float] = []

        def queued() -> bool:
            began = time.perf_counter()
            command = [COMMAND, "--config", folder / "config.yaml", "status"]
            subprocess.run(command, check=True, capture_output=True)
            answers.append(time.perf_counter() - began)
            time.sleep(1.0)
            return ledger.counts()[State.READY] >= files

        seconds = until(queued)
        jobs = ledger.jobs_in(State.READY)
        names = [job.below.name for job in jobs]
        once = names == [f"{number:05}.jpg" for number in range(files)]
        print(
            f"{files} files queued after {seconds:.1f} s (5 of them to settle), "
            f"{'each once and in order' if once else 'NOT each once in order'}; the service "
            f"at most {memory_mb(process.pid, 'VmHWM'):.0f} MB; status meanwhile "
            f"{statistics.median(answers):.2f} s, at most {max(answers):.2f} s"
        )
        print_row(
            f"{files} files dropped at once beside a painting, queued",
            f"{seconds:.1f} s",
            f"{'' if once else 'NOT '}each once; the service at most "
            f"{memory_mb(process.pid, 'VmHWM'):.0f} MB; status {statistics.median(answers):.2f} s",
        )
        ledger.close()


def work_off(path: Path, owner: str, start: Barrier, done: "multiprocessing.Queue[int]") -> None:
    """Claims, finishes and publishes jobs until none is left, from when all are there."""
    ledger, count = Ledger(path), 0
    start.wait()
    while (job := ledger.claim_job(owner)) is not None:
        ledger.finish_job(job.id, owner, State.DONE)
        ledger.publish_job(job.id)
        count += 1
    ledger.close()
    done.put(count)


def queue(jobs: int) -> None:
    """Jobs a second from claim to done, in one process and in several; the disk is synced."""
    for processes in (1, WORKERS):
        with tempfile.TemporaryDirectory(dir=ROOT / "state") as name:
            path = Path(name) / "ledger.sqlite3"
            ledger = Ledger(path)
            ledger.add_picture("p1", Path("photo.jpg"))
            drafts = [Draft(f"{n:032x}", "slow", Path("a.jpg"), {}, ()) for n in range(jobs)]
            ledger.admit("p1", sha256="", size=1, width_px=1, height_px=1, drafts=drafts)
            context = multiprocessing.get_context("spawn")
            done, start = context.Queue(), context.Barrier(processes + 1)
            workers = [
                context.Process(target=work_off, args=(path, f"worker {n}", start, done))
                for n in range(processes)
            ]
            for worker in workers:
                worker.start()
            start.wait()
            began = time.perf_counter()
            counts = [done.get() for _ in workers]
            seconds = time.perf_counter() - began
            for worker in workers:
                worker.join()
            assert sum(counts) == jobs == ledger.counts()[State.DONE]
            print(f"{processes} processes: {jobs / seconds:.0f} jobs a second, {counts}")
            print_row(
                f"jobs a second through the ledger, {processes} at it", f"{jobs / seconds:.0f}"
            )
            ledger.close()


def idle(seconds: float) -> None:
    """Share of a core that the service and its children take while nothing happens."""
    with tempfile.TemporaryDirectory() as name, service(Path(name)) as process:
        time.sleep(5.0)

        def ticks() -> int:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            return sum(int(field) for field in fields[11:15])

        before, began = ticks(), time.perf_counter()
        time.sleep(seconds)
        share = (ticks() - before) / TICKS / (time.perf_counter() - began)
        print(
            f"idle for {seconds:.0f} s: {share:.2%} of a core, "
            f"{memory_mb(process.pid, 'VmRSS'):.0f} MB"
        )
        memory = f"{memory_mb(process.pid, 'VmRSS'):.0f} MB"
        print_row("the service, idle", f"{share:.2%} of a core", memory)


def main() -> None:
    """Runs one of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["flood", "queue", "idle"])
    parser.add_argument("amount", nargs="?", type=int)
    options = parser.parse_args()
    match options.what:
        case "flood":
            flood(options.amount or 10_000)
        case "queue":
            queue(options.amount or 2_000)
        case "idle":
            idle(options.amount or 600)


if __name__ == "__main__":
    main()
