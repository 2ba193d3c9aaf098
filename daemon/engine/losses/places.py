"""How much each place of a picture counts in a loss: maps of weights, resampled to every layer.

Source: the guided Gram matrices of Gatys et al. 2017, "Controlling Perceptual Factors in Neural
Style Transfer", section 3.1. Differs: a sum over positions takes the weight itself, not its square,
so that weights which add up to 1 count every place once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.fit.tiles import Tile, Tiling
from daemon.engine.vgg.layers import scale_of

TOP = 255
"""The level that stands for a weight of `most`."""


@dataclass(frozen=True, eq=False)
class WeightMap:
    """How much each pixel of a picture counts.

    levels: (H, W) uint8, on the network's device.  least, most: the weights of the levels 0 and
    255; between them they grow evenly.
    """

    levels: Tensor
    least: float = 0.0
    most: float = 1.0

    def owned(self, tile: Tile, layer: str) -> Tensor:
        """The weights of the positions a tile owns of a layer, (h, w) float32: means over areas."""
        down, across = tile.owned
        levels = self.levels[down.at(1), across.at(1)].float()
        means = means_of_blocks(levels, scale_of(layer))  # (h, w)
        return means.mul_((self.most - self.least) / TOP).add_(self.least)

    def pixels(self) -> Tensor:
        """The weights of all pixels, (H, W) float32."""
        return self.levels.float().mul_((self.most - self.least) / TOP).add_(self.least)

    def total(self, tiling: Tiling, layer: str) -> float:
        """The sum of the weights of all positions of a layer."""
        return sum(self.owned(tile, layer).sum(dtype=torch.float64).item() for tile in tiling.tiles)


def means_of_blocks(values: Tensor, side: int) -> Tensor:
    """Means of square blocks of (H, W); a rest at the right and below is dropped."""
    if side == 1 or min(values.shape) < side:
        return values[: values.shape[0] // side, : values.shape[1] // side]
    return F.avg_pool2d(values[None], side)[0]


def counted_positions(weights: WeightMap | None, tiling: Tiling, layer: str) -> float:
    """What a layer's positions add up to, each counted by its weight; without weights by 1."""
    return tiling.positions(layer) if weights is None else weights.total(tiling, layer)


def owned_weights(weights: WeightMap | None, tile: Tile, layer: str) -> Tensor | None:
    """The weights of the positions a tile owns of a layer, (h, w), or None where all count 1."""
    return None if weights is None else weights.owned(tile, layer)


def covered(parts: Sequence[WeightMap | None]) -> WeightMap | None:
    """What several maps come to together, at most 1; None where one of them is everywhere."""
    maps = [part for part in parts if part is not None]
    if len(maps) < len(parts) or not maps:
        return None
    if len(maps) == 1:
        return maps[0]
    total = torch.zeros_like(maps[0].levels, dtype=torch.float32)
    for part in maps:
        total += part.pixels()
    return WeightMap(total.mul_(TOP).round_().clamp_(max=TOP).to(torch.uint8))


def strongest(parts: Sequence[WeightMap | None], side_px: int) -> Tensor:
    """Which of several maps is strongest in each square cell of a picture; of equals the first.

    A rest at the right and below is dropped.  Returns (rows, columns) int64.
    """
    known = next(part.levels for part in parts if part is not None)
    everywhere = known.new_ones(known.shape, dtype=torch.float32)
    found = [
        means_of_blocks(everywhere if part is None else part.pixels(), side_px) for part in parts
    ]
    return torch.stack(found).argmax(dim=0)
