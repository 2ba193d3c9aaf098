"""YCbCr in TIFF without JPEG: full or subsampled, by the file's own coefficients.

Source: TIFF 6.0 section 21.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.pictures.faults import CutFileError, UnsupportedKindError
from daemon.pictures.tiff_directory import Page, Tag
from daemon.pictures.tiff_segments import Segments
from daemon.pictures.tiff_strips import DECOMPRESSORS, read_part

REC_601 = (0.299, 0.587, 0.114)
FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)


def ycbcr_to_rgb(values: NDArray[Any], page: Page) -> NDArray[np.uint8]:
    """RGB of YCbCr in 8 bits: (H, W, 3)."""
    if values.dtype != np.uint8:
        raise UnsupportedKindError("a TIFF of YCbCr in more than 8 bits")
    red, green, blue = page.values(Tag.YCBCR_COEFFICIENTS)[:3] or REC_601
    said = page.values(Tag.REFERENCE_BLACK_WHITE)
    black_white = np.array(said if len(said) == 6 else FULL_RANGE, np.float32).reshape(3, 2)
    black, room = black_white[:, 0], np.maximum(black_white[:, 1] - black_white[:, 0], 1)
    scale = np.array([255, 127, 127], np.float32) / room
    result = np.empty(values.shape, np.uint8)
    for row in range(values.shape[0]):
        y, cb, cr = ((values[row] - black) * scale).T
        r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
        g = (y - red * r - blue * b) / green
        result[row] = np.clip(np.rint(np.stack([r, g, b], -1)), 0, 255)
    return result


def read_subsampled(segments: Segments) -> NDArray[np.uint8]:
    """YCbCr whose colours are coarser than its light, colours repeated: (H, W, 3).

    Each unit is across x down values of Y, then Cb and Cr.
    """
    page = segments.page
    across, down = (int(v) for v in (page.values(Tag.YCBCR_SUBSAMPLING) or (2, 2))[:2])
    supported = segments.compression in DECOMPRESSORS and segments.planes == 1
    if {across, down} - {1, 2, 4} or segments.samples != 3 or segments.bits != 8 or not supported:
        raise UnsupportedKindError("a TIFF of YCbCr in separate planes")
    result = np.empty((segments.height, segments.width, 3), np.uint8)
    units = 0, -(-segments.size[1] // across)
    for part in segments.parts():
        units = -(-part.rows // down), units[1]
        size = units[0] * units[1] * (across * down + 2)
        plain = DECOMPRESSORS[segments.compression](read_part(page, part), size)
        if len(plain) < size:
            raise CutFileError("a strip or tile ends early")
        piece = whole_pixels(np.frombuffer(plain, np.uint8, size), units, across, down)
        target = result[part.top : part.top + part.rows, part.left :][:, : segments.size[1]]
        target[:] = piece[: target.shape[0], : target.shape[1]]
    return result


def whole_pixels(
    data: NDArray[np.uint8], units: tuple[int, int], across: int, down: int
) -> NDArray[np.uint8]:
    """Units of YCbCr as pixels: (rows, columns, 3)."""
    cut = data.reshape(*units, across * down + 2)
    blocks = cut[..., :-2].reshape(*units, down, across).swapaxes(1, 2)
    light = blocks.reshape(units[0] * down, units[1] * across)
    colours = cut[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.dstack([light, colours])
