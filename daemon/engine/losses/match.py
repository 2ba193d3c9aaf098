"""Match: every place is drawn to the style features nearest to what the content has there.

Statistics put a style anywhere; this puts it where the content has its like, so that no face of a
portrait appears in the clouds.

Source: Kolkin et al. 2022, "Neural Neighbor Style Transfer". Differs: the loss is the squared
distance layer by layer, where there it is the cosine of all layers joined, which lets the contrast
run away; what is nearest is chosen once a pass, by the content alone.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from daemon.engine.fit.tiles import Tile, cut
from daemon.engine.losses.maps import MapLoss, empty_maps, make_map_loss
from daemon.engine.losses.nearest import Origins, find_origins
from daemon.engine.losses.places import covered
from daemon.engine.losses.term import Materials
from daemon.engine.losses.wide import as_rows
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import crop_pixels
from daemon.engine.vgg.layers import scale_of

NAME = "match"
LAYERS: Mapping[str, float] = {f"relu{block}_1": 1.0 for block in range(1, 5)}
"""Layers that are matched, and weights: the usual style layers but the deepest."""

BALANCE = 10.0
"""What a weight of 1 counts for. Judged by eye: so much balances a content weight of 1. No picture
has the features of a thousand places at once, and the loss stays far above nothing."""

POSITIONS_AT_ONCE = 1 << 18
"""Positions of a target that are filled at a time."""


def layers(recipe: Recipe) -> Mapping[str, float]:
    """The layers whose features are matched, and their weights; none if a recipe does without."""
    return LAYERS if recipe.match else {}


def make(materials: Materials) -> MapLoss | None:
    """The term, unless the recipe does without."""
    recipe = materials.recipe
    if not recipe.match or not materials.regions:
        return None
    weight, places = BALANCE * recipe.match, covered([one.weights for one in materials.regions])
    return make_map_loss(NAME, weight, LAYERS, matched_maps(materials), materials, places)


def matched_maps(materials: Materials) -> dict[str, Tensor]:
    """The style features each place is drawn to, layer -> (1, C, H, W), in the scratch.

    Each layer's are its own, at the place found, so that strokes stay as crisp as the style's.
    """
    network, recipe = materials.network, materials.recipe
    regions = [region.weights for region in materials.regions]
    origins = find_origins(
        network, materials.content, materials.images, recipe.pooling, recipe.seed, regions
    )
    maps: dict[str, Tensor] = {}
    for number, image in enumerate(materials.images):
        tiling = cut(image.height_px, image.width_px, image.tile_px, LAYERS, recipe.pooling)
        crop = partial(crop_pixels, image.resized(), network.device)
        for tile in tiling.tiles:
            for layer, features in network.features(crop(tile), LAYERS, recipe.pooling):
                if layer not in maps:
                    maps[layer] = empty_maps(materials, layer, features)
                owned = tile.owned_of_region(features, layer)
                size = (image.height_px // scale_of(layer), image.width_px // scale_of(layer))
                fill(maps[layer], owned, tile, layer, size, number, origins)
                materials.scratch.release()
    return maps


def fill(
    target: Tensor,
    features: Tensor,
    tile: Tile,
    layer: str,
    size: tuple[int, int],
    image: int,
    origins: Origins,
) -> None:
    """Writes a style tile's features to the places of a layer's target that have theirs there.

    target: (1, C, H, W).  features: (1, C, h, w), what the tile owns of the layer.  size: of the
    style image's layer.  image: its number.
    """
    scale, rows = scale_of(layer), as_rows(features)
    places = target.permute(0, 2, 3, 1)[0]  # (H, W, C)
    first_down, first_across = (span.first // scale for span in tile.owned)
    height, width = features.shape[2:]
    for band, down, across, its in source_positions(origins, places.shape, scale, size):
        down, across = down - first_down, across - first_across
        inside = (down >= 0) & (down < height) & (across >= 0) & (across < width) & (its == image)
        index = (down * width + across)[inside]
        if len(index):
            places[band][inside.to(places.device)] = rows[index].to(places.device)


def source_positions(
    origins: Origins, shape: tuple[int, ...], scale: int, size: tuple[int, int]
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """For bands of a layer's rows: which row and column of which style image's layer belongs there.

    shape: (H, W, ...) of the layer.  size: the style image's, beyond which there is nothing.
    Yields the band and (h, W) int64 each: rows, columns, and numbers of the images.
    """
    side, device = origins.cell_px, origins.down.device
    last_row, last_column = (length - 1 for length in origins.down.shape)
    columns = torch.arange(shape[1], device=device) * scale
    column = (columns // side).clamp(max=last_column)
    at_once = max(1, POSITIONS_AT_ONCE // shape[1])
    for first in range(0, shape[0], at_once):
        band = slice(first, min(first + at_once, shape[0]))
        lines = torch.arange(band.start, band.stop, device=device) * scale
        row = (lines // side).clamp(max=last_row)
        cell = (row[:, None], column[None])
        down = (origins.down[cell] + (lines - row * side)[:, None]) // scale
        across = (origins.across[cell] + columns - column * side) // scale
        yield band, down.clamp(max=size[0] - 1), across.clamp(max=size[1] - 1), origins.image[cell]
