"""JPEG results: the encoder's picture, and the segments that go before it.

What is larger than a segment is split as each kind's standard allows.

Source: JPEG part 1 (ITU-T T.81) annex B, JFIF 1.02, EXIF 2.32 section 4.5.4, ICC.1:2022 annex B.4,
XMP part 3 section 1.1.3, Adobe's supplement 5116 for CMYK.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs
import numpy as np

from daemon.pictures.embedded import Embedded
from daemon.pictures.exif import fitted
from daemon.pictures.iptc import PHOTOSHOP, RECORDS, resolution_resource, resource
from daemon.pictures.levels import Levels
from daemon.pictures.xmp_extended import digest_of, split_packet

APP0, APP1, APP2, APP13, COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xFE
START = b"\xff\xd8"
MOST_BYTES = 65_533
EXIF_HEAD, ICC_HEAD = b"Exif\0\0", b"ICC_PROFILE\0"
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_HEAD = b"http://ns.adobe.com/xmp/extension/\0"
EXTENDED_BYTES = 65_400
COLORS = {"rgb": ("RGB", "YCBCR"), "grey": ("GRAYSCALE", "GRAYSCALE"), "cmyk": ("CMYK", "CMYK")}


def write_jpeg(
    target: BinaryIO, picture: Levels, embedded: Embedded, quality: int
) -> tuple[str, ...]:
    """Writes a baseline JPEG with full colour resolution; returns what had to be left out."""
    levels = picture.whole()
    if picture.mode == "cmyk":
        np.subtract(255, levels, out=levels)  # Adobe's: no ink is 255
    came, kept = COLORS[picture.mode]
    encoded = imagecodecs.jpeg8_encode(
        levels[..., 0] if picture.mode == "grey" else levels,
        quality,
        colorspace=came,
        outcolorspace=kept,
        subsampling="444",
    )
    del levels
    segments, warnings = segments_of(embedded, picture.mode)
    target.write(START)
    for marker, content in segments:
        target.write(struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content)
    target.write(memoryview(encoded)[picture_start(encoded) :])
    return warnings


def picture_start(encoded: bytes | bytearray) -> int:
    """Where an encoder's file goes on behind its own JFIF segment."""
    if encoded[2:4] != bytes([0xFF, APP0]):
        return len(START)
    return 4 + int.from_bytes(encoded[4:6], "big")


def segments_of(embedded: Embedded, mode: str) -> tuple[list[tuple[int, bytes]], tuple[str, ...]]:
    """Marker and content of each segment before the picture, and what had to be left out."""
    segments: list[tuple[int, bytes]] = []
    warnings: tuple[str, ...] = ()
    if mode != "cmyk":  # JFIF knows grey and YCbCr
        segments.append((APP0, jfif(embedded.density_ppi)))
    if embedded.tags is not None:
        exif, warnings = fitted(embedded.tags, MOST_BYTES - len(EXIF_HEAD))
        segments.append((APP1, EXIF_HEAD + exif))
    standard, extended = split_packet(embedded.xmp, MOST_BYTES - len(XMP_HEAD))
    segments.append((APP1, XMP_HEAD + standard))
    segments += [(APP1, part) for part in extended_parts(extended)]
    segments += [(APP13, part) for part in photoshop_parts(embedded, mode)]
    segments += [(APP2, part) for part in profile_parts(embedded.profile)]
    comment = embedded.text.get("Comment", "").encode()
    segments += [(COMMENT, part) for part in pieces(comment, MOST_BYTES)]
    return segments, warnings


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    """Content in pieces of at most so many bytes."""
    return (content[at : at + size] for at in range(0, len(content), size))


def jfif(density_ppi: tuple[float, float] | None) -> bytes:
    """JFIF's segment; it has whole numbers only, and none above 65,535."""
    unit, across, down = 0, 1, 1
    if density_ppi is not None:
        near = tuple(round(value) for value in density_ppi)
        if min(near) >= 1 and max(near) <= 0xFFFF:
            unit, (across, down) = 1, near
    return b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, unit, across, down, 0, 0)


def extended_parts(extended: bytes) -> Iterator[bytes]:
    """The part of a packet that the standard segment has no room for, under its digest."""
    digest, at = digest_of(extended).encode(), 0
    for part in pieces(extended, EXTENDED_BYTES):
        yield EXTENDED_HEAD + digest + struct.pack(">II", len(extended), at) + part
        at += len(part)


def photoshop_parts(embedded: Embedded, mode: str) -> Iterator[bytes]:
    """IPTC in Photoshop's frame, and the resolution where JFIF has no place for it."""
    resources = resource(RECORDS, embedded.iptc) if embedded.iptc else b""
    if embedded.density_ppi is not None and (resources or mode == "cmyk"):
        resources = resolution_resource(embedded.density_ppi) + resources
    return (PHOTOSHOP + part for part in pieces(resources, MOST_BYTES - len(PHOTOSHOP)))


def profile_parts(profile: bytes) -> Iterator[bytes]:
    """An ICC profile in numbered parts."""
    size = MOST_BYTES - len(ICC_HEAD) - 2
    count = -(-len(profile) // size)
    for number, part in enumerate(pieces(profile, size), start=1):
        yield ICC_HEAD + bytes([number, count]) + part
