"""Adam on the pixels: less memory than L-BFGS, and more steps."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from daemon.engine.fit.scratch import Scratch, Vector
from daemon.engine.pixels import SRGB_BOUNDS, Bounds

RATE = 0.02
BETAS = (0.9, 0.99)
EPSILON = 1e-8


class Adam:
    """Adam on the pixels, which are held to `bounds`.  Source: Kingma & Ba 2015, algorithm 1."""

    def __init__(self, shape: torch.Size, scratch: Scratch, bounds: Bounds = SRGB_BOUNDS) -> None:
        self._bounds = bounds
        self._scratch = scratch
        self._mean = scratch.vector(math.prod(shape))
        self._square = scratch.vector(math.prod(shape))
        self._taken = 0
        self._rate = RATE

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        """One step from `picture`, whose gradient is given; both (1, 3, H, W)."""
        if not self._taken:
            self._mean.apply(Tensor.zero_)
            self._square.apply(Tensor.zero_)
        self._taken += 1
        g, (first, second) = Vector(gradient.reshape(-1), self._scratch), BETAS
        rate = self._rate / (1.0 - first**self._taken)
        widen = 1.0 / math.sqrt(1.0 - second**self._taken)
        self._mean.apply(lambda m, g: m.lerp_(g, 1.0 - first), g)
        self._square.apply(lambda v, g: v.mul_(second).addcmul_(g, g, value=1.0 - second), g)

        def move(x: Tensor, m: Tensor, v: Tensor) -> None:
            x.sub_(m / (v.sqrt() * widen + EPSILON), alpha=rate)

        Vector(picture.view(-1), self._scratch).apply(move, self._mean, self._square)
        for channel, ends in zip(picture[0], self._bounds, strict=True):
            Vector(channel.view(-1), self._scratch).apply(lambda x, ends=ends: x.clamp_(*ends))

    def restart(self, shrink: float) -> None:
        """Forgets what it has learnt; the steps become `shrink` times as long."""
        self._rate *= shrink
        self._taken = 0

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on."""
        counts = torch.tensor([self._taken, self._rate], dtype=torch.float64)
        moments = {"mean": self._mean.values, "square": self._square.values}
        return {"counts": counts, **(moments if self._taken else {})}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a `state`, of pictures of the same size."""
        taken, self._rate = state["counts"].tolist()
        self._taken = int(taken)
        if self._taken:
            self._mean.copy(Vector(state["mean"], self._scratch))
            self._square.copy(Vector(state["square"], self._scratch))
