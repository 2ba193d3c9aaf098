"""Pictures as whoever uses the library has them: arrays of pixels. Loads no torch.

This is the one home of their depth.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from daemon.engine.errors import PictureError

Pixels = NDArray[np.uint8]
"""(H, W, 3): upright RGB with sRGB colours, in 0..255."""

TOP = 255.0


def check_pixels(values: NDArray[Any]) -> None:
    """Raises PictureError unless an array can be a picture's pixels."""
    if values.dtype != np.uint8 or values.ndim != 3 or values.shape[2] != 3:
        raise PictureError(
            f"a picture is an array (height, width, 3) of uint8 with RGB in 0..255, and not "
            f"{values.shape} of {values.dtype}"
        )


def size_of(pixels: Pixels) -> tuple[int, int]:
    """Width and height in px."""
    height, width, _ = pixels.shape
    return width, height


def resize(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """The pixels at another size, with an antialiasing filter; themselves if that is theirs."""
    if size_of(pixels) == (width_px, height_px):
        return pixels
    image = Image.fromarray(pixels).resize((width_px, height_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


def reduce(pixels: Pixels, times: int, least_px: int) -> Pixels:
    """The pixels averaged over squares of `times` px; a rest at the end is dropped.

    No side becomes shorter than `least_px`: then it is stretched to that.
    """
    width, height = (length // times for length in size_of(pixels))
    size = (max(width, least_px), max(height, least_px))
    box = (0, 0, width * times, height * times) if size == (width, height) else None
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX, box))


def cover(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """The middle of the pixels, as large as it can be, at the size and proportions given."""
    size = (width_px, height_px)
    return np.asarray(ImageOps.fit(Image.fromarray(pixels), size, Image.Resampling.LANCZOS))
