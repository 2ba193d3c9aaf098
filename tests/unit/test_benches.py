"""All benches as one: a part that goes wrong is told, and keeps no other from its turn."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.atelier import is_alive, wait_for

ROOT = Path(__file__).parents[2]
TELLS = "from table import print_row\nprint('on the way')\nprint_row('a step', '0.5 s', 'once 2')\n"
FAILS = TELLS + "raise SystemExit(3)\n"
HANGS = """
import pathlib, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1]).write_text(f"{child.pid} is its child")
time.sleep(600)
"""


@pytest.fixture(scope="module")
def benches() -> Iterator[Any]:
    """The module; benches are programs, and find each other where they lie."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "bench"))
        yield importlib.import_module("all")


@pytest.fixture
def part(benches: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a part of a program's text, which is given a path for what it starts."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "bench"))

    def make(name: str, text: str) -> Any:
        program = tmp_path / f"{name}.py"
        program.write_text(text)
        return benches.Part(name, (str(program), str(tmp_path / "started")), 60.0)

    return make


def test_part_that_fails_is_told_with_what_it_found_and_the_rest_goes_on(
    benches: Any, part: Any, tmp_path: Path
) -> None:
    parts = [part("one", FAILS), part("two", "print('no row')"), part("three", TELLS)]
    done = benches.run_all(parts, 60.0, tmp_path / "out")
    table = benches.table(done, "today").splitlines()
    assert table[:6] == [
        "## today",
        "",
        "| | | |",
        "|---|---|---|",
        "| a step | 0.5 s | once 2 |",
        f"| **one** | failed with exit code 3; see {tmp_path}/out/one.log | |",
    ]
    assert table[6] == f"| **two** | told nothing; see {tmp_path}/out/two.log | |"
    assert table[7:9] == ["| a step | 0.5 s | once 2 |", ""]
    assert "on the way" in (tmp_path / "out/three.log").read_text()


def test_part_that_takes_too_long_is_ended_with_all_it_started(
    benches: Any, part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, wait = tmp_path / "started", benches.subprocess.Popen.wait

    def impatient(process: Any, timeout: float | None = None) -> int:
        """Has waited long enough as soon as there is something to be ended."""
        while timeout == 7.0 and not (started.exists() and started.read_text()):
            os.sched_yield()
        return int(wait(process, 0.0 if timeout == 7.0 else timeout))

    monkeypatch.setattr(benches.subprocess.Popen, "wait", impatient)
    ended = benches.run(part("slow", HANGS), 7.0, tmp_path)
    assert ended.fault.startswith("was ended after 7 s")
    child = int(started.read_text().split()[0])
    wait_for("the end of its child", lambda: not is_alive(child))


def test_part_for_which_there_is_no_time_is_told(benches: Any, part: Any, tmp_path: Path) -> None:
    (ended,) = benches.run_all([part("one", TELLS)], 0.0, tmp_path)
    assert "was not run" in benches.table([ended], "today")


def test_every_part_is_there_and_has_a_name_of_its_own(benches: Any) -> None:
    assert all((ROOT / "bench" / part.words[0]).is_file() for part in benches.PARTS)
    assert len({part.name for part in benches.PARTS}) == len(benches.PARTS)
