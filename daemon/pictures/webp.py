"""WebP: Pillow decodes it; whether it was packed without loss its chunks tell."""

from dataclasses import replace
from typing import BinaryIO

from daemon.pictures.pillow_raster import read_by_pillow
from daemon.pictures.raster import Raster

MOST_CHUNKS = 64


def read_webp(source: BinaryIO) -> Raster:
    """The picture of a WebP, of an animated one the first frame."""
    raster = read_by_pillow(source, "WEBP")
    return replace(raster, lossless=is_lossless(source))


def is_lossless(source: BinaryIO) -> bool:
    """Whether the first frame's pixels are in a VP8L chunk.

    Source: RFC 9649, WebP image format, section 2.
    """
    at = 12
    for _ in range(MOST_CHUNKS):
        source.seek(at)
        head = source.read(8)
        if head[:4] in (b"VP8L", b"VP8 ") or len(head) < 8:
            return head[:4] == b"VP8L"
        length = int.from_bytes(head[4:], "little")
        at += 8 + (16 if head[:4] == b"ANMF" else length + length % 2)
    return False
