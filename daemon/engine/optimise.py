"""The steps: bringing an objective down by changing the pixels.

Both optimisers change the picture in place and know nothing of what they minimise. The loop
around them keeps the best picture seen and puts an exploding run back on its feet.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from daemon.engine.errors import Stopped
from daemon.engine.lbfgs import Lbfgs
from daemon.engine.objective import Evaluation

EXPLODED = 10.0
"""A loss this many times the best one so far is a run gone wrong, not a bad step."""

ROUNDING = 1e-6
"""A loss this small against the first one is made of rounding errors."""

MAX_RESTARTS = 5
"""Restarts from the best picture before the pass ends with what it has."""

CONVERGED_WINDOW = 20
LEAST_PROGRESS = 0.01
"""Less progress than this over so many steps cannot be seen in the picture."""

ADAM_RATE = 0.02
ADAM_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class Step:
    """One step: its number from 1, the losses at the picture it started from, its seconds."""

    number: int
    total: float
    content: float
    style: float
    seconds: float


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
        """One step from `picture`, whose gradient is given; both (1, 3, H, W)."""

    def restart(self, shrink: float) -> None:
        """Forgets what it has learnt; the steps become `shrink` times as long."""


class Adam:
    """Adam on the pixels, which are held to 0..1.  Source: Kingma & Ba 2015."""

    def __init__(self, shape: torch.Size, device: torch.device) -> None:
        self._parameter = torch.zeros(shape, device=device, requires_grad=True)
        self._rate = ADAM_RATE
        self.restart(1.0)

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        with torch.no_grad():
            self._parameter.copy_(picture)
        self._parameter.grad = gradient
        self._adam.step()
        picture.copy_(self._parameter.detach()).clamp_(0.0, 1.0)

    def restart(self, shrink: float) -> None:
        self._rate *= shrink
        self._adam = torch.optim.Adam([self._parameter], lr=self._rate, betas=ADAM_BETAS)


def make_optimiser(
    name: Literal["lbfgs", "adam"], shape: torch.Size, device: torch.device, history: int
) -> Optimiser:
    """The optimiser a recipe names, for pictures of `shape` (1, 3, H, W)."""
    return Adam(shape, device) if name == "adam" else Lbfgs(shape, device, history)


class Best:
    """The best picture so far, chosen on the device, so that nobody waits for the choice."""

    def __init__(self, start: Tensor) -> None:
        self.picture = start.clone()
        self._total = torch.full((), math.nan, device=start.device)

    def offer(self, picture: Tensor, total: Tensor) -> None:
        """Takes the picture if its loss, (), is below the best one's, or the best is no number."""
        better = (total < self._total) | self._total.isnan()
        torch.where(better, picture, self.picture, out=self.picture)
        self._total = torch.where(better, total, self._total)


def minimise(
    evaluate: Callable[[Tensor], Evaluation],
    start: Tensor,
    optimiser: Optimiser,
    *,
    steps: int,
    on_step: Callable[[Step, Tensor], None],
    should_stop: Callable[[], bool],
    burst: int = 1,
    least_progress: float = LEAST_PROGRESS,
) -> Minimum:
    """Takes `steps` steps from `start` and returns the best picture on the way.

    A step is one evaluation and the move after it; the last one's move is not evaluated any more,
    and so does not count.

    start: (1, 3, H, W) float32; left as it is.  on_step: called with each step's record and its
    picture, which is only lent.  burst: the losses are read, and everything decided by them, once
    in so many steps, since a GPU stands still while it is waited for; the steps of a burst are all
    lent its last picture.  Ends early once the best loss falls by less than `least_progress` of
    itself over a window of steps.  A loss that is not finite, or exploded, puts the run back to
    its best picture with shorter steps and a warning; it never raises for that.
    Raises Stopped when `should_stop` answers true.
    """
    picture, kept = start.clone(), Best(start)
    taken: list[Step] = []
    best: Step | None = None
    warnings: list[str] = []
    falling: list[float] = []
    while len(taken) < steps and not has_converged(falling, least_progress):
        if should_stop():
            raise Stopped("stopped on request")
        numbers = range(len(taken) + 1, min(len(taken) + burst, steps) + 1)
        latest, gradient = take(evaluate, picture, optimiser, kept, numbers)
        wrong: Step | None = None
        for step in latest:
            on_step(step, picture)
            if best is None or math.isnan(best.total) or step.total < best.total:
                best = step
            falling.append(best.total)
            taken.append(step)
            if wrong is None and not healthy(step, best, taken[0]):
                wrong = step
        if wrong is None:
            optimiser.advance(picture, gradient)
            continue
        warnings.append(
            f"the loss became {wrong.total:.3g} at step {wrong.number}; went back to the best"
        )
        if len(warnings) > MAX_RESTARTS:
            last = taken[-1].number
            warnings.append(f"gave up after step {last} of {steps}; the best picture was kept")
            break
        picture.copy_(kept.picture)
        optimiser.restart(0.5)
    if best is None:
        raise ValueError("a run needs at least one step")
    converged = has_converged(falling, least_progress)
    return Minimum(kept.picture, best, taken[0], taken[-1], tuple(warnings), converged)


def take(
    evaluate: Callable[[Tensor], Evaluation],
    picture: Tensor,
    optimiser: Optimiser,
    kept: Best,
    numbers: Sequence[int],
) -> tuple[list[Step], Tensor]:
    """A burst of steps as typed records, and the gradient the next move starts with."""
    began = time.perf_counter()
    losses: list[Tensor] = []
    gradient: Tensor | None = None
    for _ in numbers:
        if gradient is not None:
            optimiser.advance(picture, gradient)
        found = evaluate(picture)
        kept.offer(picture, found.total)
        losses.append(torch.stack([found.total, found.content, found.style]))
        gradient = found.gradient
    assert gradient is not None
    values: list[list[float]] = torch.stack(losses).tolist()  # the only wait for the device
    seconds = (time.perf_counter() - began) / len(losses)
    steps = [
        Step(number, total, content, style, seconds)
        for number, (total, content, style) in zip(numbers, values, strict=True)
    ]
    return steps, gradient


def has_converged(best_totals: Sequence[float], least_progress: float) -> bool:
    """Whether the best loss has fallen by less than `least_progress` over the last steps.

    Relative to itself and over a window: single steps say nothing, they may even rise.
    """
    if len(best_totals) <= CONVERGED_WINDOW:
        return False
    before, now = best_totals[-1 - CONVERGED_WINDOW], best_totals[-1]
    return before - now < least_progress * before


def healthy(step: Step, best: Step, first: Step) -> bool:
    """Whether the run may go on from here. A loss near nothing may waver: that is rounding."""
    limit = EXPLODED * max(best.total, ROUNDING * first.total)
    return math.isfinite(step.total) and step.total <= limit
