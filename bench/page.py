"""What the page costs where 10,000 pictures are done and 1,000 wait: time, bytes, memory, idle.

    python bench/page.py [--done 10000] [--waiting 1000] [--idle-s 60]

Starts the real `atelierd page` on folders of its own, asks for every view as a browser does, and
lets it idle; no service runs. Prints a line for each.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from table import print_row

from daemon.engine.schedule import Pass
from daemon.job import Draft, Outputs, State
from daemon.ledger.store import Ledger
from daemon.messages import Done
from daemon.pictures.form import JobRecipe
from daemon.settings.config import load_config

VIEWS = ("/", "/queue", "/drop", "/try", "/proofs", "/presets", "/done", "/failed")
STATIC = ("page.css", "atelier.css", "page.js", "atelier.js", "drop.js", "zoom.js")
ROUNDS = 7
TICKS = os.sysconf("SC_CLK_TCK")


def fill(path: Path, done: int, waiting: int) -> None:
    """A ledger with so many jobs that are done, and so many that wait."""
    ledger = Ledger(path)
    recipe = JobRecipe().model_dump()
    with ledger.together():
        for number in range(done + waiting):
            job, picture, name = f"{number:032x}", f"{number + (1 << 64):032x}", f"IMG_{number}.jpg"
            preset = ("starry", "wave", "mosaic")[number % 3]
            ledger.add_picture(picture, Path(preset, name))
            draft = Draft(job, preset, Path(name), recipe, (), work=10**9)
            known = {"sha256": "ab" * 32, "size": 4_000_000, "width_px": 6000, "height_px": 4000}
            ledger.admit(picture, **known, drafts=[draft])
            if number < done:
                ledger.claim_job("bench")
                passes = tuple(Pass(px, px * 2 // 3, 100) for px in (128, 256, 512, 1024))
                outcome = Done(passes=passes, seconds=200.0)  # type: ignore[arg-type]
                ledger.finish_job(job, "bench", State.DONE, outcome=outcome)
                ledger.plan_outputs(job, Outputs(record="r", result=f"{preset}/{name}"))
                ledger.publish_job(job)
    ledger.close()


def studio(root: Path, port: int) -> Path:
    """Folders with three presets; the configuration."""
    config = root / "config.yaml"
    config.write_text(f"page: 127.0.0.1:{port}\n")
    presets = Path(__file__).parents[1] / "presets"
    for folder in ("inbox", "outbox", "presets", "state"):
        (root / folder).mkdir()
    for name in ("starry", "wave", "mosaic"):
        for suffix in (".jpg", ".yaml"):
            (root / "presets" / f"{name}{suffix}").write_bytes(
                (presets / f"{name}{suffix}").read_bytes()
            )
    return config


def ask(url: str) -> tuple[float, int]:
    """Seconds until a view is whole, and its bytes."""
    began_s = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        content = answer.read()
    return time.perf_counter() - began_s, len(content)


def rss_bytes(pid: int) -> int:
    """What a process holds in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def busy_s(pid: int) -> float:
    """Seconds of a core that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def main() -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--done", type=int, default=10_000)
    parser.add_argument("--waiting", type=int, default=1_000)
    parser.add_argument("--idle-s", type=float, default=60.0)
    asked = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        config = studio(Path(folder), port)
        fill(load_config(config).ledger_path, asked.done, asked.waiting)
        command = [sys.executable, "-m", "daemon", "--config", str(config), "page"]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
        try:
            measure(f"http://127.0.0.1:{port}", process.pid, asked.idle_s)
        finally:
            process.terminate()
            process.wait()


def measure(base: str, pid: int, idle_s: float) -> None:
    """Asks for every view, and lets the page idle."""
    while True:
        try:
            first = ask(f"{base}/")
            break
        except OSError:
            time.sleep(0.05)
    print(f"first view of all   {first[0]:.3f} s, {first[1] / 1000:.0f} kB")
    slowest = 0.0
    for view in VIEWS:
        rounds = [ask(base + view) for _ in range(ROUNDS)]
        seconds = statistics.median(seconds for seconds, _ in rounds)
        slowest = max(slowest, seconds)
        print(f"{view:<19} {seconds:.3f} s, {rounds[-1][1] / 1000:.0f} kB")
    total = sum(ask(f"{base}/static/{name}")[1] for name in STATIC)
    print(f"styles and scripts  {total / 1000:.0f} kB")
    print(f"memory              {rss_bytes(pid) / 1e6:.0f} MB")
    time.sleep(5)
    began = busy_s(pid)
    time.sleep(idle_s)
    idle = f"{100 * (busy_s(pid) - began) / idle_s:.2f} % of a core"
    print(f"idle                {idle}")
    print_row("the slowest view of the page", f"{slowest:.3f} s", f"idle {idle}")


if __name__ == "__main__":
    main()
