"""The section of docs/benchmarks.md that tells what `bench/gpu.py` found."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .runner import DONE, Result, Row

BEGIN, END = "<!-- bench/gpu.py writes from here -->", "<!-- to here -->"

Facts = Mapping[str, Any]
Cells = Sequence[Sequence[str]]


def section(facts: Facts, results: Sequence[Result]) -> str:
    """All that was found, as Markdown; of a part that was not done, what it came to."""
    head = (
        f"One {facts['card']} ({facts['memory_gb']:.0f} GB), driver {facts['driver']}, Python "
        f"{facts['python']}, torch {facts['torch']}, {facts['processors']} processors, "
        f"{facts['dtype']}, atelierd {facts['version']}, {facts['date']}. "
        "`make bench-gpu`; medians, one after the other on the same card."
    )
    parts = [head]
    for result in results:
        parts.append(f"### {result.name[0].upper()}{result.name[1:]}")
        if result.state != DONE:
            first = result.said.splitlines()[0] if result.said else ""
            parts.append(f"**{result.state}** after {result.seconds:.0f} s: {first}")
        if result.rows:
            parts.append(writer_of(result.name)(result.rows))
    return "\n\n".join(parts)


def put(text: str, target: Path) -> None:
    """Writes the section into its place in a file. Raises ValueError if that has none."""
    before = target.read_text("utf-8")
    if before.count(BEGIN) != 1 or before.count(END) != 1:
        raise ValueError(f"{target} has not one line {BEGIN!r} and one {END!r}; put them back")
    head, _, rest = before.partition(BEGIN)
    tail = rest.partition(END)[2]
    temporary = target.with_suffix(".tmp")
    temporary.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", "utf-8")
    temporary.replace(target)


def table(heads: Sequence[str], rows: Cells) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plain_rows(rows: Sequence[Row]) -> str:
    """Rows of no known kind as a table of all they have."""
    heads = list(dict.fromkeys(name for row in rows for name in row))
    return table(heads, [[str(row.get(name, "")) for name in heads] for row in rows])


def tests(rows: Sequence[Row]) -> str:
    """How many tests passed."""
    (row,) = rows
    return (
        f"`tests/gpu`: {row['tests']} tests in {row['seconds']:.0f} s, {row['failed']} failed, "
        f"{row['skipped']} skipped."
    )


def side(row: Row) -> str:
    """The size of a row's square picture."""
    return f"{row['px']}x{row['px']}"


def steps(rows: Sequence[Row]) -> str:
    """Steps, with and without graphs, and what share of the card's peak they reach."""
    return table(
        ["px", "steps a second", "without CUDA graphs", "of the matrix peak", "GB above idle"],
        [
            [side(row), row["error"], "", "", ""]
            if "error" in row
            else [
                side(row),
                f"{1 / row['step_s']:.1f}",
                f"{1 / row['launched_s']:.1f}",
                f"{row['flops'] / row['peak_flops']:.0%} of {row['peak_flops'] / 1e12:.0f} TFLOP/s",
                f"{row['above_idle_bytes'] / 1e9:.2f}",
            ]
            for row in rows
        ],
    )


def memory(rows: Sequence[Row]) -> str:
    """What was planned to be taken, and what was."""
    return table(
        ["px", "may take", "tiles", "planned GB", "taken GB", "planned to taken"],
        [
            [side(row), row["held_to"], row["error"], "", "", ""]
            if "error" in row
            else [
                side(row),
                row["held_to"],
                row["tiles"],
                f"{row['planned_bytes'] / 1e9:.2f}",
                f"{row['taken_bytes'] / 1e9:.2f}",
                f"{row['planned_bytes'] / row['taken_bytes']:.2f}",
            ]
            for row in rows
        ],
    )


def together(rows: Sequence[Row]) -> str:
    """Pictures an hour by how many are painted at once."""
    alone = next((row for row in rows if row["at_once"] == 1), None)
    mps = "running" if any(row["mps"] for row in rows) else "not running"
    cells = [
        [
            str(row["at_once"]),
            f"{3600 / row['picture_s']:.0f}",
            f"{alone['picture_s'] / row['picture_s']:.2f}" if alone else "",
        ]
        for row in rows
    ]
    told = f"{rows[0]['pictures']} pictures of {rows[0]['px']} px; NVIDIA's MPS is {mps}."
    return told + "\n\n" + table(["jobs at once", "pictures an hour", "to one at once"], cells)


def equal_loss(rows: Sequence[Row]) -> str:
    """Seconds to the peer's losses, and how many times as fast that is."""
    return table(
        ["peer's steps", "loss", "peer", "ours", "ratio"],
        [
            [
                str(row["peer"]["step"]),
                f"{row['peer']['loss']:.0f}",
                f"{row['peer']['seconds']:.1f} s",
                f"{row['ours']['seconds']:.2f} s, {row['ours']['step']} steps"
                if row["ours"]
                else "not reached",
                f"{row['ratio']:.1f}" if row["ratio"] else "",
            ]
            for row in rows
        ],
    )


WRITERS: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "tests": tests,
    "steps": steps,
    "memory": memory,
    "jobs at once": together,
    "equal loss": equal_loss,
}
"""How the rows of a part are told, by what its name begins with."""


def writer_of(name: str) -> Callable[[Sequence[Row]], str]:
    """What tells the rows of a part of that name."""
    return next((write for known, write in WRITERS.items() if name.startswith(known)), plain_rows)
