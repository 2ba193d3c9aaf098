"""Adam on the pixels: less memory than L-BFGS, and more steps."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from daemon.engine.fit.scratch import Scratch

RATE = 0.02
BETAS = (0.9, 0.99)
EPSILON = 1e-8


class Adam:
    """Adam on the pixels, which are held to 0..1.  Source: Kingma & Ba 2015, algorithm 1."""

    def __init__(self, shape: torch.Size, scratch: Scratch) -> None:
        self._size = math.prod(shape)
        self._scratch = scratch
        self._mean = scratch.empty(self._size)
        self._square = scratch.empty(self._size)
        self._taken = 0
        self._rate = RATE

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        pixels, slope = picture.view(-1), gradient.reshape(-1)
        first, second = BETAS
        if not self._taken:
            self._mean.zero_()
            self._square.zero_()
        self._taken += 1
        rate = self._rate / (1.0 - first**self._taken)
        widen = 1.0 / math.sqrt(1.0 - second**self._taken)
        for band in self._scratch.bands(self._size):
            part = slope[band]
            mean = self._scratch.here(self._mean[band]).lerp_(part, 1.0 - first)
            square = self._scratch.here(self._square[band]).mul_(second)
            square.addcmul_(part, part, value=1.0 - second)
            move = mean / (square.sqrt() * widen + EPSILON)
            pixels[band].sub_(move, alpha=rate).clamp_(0.0, 1.0)
            self._mean[band].copy_(mean)
            self._square[band].copy_(square)

    def restart(self, shrink: float) -> None:
        self._rate *= shrink
        self._taken = 0

    def state(self) -> dict[str, Tensor]:
        counts = torch.tensor([self._taken, self._rate], dtype=torch.float64)
        moments = {"mean": self._mean, "square": self._square} if self._taken else {}
        return {"counts": counts, **moments}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        taken, self._rate = state["counts"].tolist()
        self._taken = int(taken)
        if self._taken:
            self._mean.copy_(state["mean"])
            self._square.copy_(state["square"])
            self._scratch.release()
