"""`bench/gpu.py` without a card: a part that fails costs its own rows, and all is written."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.card import report
from bench.card.line import Line
from bench.card.runner import (
    DONE,
    FAILED,
    LATE,
    SKIPPED,
    Part,
    Result,
    keep,
    kept,
    rows_of,
    run_all,
    run_part,
    write_row,
)
from daemon.messages import RunOrder, WorkerSettings
from daemon.pool.devices import DRIVER_FILES
from tests.support.atelier import wait_for
from tests.support.pools import PuppetPool, order

ROOT = Path(__file__).parents[3]
FACTS = {
    "card": "Test GPU",
    "memory_gb": 80.0,
    "driver": "580",
    "python": "3.12.3",
    "torch": "2.11.0",
    "processors": 16,
    "dtype": "bfloat16",
    "version": "0.3 (abc)",
    "date": "2026-11-27",
}
ROWS = {
    "tests": [{"tests": 21, "failed": 0, "skipped": 0, "seconds": 81.0}],
    "steps": [
        {
            "px": 512,
            "step_s": 0.004,
            "launched_s": 0.01,
            "flops": 2e14,
            "peak_flops": 8e14,
            "above_idle_bytes": 5e8,
        },
        {"px": 4096, "held_to": "all", "error": "out of memory"},
    ],
    "memory": [
        {
            "px": 2048,
            "held_to": "half",
            "tiles": "1024",
            "planned_bytes": 3e9,
            "taken_bytes": 2e9,
        },
        {"px": 4096, "held_to": "all", "error": "out of memory"},
    ],
    "jobs at once": [
        {"at_once": 1, "px": 512, "pictures": 16, "picture_s": 1.0, "mps": False},
        {"at_once": 2, "px": 512, "pictures": 16, "picture_s": 0.625, "mps": False},
    ],
    "equal loss 512": [
        {
            "peer": {"step": 100, "loss": 13215.0, "seconds": 9.0},
            "ours": {"step": 40, "loss": 13000.0, "seconds": 0.5},
            "ratio": 18.0,
        },
        {"peer": {"step": 300, "loss": 1.0, "seconds": 27.0}, "ours": None, "ratio": None},
    ],
}
TOLD = (
    "21 tests in 81 s, 0 failed",
    "| 512x512 | 250.0 | 100.0 | 25% of 800 TFLOP/s | 0.50 |",
    "| 4096x4096 | out of memory |",
    "| 2048x2048 | half | 1024 | 3.00 | 2.00 | 1.50 |",
    "| 2 | 5760 | 1.60 |",
    "MPS is not running",
    "| 100 | 13215 | 9.0 s | 0.50 s, 40 steps | 18.0 |",
    "| 300 | 1 | 27.0 s | not reached |",
)


def part(code: str, name: str = "steps") -> Part:
    """A part that is a little Python; `FOLDER` in it is the part's."""

    def command(folder: Path) -> Sequence[str]:
        return [sys.executable, "-S", "-c", code.replace("FOLDER", repr(str(folder)))]

    return Part(name, command, 60.0, rows_of)


WRITES = "open(FOLDER + '/rows.jsonl', 'a').write('{\"px\": 512}\\n')"


def test_part_that_is_done_has_its_rows(tmp_path: Path) -> None:
    write_row(tmp_path, {"px": 1})  # of an earlier time
    found = run_part(part(WRITES), tmp_path, 60.0)
    assert (found.state, found.rows, found.said, found.status) == (DONE, [{"px": 512}], "", 0)


def test_part_that_fails_keeps_what_it_found_and_says_why(tmp_path: Path) -> None:
    found = run_part(part(f"{WRITES}; raise SystemExit('the card fell out')"), tmp_path, 60.0)
    assert (found.state, found.rows, found.status) == (FAILED, [{"px": 512}], 1)
    assert found.said == "exit status 1\nthe card fell out"


def test_part_that_hangs_is_ended_with_all_it_started_and_keeps_what_it_found(
    tmp_path: Path,
) -> None:
    hangs = "import signal, subprocess, sys; child = subprocess.Popen([sys.executable, '-S', '-c', "
    hangs += "'import signal; signal.pause()']); open(FOLDER + '/child', 'w').write(str(child.pid))"

    def has_written(process: "subprocess.Popen[bytes]", seconds: float) -> None:
        wait_for("its row", lambda: rows_of(tmp_path) == [{"px": 512}])

    found = run_part(part(f"{hangs}; {WRITES}; signal.pause()"), tmp_path, 60.0, has_written)
    assert (found.state, found.rows) == (LATE, [{"px": 512}])
    assert found.said.startswith("was ended after 60 s")
    child = Path("/proc") / (tmp_path / "child").read_text() / "stat"
    wait_for("its child's end", lambda: not child.exists() or ") Z " in child.read_text())


def test_part_without_time_is_not_begun(tmp_path: Path) -> None:
    found = run_part(part("raise SystemExit('begun')"), tmp_path / "steps", 5.0)
    assert (found.state, found.said) == (SKIPPED, "no time was left for it")
    assert not (tmp_path / "steps").exists()


def test_line_that_was_cut_off_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"px": 512}\n{"px": 10')
    assert rows_of(tmp_path) == [{"px": 512}]
    assert rows_of(tmp_path / "none") == []


def test_rest_goes_on_after_a_part_that_failed_and_all_have_one_budget(tmp_path: Path) -> None:
    left: list[tuple[Path, float]] = []

    def run(one: Part, folder: Path, left_s: float) -> Result:
        left.append((folder, left_s))
        return Result(one.name, FAILED if len(left) == 1 else DONE, 1.0, [])

    ticks = iter([0.0, 10.0, 200.0])
    parts = [part("", "steps"), part("", "jobs at once")]
    *_, last = run_all(parts, tmp_path, 500.0, lambda: next(ticks), run)
    assert [one.state for one in last] == [FAILED, DONE]
    assert left == [(tmp_path / "steps", 490.0), (tmp_path / "jobs-at-once", 300.0)]


def results() -> list[Result]:
    """Of every kind of part one that was done, and one that was not."""
    done = [Result(name, DONE, 9.0, rows) for name, rows in ROWS.items()]
    return [*done, Result("equal loss 1024", LATE, 120.0, [], "was ended after 120 s\nstep 3")]


def test_section_tells_card_versions_date_every_figure_and_what_failed(tmp_path: Path) -> None:
    keep(FACTS, results(), tmp_path / "results.json")
    facts, read = kept(tmp_path / "results.json")
    assert read == results()
    told = report.section(facts, read)
    assert "One Test GPU (80 GB), driver 580, Python 3.12.3, torch 2.11.0" in told
    assert "2026-11-27" in told
    for one in TOLD:
        assert one in told
    assert "**late** after 120 s: was ended after 120 s" in told


def test_section_of_a_part_that_was_cut_off_tells_what_there_is() -> None:
    cut = [Result(name, LATE, 9.0, rows[:1], "was ended") for name, rows in ROWS.items()]
    told = report.section(FACTS, cut)
    assert told.count("**late** after 9 s: was ended") == len(ROWS)
    assert "| 512x512 | 250.0 |" in told
    without_one = [Result("jobs at once", LATE, 9.0, ROWS["jobs at once"][1:])]
    assert "| 2 | 5760 |  |" in report.section(FACTS, without_one)


def test_section_takes_the_place_of_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    docs = tmp_path / "benchmarks.md"
    docs.write_text(f"# before\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nafter\n")
    report.put("new", docs)
    report.put("newer", docs)
    assert docs.read_text() == f"# before\n\n{report.BEGIN}\n\nnewer\n\n{report.END}\n\nafter\n"


def test_section_without_its_place_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    docs = tmp_path / "benchmarks.md"
    docs.write_text("# before\n")
    with pytest.raises(ValueError, match="put them back"):
        report.put("new", docs)
    assert docs.read_text() == "# before\n"


def test_docs_have_the_place_of_the_section() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert text.count(report.BEGIN) == text.count(report.END) == 1
    assert text.index(report.BEGIN) < text.index(report.END)


@pytest.mark.skipif(
    any(Path(name).exists() for name in DRIVER_FILES), reason="it would measure this card"
)
def test_machine_without_a_card_is_told_so_by_words_and_exit_status(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "bench" / "gpu.py"), "--out", str(tmp_path)]
    told = subprocess.run(script, capture_output=True, text=True, check=False)
    assert told.returncode == 69, told.stderr
    assert told.stdout.startswith("no card to measure: no driver has left any of /dev/nvidiactl")


def test_results_of_another_machine_are_written_into_the_docs(tmp_path: Path) -> None:
    keep(FACTS, results(), tmp_path / "results.json")
    docs = tmp_path / "benchmarks.md"
    docs.write_text(f"{report.BEGIN}{report.END}\n")
    given = ["--from", str(tmp_path / "results.json"), "--docs", str(docs)]
    subprocess.run([sys.executable, str(ROOT / "bench" / "gpu.py"), *given], check=True)
    assert TOLD[0] in docs.read_text()
    assert json.loads((tmp_path / "results.json").read_text())["facts"] == FACTS


def test_line_gives_every_seat_a_picture_and_the_rest_as_they_become_free(tmp_path: Path) -> None:
    given: list[str] = []

    class Watched(PuppetPool):
        def submit(self, device: str, run_id: str, order: RunOrder):  # type: ignore[no-untyped-def]
            given.append(device)
            return super().submit(device, run_id, order)

    workers = [WorkerSettings("cuda:0", "", tmp_path, number=n, sharers=2) for n in (1, 2)]
    line = Line(Watched(workers, lambda run_id, event: None), lambda number: order(tmp_path))
    times = iter([3.0, 8.0])
    assert line.paint(5, lambda: next(times)) == 5.0
    assert given == ["cuda:0", "cuda:0/2", "cuda:0", "cuda:0/2", "cuda:0"]


def test_line_ends_with_a_picture_that_was_not_painted(tmp_path: Path) -> None:
    pool = PuppetPool([WorkerSettings("cpu", "", tmp_path)], lambda run_id, event: None)
    line = Line(pool, lambda number: order(tmp_path, "fail"))
    with pytest.raises(RuntimeError, match=r"cpu: .*no picture"):
        line.paint(1)
