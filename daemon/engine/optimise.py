"""The steps: bringing an objective down by changing the pixels.

Both optimisers change the picture in place and know nothing of what they minimise. The loop
around them keeps the best picture seen and puts an exploding run back on its feet.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from daemon.engine.errors import Stopped
from daemon.engine.objective import Evaluation

EXPLODED = 10.0
"""A loss this many times the best one so far is a run gone wrong, not a bad step."""

MAX_RESTARTS = 5
"""Restarts from the best picture before the pass ends with what it has."""

FIRST_STEP_RMS = 0.02
"""Heuristic: root mean square change of the first step, where no curvature is known yet."""

LONGEST_STEP_RMS = 0.25
"""Heuristic: no step may change the picture more; a healthy one changes it far less."""

LOWEST_FREQUENCY = 1.0 / 64.0
"""Cycles per pixel below which the preconditioner treats all frequencies alike."""

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
    """The best picture of a run, (1, 3, H, W), the losses there, and what went wrong."""

    picture: Tensor
    best: Step
    first: Step
    last: Step
    warnings: tuple[str, ...]


class Optimiser(Protocol):
    """Changes a picture in place, one gradient at a time."""

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        """One step from `picture`, whose gradient is given; both (1, 3, H, W)."""

    def restart(self, shrink: float) -> None:
        """Forgets what it has learnt; the steps become `shrink` times as long."""


class FourierPreconditioner:
    """Weights a gradient's frequencies by 1/(f + f0): coarse structure moves as fast as fine.

    The same as optimising x = F^-1 s F z over z with s^2 = 1/(f + f0), without leaving pixels.
    Source: Olah, Mordvintsev & Schubert 2017, "Feature Visualization", preconditioning.
    """

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        down = torch.fft.fftfreq(height, device=device)[:, None]
        across = torch.fft.rfftfreq(width, device=device)[None, :]
        gain = 1.0 / ((down**2 + across**2).sqrt() + LOWEST_FREQUENCY)  # (H, W//2+1)
        self._gain = gain / gain.min()
        self._shape = (height, width)

    def apply(self, vector: Tensor) -> Tensor:
        """vector: (3*H*W,) float32.  Returns the same shape."""
        image = vector.view(3, *self._shape)
        spectrum = torch.fft.rfft2(image) * self._gain  # (3, H, W//2+1)
        filtered: Tensor = torch.fft.irfft2(spectrum, s=self._shape)
        return filtered.reshape(-1)


class Lbfgs:
    """Limited-memory BFGS without line search, its history allocated once.

    Source: Nocedal & Wright 2006, algorithm 7.4, with H0 = gamma * preconditioner. Without a
    line search every evaluation is a step, which pays since steps of length 1 are nearly always
    good here; the loop catches the others.
    """

    def __init__(self, shape: torch.Size, device: torch.device, history: int) -> None:
        size = math.prod(shape)
        self._preconditioner = FourierPreconditioner(shape[-2], shape[-1], device)
        self._moves = torch.empty(history, size, device=device)
        self._turns = torch.empty(history, size, device=device)
        self._inner: list[float] = [0.0] * history
        self._order: list[int] = []
        self._scale = 1.0
        self._last_gradient = torch.empty(size, device=device)
        self._last_move: Tensor | None = None
        self._step_factor = 1.0

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        flat = gradient.reshape(-1)
        if self._last_move is not None:
            self._learn(self._last_move, flat)
        direction = self._direction(flat)
        rms = direction.square().mean().sqrt().item()
        if not self._order:
            length = FIRST_STEP_RMS / max(rms, 1e-30)
        else:
            length = min(1.0, LONGEST_STEP_RMS / max(rms, 1e-30))
        self._last_move = direction.mul_(-length * self._step_factor)
        self._last_gradient.copy_(flat)
        picture.view(-1).add_(self._last_move)

    def restart(self, shrink: float) -> None:
        self._order.clear()
        self._last_move = None
        self._step_factor *= shrink

    def _learn(self, move: Tensor, gradient: Tensor) -> None:
        """Takes in the latest pair (move, change of gradient) if its curvature is positive."""
        free = [slot for slot in range(len(self._inner)) if slot not in self._order]
        slot = free[0] if free else self._order.pop(0)
        turn = torch.sub(gradient, self._last_gradient, out=self._turns[slot])
        inner = move.dot(turn).item()
        if inner <= 1e-12 * turn.dot(turn).item():
            return
        self._moves[slot].copy_(move)
        self._inner[slot] = inner
        self._order.append(slot)
        self._scale = inner / turn.dot(self._preconditioner.apply(turn)).item()

    def _direction(self, gradient: Tensor) -> Tensor:
        """The two-loop recursion: inverse Hessian times gradient."""
        direction = gradient.clone()
        factors = {}
        for slot in reversed(self._order):
            factors[slot] = self._moves[slot].dot(direction).item() / self._inner[slot]
            direction.add_(self._turns[slot], alpha=-factors[slot])
        direction = self._preconditioner.apply(direction)
        if self._order:
            direction.mul_(self._scale)
        for slot in self._order:
            back = self._turns[slot].dot(direction).item() / self._inner[slot]
            direction.add_(self._moves[slot], alpha=factors[slot] - back)
        return direction


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
    on_step: Callable[[Step], None],
    should_stop: Callable[[], bool],
) -> Minimum:
    """Takes `steps` steps from `start` and returns the best picture on the way.

    start: (1, 3, H, W) float32; left as it is.  A loss that is not finite, or exploded, puts the
    run back to its best picture with shorter steps and a warning; it never raises for that.
    Raises Stopped when `should_stop` answers true.
    """
    picture = start.clone()
    best_picture = start.clone()
    first = best = last = None
    warnings: list[str] = []
    for number in range(1, steps + 1):
        if should_stop():
            raise Stopped("stopped on request")
        last, gradient = measured(evaluate, picture, number)
        on_step(last)
        first = first or last
        if best is None or math.isnan(best.total) or last.total < best.total:
            best = last
            best_picture.copy_(picture)
        if healthy(last, best):
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
    return Minimum(best_picture, best, first, last, tuple(warnings))


def measured(
    evaluate: Callable[[Tensor], Evaluation], picture: Tensor, number: int
) -> tuple[Step, Tensor]:
    """One evaluation as a typed record, and the gradient."""
    began = time.perf_counter()
    found = evaluate(picture)
    total, content, style = torch.stack([found.total, found.content, found.style]).tolist()
    return Step(number, total, content, style, time.perf_counter() - began), found.gradient


def healthy(step: Step, best: Step) -> bool:
    """Whether the run may go on from here."""
    return math.isfinite(step.total) and step.total <= EXPLODED * max(best.total, 1e-30)
