"""PNG results, 8 and 16 bits, written row by row.

Each row is told as its difference from the mean of what is above and to the left, and packed by
runs and Huffman's codes: for painted texture that is a tenth of the time of zlib's usual level, in
6 % more bytes (docs/benchmarks.md).

Source: PNG (third edition, W3C).
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from daemon.pictures.embedded import Embedded
from daemon.pictures.ifd import lay_out
from daemon.pictures.levels import Levels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {("grey", False): 0, ("rgb", False): 2, ("grey", True): 4, ("rgb", True): 6}
AVERAGE = 3
LEVEL, WINDOW_BITS, MEMORY = 6, 15, 9
PIECE_BYTES = 1 << 20
INCHES_A_METRE = 1 / 0.0254
XMP_KEY = "XML:com.adobe.xmp"
IPTC_KEY = "Raw profile type iptc"


def write_png(target: BinaryIO, picture: Levels, embedded: Embedded, note_key: str) -> None:
    """Writes a PNG; the note is a text of its own under `note_key`, and in XMP."""
    width, height = picture.size
    color = COLOR_TYPES[picture.mode, picture.has_alpha]
    target.write(SIGNATURE)
    header = struct.pack(">IIBBBBB", width, height, picture.bits, color, 0, 0, 0)
    target.write(chunk(b"IHDR", header))
    for kind, content in chunks_of(embedded, note_key):
        target.write(chunk(kind, content))
    packed = b""
    for piece in packed_rows(picture):
        packed += piece
        if len(packed) >= PIECE_BYTES:
            target.write(chunk(b"IDAT", packed))
            packed = b""
    target.write(chunk(b"IDAT", packed))
    target.write(chunk(b"IEND", b""))


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and checksum."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def chunks_of(embedded: Embedded, note_key: str) -> Iterator[tuple[bytes, bytes]]:
    """What goes between the header and the pixels."""
    yield b"iCCP", b"ICC profile\0\0" + zlib.compress(embedded.profile, 9)
    if embedded.density_ppi is not None:
        across, down = (round(value * INCHES_A_METRE) for value in embedded.density_ppi)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if embedded.tags is not None:
        yield b"eXIf", lay_out(embedded.tags)
    yield international(XMP_KEY, embedded.xmp.decode())
    yield international(note_key, embedded.note)
    if embedded.iptc:
        yield b"zTXt", IPTC_KEY.encode() + b"\0\0" + zlib.compress(raw_profile(embedded.iptc), 9)
    for key, words in embedded.text.items():
        yield text_chunk(key, words)


def text_chunk(key: str, words: str) -> tuple[bytes, bytes]:
    """A text, in Latin letters where they do."""
    try:
        return b"tEXt", key.encode("latin-1") + b"\0" + words.encode("latin-1")
    except UnicodeEncodeError:
        return international(key, words)


def international(key: str, words: str) -> tuple[bytes, bytes]:
    """A text in any letters."""
    return b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + words.encode()


def raw_profile(content: bytes) -> bytes:
    """IPTC as ImageMagick and ExifTool keep it in PNG, which has no place of its own for it."""
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\niptc\n{len(content):8d}\n{lines}\n".encode()


def packed_rows(picture: Levels) -> Iterator[bytes]:
    """The compressed rows, each with the number of its filter."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY, zlib.Z_RLE)
    pixel_bytes = picture.channels * picture.bits // 8
    above = np.zeros((1, picture.size[0] * pixel_bytes), np.uint8)
    for levels in picture.strips():
        rows = levels.astype(levels.dtype.newbyteorder(">"), copy=False)
        raw = np.ascontiguousarray(rows).view(np.uint8).reshape(len(levels), -1)
        yield packer.compress(filtered(raw, above, pixel_bytes).data)
        above = raw[-1:]
    yield packer.flush()


def filtered(raw: NDArray[np.uint8], above: NDArray[np.uint8], pixel_bytes: int) -> NDArray[Any]:
    """Rows by the average filter, each behind its number: (rows, 1 + bytes)."""
    mean = np.zeros(raw.shape, np.uint16)
    mean[0] = above[0]
    mean[1:] = raw[:-1]
    mean[:, pixel_bytes:] += raw[:, :-pixel_bytes]
    mean >>= 1
    result = np.empty((raw.shape[0], 1 + raw.shape[1]), np.uint8)
    result[:, 0] = AVERAGE
    np.subtract(raw, mean.astype(np.uint8), out=result[:, 1:])
    return result
