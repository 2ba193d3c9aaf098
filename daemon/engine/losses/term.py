"""What every loss is to the objective: a term of the total, read and told tile by tile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from daemon.engine.fit.scratch import Scratch
from daemon.engine.fit.tiles import Tile, Tiling
from daemon.engine.losses.places import WeightMap
from daemon.engine.losses.wide import mean_square
from daemon.engine.pixels import Pixels, reduce, resize
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.layers import MIN_SIDE_PX
from daemon.engine.vgg.network import Network

SMALLEST_MEAN_SQUARE = 1e-12
"""Floor of the divisor for targets that are all but zero, such as a flat picture's."""

PICTURE = "picture"
"""What a term without layers is given in the place of a layer: the picture itself."""


@dataclass(frozen=True)
class Moments:
    """Means over the positions of one layer, of what adds up over tiles.

    products: (C, C), of the products of channels: the Gram matrix.  channels: (C,), of the
    channels themselves, where a statistic asks for them.
    """

    products: Tensor
    channels: Tensor | None = None

    def to(self, device: torch.device) -> "Moments":
        """The same on a device."""
        return Moments(
            self.products.to(device), None if self.channels is None else self.channels.to(device)
        )


@dataclass(frozen=True, eq=False)
class StyleImage:
    """A style image at the scale of a pass, for terms that look at more than its moments.

    pixels: of any size; width_px, height_px: what they are to be resized to.  weight: among the
    styles.  tile_px: side of the tiles it is to be computed in, None for one tile.  region: the
    number of the region it is a style of.
    """

    pixels: Pixels
    width_px: int
    height_px: int
    weight: float = 1.0
    tile_px: int | None = None
    region: int = 0

    def resized(self) -> Pixels:
        """The pixels at the pass's scale."""
        return resize(self.pixels, self.width_px, self.height_px)

    def reduced(self, times: int) -> Pixels:
        """The same, so many times smaller but no narrower than the network can judge."""
        return reduce(self.resized(), times, least_px=MIN_SIDE_PX)


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a picture that is painted after styles of its own.

    moments: layer -> the moments of its style images, mixed by weight.  weights: how much each
    place belongs to it; None: the whole picture does.
    """

    moments: Mapping[str, Moments]
    weights: WeightMap | None = None


@dataclass(frozen=True)
class Materials:
    """What terms are made from.

    content: the picture to be kept, (1, 3, H, W) RGB in 0..1.  regions: the parts that have styles.
    scratch: where targets as large as a layer lie.  images: the style images themselves.
    content_weights: how much each place is kept; None: everywhere alike.
    """

    network: Network
    recipe: Recipe
    tiling: Tiling
    scratch: Scratch
    content: Tensor
    regions: Sequence[Region]
    images: Sequence[StyleImage] = ()
    content_weights: WeightMap | None = None


class Term(Protocol):
    """One loss: `weight` times its value is a part of the total.

    An evaluation begins every term, reads each tile of each of its layers once, asks for the
    value, and then lets it add its gradient to each tile of each layer. A term without layers is
    given the whole picture as the one tile of a layer called PICTURE.
    """

    name: str
    """Told, logged, recorded and plotted under this name."""

    weight: float
    layers: frozenset[str]

    def begin(self, tiling: Tiling) -> None:
        """A new picture of that tiling comes."""

    def read(self, tile: Tile, layer: str, features: Tensor) -> None:
        """Takes in what a tile owns of a layer; features: (1, C, h, w), of the tile's region."""

    def value(self) -> Tensor:
        """The loss, (), without the weight; every tile has been read."""

    def inject(self, tile: Tile, layer: str, features: Tensor, gradient: Tensor) -> None:
        """Adds the gradient of weight * value, where the tile owns the layer, in place.

        features, gradient: (1, C, h, w), of the tile's region.
        """


def shares(
    weights: Mapping[str, float], sizes: Mapping[str, Tensor], recipe: Recipe
) -> dict[str, float]:
    """What each layer's difference counts for.

    `relative`: weights as shares of their sum, each divided by its size's mean square, so
    that a loss of 1 means "as far off as a black picture", for every style, layer and size.
    `raw`: the weights as they are.
    """
    if recipe.normalise == "raw":
        return dict(weights)
    total = sum(weights.values())
    return {
        layer: weight / total / max(mean_square(sizes[layer]).item(), SMALLEST_MEAN_SQUARE)
        for layer, weight in weights.items()
    }
