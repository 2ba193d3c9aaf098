"""Style statistics: sums over a layer's positions that add up over tiles, and what they mean.

A statistic compares the moments of the picture with those of the styles, and its gradient with
respect to the features is theirs times a matrix, plus a row. `style.py` has the table of them.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from daemon.engine.losses.term import Moments
from daemon.engine.losses.wide import ROWS_AT_ONCE, as_rows, mean_square, wide


@dataclass(frozen=True)
class Pull:
    """The gradient of a statistic by features F, (N, C): (F @ matrix + row) * constant / N.

    matrix: (C, C).  row: (C,), or None for zeros.
    """

    constant: float
    matrix: Tensor
    row: Tensor | None = None


class Statistic(Protocol):
    """How the moments of a picture's layer are compared with a style's: made once a style."""

    needs_channels: ClassVar[bool]
    """Whether it looks at the channels' own means."""

    def __init__(self, target: Moments) -> None:
        """Takes in the moments of the style's layer."""

    def size(self) -> Tensor:
        """What the value of a black picture is measured by, (..., H, W): its mean square."""

    def compare(self, moments: Moments) -> tuple[Tensor, Pull]:
        """The value for the moments of the picture's layer, (), and its gradient."""


class Gram:
    """Mean squared difference of Gram matrices.

    Source: Gatys 2016 eq. 4 and 6; differs: without the constant 1/4, and with Gram matrices that
    are divided by the number of positions, so that they do not grow with the picture.
    """

    needs_channels: ClassVar[bool] = False

    def __init__(self, target: Moments) -> None:
        self._target = target.products

    def size(self) -> Tensor:
        return self._target

    def compare(self, moments: Moments) -> tuple[Tensor, Pull]:
        difference = moments.products - self._target  # (C, C)
        return mean_square(difference), Pull(4.0 / difference.numel(), difference)


class Sums:
    """The sums of one layer over the positions read so far, in at least float32."""

    def __init__(self, *, channels: bool) -> None:
        self._products: Tensor | None = None
        self._channels: Tensor | None = None
        self._wants_channels = channels

    def add(self, features: Tensor) -> None:
        """Takes in features, (1, C, h, w)."""
        # Not all at once: a float32 copy of all of a shallow layer is large.
        for part in torch.split(as_rows(features), ROWS_AT_ONCE):
            part = wide(part)
            if self._products is None:
                self._products = part.new_zeros(part.shape[1], part.shape[1])
                self._channels = part.new_zeros(part.shape[1]) if self._wants_channels else None
            self._products.addmm_(part.T, part)
            if self._channels is not None:
                self._channels.add_(part.sum(0))

    def moments(self, positions: int) -> Moments:
        """The means over so many positions: all that have been read."""
        assert self._products is not None
        channels = None if self._channels is None else self._channels / positions
        return Moments(self._products / positions, channels)


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix of one layer's features: which of them occur together, wherever they are.

    features: (1, C, H, W).  Returns (C, C) float32, divided by H*W.
    Source: Gatys 2016 eq. 3; differs: divided by H*W, so that it does not grow with the picture.
    """
    sums = Sums(channels=False)
    sums.add(features)
    return sums.moments(features.shape[2] * features.shape[3]).products


def add_pull(features: Tensor, gradient: Tensor, pull: Pull, factor: float) -> None:
    """Adds (features @ matrix + row) * factor to `gradient`, in place, for a pull's matrix and row.

    features, gradient: (1, C, H, W), channels-last, of a layer or a part of it.
    """
    channels = features.shape[1]
    matrix = (pull.matrix * factor).to(features.dtype)  # (C, C)
    running = gradient.permute(0, 2, 3, 1)  # (1, H, W, C)
    if running.is_contiguous():
        running.view(-1, channels).addmm_(as_rows(features), matrix)
    else:  # a part of the layer
        running.add_((as_rows(features) @ matrix).view(running.shape))
    if pull.row is not None:
        running.add_((pull.row * factor).to(running.dtype))
