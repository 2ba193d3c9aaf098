"""Nearest style features: which place of the style images is most like each place of a picture.

Both are cut into square cells; a cell is known by its features of several layers, seen together.
Above a size the search sees both pictures smaller, with larger cells, and a cell's pixels keep
their places in it: so the search takes bounded time and memory, whatever the picture's size and
tiles.

Source: Kolkin et al. 2022, "Neural Neighbor Style Transfer", section 3.1. Differs: there the style
images are turned four ways as well; here several share the picture by their weights, and
neighbours are kept together (`coherence.py`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.fit.tiles import Tile, Tiling, cut, margin_px
from daemon.engine.losses.coherence import NONE, make_coherent
from daemon.engine.losses.places import WeightMap, strongest
from daemon.engine.losses.term import StyleImage
from daemon.engine.losses.wide import wide
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import most_style_pixels
from daemon.engine.tensors import crop_pixels
from daemon.engine.vgg.layers import MIN_SIDE_PX, Pooling, channels_of, scale_of
from daemon.engine.vgg.network import Network

SEARCHED = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
"""The layers seen together."""

CELL_PX = 4
"""Side of a cell in the picture that the search sees."""

LEAST_LENGTH = 1e-12
"""Floor of the divisor for features that are all alike, such as a flat picture's."""

OF_CELLS = "relu3_3"
"""A layer whose positions are the cells."""

MOST_CELLS = 1 << 14
"""Cells that are sought for and, of each style image, in: 512x512 px in cells of 4."""

PRODUCTS_AT_ONCE = 1 << 22
"""Similarities computed at a time."""

CELLS_AT_ONCE = 1 << 10
"""Cells whose likeness to those suggested for them is computed at a time."""

SEARCH_TILE_PX = 512
"""Side of the tiles that a style image is seen in, one larger than any picture sought for."""

SHARING_ROUNDS = 100


@dataclass(frozen=True)
class Origins:
    """Where each cell of a picture has its like; a cell's pixels keep their places in it.

    cell_px: side of a cell.  image: (rows, columns) int64, the number of the style image.  down,
    across: likewise, the first row and column in it, in px.
    """

    cell_px: int
    image: Tensor
    down: Tensor
    across: Tensor


def find_origins(
    network: Network,
    content: Tensor,
    images: Sequence[StyleImage],
    pooling: Pooling,
    seed: int,
    regions: Sequence[WeightMap | None] = (None,),
) -> Origins:
    """The places of the style images that are most like each cell of `content`.

    content: (1, 3, H, W) RGB in 0..1.  seed: of the choice among a style image's cells where those
    are too many.  regions: by number, how much each place belongs to them: a cell is looked for
    among the images of the one it belongs to most.  Raises ValueError if there are no images.
    """
    if not images:
        raise ValueError("a match needs style images to find its features in")
    shrink = shrink_for(content.shape[2], content.shape[3])
    small = F.avg_pool2d(content, shrink)
    whole = cut(small.shape[2], small.shape[3], None, SEARCHED, pooling)
    _, sought = columns(network, whole, lambda tile: tile.crop(small), pooling)
    shape = cells_of(whole)
    found = [search(network, sought, shape, image, shrink, pooling, seed) for image in images]
    likeness, cells, widths = zip(*found, strict=True)
    whose = strongest(regions, CELL_PX * shrink).view(-1) if len(regions) > 1 else None
    chosen = share_within(whose, torch.stack(likeness), images)
    cell = torch.stack(cells).gather(0, chosen[None])[0]
    width = torch.tensor(widths, device=cell.device)[chosen]
    side = CELL_PX * shrink
    down, across = cell // width * side, cell % width * side
    return Origins(side, chosen.view(shape), down.view(shape), across.view(shape))


def search(
    network: Network,
    sought: Tensor,
    shape: tuple[int, int],
    image: StyleImage,
    shrink: int,
    pooling: Pooling,
    seed: int,
) -> tuple[Tensor, Tensor, int]:
    """For each cell of a picture the likeness and number of one style image's cell, (N,) each.

    sought: (N, C), the picture's cells, of `shape`.  Third comes how many cells are in its rows.
    """
    pixels = image.reduced(shrink)
    tiling = cut(pixels.shape[0], pixels.shape[1], SEARCH_TILE_PX, SEARCHED, pooling)
    crop = partial(crop_pixels, pixels, network.device)
    numbers, known = columns(network, tiling, crop, pooling, (MOST_CELLS, seed))
    size = cells_of(tiling)
    place = torch.full((size[0] * size[1],), NONE, device=known.device)  # of a cell in `known`
    place[numbers] = torch.arange(len(numbers), device=known.device)

    def likeness(cells: Tensor) -> Tensor:
        index = torch.where(cells == NONE, NONE, place[cells]).view(-1)
        parts = zip(
            torch.split(sought, CELLS_AT_ONCE), torch.split(index, CELLS_AT_ONCE), strict=True
        )
        found = torch.cat([(rows * known[of]).sum(dim=1) for rows, of in parts])
        return found.where(index != NONE, -math.inf).view(cells.shape)

    cells = make_coherent(numbers[nearest(sought, known)].view(shape), size, likeness)
    return likeness(cells).view(-1), cells.view(-1), size[1]


def search_bytes(height_px: int, width_px: int, recipe: Recipe, value_bytes: int) -> int:
    """Bytes a search takes at most, beyond the pictures.

    value_bytes: of the network's numbers.  A style image is taken to be square.
    """
    style_px = most_style_pixels(height_px, width_px, max(recipe.style_scales))
    region_px = (SEARCH_TILE_PX + 2 * margin_px(SEARCHED, recipe.pooling)) ** 2
    columns_of_both = sum(
        min(pixels // CELL_PX**2, MOST_CELLS) * sum(map(channels_of, SEARCHED)) * 4
        for pixels in (height_px * width_px, style_px)
    )
    # The columns of one are copied once; a convolution has its input and its output.
    features = 2 * channels_of(SEARCHED[0]) * min(style_px, region_px) * value_bytes
    return 2 * columns_of_both + max(features, 2 * PRODUCTS_AT_ONCE * 4)


def shrink_for(height_px: int, width_px: int) -> int:
    """How many times smaller the search sees a picture, so that it has few enough cells."""
    shrink = 1
    while (height_px // shrink // CELL_PX) * (width_px // shrink // CELL_PX) > MOST_CELLS:
        if min(height_px, width_px) < 2 * shrink * MIN_SIDE_PX:
            break
        shrink *= 2
    return shrink


def cells_of(tiling: Tiling) -> tuple[int, int]:
    """Rows and columns of cells; a rest at the end is dropped, as by the network's poolings."""
    return tiling.height_px // CELL_PX, tiling.width_px // CELL_PX


def columns(
    network: Network,
    tiling: Tiling,
    crop: Callable[[Tile], Tensor],
    pooling: Pooling,
    most: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """The features of a picture's cells, each a row: centred over the cells, of unit length.

    crop: makes the region of a tile, (1, 3, h, w).  most: so many cells at most, chosen by a seed.
    Returns the cells' numbers, row by row of the picture, (N,) int64, and the features, (N, C)
    float32.
    """
    rows, width = cells_of(tiling)
    every = torch.arange(rows * width)
    wanted = torch.ones(rows * width, dtype=torch.bool)
    if most and most[0] < len(wanted):
        order = torch.randperm(len(wanted), generator=torch.Generator().manual_seed(most[1]))
        wanted[order[most[0] :]] = False
    numbers, found = [], []
    for tile in tiling.tiles:
        every_own, own = (
            tile.owned_of_layer(one.view(1, 1, rows, width), OF_CELLS)[0, 0].to(network.device)
            for one in (every, wanted)
        )
        joined = joined_features(network, tile, crop(tile), pooling)  # (C, h, w)
        numbers.append(every_own[own])
        found.append(joined.permute(1, 2, 0)[own])  # (n, C)
    known = torch.cat(found)
    found.clear()
    known -= known.mean(dim=0)
    known /= known.norm(dim=1, keepdim=True).clamp(min=LEAST_LENGTH)
    return torch.cat(numbers), known


def joined_features(network: Network, tile: Tile, region: Tensor, pooling: Pooling) -> Tensor:
    """The features of the cells a tile owns, (C, rows, columns), each layer over its channels.

    Finer layers are averaged over a cell; where a layer is coarser, cells share what it has.
    """
    rows, width = (own.end // CELL_PX - own.first // CELL_PX for own in tile.owned)
    joined = []
    for layer, features in network.features(region, SEARCHED, pooling):
        owned = wide(tile.owned_of_region(features, layer))
        if scale_of(layer) < CELL_PX:
            owned = F.avg_pool2d(owned, CELL_PX // scale_of(layer))
        elif scale_of(layer) > CELL_PX:
            owned = F.interpolate(owned, size=(rows, width))
        joined.append(owned[0] / channels_of(layer))
    return torch.cat(joined)


def nearest(sought: Tensor, known: Tensor) -> Tensor:
    """Which row of `known` each row of `sought` has the largest inner product with.

    sought: (N, C).  known: (M, C).  Returns (N,) int64; of equals the first.
    """
    at_once = max(1, PRODUCTS_AT_ONCE // len(known))
    parts = torch.split(sought, at_once)
    return torch.cat([(part @ known.T).max(dim=1).indices for part in parts])


def share_within(whose: Tensor | None, likeness: Tensor, images: Sequence[StyleImage]) -> Tensor:
    """Which style image each cell is painted after: one of its region's, shared as by `share`.

    whose: (N,) int64, the number of each cell's region; None: there is but one.
    """
    if whose is None:
        return share(likeness, [image.weight for image in images])
    chosen = torch.zeros_like(whose)
    for region in {image.region for image in images}:
        cells = whose == region
        own = [number for number, image in enumerate(images) if image.region == region]
        if cells.any():
            found = share(likeness[own][:, cells], [images[number].weight for number in own])
            chosen[cells] = torch.tensor(own, device=whose.device)[found]
    return chosen


def share(likeness: Tensor, weights: Sequence[float]) -> Tensor:
    """Which style image each cell is painted after: each gets its part of them by its weight.

    likeness: (images, N), of each cell to each image's nearest.  Returns (N,) int64. An image has a
    handicap, raised while it has more than its part, so that it keeps the cells it is most like.
    A heuristic: the parts come out within a few cells in a hundred.
    """
    parts = torch.tensor(weights, dtype=likeness.dtype, device=likeness.device)
    parts /= parts.sum()
    handicaps = torch.zeros_like(parts)
    numbers = torch.arange(len(weights), device=likeness.device)
    for number in range(1, SHARING_ROUNDS + 1):
        chosen = (likeness - handicaps[:, None]).argmax(dim=0)
        shares = (chosen[None] == numbers[:, None]).to(parts.dtype).mean(dim=1)
        handicaps += (shares - parts) / number**0.5
    return (likeness - handicaps[:, None]).argmax(dim=0)
