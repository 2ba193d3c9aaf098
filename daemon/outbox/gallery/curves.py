"""Curves of a painting's losses, drawn as paths: logarithmic, one below the other. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.outbox.gallery.reading import listed, number
from daemon.outbox.gallery.view import Chart, Curve, Line

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 44, 4, 10, 28
LEAST_RATIO = 2.0
"""Of the largest loss to the smallest that is drawn: less would make noise look like a fall."""

LEAST_POINTS = 2
MOST_CURVES = 6
TOTAL = "total"


def chart_of(course: Mapping[str, Any], sizes: Sequence[str] = ()) -> Chart | None:
    """The chart of a record's `course`; None where it has too few points for one.

    course: columns of one length: `pass`, `step`, and each loss by name.  sizes: of the passes, in
    words.
    """
    numbers = [int(number(one) or 0) for one in listed(course.get("pass"))]
    columns = {
        str(name): [number(value) for value in listed(values)]
        for name, values in course.items()
        if name not in ("pass", "step")
    }
    losses = {name: one for name, one in columns.items() if len(one) == len(numbers)}
    seen = [value for values in losses.values() for value in values if value and value > 0]
    if len(numbers) < LEAST_POINTS or not seen:
        return None
    top, bottom = max(seen), min(seen)
    bottom = min(bottom, top / LEAST_RATIO)
    names = sorted(losses, key=lambda name: (name != TOTAL, name))[:MOST_CURVES]
    curves = [
        Curve(name, path_of(losses[name], bottom, top), last_of(losses[name])) for name in names
    ]
    drawn = [one for one in curves if one.path]
    summary = "Losses over the steps: " + ", ".join(fall_of(n, losses[n]) for n in names)
    return Chart(WIDTH, HEIGHT, grid(bottom, top), marks(numbers, sizes), drawn, summary)


def across(index: int, count: int) -> float:
    """Where a point lies from the left."""
    return round(LEFT + index * (WIDTH - LEFT - RIGHT) / max(1, count - 1), 1)


def down(value: float, bottom: float, top: float) -> float:
    """Where a loss lies from the top."""
    share = math.log(top / value) / math.log(top / bottom)
    return round(TOP + share * (HEIGHT - TOP - BOTTOM), 1)


def path_of(values: Sequence[float | None], bottom: float, top: float) -> str:
    """A curve, with gaps where a loss is missing or not above zero."""
    path, pen = [], "M"
    for index, value in enumerate(values):
        if value is None or value <= 0:
            pen = "M"
            continue
        path.append(f"{pen}{across(index, len(values)):g} {down(value, bottom, top):g}")
        pen = "L"
    return " ".join(path)


def grid(bottom: float, top: float) -> list[Line]:
    """Rules at powers of ten, or at the ends where there are fewer than two."""
    first, last = math.ceil(math.log10(bottom)), math.floor(math.log10(top))
    every = max(1, math.ceil((last - first + 1) / 6))
    values = [10.0**power for power in range(first, last + 1, every)]
    if len(values) < 2:
        values = [bottom, top]
    lines = []
    for value in values:
        y = down(value, bottom, top)
        lines.append(Line(f"M{LEFT} {y:g}H{WIDTH - RIGHT}", 0, round(y + 4, 1), f"{value:.2g}"))
    return lines


def marks(numbers: Sequence[int], sizes: Sequence[str]) -> list[Line]:
    """Where each pass begins, and its size in words as far as there is room."""
    begins = [at for at, one in enumerate(numbers) if at == 0 or one != numbers[at - 1]]
    lines: list[Line] = []
    free = 0.0
    for at in begins:
        x = across(at, len(numbers))
        size = sizes[numbers[at] - 1] if 0 < numbers[at] <= len(sizes) else ""
        text = size if x >= free else ""
        if text:
            free = x + 7 * len(text)
        lines.append(Line(f"M{x:g} {TOP}V{HEIGHT - BOTTOM}", x, HEIGHT - 10, text))
    return lines


def last_of(values: Sequence[float | None]) -> str:
    """The last value of a loss, in three digits."""
    known = [value for value in values if value is not None]
    return f"{known[-1]:.3g}" if known else ""


def fall_of(name: str, values: Sequence[float | None]) -> str:
    """From where to where a loss went."""
    known = [value for value in values if value is not None]
    return f"{name} from {known[0]:.3g} to {known[-1]:.3g}" if known else name
