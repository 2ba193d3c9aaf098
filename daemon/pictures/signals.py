"""Colour signals other than a profile: PNG's cICP, sRGB, gAMA and cHRM, HEIF's and AVIF's nclx.

Source: PNG specification, third edition, 11.3.2; code points of ITU-T H.273.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from daemon.pictures.profiles import (
    D65_XY,
    P3_PRIMARIES,
    REC_2020_PRIMARIES,
    SRGB_CURVE,
    SRGB_PRIMARIES,
    RgbSpace,
    rgb_profile,
)

PRIMARIES = {
    1: SRGB_PRIMARIES,
    9: REC_2020_PRIMARIES,
    11: P3_PRIMARIES,
    12: P3_PRIMARIES,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
}
CURVES = {4: (2.2,), 5: (2.8,), 8: (1.0,)}
"""What is no sRGB curve; Rec. 709's is taken for it too, as screens and viewers do."""
PQ, HLG = 16, 18
NAMES = {1: "sRGB", 9: "Rec. 2020", 12: "Display P3"}
MOST_CHUNKS = 1 << 16
SRGB_GAMMA, NEAR = 1 / 2.2, 0.05


@dataclass(frozen=True)
class ColourSignal:
    """What a file says of its colours without a profile.

    profile: that of the space it names; None for sRGB.  transfer: PQ or HLG, else 0, and then also
    primaries.
    """

    profile: bytes | None = None
    primaries: int = 0
    transfer: int = 0
    warning: str = ""


def signal_of_code(primaries: int, transfer: int) -> ColourSignal:
    """What two code points of H.273 mean; those that are unknown or left open mean sRGB."""
    if transfer in (PQ, HLG):
        return ColourSignal(primaries=primaries, transfer=transfer)
    corners = PRIMARIES.get(primaries, SRGB_PRIMARIES)
    curve = CURVES.get(transfer, SRGB_CURVE)
    if corners == SRGB_PRIMARIES and curve == SRGB_CURVE:
        return ColourSignal()
    name = NAMES.get(primaries, f"RGB of primaries {primaries}")
    return ColourSignal(rgb_profile(RgbSpace(name, corners, curve)))


def png_chunks(source: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG before its pixels, but for long ones."""
    source.seek(8)
    for _ in range(MOST_CHUNKS):
        head = source.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return
        length = int.from_bytes(head[:4])
        if length > 1 << 10:
            source.seek(length + 4, 1)
            continue
        yield head[4:], source.read(length)
        source.seek(4, 1)


def png_signal(source: BinaryIO, *, has_profile: bool) -> ColourSignal:
    """What a PNG says of its colours beside a profile: cICP before all, then sRGB, gAMA, cHRM.

    has_profile: whether it has an iCCP chunk, which goes before the last three.
    """
    found: dict[bytes, bytes] = {}
    for kind, body in png_chunks(source):
        found.setdefault(kind, body)
    code = found.get(b"cICP", b"")
    if len(code) == 4 and code[3] == 1:
        return signal_of_code(code[0], code[1])
    if has_profile or b"sRGB" in found or b"gAMA" not in found:
        return ColourSignal()
    try:
        return signal_of_gamma(found[b"gAMA"], found.get(b"cHRM"))
    except (ValueError, struct.error, ZeroDivisionError):
        return ColourSignal(warning="its gAMA or cHRM chunk makes no sense and was left out")


def signal_of_gamma(gamma: bytes, chromaticities: bytes | None) -> ColourSignal:
    """The space of PNG's gAMA and cHRM; about 1 / 2.2 with sRGB's primaries is sRGB."""
    exponent = struct.unpack(">I", gamma)[0] / 100_000
    if not 0.1 <= exponent <= 10:
        raise ValueError("no gamma")
    corners, white = SRGB_PRIMARIES, D65_XY
    if chromaticities is not None:
        values = [value / 100_000 for value in struct.unpack(">8I", chromaticities)]
        points = list(zip(values[::2], values[1::2], strict=True))
        if any(not (0 <= x <= 1 and 0 < y <= 1) for x, y in points):
            raise ValueError("no chromaticities")
        white, corners = points[0], (points[1], points[2], points[3])
    standard = all(
        abs(a - b) < 0.005
        for mine, its in zip(SRGB_PRIMARIES, corners, strict=True)
        for a, b in zip(mine, its, strict=True)
    )
    if standard and abs(exponent / SRGB_GAMMA - 1) < NEAR:
        return ColourSignal()
    return ColourSignal(rgb_profile(RgbSpace("by gAMA and cHRM", corners, (1 / exponent,), white)))
