"""Style statistics: sums over a layer's positions that add up over tiles, and what they mean.

A statistic compares the moments of the picture with those of the styles, and its gradient with
respect to the features is theirs times a matrix, plus a row. `style.py` has the table of them.
"""

from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from daemon.engine.losses.term import Moments
from daemon.engine.losses.wide import (
    ROWS_AT_ONCE,
    as_rows,
    column_sums,
    has_fast_products,
    mean_square,
    products,
    wide,
)


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
    """The sums of one layer over the positions read so far, in at least float32.

    Each position counts as much as its weight.
    """

    def __init__(self, *, channels: bool) -> None:
        self._products: Tensor | None = None
        self._channels: Tensor | None = None
        self._wants_channels = channels

    def add(self, features: Tensor, weights: Tensor | None = None) -> None:
        """Takes in features, (1, C, h, w), and their positions' weights, (h, w); None: all 1."""
        # Not all at once: a float32 copy of all of a shallow layer is large.
        parts = torch.split(as_rows(features), ROWS_AT_ONCE)
        counts = torch.split(weights.reshape(-1, 1), ROWS_AT_ONCE) if weights is not None else None
        for part, count in zip(parts, counts or repeat(None), strict=False):
            if self._products is None:
                empty = wide(part[:0])
                self._products = empty.new_zeros(part.shape[1], part.shape[1])
                self._channels = empty.new_zeros(part.shape[1]) if self._wants_channels else None
            if count is None and has_fast_products(part):
                self._products.add_(products(part))
                if self._channels is not None:
                    self._channels.add_(column_sums(part))
                continue
            part = wide(part)
            counted = part if count is None else part * count
            self._products.addmm_(counted.T, part)
            if self._channels is not None:
                self._channels.add_(counted.sum(0))

    def moments(self, positions: float) -> Moments:
        """The means over so many positions: all that have been read, as far as they count."""
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


def add_pull(
    features: Tensor,
    gradient: Tensor,
    pull: Pull,
    factor: float,
    weights: Tensor | None = None,
) -> None:
    """Adds (features @ matrix + row) * factor to `gradient`, in place, for a pull's matrix and row.

    features, gradient: (1, C, H, W), channels-last, of a layer or a part of it.  weights: (H, W),
    of what each position is given of it; None: all 1.
    """
    channels = features.shape[1]
    matrix = (pull.matrix * factor).to(features.dtype)  # (C, C)
    row = None if pull.row is None else (pull.row * factor).to(features.dtype)
    running = gradient.permute(0, 2, 3, 1)  # (1, H, W, C)
    if weights is not None:
        add_weighted_pull(features, running, matrix, row, weights)
        return
    if running.is_contiguous():
        running.view(-1, channels).addmm_(as_rows(features), matrix)
    else:  # a part of the layer
        running.add_((as_rows(features) @ matrix).view(running.shape))
    if row is not None:
        running.add_(row)


def add_weighted_pull(
    features: Tensor, running: Tensor, matrix: Tensor, row: Tensor | None, weights: Tensor
) -> None:
    """Adds (features @ matrix + row) * weights to a running gradient, (1, H, W, C), in place."""
    height, width = weights.shape
    at_once = max(1, ROWS_AT_ONCE // max(1, width))  # what is pulled is as large as the layer
    for first in range(0, height, at_once):
        band = slice(first, first + at_once)
        pulled = as_rows(features[:, :, band]) @ matrix
        if row is not None:
            pulled += row
        running[:, band].add_(pulled.view(running[:, band].shape).mul_(weights[band, :, None]))
