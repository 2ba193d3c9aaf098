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
CONVERGED_PROGRESS = 0.01
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


def minimise(
    evaluate: Callable[[Tensor], Evaluation],
    start: Tensor,
    optimiser: Optimiser,
    *,
    steps: int,
    on_step: Callable[[Step, Tensor], None],
    should_stop: Callable[[], bool],
) -> Minimum:
    """Takes `steps` steps from `start` and returns the best picture on the way.

    A step is one evaluation and the move after it; the last one's move is not evaluated any more,
    and so does not count.

    start: (1, 3, H, W) float32; left as it is.  on_step: called with each step's record and its
    picture, which is only lent.  Ends early once the loss hardly falls any more.  A loss that is
    not finite, or exploded, puts the run back to its best picture with shorter steps and a
    warning; it never raises for that.
    Raises Stopped when `should_stop` answers true.
    """
    picture = start.clone()
    best_picture = start.clone()
    first = best = last = None
    warnings: list[str] = []
    falling: list[float] = []
    for number in range(1, steps + 1):
        if should_stop():
            raise Stopped("stopped on request")
        last, gradient = measured(evaluate, picture, number)
        on_step(last, picture)
        first = first or last
        if best is None or math.isnan(best.total) or last.total < best.total:
            best = last
            best_picture.copy_(picture)
        falling.append(best.total)
        if has_converged(falling):
            break
        if healthy(last, best, first):
            optimiser.advance(picture, gradient)
            continue
        warnings.append(f"the loss became {last.total:.3g} at step {number}; went back to the best")
        if len(warnings) > MAX_RESTARTS:
            warnings.append(f"gave up after step {number} of {steps}; the best picture was kept")
            break
        picture.copy_(best_picture)
        optimiser.restart(0.5)
    if first is None or best is None or last is None:
        raise ValueError("a run needs at least one step")
    return Minimum(best_picture, best, first, last, tuple(warnings), has_converged(falling))


def measured(
    evaluate: Callable[[Tensor], Evaluation], picture: Tensor, number: int
) -> tuple[Step, Tensor]:
    """One evaluation as a typed record, and the gradient."""
    began = time.perf_counter()
    found = evaluate(picture)
    total, content, style = torch.stack([found.total, found.content, found.style]).tolist()
    return Step(number, total, content, style, time.perf_counter() - began), found.gradient


def has_converged(best_totals: Sequence[float]) -> bool:
    """Whether the best loss has fallen by less than a hundredth over the last steps.

    Relative to itself and over a window: single steps say nothing, they may even rise.
    """
    if len(best_totals) <= CONVERGED_WINDOW:
        return False
    before, now = best_totals[-1 - CONVERGED_WINDOW], best_totals[-1]
    return before - now < CONVERGED_PROGRESS * before


def healthy(step: Step, best: Step, first: Step) -> bool:
    """Whether the run may go on from here. A loss near nothing may waver: that is rounding."""
    limit = EXPLODED * max(best.total, ROUNDING * first.total)
    return math.isfinite(step.total) and step.total <= limit
