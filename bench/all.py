"""All benches that matter, one after the other, and one table of what they found.

    python bench/all.py [PART ...] [--minutes 40] [--out state/bench]

Each is a child with a time limit; what it prints goes to OUT/PART.log. One that fails or takes too
long is told in the table, and the rest goes on. The table is printed at the end and kept in
OUT/table.md. Nothing else should run meanwhile: how much others computed is told of each part.
"""

import argparse
import contextlib
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from table import rows_of

from daemon.engine.vgg.processors import processor_fact

BENCH = Path(__file__).parent
ROOT = BENCH.parent
GRACE_S = 20.0
TICKS = os.sysconf("SC_CLK_TCK")
BUSY = (0, 1, 2, 5, 6)
"""Of the columns of /proc/stat: user, nice, system, and interrupts. The rest is waiting."""


@dataclass(frozen=True)
class Part:
    """A bench: what it is called, its command after `python bench/`, and its seconds at most."""

    name: str
    words: tuple[str, ...]
    limit_s: float


@dataclass(frozen=True)
class Ended:
    """How a part ended: its rows, and what went wrong if anything did.

    others: what other programs computed meanwhile, to all that the machine can.
    """

    name: str
    seconds: float = 0.0
    rows: tuple[str, ...] = ()
    fault: str = ""
    others: float = 0.0


PARTS = (
    Part("step", ("step.py", "512", "1024"), 420),
    Part("equal-loss", ("equal_loss.py", "256", "512", "--peer-steps", "100", "200"), 900),
    Part("bulk", ("bulk.py", "16", "--peer-steps", "100", "--steps", "45"), 400),
    Part("beside", ("beside.py", "--rounds", "2", "--steps", "12"), 240),
    Part("start-up", ("startup.py",), 120),
    Part("memory", ("memory.py", "512x384", "1024x768", "--precision", "auto"), 180),
    Part("disk", ("disk.py",), 240),
    Part("flood", ("service.py", "flood", "3000"), 120),
    Part("queue", ("service.py", "queue", "1000"), 60),
    Part("idle", ("service.py", "idle", "60"), 90),
    Part("page", ("page.py", "--done", "3000", "--idle-s", "15"), 120),
    Part("gallery", ("gallery.py", "1000", "--lists-only"), 120),
    Part("figure", ("figure.py",), 60),
)
"""In the order of what they matter: the last ones are left out where time runs out."""


def run(part: Part, limit_s: float, out: Path) -> Ended:
    """Runs a part to its end, for at most so many seconds."""
    log = out / f"{part.name}.log"
    began_s, busy_s, own_s = time.monotonic(), machine_s(), children_s()
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, str(BENCH / part.words[0]), *part.words[1:]],
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit_s)
            fault = f"failed with exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            fault = f"was ended after {limit_s:.0f} s"
        finally:
            end(process)
    seconds = time.monotonic() - began_s
    others_s = max(0.0, machine_s() - busy_s - (children_s() - own_s))
    rows = rows_of(log.read_text(errors="replace"))
    if not fault and not rows:
        fault = "told nothing"
    others = others_s / (seconds * (os.cpu_count() or 1))
    return Ended(part.name, seconds, rows, fault and f"{fault}; see {log}", others)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a part with all that it has started: asked first, as by Ctrl-C, so that it tidies up."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_all(parts: Sequence[Part], seconds: float, out: Path) -> list[Ended]:
    """Runs the parts, and tells of each when it has ended; all of them in so many seconds."""
    out.mkdir(parents=True, exist_ok=True)
    deadline_s, done = time.monotonic() + seconds, list[Ended]()
    for part in parts:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            done.append(Ended(part.name, fault=f"was not run: {seconds / 60:.0f} min were over"))
            continue
        print(f"{part.name} …", flush=True)
        ended = run(part, min(part.limit_s, left_s), out)
        done.append(ended)
        print(f"{part.name}: {ended.fault or 'done'}, {ended.seconds:.0f} s", flush=True)
    return done


def machine_s() -> float:
    """Seconds that the cores of this machine have computed, for whomever."""
    total = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(total[column]) for column in BUSY) / TICKS


def children_s() -> float:
    """Seconds that children that have ended computed, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(done: Sequence[Ended], title: str) -> str:
    """What was found, as Markdown; and how each part went."""
    lines = [f"## {title}", "", "| | | |", "|---|---|---|"]
    for one in done:
        lines += one.rows
        lines += [f"| **{one.name}** | {one.fault} | |"] if one.fault else []
    lines += ["", "| part | seconds | computed by others |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.seconds:.0f} | {one.others:.0%} |" for one in done]
    return "\n".join([*lines, ""])


def title() -> str:
    """The day, the machine and the versions."""
    name = processor_fact("model name") or platform.machine()
    return (
        f"{time.strftime('%Y-%m-%d')}: {name}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {metadata.version('torch')}"
    )


def main() -> None:
    """Runs what was asked for; ends with 1 if a part did not go well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [part.name for part in PARTS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(names))
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--out", type=Path, default=ROOT / "state" / "bench")
    options = parser.parse_args()
    for unknown in set(options.parts) - set(names):
        parser.error(f"no part is called {unknown}; there are {', '.join(names)}")
    chosen = [part for part in PARTS if part.name in (options.parts or names)]
    done = run_all(chosen, 60 * options.minutes, options.out)
    text = table(done, title())
    (options.out / "table.md").write_text(text)
    print(f"\n{text}")
    sys.exit(1 if any(one.fault for one in done) else 0)


if __name__ == "__main__":
    main()
