"""Blurred max pooling: the maximum around every place, blurred before it is halved; its adjoint.

Max pooling takes every second maximum as it comes: a pattern of single pixels looks like something
else to the deeper layers, and the gradient falls on one place of four. Both leave noise in a
picture that is optimised. Blurred before, a pattern too fine for the halved map is seen as its
mean.

Both directions go through a layer in bands of rows: the steps of a band stay in a processor's
cache, and those of a whole layer would take several times its memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BAND_VALUES = {"cpu": 1 << 20, "cuda": 1 << 24}
"""Values worked on at a time, by the type of device. Measured on the CPU: four times as many no
longer stay in its cache; a GPU wants long work."""


@dataclass(frozen=True)
class Band:
    """Rows of the halved layer, and what they are made from.

    halved: rows of the halved layer.  rows: of the layer.  maxima: of those rows' maxima.
    """

    halved: slice
    rows: slice
    maxima: slice


def bands(features: Tensor) -> Iterator[Band]:
    """The bands of a layer, (B, C, H, W), from top to bottom."""
    height = features.shape[2]
    row_values = features[:, :, 0].numel()
    step = max(1, BAND_VALUES[features.device.type] // (2 * row_values))
    for first in range(0, height // 2, step):
        end = min(first + step, height // 2)
        above = max(0, 2 * first - 1)
        maxima = slice(2 * first - above, 2 * end + 1 - above)
        yield Band(slice(first, end), slice(above, min(height, 2 * end + 1)), maxima)


def blurred_max_pool(features: Tensor) -> Tensor:
    """Maxima of 2x2 neighbours at every place, blurred by (1 2 1)/4 down and across, and halved.

    A halved place lies where max pooling has it, and sees one place more to every side.
    features: (B, C, H, W).  Returns (B, C, H//2, W//2).
    Source: Zhang 2019, "Making Convolutional Networks Shift-Invariant Again", MaxBlurPool with
    the triangle filter; differs: at the border a value is its own neighbour, where the paper
    mirrors the layer.
    """
    batch, channels, height, width = features.shape
    pooled = empty_like(features, (batch, channels, height // 2, width // 2))
    for band in bands(features):
        down = larger_neighbours(features[:, :, band.rows], 2)[:, :, band.maxima]
        maxima = larger_neighbours(down, 3)  # (B, C, 2h+1, W+1)
        pooled[:, :, band.halved] = blur_and_halve(blur_and_halve(maxima, 2), 3)
    return pooled


def pull_back_blurred_max_pool(features: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of features, (B, C, H, W), from that of their blurred maxima, (B, C, H//2, W//2).

    Of equal neighbours the later one takes all of it.
    """
    pulled = torch.zeros_like(features)
    for band in bands(features):
        rows = features[:, :, band.rows]
        down = larger_neighbours(rows, 2)
        length = band.maxima.stop - band.maxima.start
        of_maxima = spread(gradient[:, :, band.halved], 3, features.shape[3] + 1)
        of_maxima = spread(of_maxima, 2, length)  # (B, C, 2h+1, W+1)
        of_down = torch.zeros_like(down)
        of_down[:, :, band.maxima] = pull_back_larger(down[:, :, band.maxima], of_maxima, 3)
        pulled[:, :, band.rows] += pull_back_larger(rows, of_down, 2)
    return pulled


def larger_neighbours(values: Tensor, dim: int) -> Tensor:
    """Each value or the one before it, whichever is larger, along `dim`: n values give n + 1.

    The first and the last stand alone.
    """
    count = values.shape[dim]
    larger = empty_like(values, resized(values, dim, count + 1))
    before, after = values.narrow(dim, 0, count - 1), values.narrow(dim, 1, count - 1)
    torch.maximum(before, after, out=larger.narrow(dim, 1, count - 1))
    larger.narrow(dim, 0, 1).copy_(values.narrow(dim, 0, 1))
    larger.narrow(dim, count, 1).copy_(values.narrow(dim, count - 1, 1))
    return larger


def pull_back_larger(values: Tensor, gradient: Tensor, dim: int) -> Tensor:
    """Gradient of values, n along `dim`, from that of their `larger_neighbours`, n + 1: a view.

    Uses `gradient` up.
    """
    count = values.shape[dim]
    before, after = values.narrow(dim, 0, count - 1), values.narrow(dim, 1, count - 1)
    inner = gradient.narrow(dim, 1, count - 1)
    to_before = torch.ops.aten.threshold_backward(inner, before - after, 0)
    inner.sub_(to_before)
    gradient.narrow(dim, 0, count - 1).add_(to_before)
    gradient.narrow(dim, count - 1, 1).add_(gradient.narrow(dim, count, 1))
    return gradient.narrow(dim, 0, count)


def blur_and_halve(values: Tensor, dim: int) -> Tensor:
    """Every second of the values blurred by (1 2 1)/4 along `dim`: 2n + 1 or 2n + 2 give n."""
    count = (values.shape[dim] - 1) // 2
    first, middle, last = (every_second(values, dim, start, count) for start in range(3))
    return first.lerp(last, 0.5).lerp_(middle, 0.5)


def spread(gradient: Tensor, dim: int, length: int) -> Tensor:
    """Gradient of `length` values along `dim` from that of what `blur_and_halve` makes of them."""
    count = gradient.shape[dim]
    values = empty_like(gradient, resized(gradient, dim, length))
    values.narrow(dim, 2 * count, length - 2 * count).zero_()
    torch.mul(gradient, 0.25, out=every_second(values, dim, 0, count))
    torch.mul(gradient, 0.5, out=every_second(values, dim, 1, count))
    every_second(values, dim, 2, count).add_(gradient, alpha=0.25)
    return values


def every_second(values: Tensor, dim: int, start: int, count: int) -> Tensor:
    """So many values along `dim`, every second from `start` on, as a view."""
    window = values.narrow(dim, start, 2 * count - 1)
    return window[:, :, ::2] if dim == 2 else window[..., ::2]


def resized(values: Tensor, dim: int, length: int) -> tuple[int, ...]:
    """The shape of values with another length along `dim`."""
    return (*values.shape[:dim], length, *values.shape[dim + 1 :])


def empty_like(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor of that shape, channels-last, its numbers and its device those of `values`."""
    return torch.empty(
        shape, dtype=values.dtype, device=values.device, memory_format=torch.channels_last
    )
