"""A painting as the levels of its result, strip by strip: colours, alpha, depth, dithering.

At no time is there a second picture in floats: a strip is converted when its turn has come.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from daemon.pictures.colour import from_extended_srgb

STRIP_PIXELS = 1 << 18
DITHER = np.float32(0.998)
"""The width of the noise, in levels: a whole level must stay what it is."""
CHANNELS = {"rgb": 3, "grey": 1, "cmyk": 4}


@dataclass(frozen=True, eq=False)
class Levels:
    """A picture whose levels are made when they are asked for.

    pixels: (H, W, 3), as `write_picture` has them.  alpha: (H, W), uint8 or uint16, or None.
    has_alpha: whether the result keeps it as a channel; else colours are laid over white.
    profile: the result's, None for sRGB.  mode: `rgb`, `grey` or `cmyk`.  bits: 8 or 16.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    has_alpha: bool
    profile: bytes | None
    mode: str
    bits: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px."""
        height, width = self.pixels.shape[:2]
        return width, height

    @property
    def channels(self) -> int:
        """How many numbers a pixel has, alpha among them."""
        return CHANNELS[self.mode] + self.has_alpha

    @property
    def strip_rows(self) -> int:
        """Rows of a strip; the last may have fewer."""
        width, height = self.size
        return max(1, min(height, STRIP_PIXELS // width))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a level."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def strips(self) -> Iterator[NDArray[Any]]:
        """The levels, from the top: (rows, W, channels), CMYK as how much ink."""
        for top in range(0, self.pixels.shape[0], self.strip_rows):
            rows = slice(top, top + self.strip_rows)
            alpha = None if self.alpha is None else self.alpha[rows]
            levels = self._levels(self.pixels[rows], alpha, top)
            if alpha is not None and self.has_alpha:
                levels = np.concatenate([levels, of_depth(alpha, self.bits)[..., None]], axis=2)
            yield levels

    def _levels(self, pixels: NDArray[Any], alpha: NDArray[Any] | None, top: int) -> NDArray[Any]:
        flat = alpha is not None and not self.has_alpha
        if self.profile is None and not flat and is_exact(pixels, self.bits):
            return of_depth(pixels, self.bits)
        values = in_floats(pixels)
        if alpha is not None and flat:
            values = over_white(values, alpha)
        if self.profile is not None:
            values = from_extended_srgb(values, self.profile, np.float32)
        return quantised(values, self.bits, top)

    def whole(self) -> NDArray[Any]:
        """All levels at once, for encoders that take nothing less."""
        width, height = self.size
        result = np.empty((height, width, self.channels), self.dtype)
        top = 0
        for strip in self.strips():
            result[top : top + len(strip)] = strip
            top += len(strip)
        return result


def is_exact(pixels: NDArray[Any], bits: int) -> bool:
    """Whether levels come out as they went in, or as their multiples."""
    return pixels.dtype.kind == "u" and pixels.dtype.itemsize * 8 <= bits


def of_depth(levels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Levels of 8 or 16 bits as such of the wanted depth, rounded where they become fewer."""
    if levels.dtype.itemsize * 8 == bits:
        return levels
    if bits == 16:
        return levels.astype(np.uint16) * np.uint16(257)
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def in_floats(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Levels as values of 0..1; what is in floats already stays."""
    if pixels.dtype.kind == "f":
        return pixels.astype(np.float32, copy=False)
    values: NDArray[np.float32] = np.divide(pixels, np.iinfo(pixels.dtype).max, dtype=np.float32)
    return values


def over_white(values: NDArray[np.float32], alpha: NDArray[Any]) -> NDArray[np.float32]:
    """Colours laid over white where they are transparent."""
    share = in_floats(alpha)[..., None]
    return values * share + (1 - share)


def quantised(values: NDArray[np.float32], bits: int, top: int) -> NDArray[Any]:
    """Values of 0..1 as levels, those of 8 bits dithered.

    top: the strip's first row; its noise follows from it, so that equal pictures have equal bytes.
    A whole level stays itself: the noise is less than half a level to either side.
    """
    most = 255 if bits == 8 else 65535
    levels = np.clip(values, 0, 1)
    levels *= np.float32(most)
    if bits == 8:
        noise = np.random.Generator(np.random.SFC64(top)).random(levels.shape[:2], np.float32)
        noise -= np.float32(0.5)
        noise *= DITHER
        levels += noise[..., None]  # the same for each channel: what is grey stays grey
    np.rint(levels, out=levels)
    np.clip(levels, 0, most, out=levels)
    return levels.astype(np.uint8 if bits == 8 else np.uint16)


def scaled_alpha(alpha: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An alpha channel in a result's size; unchanged if it has that already."""
    if alpha.shape == (size[1], size[0]):
        return alpha
    return np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.LANCZOS))
