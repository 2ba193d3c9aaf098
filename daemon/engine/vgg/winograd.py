"""3x3 convolutions by Winograd's method F(4x4, 3x3): 2.25 products a pixel in place of 9.

Pays where channels are many, on processors whose float32 units are the limit. Exact up to
rounding (relative error about 3e-6).
Source: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.3.
"""

import itertools
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 4
"""Pixels of output a tile has on each side; it reads TILE + 2."""

PRODUCTS = (TILE + 2) ** 2
"""Products a tile takes for each pair of channels."""

TILES_AT_ONCE = 128
"""Tiles transformed together: enough for the matrix products, few enough to stay in cache."""

INPUT_TRANSFORM = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
KERNEL_TRANSFORM = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
OUTPUT_TRANSFORM = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


def transform_kernel(kernel: Tensor) -> Tensor:
    """A kernel as the products need it.  kernel: (out, in, 3, 3).  Returns (36, in, out)."""
    one = torch.tensor(KERNEL_TRANSFORM, dtype=torch.float64)
    both = torch.einsum("ai,bj,oqij->abqo", one, one, kernel.double())  # (6, 6, in, out)
    return both.reshape(36, kernel.shape[1], kernel.shape[0]).to(kernel.dtype).contiguous()


@cache
def plane_transform(name: str, dtype: torch.dtype) -> Tensor:
    """The transform of a whole tile: rows and columns at once, as one matrix."""
    one = torch.tensor(INPUT_TRANSFORM if name == "input" else OUTPUT_TRANSFORM, dtype=dtype)
    return torch.kron(one, one)  # input: (36, 36), output: (16, 36)


def convolve(features: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """Convolution with padding 1, stride 1.

    features: (1, in, H, W), channels-last.  kernel: (36, in, out) of `transform_kernel`.
    bias: (out,) or None.  Returns (1, out, H, W), channels-last.
    """
    image = features[0].permute(1, 2, 0)  # (H, W, in)
    height, width = image.shape[:2]
    down, across = -(-height // TILE), -(-width // TILE)
    # Made with its memory format: strides that only amount to it send torch's kernels astray.
    shape = (1, kernel.shape[2], down * TILE, across * TILE)
    result = torch.empty(shape, dtype=image.dtype, memory_format=torch.channels_last)
    pixels = result[0].permute(1, 2, 0)  # (H', W', out)
    columns = min(across, TILES_AT_ONCE)
    rows = max(1, TILES_AT_ONCE // columns)
    for top, left in itertools.product(range(0, down, rows), range(0, across, columns)):
        block = Block(top, min(rows, down - top), left, min(columns, across - left))
        found = convolve_block(cut_block(image, block), kernel, block)
        place = pixels[block.rows(TILE), block.columns(TILE)]
        place.view(*found.shape).copy_(found)
        if bias is not None:
            place += bias
    return result[:, :, :height, :width].contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Block:
    """Tiles transformed together: `count` rows of them from `top`, `width` columns from `left`."""

    top: int
    count: int
    left: int
    width: int

    def rows(self, scale: int) -> slice:
        """The rows it takes of an image with so many positions a tile."""
        return slice(self.top * scale, (self.top + self.count) * scale)

    def columns(self, scale: int) -> slice:
        """The columns it takes of an image with so many positions a tile."""
        return slice(self.left * scale, (self.left + self.width) * scale)


def cut_block(image: Tensor, block: Block) -> Tensor:
    """The pixels that a block's tiles read, with zeros where they lie outside.

    image: (H, W, in).  Returns (count*4 + 2, width*4 + 2, in).
    """
    height, width = image.shape[:2]
    down, across = block.rows(TILE), block.columns(TILE)
    inside = image[
        max(down.start - 1, 0) : min(down.stop + 1, height),
        max(across.start - 1, 0) : min(across.stop + 1, width),
    ]
    above, below = max(1 - down.start, 0), max(down.stop + 1 - height, 0)
    before, after = max(1 - across.start, 0), max(across.stop + 1 - width, 0)
    return F.pad(inside, (0, 0, before, after, above, below))


def convolve_block(pixels: Tensor, kernel: Tensor, block: Block) -> Tensor:
    """One block of tiles.

    pixels: (count*4 + 2, width*4 + 2, in).  Returns (count, 4, width, 4, out), a view.
    """
    channels = pixels.shape[2]
    tiles = pixels.unfold(0, 6, TILE).unfold(1, 6, TILE)  # (count, width, in, 6, 6)
    tiles = tiles.permute(3, 4, 0, 1, 2).reshape(36, -1)  # (36, count*width*in)
    inputs = plane_transform("input", pixels.dtype) @ tiles
    products = torch.bmm(inputs.view(36, -1, channels), kernel)  # (36, count*width, out)
    outputs = plane_transform("output", pixels.dtype) @ products.view(36, -1)
    return outputs.view(TILE, TILE, block.count, block.width, -1).permute(2, 0, 3, 1, 4)
