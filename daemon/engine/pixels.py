"""Pictures as whoever uses the library has them: arrays of pixels. Loads no torch.

This is the one home of their depth.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from daemon.engine.errors import PictureError

Pixels = NDArray[np.uint8 | np.uint16 | np.float32]
"""(H, W, 3): upright RGB in the encoding of sRGB.  uint8 and uint16 hold 0..1 in their full range.
float32 holds 0..1 as it is, and below and above it colours that sRGB has not: the curve goes on
with the sign of the linear value (`color(srgb ...)` of CSS Color 4)."""

FloatPixels = NDArray[np.float32]

TOPS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.float32): 1}
"""The value that stands for 1, by the depths there are."""

Bounds = Sequence[tuple[float, float]]
"""The least and the most of R, G and B, where 1 is 1."""

SRGB_BOUNDS: Bounds = ((0.0, 1.0),) * 3

Box = tuple[float, float, float, float]
"""A part of a picture, in px: left, top, right, bottom."""

SUPPORT = {Image.Resampling.LANCZOS: 3.0, Image.Resampling.BOX: 0.5}
"""How far a filter of Pillow's reaches, in px of the smaller picture."""

BAND_VALUES = 1 << 23
"""Values of a deep picture resampled at a time, as floats."""


def check_pixels(values: NDArray[Any]) -> None:
    """Raises PictureError unless an array can be a picture's pixels."""
    if values.dtype not in TOPS or values.ndim != 3 or values.shape[2] != 3:
        raise PictureError(
            f"a picture is an array (height, width, 3) of uint8, uint16 or float32 with RGB in "
            f"0..255, 0..65535 or 0..1, and not {values.shape} of {values.dtype}"
        )
    ends = (values.min(initial=0), values.max(initial=0)) if values.dtype.kind == "f" else ()
    if not all(math.isfinite(end) for end in ends):
        raise PictureError("a picture's values are finite numbers, and some of these are not")


def size_of(pixels: Pixels) -> tuple[int, int]:
    """Width and height in px."""
    height, width, _ = pixels.shape
    return width, height


def top_of(pixels: Pixels) -> int:
    """The value that stands for 1."""
    return TOPS[pixels.dtype]


def bounds_of(pixels: Pixels) -> Bounds:
    """The bounds of sRGB, wider where the pixels go beyond."""
    if pixels.dtype != np.float32:
        return SRGB_BOUNDS
    channels = np.moveaxis(pixels, 2, 0)
    return [(min(0.0, float(one.min())), max(1.0, float(one.max()))) for one in channels]


def to_levels(pixels: Pixels) -> NDArray[np.uint8]:
    """The pixels in 8 bits, for looking at: colours that sRGB has not are cut to it."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    levels = np.empty(pixels.shape, np.uint8)
    for row, target in zip(pixels, levels, strict=True):  # a copy of all would be four times it
        np.rint(np.clip(row / np.float32(top_of(pixels)), 0, 1) * 255, out=target, casting="unsafe")
    return levels


def resize(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """The pixels at another size, with an antialiasing filter; themselves if that is theirs."""
    if size_of(pixels) == (width_px, height_px):
        return pixels
    return resample(pixels, (width_px, height_px), Image.Resampling.LANCZOS)


def reduce(pixels: Pixels, times: int, least_px: int) -> Pixels:
    """The pixels averaged over squares of `times` px; a rest at the end is dropped.

    No side becomes shorter than `least_px`: then it is stretched to that.
    """
    width, height = (length // times for length in size_of(pixels))
    size = (max(width, least_px), max(height, least_px))
    box = (0, 0, width * times, height * times) if size == (width, height) else None
    return resample(pixels, size, Image.Resampling.BOX, box)


def cover(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """The middle of the pixels, as large as it can be, at the size and proportions given."""
    width, height = size_of(pixels)
    across = min(width, height * width_px / height_px)
    down = min(height, width * height_px / width_px)
    left, top = (width - across) / 2, (height - down) / 2
    box = (left, top, left + across, top + down)
    return resample(pixels, (width_px, height_px), Image.Resampling.LANCZOS, box)


def resample(
    pixels: Pixels, size: tuple[int, int], resampling: Image.Resampling, box: Box | None = None
) -> Pixels:
    """The pixels of `box`, or all, at a size (width, height), in the depth they have.

    What a filter's ringing adds beyond the picture's own bounds is cut.
    """
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize(size, resampling, box))
    box = box or (0, 0, *size_of(pixels))
    resampled = np.empty((size[1], size[0], 3), pixels.dtype)
    for number, (least, most) in enumerate(bounds_of(pixels)):
        channel, target = pixels[..., number], resampled[..., number]
        for first, band in resampled_bands(channel, size, resampling, box):
            band = np.clip(band, least * top_of(pixels), most * top_of(pixels))
            target[first : first + len(band)] = band if pixels.dtype == np.float32 else band.round()
    return resampled


def resampled_bands(
    channel: NDArray[Any], size: tuple[int, int], resampling: Image.Resampling, box: Box
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """One channel, (H, W), resampled in floats: bands of rows, each with the number of its first.

    Only the rows a band is made of are floats at a time.
    """
    (width, height), (left, top, right, bottom) = size, box
    scale = (bottom - top) / height
    reach = SUPPORT[resampling] * max(scale, 1.0) + 1
    rows = max(1, int(BAND_VALUES / channel.shape[1] / scale))
    for first in range(0, height, rows):
        end = min(first + rows, height)
        above, below = top + first * scale, top + end * scale
        from_row = max(0, math.floor(above - reach))
        source = channel[from_row : math.ceil(below + reach)].astype(np.float32)
        part = (left, above - from_row, right, min(below - from_row, len(source)))
        image = Image.fromarray(source).resize((width, end - first), resampling, part)
        yield first, np.asarray(image)
