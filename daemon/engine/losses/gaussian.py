"""Gaussian statistics: mean and covariance of a layer's features, by the Wasserstein-2 distance.

Two Gaussians are as far apart as the least that moving one onto the other takes. The map that
does it, T, is found by products of matrices alone, always as many: so a GPU never waits for the
host, and a step that is repeated gives the same bytes.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from daemon.engine.device import one_thread
from daemon.engine.losses.matrices import multiply
from daemon.engine.losses.statistics import Pull
from daemon.engine.losses.term import SMALLEST_MEAN_SQUARE, Moments

LEFT_TO_THE_REST = 0.03
"""Share of the style's variance that may be in directions which are compared each for itself; half
of the directions are so at any rate. Measured: the other half holds 95 % of every layer's variance
or more, 90 % of relu5_1's at 1024 px, and its matrices are an eighth of the work."""

FLOOR = 1e-3
"""What every direction varies by at least, in shares of what a channel's mean square is on average
over picture and style. Measured: far above float32's rounding of a covariance, and far below what
is seen; without it a flat picture has no way to the style."""

LEAST_ROOT = 5e-4
"""The smallest root of S Ss, in shares of the largest, that the iteration must bring to 1.
Measured with FLOOR: 1e-3 or more for photographs, noise, flat and black pictures before any style,
and 5e-4 for a pattern of lines. What is smaller still pulls too little towards the style."""

CONVERGED = 1e-10
"""How far from 1 the iteration leaves a singular value: float32 would do with the 1e-7 of one step
before, but value and gradient would agree to no more than 1e-6."""


class Gaussian:
    """Squared Wasserstein-2 distance of Gaussians with a layer's mean and covariance, per channel.

    (|m - ms|^2 + tr(S + Ss - 2 (Ss^1/2 S Ss^1/2)^1/2)) / C for mean m and covariance S of the
    picture, ms and Ss of the style; never more than that, and nothing where both are alike.
    Source: Dowson & Landau 1982; for style: VinceMarron/style_transfer, crowsonkb/
    style-transfer-pytorch. Differs: Both covariances have a floor. In the basis of the style's
    principal directions those that hold nearly all of its variance are compared as a whole, the
    others each for itself, and those below the floor by their sum. That is the distance after
    part of both covariances was forgotten, so it can only become less.
    """

    needs_channels: ClassVar[bool] = True

    def __init__(self, target: Moments) -> None:
        assert target.channels is not None
        products = target.products
        channels = len(products)
        self._mean = target.channels
        # In float64 on the CPU, by one thread: once a pass, and the same for every device.
        mean = target.channels.cpu().double()
        covariance = products.cpu().double() - torch.outer(mean, mean)
        with one_thread():
            variances, axes = torch.linalg.eigh(covariance)  # rising
        variances = variances.flip(0).clamp_min(0.0)  # (C,), falling
        whole = variances.cumsum(0) < (1.0 - LEFT_TO_THE_REST) * variances.sum()
        self._leading = max(1, min(int(whole.sum()) + 1, channels // 2))
        mean_square = max(products.trace().item() / channels, SMALLEST_MEAN_SQUARE)
        self._floor = 0.5 * FLOOR * mean_square
        # Which of the directions below the floor is which, rounding decides: they count as alike.
        self._seen = max(int((variances >= self._floor).sum()), self._leading)
        make_alike(variances[self._seen :])
        roots = (variances + self._floor).sqrt() - self._floor**0.5
        self._black = (roots.square().sum() + mean.square().sum()).item()
        self._variances = variances.to(products)
        self._axes = axes.flip(1).to(products).contiguous()  # (C, C), a column a direction
        self._scalings = scalings()

    def size(self) -> Tensor:
        return self._mean.new_tensor([[math.sqrt(self._black / len(self._mean))]])

    def compare(self, moments: Moments) -> tuple[Tensor, Pull]:
        assert moments.channels is not None
        mean, products, leading = moments.channels, moments.products, self._leading
        share = 0.5 * FLOOR / len(mean)
        floor = self._floor + share * products.trace()
        variances = self._variances + floor
        block, single = self._along_axes(products - torch.outer(mean, mean), floor)
        together, inverse_trace = transport_map(block, variances[:leading], self._scalings)
        each = (variances[leading:] / single).sqrt()

        shift = mean - self._mean
        value = squared_way(together, block) + (single.sqrt() * (1.0 - each)).square().sum()
        value += shift.square().sum()

        matrix = self._across_channels(together, each).neg_()  # (C, C)
        matrix.diagonal().add_(1.0)
        row = shift - mean @ matrix
        # Since the floor grows with the picture.
        slope = 2.0 * len(mean) - together.trace() - inverse_trace - (each + 1.0 / each).sum()
        matrix.diagonal().add_(share * slope)
        return value / len(mean), Pull(2.0 / len(mean), matrix, row)

    def _along_axes(self, covariance: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
        """The covariance of the leading directions, (k, k), and the variances of the others."""
        leading, others = self._axes.tensor_split([self._leading], dim=1)
        turned = multiply(covariance, self._axes)  # (C, C)
        block = multiply(leading.T, turned[:, : self._leading])
        single = (others * turned[:, self._leading :]).sum(0).clamp_min_(0.0)
        make_alike(single[self._seen - self._leading :])
        block = 0.5 * (block + block.T)
        block.diagonal().add_(floor)
        return block, single + floor

    def _across_channels(self, together: Tensor, each: Tensor) -> Tensor:
        """The map of all channels, (C, C), from those of the leading directions and the others."""
        leading, others = self._axes.tensor_split([self._leading], dim=1)
        moved = torch.cat((multiply(leading, together), others * each), dim=1)  # (C, C)
        return multiply(moved, self._axes.T)


def make_alike(variances: Tensor) -> None:
    """Gives all variances, (n,), their mean, in place."""
    if len(variances):
        variances.copy_(variances.mean().expand_as(variances))


def squared_way(transport: Tensor, covariance: Tensor) -> Tensor:
    """How far a map moves a centred Gaussian, mean squared.  Both (k, k).  Returns ()."""
    way = -transport
    way.diagonal().add_(1.0)
    return (way * multiply(covariance, way)).sum()


def transport_map(
    covariance: Tensor, variances: Tensor, scalings: list[float]
) -> tuple[Tensor, Tensor]:
    """The map T that takes a Gaussian to one of independent directions, and its inverse's trace.

    covariance: (k, k), S.  variances: (k,), the diagonal of D, its largest first.  Returns the
    symmetric (k, k) with T S T = D, and ().
    Source: the product form of the Newton-Schulz iteration, Higham 2008 eq. 6.35, begun with S
    and D instead of a matrix and the identity: their geometric means come out. So no root is
    taken, and what is lost to rounding grows with the condition of S and D, not of their product.
    """
    top = variances[0]
    roots = (variances / top).sqrt()
    scale = (roots[:, None] * covariance * roots).norm()  # no eigenvalue of S D / top is larger
    inverse, forth = covariance / scale, variances / top
    factor = correction(forth[:, None] * inverse, scalings[0])
    inverse, forth = multiply(inverse, factor), factor * forth  # (k, k)
    for scaling in scalings[1:-1]:
        factor = correction(multiply(forth, inverse), scaling)
        inverse, forth = multiply(inverse, factor), multiply(factor, forth)
    factor = correction(multiply(forth, inverse), scalings[-1])
    forth = multiply(factor, forth)
    unit = (top / scale).sqrt()
    return 0.5 * unit * (forth + forth.T), (inverse * factor.T).sum() / unit


def correction(product: Tensor, scaling: float) -> Tensor:
    """What a Newton-Schulz step multiplies by: (3 - a^2 X) a / 2, a the scaling; overwrites X."""
    product.mul_(-0.5 * scaling**3).diagonal().add_(1.5 * scaling)
    return product


def scalings() -> list[float]:
    """What each step of the Newton-Schulz iteration is stretched by, so that it takes fewest.

    Singular values from LEAST_ROOT to 1 are within CONVERGED of 1 after the last.
    Source: Chen & Chow 2014, "A stable scaling of Newton-Schulz", eq. 9.
    """
    least, found = LEAST_ROOT, []
    while 1.0 - least > CONVERGED:
        scaling = math.sqrt(3.0 / (1.0 + least + least**2))
        least = 0.5 * scaling * least * (3.0 - (scaling * least) ** 2)
        found.append(scaling)
    return found
