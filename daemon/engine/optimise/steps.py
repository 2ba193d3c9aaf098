"""The steps: bringing an objective down by changing the pixels.

Both optimisers change the picture in place and know nothing of what they minimise. The loop
around them keeps the best picture seen and puts an exploding run back on its feet.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from daemon.engine.fit.scratch import Scratch, Vector
from daemon.engine.losses.objective import Evaluation
from daemon.engine.optimise.adam import Adam
from daemon.engine.optimise.lbfgs import Lbfgs
from daemon.engine.pixels import SRGB_BOUNDS, Bounds
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import LEAST_PROGRESS

EXPLODED = 10.0
"""A loss this many times the best one so far is a run gone wrong, not a bad step."""

ROUNDING = 1e-6
"""A loss this small against the first one is made of rounding errors."""

MAX_RESTARTS = 5
"""Restarts from the best picture before the pass ends with what it has."""

CONVERGED_WINDOW = 20
"""Steps over which progress is looked at."""

LONGEST_BURST_S = 1.0
OF_A_STEP = ("number", "total", "seconds")
"""What a step's data tells beside the losses of its terms."""


@dataclass(frozen=True)
class Step:
    """One step: its number from 1, the losses at the picture it started from, its seconds.

    losses: by the names of the terms, without their weights; `total` has them.
    """

    number: int
    total: float
    losses: Mapping[str, float]
    seconds: float

    def as_data(self) -> dict[str, Any]:
        """The step as plain data, the losses beside the rest."""
        before = {"number": self.number, "total": self.total}
        return {**before, **self.losses, "seconds": self.seconds}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> "Step":
        """The step of `as_data`; raises KeyError or TypeError if it is none."""
        losses = {name: loss for name, loss in data.items() if name not in OF_A_STEP}
        return Step(data["number"], data["total"], losses, data["seconds"])


@dataclass(frozen=True)
class Minimum:
    """The best picture of a run, (1, 3, H, W), the losses there, and what went wrong.

    converged: whether it ended early because the loss hardly fell any more.
    """

    picture: Tensor
    best: Step
    first: Step
    last: Step
    warnings: tuple[str, ...]
    converged: bool


class Optimiser(Protocol):
    """Changes a picture in place, one gradient at a time."""

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        """One step from `picture`, whose gradient is given and used up; both (1, 3, H, W)."""

    def restart(self, shrink: float) -> None:
        """Forgets what it has learnt; the steps become `shrink` times as long."""

    def state(self) -> dict[str, Tensor]:
        """Everything its next step depends on."""

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a `state`; raises KeyError or RuntimeError if it is another optimiser's."""


def make_optimiser(
    recipe: Recipe,
    shape: torch.Size,
    scratch: Scratch,
    history: int,
    bounds: Bounds = SRGB_BOUNDS,
) -> Optimiser:
    """The optimiser a recipe names, for pictures of `shape` (1, 3, H, W).

    bounds: what Adam holds R, G and B to.
    """
    if recipe.optimizer == "adam":
        return Adam(shape, scratch, bounds)
    # Fine colours that nothing moves would keep the noise.
    preconditioner = "fourier" if recipe.init == "noise" else recipe.preconditioner
    return Lbfgs(shape, scratch, history, preconditioner)


class Best:
    """The best picture so far, chosen on the device, so that nobody waits for the choice."""

    def __init__(self, shape: torch.Size, scratch: Scratch) -> None:
        self.picture = scratch.empty(*shape)
        self.total = torch.full((), math.nan, device=scratch.device)
        self._scratch = scratch

    def offer(self, picture: Tensor, total: Tensor) -> None:
        """Takes the picture if its loss, (), is below the best one's, or the best is no number."""
        better = (total < self.total) | self.total.isnan()
        offered, kept = (
            Vector(values.view(-1), self._scratch) for values in (picture, self.picture)
        )
        kept.apply(lambda mine, new: mine.copy_(torch.where(better, new, mine)), offered)
        self.total = torch.where(better, total, self.total)


class Course:
    """A run on its way: everything its next step depends on, and what it has come to."""

    def __init__(self, start: Tensor, optimiser: Optimiser, scratch: Scratch) -> None:
        """start: (1, 3, H, W) float32, contiguous; becomes the run's own."""
        self.picture = start
        self.kept = Best(start.shape, scratch)
        self.optimiser = optimiser
        self.scratch = scratch
        self.taken = 0
        self.first: Step | None = None
        self.best: Step | None = None
        self.last: Step | None = None
        self.warnings: list[str] = []
        self.notices: list[str] = []  # warnings that do not count as restarts
        self.falling: list[float] = []

    def note(self, step: Step) -> None:
        """Takes in a step's losses."""
        self.first = self.first or step
        self.last = step
        if self.best is None or math.isnan(self.best.total) or step.total < self.best.total:
            self.best = step
        self.falling.append(self.best.total)
        self.taken += 1

    def minimum(self, least_progress: float) -> Minimum:
        """What the run came to, with `minimise`'s `least_progress`."""
        if self.first is None or self.best is None or self.last is None:
            raise ValueError("a run needs at least one step")
        return Minimum(
            self.kept.picture,
            self.best,
            self.first,
            self.last,
            (*self.notices, *self.warnings),
            has_converged(self.falling, least_progress),
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain data to `resume` from, in this process or another."""
        tensors = self.optimiser.state()
        tensors |= {"picture": self.picture, "best": self.kept.picture, "loss": self.kept.total}
        steps = {"first": self.first, "best": self.best, "last": self.last}
        facts = {
            "taken": self.taken,
            "warnings": self.warnings,
            "falling": self.falling,
            **{name: step.as_data() if step else None for name, step in steps.items()},
        }
        return tensors, facts

    def resume(
        self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, light: bool = False
    ) -> None:
        """Goes on from a `state`; raises KeyError or RuntimeError if it is another run's.

        light: the optimiser begins anew, of which the state has nothing, and so does the look-out
        for the end: while it learns again the loss hardly falls.
        """
        if not light:
            self.optimiser.resume(tensors)
        self.picture.copy_(tensors["picture"])
        self.kept.picture.copy_(tensors["best"])
        self.scratch.release()
        self.kept.total = tensors["loss"].to(self.picture.device)
        self.taken = facts["taken"]
        self.warnings = list(facts["warnings"])
        self.falling = list(facts["falling"][-1:] if light else facts["falling"])
        self.first, self.best, self.last = (
            Step.from_data(facts[name]) if facts[name] else None
            for name in ("first", "best", "last")
        )


def minimise(
    evaluate: Callable[[Tensor], Evaluation],
    course: Course,
    *,
    steps: int,
    burst: int = 1,
    least_progress: float = LEAST_PROGRESS,
) -> Iterator[Sequence[Step]]:
    """Takes a run to its end of `steps` steps; `course.minimum` tells what it came to.

    Yields, in turns, steps while `course.picture` is what their losses are of, and nothing when it
    has been moved on and `course` may be kept to go on from. A step is one evaluation and the move
    after it; the last one's move is not evaluated any more, and so does not count.

    burst: the losses are read, and everything decided by them, once in so many steps, since a GPU
    stands still while it is waited for; the steps of a burst have its last picture in common.  Ends
    early once the best loss falls by less than `least_progress` of itself over a window of steps. A
    loss that is not finite, or exploded, puts the run back to its best picture with shorter steps
    and a warning; it never raises for that.
    """
    while course.taken < steps and not has_converged(course.falling, least_progress):
        first = course.taken + 1
        numbers = range(first, min(first + fitting_burst(course, burst), steps + 1))
        latest, gradient = take(evaluate, course, numbers)
        wrong: Step | None = None
        for step in latest:
            course.note(step)
            if wrong is None and not healthy(step, course):
                wrong = step
        yield latest
        if wrong is None:
            course.scratch.make_room()
            course.optimiser.advance(course.picture, gradient)
        elif not go_back(course, wrong, steps):
            break
        del gradient  # as large as the picture
        yield ()


def go_back(course: Course, wrong: Step, steps: int) -> bool:
    """Puts a run gone wrong back to its best picture; False if that was done too often."""
    course.warnings.append(
        f"the loss became {wrong.total:.3g} at step {wrong.number}; went back to the best"
    )
    if len(course.warnings) > MAX_RESTARTS:
        course.warnings.append(
            f"gave up after step {course.taken} of {steps}; the best picture was kept"
        )
        return False
    course.picture.copy_(course.kept.picture)
    course.optimiser.restart(0.5)
    return True


def fitting_burst(course: Course, most: int) -> int:
    """Steps to take without a look: fewer where they are long, for somebody may ask to stop."""
    if course.last is None:
        return 1
    return max(1, min(most, int(LONGEST_BURST_S / max(course.last.seconds, 1e-6))))


def take(
    evaluate: Callable[[Tensor], Evaluation], course: Course, numbers: Sequence[int]
) -> tuple[list[Step], Tensor]:
    """A burst of steps as typed records, and the gradient the next move starts with."""
    began = time.perf_counter()
    rows: list[Tensor] = []
    names: list[str] = []
    evaluation: Evaluation | None = None
    for _ in numbers:
        if evaluation is not None:
            course.optimiser.advance(course.picture, evaluation.gradient)
            evaluation = None  # its gradient is as large as the picture
        evaluation = evaluate(course.picture)
        course.kept.offer(course.picture, evaluation.total)
        names = list(evaluation.losses)
        rows.append(torch.stack([evaluation.total, *evaluation.losses.values()]))
    assert evaluation is not None
    values: list[list[float]] = torch.stack(rows).tolist()  # the only wait for the device
    seconds = (time.perf_counter() - began) / len(rows)
    steps = [
        Step(number, total, dict(zip(names, losses, strict=True)), seconds)
        for number, (total, *losses) in zip(numbers, values, strict=True)
    ]
    return steps, evaluation.gradient


def has_converged(best_totals: Sequence[float], least_progress: float) -> bool:
    """Whether the best loss has fallen by less than `least_progress` over the last steps.

    Relative to itself and over a window: single steps say nothing, they may even rise.
    """
    if len(best_totals) <= CONVERGED_WINDOW:
        return False
    before, now = best_totals[-1 - CONVERGED_WINDOW], best_totals[-1]
    return before - now < least_progress * before


def healthy(step: Step, course: Course) -> bool:
    """Whether the run may go on from here. A loss near nothing may waver: that is rounding."""
    assert course.best is not None and course.first is not None
    limit = EXPLODED * max(course.best.total, ROUNDING * course.first.total)
    return math.isfinite(step.total) and step.total <= limit
