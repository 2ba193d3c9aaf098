"""3x3 convolutions by Winograd's method F(4x4, 3x3): 2.25 products a pixel in place of 9.

Pays where channels are many. Up to rounding it is exact: beside the largest values the error is
about 1e-6 in float32, and 1 % in bfloat16.
Source: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.3.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

TILE = 4
"""Pixels of output a tile has on each side."""

READ = TILE + 2
"""Pixels of input it reads on each side."""

PRODUCTS = READ**2
"""Products a tile takes for each pair of channels."""

BYTES_AT_ONCE = 512
"""Of one channel's values that are transformed together: tiles enough for the matrix products, and
few enough to stay in cache."""

POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
"""Where the tiles' polynomials are evaluated, and at infinity. Those that round least of all pairs
of eighths up to 2: in bfloat16 half as much as 0, ±1 and ±2, which are usual.
Source: Barabasz, Anderson, Soodhalter & Gregg 2020, "Error Analysis and Improving the Accuracy of
Winograd Convolution for Deep Neural Networks"."""

FORM = f"winograd {TILE}x{TILE} at {POINTS}"
"""What the bytes depend on: checkpoints, moments and trials of another form are another's."""


@dataclass(frozen=True)
class Transforms:
    """Of one side of a tile, float64.  input: (6, 6).  kernel: (6, 3).  output: (4, 6)."""

    input: Tensor
    kernel: Tensor
    output: Tensor


@cache
def transforms() -> Transforms:
    """Cook and Toom's construction: a product of polynomials from its values at the points.

    A polynomial's value at infinity is its leading coefficient.
    """
    count = len(POINTS)
    powers = np.vander(POINTS, TILE, increasing=True)  # (5, 4)
    others = [[other for other in POINTS if other != point] for point in POINTS]
    scales = [np.prod(np.subtract(point, rest)) for point, rest in zip(POINTS, others, strict=True)]
    output, kernel, inputs = np.zeros((TILE, READ)), np.zeros((READ, 3)), []
    output[:, :count], output[-1, -1] = powers.T, 1.0
    kernel[:count], kernel[-1, -1] = powers[:, :3] / np.array(scales)[:, None], 1.0
    for roots in (*others, POINTS):
        lowest_first = np.poly(roots)[::-1]
        inputs.append(np.pad(lowest_first, (0, READ - len(lowest_first))))
    return Transforms(*map(torch.from_numpy, (np.stack(inputs), kernel, output)))


def transform_kernel(kernel: Tensor) -> Tensor:
    """A kernel as the products need it.  kernel: (out, in, 3, 3).  Returns (36, in, out)."""
    one = transforms().kernel
    both = torch.einsum("ai,bj,oqij->abqo", one, one, kernel.double())  # (6, 6, in, out)
    return both.reshape(PRODUCTS, kernel.shape[1], kernel.shape[0]).to(kernel.dtype).contiguous()


@cache
def plane_transform(name: str, dtype: torch.dtype) -> Tensor:
    """The transform of a whole tile: rows and columns at once, as one matrix."""
    one = transforms().input if name == "input" else transforms().output
    return torch.kron(one, one).to(dtype)  # input: (36, 36), output: (16, 36)


def convolve(features: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """Convolution with padding 1, stride 1.

    features: (1, in, H, W), channels-last.  kernel: (36, in, out) of `transform_kernel`.
    bias: (out,) or None.  Returns (1, out, H, W), channels-last.
    """
    image = features[0].permute(1, 2, 0)  # (H, W, in)
    height, width, channels = image.shape
    down, across = -(-height // TILE), -(-width // TILE)
    # Made with its memory format: strides that only amount to it send torch's kernels astray.
    shape = (1, kernel.shape[2], down * TILE, across * TILE)
    result = torch.empty(shape, dtype=image.dtype, memory_format=torch.channels_last)
    pixels = result[0].permute(1, 2, 0)  # (H', W', out)
    at_once = BYTES_AT_ONCE // image.element_size()
    columns = min(across, at_once)
    rows = max(1, at_once // columns)
    band = image.new_zeros(rows * TILE + 2, across * TILE + 2, channels)
    most = PRODUCTS * rows * columns * max(kernel.shape[1:])
    room = image.new_empty(2, most)  # once for all tiles: new memory costs as much as the work
    for top in range(0, down, rows):
        count = min(rows, down - top)
        fill(band, image, top * TILE - 1)
        for left in range(0, across, columns):
            right = min(left + columns, across)
            tiles = band[: count * TILE + 2, left * TILE : right * TILE + 2]
            place = pixels[top * TILE : (top + count) * TILE, left * TILE : right * TILE]
            found = convolve_tiles(tiles, kernel, room)
            place = place.view(found.shape)
            if bias is None:
                place.copy_(found)
            else:
                torch.add(found, bias, out=place)
    return result[:, :, :height, :width].contiguous(memory_format=torch.channels_last)


def fill(band: Tensor, image: Tensor, top: int) -> None:
    """Takes an image's rows from `top` on into a band, as many as it has; others are zeros.

    image: (H, W, in).  band: (rows, >= W + 2, in), whose first and last columns stay zeros.
    """
    above = max(-top, 0)
    rows = image[top + above : top + len(band)]
    below = above + len(rows)
    band[above:below, 1 : image.shape[1] + 1] = rows
    band[:above] = 0.0
    band[below:] = 0.0


def convolve_tiles(pixels: Tensor, kernel: Tensor, room: Tensor) -> Tensor:
    """Some rows and columns of tiles.

    pixels: (down*4 + 2, across*4 + 2, in).  room: (2, 36*down*across*channels) or more, for what
    comes about.  Returns (down, 4, across, 4, out), a view of it.
    """
    cut = pixels.unfold(0, READ, TILE).unfold(1, READ, TILE)  # (down, across, in, 6, 6)
    down, across, channels = cut.shape[:3]
    count = down * across
    tiles = part(room[0], READ, READ, down, across, channels).copy_(cut.permute(3, 4, 0, 1, 2))
    inputs = part(room[1], PRODUCTS, count * channels)
    torch.mm(plane_transform("input", pixels.dtype), tiles.view(PRODUCTS, -1), out=inputs)
    products = part(room[0], PRODUCTS, count, kernel.shape[2])
    torch.bmm(inputs.view(PRODUCTS, count, channels), kernel, out=products)
    outputs = part(room[1], TILE**2, count * kernel.shape[2])
    torch.mm(plane_transform("output", pixels.dtype), products.view(PRODUCTS, -1), out=outputs)
    return outputs.view(TILE, TILE, down, across, -1).permute(2, 0, 3, 1, 4)


def part(room: Tensor, *shape: int) -> Tensor:
    """The beginning of some room in this shape."""
    return room[: math.prod(shape)].view(shape)
