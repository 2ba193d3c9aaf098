"""Cutting a picture into tiles whose losses and gradients add up to the whole picture's, exactly.

A tile owns a rectangle of pixels and, in every layer, the positions that lie in it; the rectangles
cover the picture without overlap. It is computed on a larger region, so wide that nothing it owns
sees the region's edge. What it owns counts in the statistics, and takes the losses' gradients;
pulled back, those reach into the region, where neighbouring tiles' gradients add up.

Source: Galerne et al. 2024, "Scaling Painting Style Transfer", section 3. Differs: there a tile
injects gradients into all of its region and keeps its inner part, which takes twice the margin.
"""

import itertools
from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor

from daemon.engine.vgg.layers import Pooling, deepest, reach_px, scale_of

ALIGNMENT_PX = 16
"""Four poolings halve a picture; tiles begin where all of their windows do."""


@dataclass(frozen=True)
class Span:
    """Pixels `first` to before `end`, along one side."""

    first: int
    end: int

    def at(self, scale: int) -> slice:
        """The positions of a layer that is `scale` times as small; a rest at the end is dropped."""
        return slice(self.first // scale, self.end // scale)

    def within(self, region: "Span") -> "Span":
        """The same pixels counted from the start of `region`."""
        return Span(self.first - region.first, self.end - region.first)


@dataclass(frozen=True)
class Tile:
    """What a tile owns, and the region it is computed on; each down and across."""

    owned: tuple[Span, Span]
    region: tuple[Span, Span]

    @property
    def region_px(self) -> int:
        """Pixels of the region."""
        down, across = self.region
        return (down.end - down.first) * (across.end - across.first)

    def crop(self, picture: Tensor) -> Tensor:
        """The region of `picture`, (B, C, H, W), as a view."""
        down, across = self.region
        return picture[:, :, down.at(1), across.at(1)]

    def owned_of_layer(self, layer: Tensor, name: str) -> Tensor:
        """What the tile owns of a whole layer, (B, C, H, W), as a view."""
        scale = scale_of(name)
        return layer[:, :, self.owned[0].at(scale), self.owned[1].at(scale)]

    def owned_of_region(self, layer: Tensor, name: str) -> Tensor:
        """What the tile owns of the region's layer, (B, C, H, W), as a view."""
        scale = scale_of(name)
        down, across = (own.within(all_) for own, all_ in zip(self.owned, self.region, strict=True))
        return layer[:, :, down.at(scale), across.at(scale)]


@dataclass(frozen=True)
class Tiling:
    """The tiles of a picture of one size."""

    height_px: int
    width_px: int
    tiles: tuple[Tile, ...]

    @property
    def whole(self) -> Tile:
        """The picture as the one tile that owns all of it."""
        everything = (Span(0, self.height_px), Span(0, self.width_px))
        return Tile(everything, everything)

    def positions(self, layer: str) -> int:
        """Positions of a whole layer."""
        scale = scale_of(layer)
        return (self.height_px // scale) * (self.width_px // scale)


def margin_px(layers: Collection[str], pooling: Pooling) -> int:
    """How far the deepest of `layers` sees beyond its own pixels, rounded up to the alignment."""
    return aligned(reach_px(deepest(layers), pooling))


def aligned(length_px: int) -> int:
    """The least multiple of the alignment that is not below `length_px`."""
    return -(-length_px // ALIGNMENT_PX) * ALIGNMENT_PX


def cut(
    height_px: int,
    width_px: int,
    side_px: int | None,
    layers: Collection[str],
    pooling: Pooling,
) -> Tiling:
    """Tiles of about `side_px` (a multiple of 16) that own all of a picture; None makes one."""
    margin = margin_px(layers, pooling)
    rows = spans(height_px, side_px or height_px, margin)
    columns = spans(width_px, side_px or width_px, margin)
    tiles = tuple(
        Tile((own_down, own_across), (down, across))
        for (own_down, down), (own_across, across) in itertools.product(rows, columns)
    )
    return Tiling(height_px, width_px, tiles)


def spans(length_px: int, side_px: int, margin_px: int) -> list[tuple[Span, Span]]:
    """Owned spans of about equal length along one side, none above `side_px`, and their regions."""
    count = max(1, -(-length_px // side_px))
    side = aligned(-(-length_px // count))
    starts = range(0, length_px, side)
    return [
        (
            Span(first, min(first + side, length_px)),
            Span(max(0, first - margin_px), min(first + side + margin_px, length_px)),
        )
        for first in starts
    ]
