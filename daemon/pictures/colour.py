"""Colours from one profile to another, in more than 8 bits and without cutting any.

Between reading and writing a picture is in extended sRGB: sRGB's curve, mirrored for negative
values and continued above 1, so that colours outside sRGB keep their place. Transforms are
littlecms's, relative colorimetric: the paper's white is white. From a press's profile no black is
stretched, as libvips and ImageMagick do it; into one it is, or shadows would close.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import imagecodecs
import numpy as np
from numpy.typing import DTypeLike, NDArray

from daemon.pictures.profile_tables import is_whole
from daemon.pictures.profiles import LINEAR_SRGB, WIDE, rgb_profile, srgb_profile

__all__ = [
    "ProfileError",
    "from_extended_srgb",
    "from_linear",
    "is_srgb",
    "is_wide",
    "kind_of",
    "srgb_profile",
    "to_extended_srgb",
    "to_linear",
]

Kind = Literal["grey", "rgb", "cmyk", "lab"]
KIND_OF_SPACE: dict[bytes, Kind] = {
    b"RGB ": "rgb",
    b"GRAY": "grey",
    b"CMYK": "cmyk",
    b"Lab ": "lab",
}
LCMS_NAME = {"grey": "gray", "rgb": "rgb", "cmyk": "cmyk", "lab": "lab"}
CHANNELS = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3}
RELATIVE = 1
NO_OPTIMISATION, BLACK_POINT, GRID_OF_33 = 0x0100, 0x2000, 33 << 16
STRIP_PIXELS = 1 << 15
COLUMNS_AT_ONCE = 64
"""Of a picture that is turned by a view: fewer would fetch each line of memory many times."""
EXACT_PIXELS = 1 << 20
"""Up to so many pixels a table profile is computed one by one, above by a grid made of it."""
CURVE_NODES = 1 << 16
TWO_LEVELS = 2 / 255


class ProfileError(Exception):
    """A colour profile is damaged, or is of another kind than the pixels; says which."""


def kind_of(profile: bytes) -> Kind:
    """What a profile's numbers are; raises ProfileError for what no picture has."""
    space = profile[16:20]
    if not is_whole(profile):
        raise ProfileError("the colour profile is damaged")
    if space not in KIND_OF_SPACE:
        raise ProfileError(f"the colour profile is of {space.decode('ascii', 'replace').strip()}")
    return KIND_OF_SPACE[space]


def to_linear(values: NDArray[Any]) -> NDArray[np.float32]:
    """Linear light of extended sRGB. Source: IEC 61966-2-1; the sign is kept, as in CSS Color 4."""
    size = np.abs(values, dtype=np.float32)
    low = size <= 0.04045
    linear: NDArray[np.float32] = size + np.float32(0.055)
    linear *= np.float32(1 / 1.055)
    np.power(linear, np.float32(2.4), out=linear)
    np.multiply(size, np.float32(1 / 12.92), out=linear, where=low)
    np.copysign(linear, values, out=linear)
    return linear


def from_linear(values: NDArray[Any]) -> NDArray[np.float32]:
    """Extended sRGB of linear light; the inverse of `to_linear`."""
    size = np.abs(values, dtype=np.float32)
    low = size <= 0.0031308
    encoded: NDArray[np.float32] = np.power(size, np.float32(1 / 2.4))
    encoded *= np.float32(1.055)
    encoded -= np.float32(0.055)
    np.multiply(size, np.float32(12.92), out=encoded, where=low)
    np.copysign(encoded, values, out=encoded)
    return encoded


def strips(shape: tuple[int, ...], least: int = 1) -> Iterator[slice]:
    """Rows of a picture in strips that stay in a core's cache, of so many rows at least."""
    height, width = shape[:2]
    rows = max(least, STRIP_PIXELS // max(width, 1))
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def transformed(
    values: NDArray[Any], source: bytes, target: bytes, dtype: DTypeLike, flags: int
) -> NDArray[Any]:
    """Transform by littlecms of (H, W, C) values; raises ProfileError if a profile is broken."""
    kinds = kind_of(source), kind_of(target)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    try:
        result: NDArray[Any] = imagecodecs.cms_transform(
            values,
            source,
            target,
            colorspace=LCMS_NAME[kinds[0]],
            outcolorspace=LCMS_NAME[kinds[1]],
            outdtype=dtype,
            intent=RELATIVE,
            flags=flags,
        )
    except (imagecodecs.CmsError, ValueError) as error:
        raise ProfileError("the colour profile is damaged") from error
    return result.reshape(*values.shape[:2], CHANNELS[kinds[1]])


def linear_of(values: NDArray[Any], profile: bytes) -> NDArray[np.float32]:
    """Linear sRGB, unbounded, of values in a profile, one by one: (H, W, 3)."""
    if values.dtype.kind == "f" and kind_of(profile) == "cmyk":
        values = values * np.float32(100)  # littlecms has inks in per cent
    target = rgb_profile(LINEAR_SRGB)
    result = transformed(values, profile, target, np.float32, NO_OPTIMISATION)
    np.nan_to_num(result, copy=False, posinf=0.0, neginf=0.0)
    return result


@dataclass(frozen=True, eq=False)
class Shaper:
    """An RGB profile that is a matrix behind three curves, as nearly all are.

    curves: (3, levels), light in 0..1 of each level of a channel.  matrix: (3, 3), to linear sRGB.
    black: (3,), what is added.
    """

    curves: NDArray[np.float32]
    matrix: NDArray[np.float32]
    black: NDArray[np.float32]

    def linear(self, levels: NDArray[Any]) -> NDArray[np.float32]:
        """Linear sRGB of (rows, W, 3) whole levels."""
        light = np.empty((3, *levels.shape[:2]), np.float32)
        for channel, curve in enumerate(self.curves):
            light[channel] = curve[levels[..., channel]]
        mixed = self.matrix @ light.reshape(3, -1)
        mixed += self.black[:, None]
        result: NDArray[np.float32] = mixed.T.reshape(levels.shape)
        return result


@functools.lru_cache(maxsize=8)
def shaper_of(profile: bytes, levels: int) -> Shaper | None:
    """The matrix and curves that a profile is made of, found by asking it; None if it is not.

    levels: 256 or 65536.  What a matrix profile makes of a colour is the sum of what it makes of
    its three channels; that is tried with colours of every kind.
    """
    dtype = np.uint8 if levels == 256 else np.uint16
    ramps = np.zeros((3, levels, 3), dtype)
    for channel in range(3):
        ramps[channel, :, channel] = np.arange(levels)
    answers = linear_of(ramps, profile)
    black = answers[0, 0]
    tops = answers[:, -1] - black
    sizes = (tops**2).sum(axis=1)
    if not sizes.all():
        return None
    curves = np.stack([(answers[c] - black) @ tops[c] / sizes[c] for c in range(3)])
    shaper = Shaper(curves.astype(np.float32), tops.T.astype(np.float32), black)
    chance = np.random.default_rng(0)
    tried = chance.integers(0, levels, (1, 256, 3)).astype(dtype)
    off = np.abs(shaper.linear(tried) - linear_of(tried, profile))
    return shaper if off.max() < 5e-4 else None


def to_extended_srgb(
    values: NDArray[Any], profile: bytes, kind: Kind | None = None
) -> NDArray[np.float32]:
    """Values of a profile as extended sRGB.

    values: (H, W, C), or (H, W) of grey; uint8, uint16, or float32 in 0..1.  kind: what the pixels
    are.  Returns (H, W, 3).  Raises ProfileError if the profile is damaged or of another kind.
    """
    found = kind_of(profile)
    if kind is not None and found != kind:
        raise ProfileError(f"the colour profile is of {found}, the pixels are {kind}")
    result = np.empty((*values.shape[:2], 3), np.float32)
    levels = {"u1": 256, "u2": 65536}.get(values.dtype.str[1:], 0)
    shaper = shaper_of(profile, levels) if found == "rgb" and levels else None
    by_grid = levels and not shaper and found != "grey"
    if by_grid and result.size // 3 > EXACT_PIXELS:
        values, shaper = to_wide(values, profile), shaper_of(rgb_profile(WIDE), 65536)
    lies_on_its_side = values.strides[0] < values.strides[1]
    for rows in strips(values.shape, COLUMNS_AT_ONCE if lies_on_its_side else 1):
        strip = np.ascontiguousarray(values[rows]) if lies_on_its_side else values[rows]
        linear = shaper.linear(strip) if shaper else linear_of(strip, profile)
        result[rows] = from_linear(linear)
    return result


def to_wide(values: NDArray[Any], profile: bytes) -> NDArray[np.uint16]:
    """A large picture of a table profile in a wide RGB space, by a grid of 33 colours a side.

    Differs from computing each pixel by 0.1 level of 255 on average, in a quarter of the time.
    """
    result = np.empty((*values.shape[:2], 3), np.uint16)
    rows = max(1, (32 << 20) // values.shape[1])  # a grid is made for each strip
    for top in range(0, values.shape[0], rows):
        strip = slice(top, top + rows)
        result[strip] = transformed(
            values[strip], profile, rgb_profile(WIDE), np.uint16, GRID_OF_33
        )
    return result


@functools.lru_cache(maxsize=8)
def corners(profile: bytes) -> NDArray[np.float32]:
    """Linear sRGB of a cube of 6 x 6 x 6 colours of an RGB profile."""
    side = np.linspace(0, 255, 6).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(side, side, side, indexing="ij"), -1).reshape(1, -1, 3)
    return linear_of(cube, profile)


def is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile's colours are sRGB's, none off by more than two levels of 255."""
    if kind_of(profile) != "rgb":
        return False
    side = np.linspace(0, 1, 6)
    cube = np.stack(np.meshgrid(side, side, side, indexing="ij"), -1).reshape(1, -1, 3)
    return bool(np.abs(from_linear(corners(profile)) - cube).max() <= TWO_LEVELS)


def is_wide(profile: bytes) -> bool:
    """Whether an RGB profile holds colours that sRGB has not."""
    found = from_linear(corners(profile))
    return bool(found.min() < -TWO_LEVELS or found.max() > 1 + TWO_LEVELS)


@dataclass(frozen=True, eq=False)
class InverseShaper:
    """The way from linear sRGB into a matrix profile: its inverse matrix, then inverse curves.

    tables: (3, nodes + 1), a channel's value in 0..1 by the square root of its light.
    """

    matrix: NDArray[np.float32]
    black: NDArray[np.float32]
    tables: NDArray[np.float32]

    def values(self, linear: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of the profile in 0..1 of (rows, W, 3) linear sRGB; cut at its gamut."""
        light = (linear - self.black) @ self.matrix.T
        at = np.sqrt(np.clip(light, 0, 1, out=light), out=light)
        at *= CURVE_NODES
        lower = np.minimum(at.astype(np.int32), CURVE_NODES - 1)
        at -= lower
        for channel in range(3):
            table, index = self.tables[channel], lower[..., channel]
            below = table[index]
            at[..., channel] = below + (table[index + 1] - below) * at[..., channel]
        return at


@functools.lru_cache(maxsize=4)
def inverse_of(profile: bytes) -> InverseShaper | None:
    """The inverse of a matrix profile; None if it is none."""
    shaper = shaper_of(profile, 65536)
    if shaper is None or abs(np.linalg.det(shaper.matrix)) < 1e-9:
        return None
    light = np.linspace(0, 1, CURVE_NODES + 1) ** 2
    values = np.linspace(0, 1, 65536)
    rising = np.maximum.accumulate(shaper.curves.astype(np.float64), axis=1)
    tables = np.stack([np.interp(light, curve, values) for curve in rising])
    inverse = np.linalg.inv(shaper.matrix.astype(np.float64))
    return InverseShaper(inverse.astype(np.float32), shaper.black, tables.astype(np.float32))


def from_extended_srgb(
    pixels: NDArray[Any], profile: bytes, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Extended sRGB as values of a profile, cut at its gamut.

    pixels: float32 (rows, W, 3).  Returns (rows, W, C), C by the profile: float32 in 0..1, or
    uint8 or uint16 in their full range, rounded.  CMYK is how much ink.  Raises ProfileError.
    """
    kind = kind_of(profile)
    wanted = np.dtype(dtype)
    inverse = inverse_of(profile) if kind == "rgb" else None
    result = np.empty((*pixels.shape[:2], CHANNELS[kind]), wanted)
    for rows in strips(pixels.shape):
        linear = to_linear(pixels[rows])
        values = inverse.values(linear) if inverse else from_linear_by_table(linear, profile, kind)
        if wanted.kind == "u":
            values = np.rint(values * np.float32(np.iinfo(wanted).max))
        result[rows] = values
    return result


def from_linear_by_table(
    linear: NDArray[np.float32], profile: bytes, kind: Kind
) -> NDArray[np.float32]:
    """Values of a profile that is no matrix, in 0..1; Lab's as littlecms has them."""
    flags = NO_OPTIMISATION | (BLACK_POINT if kind == "cmyk" else 0)
    source = rgb_profile(LINEAR_SRGB)
    values = transformed(linear, source, profile, np.float32, flags)
    if kind == "cmyk":
        values /= np.float32(100)
    return values if kind == "lab" else np.clip(values, 0, 1, out=values)
