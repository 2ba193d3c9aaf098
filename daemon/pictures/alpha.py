"""Alpha: colours beside it, never mixed with a backdrop.

What is wholly transparent has no colour, but the network looks across the edge: it gets the
colours that are near.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
MOST_FILL_PIXELS = 1 << 22
"""Larger pictures are filled from blocks of several pixels a side: it lies under no alpha."""


def unmultiplied(values: Values, alpha: Values) -> Values:
    """Colours divided by their alpha, in the type they came in.

    values: (H, W) or (H, W, C).  alpha: (H, W).  Source: TIFF 6.0 section 18, associated alpha.
    """
    result = np.empty(values.shape, values.dtype)
    top = np.iinfo(alpha.dtype).max
    for row in range(values.shape[0]):
        cover = np.maximum(alpha[row], 1).astype(np.float64) / top
        share = cover if values.ndim == 2 else cover[:, None]
        divided: Values = values[row] / share
        if values.dtype.kind == "u":
            np.rint(divided, out=divided)
            np.minimum(divided, np.iinfo(values.dtype).max, out=divided)
        result[row] = divided
    return result


def fill_transparent(pixels: Values, alpha: Values) -> Values:
    """The picture with the colours of the surroundings where nothing covers; all else as it is.

    pixels: (H, W, 3).  alpha: (H, W).  Returns `pixels`, or a copy where it cannot be written.
    """
    if alpha.all() or not alpha.any():
        return pixels
    height, width = alpha.shape
    side = max(1, int(np.ceil(np.sqrt(height * width / MOST_FILL_PIXELS))))
    colours, weight = block_sums(pixels, alpha, side)
    near: Values = push_pull(colours, weight)
    if not pixels.flags.writeable:
        pixels = pixels.copy()
    if pixels.dtype.kind == "u":
        np.rint(near, out=near)
    columns = np.arange(width) // side
    for row in range(height):
        clear = alpha[row] == 0
        pixels[row, clear] = near[row // side, columns[clear]]
    return pixels


def block_sums(
    pixels: Values, alpha: Values, side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sums of covered colours and of alpha in blocks of side x side px: (h, w, 3) and (h, w)."""
    height, width = alpha.shape
    rows, columns = -(-height // side), -(-width // side)
    colours = np.zeros((rows, columns, 3), np.float32)
    weights = np.zeros((rows, columns), np.float32)
    starts = np.arange(0, width, side)
    for row in range(rows):
        part = slice(row * side, (row + 1) * side)
        cover = alpha[part].astype(np.float32)
        covered = (pixels[part] * cover[..., None]).sum(axis=0)
        colours[row] = np.add.reduceat(covered, starts, axis=0)
        weights[row] = np.add.reduceat(cover.sum(axis=0), starts)
    return colours, weights


def push_pull(colours: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours of a picture with holes, each filled from the finest size that has any there.

    colours: (h, w, 3), times their weight (h, w).  Returns (h, w, 3).
    Source: Gortler et al. 1996, The Lumigraph, 3.4 (pull and push); differs: the coarser colour is
    taken where a hole is, without blending.
    """
    result: NDArray[np.float32] = (colours / np.maximum(weight, 1e-30)[..., None]).astype(
        np.float32
    )
    if max(weight.shape) == 1 or weight.all():
        return result
    coarse = push_pull(halved(colours), halved(weight[..., None])[..., 0])
    holes = weight == 0
    rows, columns = np.nonzero(holes)
    result[holes] = coarse[rows // 2, columns // 2]
    return result


def halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of 2 x 2 values: (ceil(h / 2), ceil(w / 2), C)."""
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    rows: NDArray[np.float32] = padded[::2] + padded[1::2]
    result: NDArray[np.float32] = rows[:, ::2] + rows[:, 1::2]
    return result
