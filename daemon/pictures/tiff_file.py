"""TIFF results, 8 and 16 bits, written strip by strip; BigTIFF only where 4 GB do not do.

LZW with horizontal differences: it is part of TIFF 6.0, so presses' machines read it, where deflate
came later. For that a tenth more bytes are taken (docs/benchmarks.md).

Source: TIFF 6.0 sections 8, 13, 14, 16 and 18, ICC.1:2022 annex B, BigTIFF.
"""

import struct
from dataclasses import replace
from typing import Any, BinaryIO

import imagecodecs
from numpy.typing import NDArray

from daemon.pictures.embedded import Embedded
from daemon.pictures.exif import UNKNOWN_PPI, density_fields
from daemon.pictures.ifd import (
    BIG,
    CLASSIC,
    LONG,
    UNDEFINED,
    Field,
    Order,
    Space,
    Tags,
    Width,
    place_directory,
    tree_of,
)
from daemon.pictures.levels import Levels

BYTE, LONG8 = 1, 16
HEAD_BYTES = 16
"""BigTIFF's, so that which one it is may be known at the end."""
LZW, DIFFERENCES, STRAIGHT_ALPHA, ONE_PLANE, CMYK_INKS = 5, 2, 2, 1, 1
PHOTOMETRIC = {"grey": 1, "rgb": 2, "cmyk": 5}
CLASSIC_BYTES = 2**32 - (1 << 24)


def write_tiff(
    target: BinaryIO, picture: Levels, embedded: Embedded, *, classic_bytes: int = CLASSIC_BYTES
) -> None:
    """Writes a TIFF; a maker note stays at its offset, as what it says counts from the head.

    target: seekable, at its beginning.  classic_bytes: above so many it becomes a BigTIFF.
    """
    tags = embedded.tags or Tags()
    pinned = tuple((offset, data) for offset, data in tags.pinned if offset >= HEAD_BYTES)
    head = bytes(HEAD_BYTES) + Space(HEAD_BYTES, pinned).tobytes()
    target.write(head)
    end, strips = len(head), []
    for levels in picture.strips():
        packed = packed_strip(levels, tags.order)
        target.write(packed)
        strips.append((end, len(packed)))
        end += len(packed)
    target.write(bytes(end % 2))
    end += end % 2
    width = BIG if end > classic_bytes else CLASSIC
    fields = main_fields(tags, picture, embedded, strips, width)
    tree = tree_of(replace(tags, pinned=pinned), fields)
    space = Space(end)
    offset = place_directory(space, tree, tags.order, width)
    target.write(space.tobytes())
    target.seek(0)
    target.write(head_of(tags.order, width, offset))
    target.seek(0, 2)


def head_of(order: Order, width: Width, offset: int) -> bytes:
    """A file's first bytes, which say where its directory lies."""
    mark = b"II" if order == "<" else b"MM"
    if width is BIG:
        return mark + struct.pack(f"{order}HHHQ", 43, 8, 0, offset)
    return mark + struct.pack(f"{order}HI", 42, offset)


def packed_strip(levels: NDArray[Any], order: Order) -> bytes | bytearray:
    """A strip's differences from pixel to pixel, compressed."""
    differences = levels.copy()
    differences[:, 1:] -= levels[:, :-1]
    ordered = differences.astype(differences.dtype.newbyteorder(order), copy=False)
    packed: bytes | bytearray = imagecodecs.lzw_encode(ordered.tobytes())
    return packed


def main_fields(
    tags: Tags,
    picture: Levels,
    embedded: Embedded,
    strips: list[tuple[int, int]],
    width: Width,
) -> dict[int, Field]:
    """The fields of the picture's directory: its pixels', and what the photographer's said."""
    width_px, height_px = picture.size
    fields = {
        **tags.main,
        0x0100: tags.long(width_px),
        0x0101: tags.long(height_px),
        0x0102: tags.short(*[picture.bits] * picture.channels),
        0x0103: tags.short(LZW),
        0x0106: tags.short(PHOTOMETRIC[picture.mode]),
        0x0111: offsets(tags, [offset for offset, _ in strips], width),
        0x0115: tags.short(picture.channels),
        0x0116: tags.long(picture.strip_rows),
        0x0117: tags.long(*[size for _, size in strips]),
        0x011C: tags.short(ONE_PLANE),
        0x013D: tags.short(DIFFERENCES),
        0x02BC: Field(BYTE, len(embedded.xmp), embedded.xmp),
        0x8773: Field(UNDEFINED, len(embedded.profile), embedded.profile),
        **density_fields(tags, embedded.density_ppi or UNKNOWN_PPI),
    }
    if picture.has_alpha:
        fields[0x0152] = tags.short(STRAIGHT_ALPHA)
    if picture.mode == "cmyk":
        fields[0x014C] = tags.short(CMYK_INKS)
    if embedded.iptc:
        records = embedded.iptc + bytes(-len(embedded.iptc) % 4)
        fields[0x83BB] = Field(LONG, len(records) // 4, records)  # so they are told, but are bytes
    return fields


def offsets(tags: Tags, values: list[int], width: Width) -> Field:
    """Where the strips lie."""
    if width is CLASSIC:
        return tags.long(*values)
    return Field(LONG8, len(values), struct.pack(f"{tags.order}{len(values)}Q", *values))
