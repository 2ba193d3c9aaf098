"""What a decoder found, and how it becomes a picture: levels, orientation, alpha, colours.

Each format's decoder says what its numbers are; here is the one place where they are made sRGB.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.pictures import colour
from daemon.pictures.alpha import fill_transparent, unmultiplied
from daemon.pictures.colour import Kind as Kind
from daemon.pictures.colour import ProfileError
from daemon.pictures.hdr import hdr_to_extended_srgb
from daemon.pictures.picture import Metadata, Picture
from daemon.pictures.press import press_to_extended_srgb
from daemon.pictures.profiles import ADOBE_RGB, DISPLAY_P3, rgb_profile
from daemon.pictures.signals import ColourSignal

Values = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Raster:
    """Pixels as a file has them, scaled to whole range.

    values: (H, W) for grey, else (H, W, C): uint8, uint16, or float32 in 0..1; CMYK is ink.
    kind: what they are; Lab's are float32, L* in 0..100.  alpha: (H, W), uint8 or uint16.
    premultiplied: whether colours were multiplied by alpha.  orientation: 1..8, as EXIF has it.
    hdr: code points of primaries and transfer (H.273) if it is HDR.
    """

    values: Values
    kind: Kind
    format: str
    bits: int = 8
    alpha: Values | None = None
    premultiplied: bool = False
    profile: bytes | None = None
    orientation: int = 1
    lossless: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    warnings: tuple[str, ...] = ()
    hdr: tuple[int, int] | None = None

    def with_warnings(self, *warnings: str) -> "Raster":
        """The same with more to tell."""
        return replace(self, warnings=(*self.warnings, *warnings))


def channels_apart(values: Values) -> tuple[Kind, Values, Values | None]:
    """Colours and alpha of an array of one to four channels, grey or RGB, alpha last."""
    if values.ndim == 2:
        return "grey", values, None
    match values.shape[2]:
        case 1:
            return "grey", values[..., 0], None
        case 2:
            return "grey", values[..., 0], values[..., 1]
        case 3:
            return "rgb", values, None
        case _:
            return "rgb", values[..., :3], values[..., 3]


def signalled(raster: Raster, signal: ColourSignal) -> Raster:
    """A raster in the space a file names without a profile, where it names one."""
    if signal.transfer and raster.kind == "rgb":
        return replace(raster, hdr=(signal.primaries, signal.transfer), profile=None)
    if signal.profile is not None:
        raster = replace(raster, profile=signal.profile)
    return raster.with_warnings(signal.warning) if signal.warning else raster


def to_picture(raster: Raster) -> Picture:
    """The picture a decoder's raster shows: upright, in sRGB's encoding, nothing cut."""
    values = upright(raster.values, raster.orientation)
    alpha = None if raster.alpha is None else upright(raster.alpha, raster.orientation)
    if alpha is not None and int(alpha.min()) == np.iinfo(alpha.dtype).max:
        alpha = None
    if alpha is not None and raster.premultiplied:
        values = unmultiplied(values, alpha)
    pixels, profile, warnings = to_srgb(replace(raster, values=values))
    if alpha is not None:
        alpha = np.ascontiguousarray(alpha)
        pixels = fill_transparent(pixels, alpha)
    density = raster.metadata.density_ppi
    metadata = raster.metadata
    if density is not None and raster.orientation > 4:
        metadata = replace(metadata, density_ppi=density[::-1])
    return Picture(
        pixels,
        alpha,
        raster.format,
        raster.bits,
        profile,
        raster.lossless,
        metadata,
        (*raster.warnings, *warnings),
    )


def upright(values: Values, orientation: int) -> Values:
    """A view of pixels, turned as EXIF's orientation of 1 to 8 says."""
    match orientation:
        case 2:
            return values[:, ::-1]
        case 3:
            return values[::-1, ::-1]
        case 4:
            return values[::-1]
        case 5:
            return values.swapaxes(0, 1)
        case 6:
            return values[::-1].swapaxes(0, 1)
        case 7:
            return values[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return values[:, ::-1].swapaxes(0, 1)
        case _:
            return values


Converted = tuple[Values, bytes | None, tuple[str, ...]]
"""Pixels in sRGB's encoding, the profile a result may have too, and what was guessed."""


def to_srgb(raster: Raster) -> Converted:
    """Pixels of any kind in the encoding of sRGB, by the file's profile or by what is usual."""
    warnings: tuple[str, ...] = ()
    if raster.hdr is not None:
        told = "HDR: light brighter than white was brought down to it"
        return hdr_to_extended_srgb(raster.values, *raster.hdr), rgb_profile(DISPLAY_P3), (told,)
    if raster.profile and raster.kind != "lab":
        try:
            return by_profile(raster, raster.profile)
        except ProfileError as error:
            warnings = (f"{error}; the colours were taken as if it had none",)
    match raster.kind:
        case "rgb":
            return whole(raster.values), None, warnings
        case "grey":
            return whole(as_rgb(raster).values), None, warnings
        case "cmyk":
            pixels = press_to_extended_srgb(raster.values)
            guess = "CMYK without a profile: taken as printed by ISO Coated v2 (FOGRA39)"
            return pixels, rgb_profile(ADOBE_RGB), (*warnings, guess)
        case _:
            return lab_to_extended_srgb(raster.values), rgb_profile(ADOBE_RGB), warnings


def whole(values: Values) -> Values:
    """Values that are sRGB already, as an array of whole levels."""
    if values.dtype.kind == "f":
        return to_levels(values, np.uint16)
    return np.ascontiguousarray(values)


def by_profile(raster: Raster, profile: bytes) -> Converted:
    """Pixels by an embedded profile; raises ProfileError if it is damaged or of another kind."""
    values, kind = raster.values, colour.kind_of(profile)
    if kind != raster.kind:
        if kind == "rgb" and raster.kind == "grey":  # neutral in any: its curve counts
            return by_profile(as_rgb(raster), profile)
        raise ProfileError(f"the colour profile is of {kind}, the pixels are {raster.kind}")
    if kind == "grey":
        return grey_by_profile(values, profile), None, ()
    if kind == "cmyk":
        return colour.to_extended_srgb(values, profile), rgb_profile(ADOBE_RGB), ()
    if colour.is_srgb(profile):
        return whole(values), None, ()
    pixels = colour.to_extended_srgb(values, profile)
    if not colour.is_wide(profile) and values.dtype.kind == "u":
        return to_levels(pixels, values.dtype), profile, ()
    return pixels, profile, ()


def as_rgb(raster: Raster) -> Raster:
    """A grey raster as RGB."""
    return replace(raster, values=np.repeat(raster.values[..., None], 3, axis=2), kind="rgb")


def to_levels(pixels: NDArray[np.float32], dtype: Any) -> Values:
    """Floats in 0..1 as whole levels of the full range, rounded, strip by strip."""
    top = np.iinfo(dtype).max
    result = np.empty(pixels.shape, dtype)
    for rows in colour.strips(pixels.shape):
        result[rows] = np.rint(np.clip(pixels[rows], 0, 1) * np.float32(top))
    return result


def inverted(values: Values) -> Values:
    """Levels of which 0 was white, or ink of which 0 was all."""
    if values.dtype.kind == "f":
        return np.float32(1) - values
    return ~values  # the most less each


def widened(values: Values, bits: int) -> Values:
    """Levels of 1 to 16 bits in the whole range of uint8 or uint16, rounded."""
    if bits in (8, 16):
        return values
    top, goal = (1 << bits) - 1, np.uint8 if bits < 8 else np.uint16
    most = np.iinfo(goal).max
    table = ((np.arange(top + 1) * most * 2 + top) // (2 * top)).astype(goal)
    return np.asarray(table[np.minimum(values, top)])


def grey_by_profile(values: Values, profile: bytes) -> Values:
    """Grey levels by a grey profile, as RGB: whole levels by a table of all there are."""
    if values.dtype.kind == "f":
        return colour.to_extended_srgb(values, profile)
    levels = np.arange(np.iinfo(values.dtype).max + 1).astype(values.dtype)[None]
    table = to_levels(colour.to_extended_srgb(levels, profile)[:, :, 1:2], values.dtype)[0, :, 0]
    return np.repeat(table[values][..., None], 3, axis=2)


D50_WHITE = (0.9642, 1.0, 0.8249)
XYZ_TO_LINEAR_SRGB = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
"""From D50, by Bradford's adaptation. Source: B. Lindbloom."""


def lab_to_extended_srgb(values: Values) -> NDArray[np.float32]:
    """CIE L*a*b* of D50 as extended sRGB.

    values: float32 (H, W, 3), L* in 0..100.  Source: CIE 15:2018 section 8.2.1.
    """
    result = np.empty(values.shape, np.float32)
    matrix = np.array(XYZ_TO_LINEAR_SRGB, np.float32).T
    for rows in colour.strips(values.shape):
        lab = values[rows]
        height = (lab[..., 0] + 16) / 116
        f = np.stack([height + lab[..., 1] / 500, height, height - lab[..., 2] / 200], -1)
        xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
        xyz *= np.array(D50_WHITE)
        result[rows] = colour.from_linear(xyz.astype(np.float32) @ matrix)
    return result
