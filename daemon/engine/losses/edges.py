"""Edges: the photograph's lines, kept where they are, whatever the style makes of its surfaces."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.fit.tiles import Tile, Tiling
from daemon.engine.losses.term import Materials
from daemon.engine.losses.wide import mean_square
from daemon.engine.recipe import Recipe

NAME = "edges"

BLOCKS_PX = (2, 8)
"""Sides of the blocks whose means are compared: lines, and the outlines of things. Chosen by eye;
single pixels are left to the style."""

LEAST_ENERGY = 1e-4
"""Floor of a content's mean square Laplacian, a hundredth of white: a photograph of a wall is no
reason to forbid strokes on it."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Of R, G and B, by ITU-R BT.601: lines are kept, their colours are the style's."""


def layers(recipe: Recipe) -> Mapping[str, float]:
    """None: it looks at the picture itself."""
    return {}


def vectors(recipe: Recipe) -> float:
    """What it takes, counted in vectors as large as the picture: the smaller blocks count.

    Their three channels, and as much for the luminance, its target and the differences at work.
    Measured: 0.7 of a vector, of the 0.75 counted.
    """
    return 3 / BLOCKS_PX[0] ** 2 if recipe.edges else 0.0


def make(materials: Materials) -> "EdgeLoss | None":
    """The term, unless the recipe does without."""
    recipe = materials.recipe
    if not recipe.edges:
        return None
    targets = [laplacian(block_luminance(materials.content, side)) for side in BLOCKS_PX]
    return EdgeLoss(recipe.edges, targets, relative=recipe.normalise == "relative")


class EdgeLoss:
    """Mean squared difference of the Laplacians of luminance, at two scales, against the content's.

    targets: the content's Laplacians, each (h, w), for BLOCKS_PX.  relative: each is divided by its
    own mean square, so that a picture without any edge counts 1.
    Source: Li et al. 2017, "Laplacian-Steered Neural Style Transfer", eq. 4; differs: of luminance,
    relative, and means where the paper has sums.
    """

    name = NAME
    layers: frozenset[str] = frozenset()

    def __init__(self, weight: float, targets: list[Tensor], *, relative: bool) -> None:
        self.weight = weight
        self._targets = targets
        self._factors = [
            1 / max(mean_square(target).item(), LEAST_ENERGY) if relative else 1.0
            for target in targets
        ]
        self._differences: list[Tensor] = []

    def begin(self, tiling: Tiling) -> None:
        pass

    def read(self, tile: Tile, layer: str, features: Tensor) -> None:
        self._differences = [
            laplacian(block_luminance(features, side)) - target
            for side, target in zip(BLOCKS_PX, self._targets, strict=True)
        ]

    def value(self) -> Tensor:
        parts = zip(self._differences, self._factors, strict=True)
        return torch.stack([mean_square(one) * factor for one, factor in parts]).mean()

    def inject(self, tile: Tile, layer: str, features: Tensor, gradient: Tensor) -> None:
        for side, difference, factor in zip(
            BLOCKS_PX, self._differences, self._factors, strict=True
        ):
            coefficient = 2 * self.weight * factor / (len(BLOCKS_PX) * difference.numel())
            add_block_gradient(gradient, laplacian(difference), side, coefficient)


def block_luminance(picture: Tensor, side_px: int) -> Tensor:
    """Mean luminance of square blocks; a rest at the right and below is dropped.

    picture: (1, 3, H, W) RGB.  Returns (h, w).
    """
    channels = F.avg_pool2d(picture, side_px)[0].unbind()  # three of (h, w)
    luminance = torch.zeros_like(channels[0])
    for channel, weight in zip(channels, LUMINANCE, strict=True):
        luminance.add_(channel, alpha=weight)
    return luminance


def laplacian(values: Tensor) -> Tensor:
    """Sum of each value's differences from its four neighbours; beyond the border are none.

    values: (h, w).  Returns (h, w).  It is its own adjoint.
    """
    above = torch.zeros_like(values)
    down, across = values.diff(dim=0), values.diff(dim=1)
    above[1:] += down
    above[:-1] -= down
    above[:, 1:] += across
    above[:, :-1] -= across
    return above


def add_block_gradient(
    gradient: Tensor, of_blocks: Tensor, side_px: int, coefficient: float
) -> None:
    """Adds `coefficient` times the gradient of blocks' luminance, (h, w), to a picture's, in place.

    gradient: (1, 3, H, W).
    """
    height, width = of_blocks.shape
    of_pixels = of_blocks[:, None, :, None] * (coefficient / side_px**2)  # (h, 1, w, 1)
    for channel, weight in zip(gradient[0], LUMINANCE, strict=True):
        covered = channel[: height * side_px, : width * side_px]
        blocks = covered.unflatten(1, (width, side_px)).unflatten(0, (height, side_px))
        blocks.add_(of_pixels, alpha=weight)
