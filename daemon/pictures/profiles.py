"""Colour profiles that are made here, from published primaries: for files that only name a space.

A matrix profile is a few numbers, so none has to be shipped. Loads no numpy before it is called.
"""

import functools
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import ImageCms

if TYPE_CHECKING:
    from numpy.typing import NDArray

ICC_DATE = slice(24, 36)
D50 = (0.9642, 1.0, 0.8249)
D65_XY = (0.3127, 0.3290)
BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""Of IEC 61966-2-1, as parameters g, a, b, c, d of an ICC curve of type 3."""


@dataclass(frozen=True)
class RgbSpace:
    """An RGB space: chromaticities (x, y) of red, green, blue and white, and its curve.

    curve: parameters of an ICC parametric curve; one of them alone is an exponent.
    """

    name: str
    primaries: tuple[tuple[float, float], ...]
    curve: tuple[float, ...]
    white: tuple[float, float] = D65_XY


SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3_PRIMARIES = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
REC_2020_PRIMARIES = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
ADOBE_RGB = RgbSpace(
    "compatible with Adobe RGB (1998)", ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), (563 / 256,)
)
DISPLAY_P3 = RgbSpace("Display P3", P3_PRIMARIES, SRGB_CURVE)
LINEAR_SRGB = RgbSpace("linear sRGB", SRGB_PRIMARIES, (1.0,))
WIDE = RgbSpace(
    "wide", ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (1.8,), (0.3457, 0.3585)
)
"""ProPhoto's primaries: what any printer or scanner can show lies inside."""


@functools.cache
def srgb_profile() -> bytes:
    """An sRGB profile without the time it was made: equal pictures have equal bytes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[: ICC_DATE.start] + bytes(12) + profile[ICC_DATE.stop :]


def xyz_of(xy: tuple[float, float]) -> tuple[float, float, float]:
    """XYZ of a chromaticity, with Y = 1."""
    x, y = xy
    return x / y, 1.0, (1 - x - y) / y


def matrix_to_d50(space: RgbSpace) -> "NDArray[Any]":
    """The matrix from linear RGB of a space to XYZ of D50, adapted by Bradford's: (3, 3).

    Raises ValueError for primaries that span no space.
    Source: ICC.1:2022 annex E.
    """
    import numpy as np

    bradford = np.array(BRADFORD)
    columns = np.array([xyz_of(primary) for primary in space.primaries]).T
    white = np.array(xyz_of(space.white))
    try:
        scaled = columns * np.linalg.solve(columns, white)
    except np.linalg.LinAlgError as error:
        raise ValueError("primaries on one line") from error
    gains = (bradford @ np.array(D50)) / (bradford @ white)
    adapted: NDArray[Any] = np.linalg.solve(bradford, gains[:, None] * (bradford @ scaled))
    return adapted


@functools.lru_cache(maxsize=32)
def rgb_profile(space: RgbSpace) -> bytes:
    """The ICC profile (version 4) of an RGB space; raises ValueError where it spans none.

    Source: ICC.1:2022 sections 7, 8.4 and 10.18.
    """
    red, green, blue = matrix_to_d50(space).T.tolist()
    function = 0 if len(space.curve) == 1 else 3
    curve = b"para" + struct.pack(">IHH", 0, function, 0) + fixed(space.curve)
    tags = {
        b"desc": text(space.name),
        b"cprt": text("No copyright, use freely"),
        b"wtpt": xyz(D50),
        b"rXYZ": xyz(red),
        b"gXYZ": xyz(green),
        b"bXYZ": xyz(blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return assembled(b"\x04\x40\0\0mntrRGB XYZ ", tags)


def assembled(kind: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """A profile of tags. kind: its version, class, colour space and connection space."""
    body, table, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = struct.pack(">I", at + len(body))
    rest = bytes(12) + b"acsp" + bytes(24) + struct.pack(">I", 1) + fixed(D50)  # made at no time
    header = (size + bytes(4) + kind + rest).ljust(128, b"\0")
    return header + struct.pack(">I", len(tags)) + table + body


def fixed(values: Sequence[float]) -> bytes:
    """Numbers as ICC's s15Fixed16."""
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def xyz(values: Sequence[float]) -> bytes:
    """A colour as ICC's XYZType."""
    return b"XYZ " + bytes(4) + fixed(values)


def text(words: str) -> bytes:
    """Words as ICC's multiLocalizedUnicodeType."""
    encoded = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(encoded), 28) + encoded
