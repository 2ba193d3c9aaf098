"""What is on a contact sheet, and where: rows and columns by what was swept. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.pictures.sheet import ContactSheet, SheetCell
from daemon.settings.sweep import values_of

MOST_COLUMNS = 8
"""As many as can be read side by side."""


@dataclass(frozen=True)
class SheetEntry:
    """One job on a sheet. result: below the outbox; empty if there is none, for some reason."""

    job: str
    preset: str
    label: str = ""
    state: str = "done"
    result: str = ""
    reason: str = ""
    styles: tuple[str, ...] = field(default=())


def plan_sweep(
    name: str,
    content: Path,
    cells: Sequence[SheetEntry],
    outbox: Path,
    style: Callable[[str], Path],
) -> ContactSheet:
    """The sheet of a sweep: by one field in reading order, by two in rows and columns."""
    by_values = {tuple(values_of(cell.label).items()): cell for cell in cells}
    fields = list(values_of(cells[0].label))
    steps = [sorted({dict(values)[name] for values in by_values}, key=rank) for name in fields]
    corner = [(str(content), "photograph")]
    shown = next((cell for cell in cells if cell.styles), cells[0])
    captions = ["style"] if len(shown.styles) == 1 else [f"style {n + 1}" for n in range(16)]
    corner += [(str(style(sha)), text) for sha, text in zip(shown.styles, captions, strict=False)]
    title = f"{name} · {cells[0].preset}"
    if len(fields) == 1:
        ordered = sorted(by_values, key=lambda values: rank(values[0][1]))
        places = [place(by_values[values], outbox) for values in ordered]
        return ContactSheet(title, f"by {fields[0]}", tuple(corner), tuple(places))
    if len(steps[1]) > max(MOST_COLUMNS, len(steps[0])):
        fields, steps = fields[::-1], steps[::-1]
    grid: list[SheetCell | None] = []
    for first in steps[0]:
        for second in steps[1]:
            values = {(fields[0], first), (fields[1], second)}
            found = next((cell for key, cell in by_values.items() if set(key) == values), None)
            grid.append(place(found, outbox) if found else None)
    rows, columns = (
        tuple(f"{name} {text}" for text in texts) for name, texts in zip(fields, steps, strict=True)
    )
    subtitle = f"{fields[0]} down, {fields[1]} across"
    return ContactSheet(title, subtitle, tuple(corner), tuple(grid), rows, columns)


def plan_all(
    name: str,
    content: Path,
    cells: Sequence[SheetEntry],
    outbox: Path,
    style: Callable[[str], Path],
) -> ContactSheet:
    """The sheet of a picture in every preset, each with its style image in its corner."""
    ordered = sorted(cells, key=lambda cell: cell.preset.casefold())
    places = [
        place(cell, outbox, str(style(cell.styles[0])) if cell.styles else None) for cell in ordered
    ]
    subtitle = f"in {len(cells)} presets"
    return ContactSheet(name, subtitle, ((str(content), "photograph"),), tuple(places))


def place(cell: SheetEntry, outbox: Path, inset: str | None = None) -> SheetCell:
    """A cell's picture, or that it has none and why."""
    caption = cell.label or cell.preset
    if cell.result:
        return SheetCell(caption, str(outbox / cell.result), "", inset)
    return SheetCell(caption, None, f"{cell.state}: {cell.reason}".strip(": "), inset)


def rank(text: str) -> tuple[bool, float, str]:
    """The order of values: numbers by their size, then words."""
    try:
        number = float(text)
    except ValueError:
        return True, 0.0, text
    return False, number if math.isfinite(number) else 0.0, text
