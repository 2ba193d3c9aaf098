"""The headers of a BMP, of Windows and OS/2, all seven lengths of them.

Source: Microsoft, BITMAPINFOHEADER to BITMAPV5HEADER; IBM, OS/2 2.0 bitmap format.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

RGB, RLE8, RLE4, BIT_FIELDS, ALPHA_BIT_FIELDS = 0, 1, 2, 3, 6
OS2_CORE_BYTES, OS2_BYTES, INFO_BYTES, V2_BYTES, V3_BYTES, V5_BYTES = 12, (16, 64), 40, 52, 56, 124
MOST_SIDE = 1 << 24
DEFAULT_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}


@dataclass(frozen=True)
class BmpHeader:
    """masks: the bits of red, green, blue and alpha, of 16 and 32 bits a pixel.

    pixels_at, palette_at: where they lie.  palette_entry: bytes of a colour.  top_down: whether
    the first row is the top one.  profile: where an ICC profile lies and its length, or 0, 0.
    of_os2: whether it is packed in a way that only OS/2 knows.
    """

    width: int
    height: int
    bits: int
    packing: int
    pixels_at: int
    palette_at: int
    palette_entry: int
    top_down: bool
    masks: tuple[int, int, int, int] = (0, 0, 0, 0)
    density_per_m: tuple[int, int] = (0, 0)
    profile: tuple[int, int] = (0, 0)
    of_os2: bool = False


def read_bmp_header(source: BinaryIO) -> BmpHeader:
    """Both headers; raises ValueError or struct.error where they make no sense."""
    source.seek(0)
    head = source.read(14 + V5_BYTES)
    pixels_at, length = struct.unpack_from("<II", head, 10)
    if length == OS2_CORE_BYTES:
        width, height, _, bits = struct.unpack_from("<HHHH", head, 18)
        return BmpHeader(width, height, bits, RGB, pixels_at, 26, 3, False, default_masks(bits))
    if length not in (*OS2_BYTES, INFO_BYTES, V2_BYTES, V3_BYTES, 108, V5_BYTES):
        raise ValueError(f"its header is {length} bytes long")
    info = head[14 : 14 + length].ljust(V5_BYTES, b"\0")
    width, height, _, bits, packing = struct.unpack_from("<iiHHI", info, 4)
    masks = default_masks(bits)
    palette_at = 14 + length
    if packing in (BIT_FIELDS, ALPHA_BIT_FIELDS):
        masks = struct.unpack_from("<IIII", head.ljust(70, b"\0"), 54)
        if length == INFO_BYTES:
            palette_at += 12 if packing == BIT_FIELDS else 16
        if (length == INFO_BYTES and packing == BIT_FIELDS) or length == V2_BYTES:
            masks = (*masks[:3], 0)
    profile = (0, 0)
    if length == V5_BYTES and info[56:60] in (b"DEBM", b"MBED"):
        at, size = struct.unpack_from("<II", info, 112)
        profile = (14 + at, size)
    if bits <= 8 and pixels_at == 14 + length:  # as if there were no palette
        pixels_at += 4 * (struct.unpack_from("<I", info, 32)[0] or 1 << bits)
    density = struct.unpack_from("<ii", info, 24) if length >= INFO_BYTES else (0, 0)
    sides = width, abs(height)
    places = pixels_at, palette_at, 4
    of_os2 = length in OS2_BYTES and packing >= BIT_FIELDS
    return BmpHeader(*sides, bits, packing, *places, height < 0, masks, density, profile, of_os2)


def default_masks(bits: int) -> tuple[int, int, int, int]:
    """Where channels lie that no masks tell of."""
    return DEFAULT_MASKS.get(bits, (0, 0, 0, 0))


def size_of(source: BinaryIO) -> tuple[int, int]:
    """Width and height in px."""
    header = read_bmp_header(source)
    if header.width <= 0 or header.height <= 0 or header.width > MOST_SIDE:
        raise ValueError(f"it claims to be {header.width}x{header.height} px")
    return header.width, header.height
