"""Measures this project on a CUDA card, once and whole, in nine minutes at most.

    python bench/gpu.py [--device cuda:0] [--out state/bench-gpu] [--only steps,memory]
    python bench/gpu.py --from results.json      # writes the docs from another machine's results

Each part is a process with a time limit of its own: one that fails is told, and the rest goes on.
After each, what is known so far is written: OUT/results.json, OUT/section.md, and the section of
docs/benchmarks.md between its markers. What a part says goes to OUT/PART/output.txt.

Exit status: 0 all is measured · 1 a part failed or had no time · 2 wrong arguments · 69 no card.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from card import report
from card.runner import DONE, Part, Result, Row, keep, kept, rows_of, run_all, run_part, write_row

from daemon.pool.devices import DRIVER_FILES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "benchmarks.md"
BUDGET_S = 530.0
"""For all parts together; what is over goes to the first look at the card."""

FACTS = "facts"
FACTS_S = 60.0
NO_CARD = 69
"""EX_UNAVAILABLE of sysexits.h."""


def here(name: str, device: str) -> list[str]:
    """The command of a part that is measured by this file."""
    return [sys.executable, __file__, "--part", name, "--device", device, "--out"]


def read_tests(folder: Path) -> list[Row]:
    """How many tests there were, from pytest's report; none where it came to none."""
    try:
        suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    except (OSError, ElementTree.ParseError):
        return []
    if suite is None:
        return []
    told = suite.attrib
    failed = int(told["failures"]) + int(told["errors"])
    return [
        {
            "tests": int(told["tests"]),
            "failed": failed,
            "skipped": int(told["skipped"]),
            "seconds": float(told["time"]),
        }
    ]


def read_losses(folder: Path) -> list[Row]:
    """The rows that `bench/equal_loss.py` has left."""
    found: list[Row] = []
    for path in sorted(folder.glob("equal-loss-*.json")):
        found += json.loads(path.read_text("utf-8"))["rows"]
    return found


def tests_command(folder: Path) -> list[str]:
    """Runs the tests that need a card."""
    (folder / "junit.xml").unlink(missing_ok=True)
    target = f"--junit-xml={folder / 'junit.xml'}"
    options = ["-q", "-p", "no:cacheprovider", target]
    return [sys.executable, "-m", "pytest", *options, str(ROOT / "tests" / "gpu")]


def losses_command(folder: Path, px: int, device: str) -> list[str]:
    """Runs both to the same loss at a size, with nothing kept from an earlier time."""
    for old in (*folder.glob("peer-*.safetensors"), *folder.glob("equal-loss-*.json")):
        old.unlink()
    script = str(ROOT / "bench" / "equal_loss.py")
    return [sys.executable, script, str(px), "--device", device, "--out", str(folder)]


def make_parts(device: str) -> list[Part]:
    """All parts, those first that the rest is worth little without."""

    def own(name: str, limit_s: float) -> Part:
        return Part(name, lambda folder: [*here(name, device), str(folder)], limit_s, rows_of)

    def losses(px: int, limit_s: float) -> Part:
        name = f"equal loss {px}"
        return Part(name, lambda folder: losses_command(folder, px, device), limit_s, read_losses)

    return [
        Part("tests", tests_command, 170.0, read_tests),
        own("steps", 90.0),
        own("memory", 60.0),
        own("jobs at once", 100.0),
        losses(512, 80.0),
        losses(1024, 120.0),
    ]


def measure(name: str, device_name: str, folder: Path) -> int:
    """Does the work of one part in this process, its rows into the folder."""
    import torch
    from card import parts

    if not torch.cuda.is_available():
        print(f"torch {torch.__version__} sees no CUDA device; look at nvidia-smi and the driver")
        return NO_CARD
    device = torch.device(device_name)
    found: Iterator[Row]
    match name:
        case "steps":
            found = parts.steps(device)
        case "memory":
            found = parts.plans(device)
        case "jobs at once":
            shutil.rmtree(folder / "pictures", ignore_errors=True)
            found = parts.at_once(device, folder / "pictures")
        case _:
            found = iter([parts.facts(device)])
    for row in found:
        write_row(folder, row)
        print(json.dumps(row), flush=True)
    return 0


def look_at_card(device: str, out: Path) -> Result:
    """What the card and the versions are, found out in a process of its own."""
    command = [*here(FACTS, device), str(out / FACTS)]
    return run_part(Part(FACTS, lambda _: command, FACTS_S, rows_of), out / FACTS, FACTS_S)


def show(result: Result) -> None:
    """Prints what became of a part."""
    print(f"{result.name}: {result.state} after {result.seconds:.0f} s", flush=True)
    for row in result.rows:
        print(f"  {json.dumps(row)}", flush=True)
    if result.said:
        print("  " + result.said.replace("\n", "\n  "), flush=True)


def write_docs(facts: Row, results: Sequence[Result], out: Path, docs: Path) -> None:
    """Writes the section, beside the results and into the docs."""
    text = report.section(facts, results)
    (out / "section.md").write_text(text + "\n", "utf-8")
    report.put(text, docs)


def run(device: str, out: Path, docs: Path, only: Sequence[str]) -> int:
    """Measures everything, or some parts; returns the exit status."""
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    if not any(Path(name).exists() for name in DRIVER_FILES):
        print(f"no card to measure: no driver has left any of {', '.join(DRIVER_FILES)}")
        return NO_CARD
    looked = look_at_card(device, out)
    if looked.state != DONE:
        print(f"the card {device} cannot be measured: {looked.said}")
        return NO_CARD if looked.status == NO_CARD else 1
    facts = looked.rows[0]
    chosen = [part for part in make_parts(device) if not only or part.name in only]
    results: list[Result] = []
    for results in run_all(chosen, out, BUDGET_S - (time.monotonic() - began)):
        show(results[-1])
        keep(facts, results, out / "results.json")
        write_docs(facts, results, out, docs)
    return 0 if all(result.state == DONE for result in results) else 1


def main() -> int:
    """Does as the arguments say; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", type=Path, default=ROOT / "state" / "bench-gpu")
    parser.add_argument("--docs", type=Path, default=DOCS, help="whose section is written")
    parser.add_argument("--only", default="", help="names of parts, with commas between")
    parser.add_argument("--from", dest="source", type=Path, help="results.json of another machine")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        return measure(options.part, options.device, options.out)
    if options.source:
        facts, results = kept(options.source)
        report.put(report.section(facts, results), options.docs)
        return 0
    only = [name.strip() for name in options.only.split(",") if name.strip()]
    known = [part.name for part in make_parts(options.device)]
    if unknown := sorted({*only} - {*known}):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(known)}")
    return run(options.device, options.out.resolve(), options.docs, only)


if __name__ == "__main__":
    sys.exit(main())
