"""Runs parts of a benchmark one after the other, each for so long at most, whatever becomes of it.

A part is a process of its own that writes its rows, a JSON object a line, as it finds them: one
that fails, hangs or takes the driver with it costs its own rows at most, and the rest goes on.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]

DONE, FAILED, LATE, SKIPPED = "done", "failed", "late", "skipped"
LEAST_S = 10.0
"""A part that has less time left is not begun."""

SAID_LINES = 15


@dataclass(frozen=True)
class Part:
    """A part: what is run for it, for how long at most, and how its rows are read afterwards.

    command: gets the part's folder.  read: its rows from that folder, as far as it got.
    """

    name: str
    command: Callable[[Path], Sequence[str]]
    limit_s: float
    read: Callable[[Path], list[Row]]


@dataclass(frozen=True)
class Result:
    """What became of a part. said: the end of its output, where it was not done.

    status: its exit status; None where it was ended, or not begun.
    """

    name: str
    state: str
    seconds: float
    rows: list[Row]
    said: str = ""
    status: int | None = None


def rows_of(folder: Path) -> list[Row]:
    """The rows that a part has written; a line that was cut off is left out."""
    found = []
    with suppress(FileNotFoundError):
        for line in (folder / "rows.jsonl").read_text("utf-8").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
    return found


def write_row(folder: Path, row: Row) -> None:
    """Adds a row to a part's, where it stays if the part is ended at the next moment."""
    with (folder / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def wait(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """The exit status of a process; None if it has not ended in time."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def run_part(
    part: Part,
    folder: Path,
    left_s: float,
    wait: Callable[["subprocess.Popen[bytes]", float], int | None] = wait,
) -> Result:
    """Runs a part in a folder of its own, which is emptied of earlier rows.

    left_s: what is left for all parts.
    """
    limit_s = min(part.limit_s, left_s)
    if limit_s < LEAST_S:
        return Result(part.name, SKIPPED, 0.0, [], "no time was left for it")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").unlink(missing_ok=True)
    output, began = folder / "output.txt", time.monotonic()
    with output.open("wb") as file:
        process = subprocess.Popen(
            part.command(folder),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = wait(process, limit_s)
        finally:
            end_group(process)
    state = LATE if status is None else FAILED if status else DONE
    rows, said = part.read(folder), ""
    if state != DONE:
        lines = output.read_text("utf-8", "replace").splitlines()[-SAID_LINES:]
        what = f"was ended after {limit_s:.0f} s" if state == LATE else f"exit status {status}"
        said = "\n".join([what, *lines])
    return Result(part.name, state, round(time.monotonic() - began, 1), rows, said, status)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and whatever it has left running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_all(
    parts: Sequence[Part],
    folder: Path,
    budget_s: float,
    clock: Callable[[], float] = time.monotonic,
    run: Callable[[Part, Path, float], Result] = run_part,
) -> Iterator[list[Result]]:
    """Runs the parts in their order and yields all results so far after each."""
    results: list[Result] = []
    ends_s = clock() + budget_s
    for part in parts:
        results.append(run(part, folder / part.name.replace(" ", "-"), ends_s - clock()))
        yield list(results)


def keep(facts: Mapping[str, Any], results: Sequence[Result], target: Path) -> None:
    """Writes what is known so far as JSON, whole or not at all."""
    data = {"facts": dict(facts), "parts": [asdict(one) for one in results]}
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(data, indent=1), "utf-8")
    temporary.replace(target)


def kept(source: Path) -> tuple[dict[str, Any], list[Result]]:
    """The facts and results of `keep`. Raises OSError, ValueError, or KeyError for another file."""
    data = json.loads(source.read_text("utf-8"))
    return data["facts"], [Result(**one) for one in data["parts"]]
