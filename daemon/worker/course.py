"""The course of a painting's losses: of up to 200 of its steps, for the record."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.engine.paint import Stepped
from daemon.host import files

MOST_POINTS = 200
DIGITS = 5
Point = tuple[int, int, dict[str, float]]
"""Pass, step in it, and the losses by name, the total first."""


class LossRecorder:
    """Keeps the losses of evenly spaced steps, of every pass's first and last too, in `target`.

    A run that goes on from a checkpoint goes on with what the one before kept.  warn: told once if
    it cannot be kept, which harms nobody else.
    """

    def __init__(self, target: Path, warn: Callable[[str], None]) -> None:
        self._target = target
        self._warn = warn
        self._points: list[Point] = []
        self._latest: Point | None = None
        self._taken = 0
        self._warned = False

    def offer(self, moment: Stepped) -> None:
        """Keeps a step's losses if it is one of those."""
        number, step = moment.pass_number, moment.step
        if self._latest is None:
            self._points = [one for one in self._kept() if one[:2] < (number, step.number)]
            before = sum(one.steps for one in moment.passes[: number - 1])
            self._taken = before + step.number - 1
        elif self._latest[0] != number and self._points[-1] != self._latest:
            self._points.append(self._latest)
        values = {"total": step.total, **step.losses}
        losses = {name: float(f"{value:.{DIGITS}g}") for name, value in values.items()}
        self._latest = (number, step.number, losses)
        if step.number == 1 or self._taken % spacing(moment) == 0:
            self._points.append(self._latest)
        self._taken += 1

    def keep(self) -> None:
        """Writes down what there is, so that it outlives this run."""
        points = self._points
        if self._latest is not None and self._latest not in points[-1:]:
            points = [*points, self._latest]
        try:
            content = json.dumps(columns_of(points)).encode()
            files.write_bytes(self._target, content, replace=True)
        except OSError as error:
            if not self._warned:
                self._warn(f"the course of the losses is not kept: {error.strerror}")
            self._warned = True

    def _kept(self) -> list[Point]:
        """What a run before has kept; nothing where that cannot be understood."""
        try:
            data = json.loads(self._target.read_bytes())
            names = [name for name in data if name not in ("pass", "step")]
            return [
                (number, step, {name: data[name][at] for name in names})
                for at, (number, step) in enumerate(zip(data["pass"], data["step"], strict=True))
            ]
        except (OSError, ValueError, LookupError, TypeError):
            return []


def spacing(moment: Stepped) -> int:
    """Of how many steps one is kept, so that with the ends of passes they are not too many."""
    total = sum(one.steps for one in moment.passes)
    return math.ceil(total / max(1, MOST_POINTS - 2 * len(moment.passes)))


def columns_of(points: list[Point]) -> dict[str, list[Any]]:
    """Points as columns: `pass`, `step`, and a loss each."""
    names = dict.fromkeys(name for _, _, losses in points for name in losses)
    return {
        "pass": [number for number, _, _ in points],
        "step": [step for _, step, _ in points],
    } | {name: [losses.get(name) for _, _, losses in points] for name in names}
