"""Where a picture's file ends by its own account; a decoder looks no further than its first frame.

Only lengths and places are read, and only so many of them. A file that makes no sense says nothing:
it may be odd and yet whole.
"""

import os
import struct
from collections.abc import Callable, Collection
from operator import add
from typing import Any, BinaryIO

from daemon.intake.tiff_end import ORDERS, tiff_end

MOST_PARTS = 1 << 20
"""Chunks, boxes or blocks that are looked at; more would take seconds."""

END_OF_IMAGE = b"\xff\xd9"
CODESTREAM = 0xFF4F
"""How a bare codestream of JPEG 2000 begins."""
FILLING = (b"free", b"skip")
BOXES = (*FILLING, *b"ftyp meta mdat moov moof mfra wide uuid mpvd sefd".split())
"""The boxes at the top of HEIF and film files, two of them cameras' own. Others may be anything."""

OF_JPEG_2000 = (b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"jp2i", b"xml ", b"uuid", b"uinf", b"asoc")
OF_JPEG_XL = (
    *(b"JXL ", b"ftyp", b"jxlc", b"jxlp", b"jxll", b"jxli", b"jbrd"),
    *(b"brob", b"Exif", b"xml ", b"jumb"),
)

FILMS = tuple(b"mp4 iso qt avc1 M4V 3gp hevc".split())
"""How brands of films begin that cameras write behind a photograph."""

CHUNK_BYTES = 1 << 16


def end_of(file: BinaryIO, form: str, content: int) -> int | None:
    """Where a file ends as far as it says so itself, in bytes: beyond its size if it is cut.

    form: the picture's format, as Pillow calls it.  content: bytes before the zeros that it ends
    in.  Returns None if the file does not say.
    """
    try:
        return ENDS[form](file, content) if form in ENDS else None
    except (ValueError, struct.error):
        return None  # lengths that make no sense


def size_of(file: BinaryIO) -> int:
    """The size of a file in bytes."""
    return file.seek(0, os.SEEK_END)


def numbers(file: BinaryIO, at: int, layout: str) -> tuple[Any, ...]:
    """The numbers at some place; raises struct.error where the file has ended."""
    file.seek(at)
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def png_end(file: BinaryIO, content: int) -> int | None:
    """The end of the last chunk, which is IEND, or of what a chunk needs that is not there."""
    size, at = size_of(file), 8
    for _ in range(MOST_PARTS):
        if at + 12 > size:
            return at + 12
        length, kind = numbers(file, at, ">I4s")
        if not kind.isalpha():
            return None
        at += 12 + int(length)
        if kind == b"IEND" or at > size:
            return at
    return None


def gif_end(file: BinaryIO, content: int) -> int | None:
    """Where the trailer ends, or the place behind the file where it is missing."""
    size = size_of(file)
    (flags,) = numbers(file, 10, "B")
    file.seek(13 + colour_bytes(flags))
    for _ in range(MOST_PARTS):
        if file.tell() >= size:
            return size + 1
        match file.read(1):
            case b";":
                return file.tell()
            case b"!":
                file.seek(1, os.SEEK_CUR)
            case b",":
                head = file.read(9)
                file.seek(colour_bytes(head[8]) + 1 if len(head) == 9 else 1, os.SEEK_CUR)
            case _:
                return None
        skip_blocks(file)
    return None


def colour_bytes(flags: int) -> int:
    """The length of a GIF's table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def skip_blocks(file: BinaryIO) -> None:
    """Goes on behind the next empty block of a GIF, or to the file's end or beyond."""
    while length := file.read(1):
        if length == b"\0":
            return
        file.seek(length[0], os.SEEK_CUR)


def webp_end(file: BinaryIO, content: int) -> int | None:
    """The end of the RIFF chunk that a WebP is."""
    kind, length, content_kind = numbers(file, 0, "<4sI4s")
    if (kind, content_kind) != (b"RIFF", b"WEBP"):
        return None
    return int(length) + 8


def heif_end(file: BinaryIO, content: int) -> int | None:
    """The end of the last box."""
    return boxes_end(file, 0)


def jpeg_2000_end(file: BinaryIO, content: int) -> int | None:
    """The end of the last box; a bare codestream is whole if it ends in its mark."""
    (head,) = numbers(file, 0, ">H")
    if head != CODESTREAM:
        return boxes_end(file, 0, OF_JPEG_2000)
    return content if ends_in_mark(file, content) else None


def jpeg_xl_end(file: BinaryIO, content: int) -> int | None:
    """The end of the last box; a bare codestream does not say."""
    return boxes_end(file, 0, OF_JPEG_XL)


def boxes_end(file: BinaryIO, at: int, known: Collection[bytes] = BOXES) -> int | None:
    """The end of the last box that holds anything, of the boxes from some place on.

    known: the kinds there may be; where another one stands, nothing is said.
    """
    size, end = size_of(file), at
    for _ in range(MOST_PARTS):
        if at == size:
            return end
        length, kind = numbers(file, at, ">I4s")
        if kind not in known:
            return None
        if length == 1:
            (length,) = numbers(file, at + 8, ">Q")
        at = at + length if length else size
        if length and length < 8:
            return None
        end = end if kind in FILLING and at <= size else at
        if at > size:
            return at
    return None


def jpeg_end(file: BinaryIO, content: int) -> int | None:
    """The end of the last picture or film of a JPEG; a JPEG that ends in an image's end is whole.

    Editors drop the further pictures and leave their index, and some writers' sizes are wrong; a
    copy hardly ever stops just there.
    """
    if ends_in_mark(file, content):
        return content
    end, film = pictures_end(file), film_start(file)
    if end is not None and end > size_of(file):
        return end
    return None if film is None else boxes_end(file, film)


def ends_in_mark(file: BinaryIO, content: int) -> bool:
    """Whether the last two bytes before the zeros are the mark of an image's end."""
    file.seek(max(0, content - len(END_OF_IMAGE)))
    return file.read(len(END_OF_IMAGE)) == END_OF_IMAGE


def pictures_end(file: BinaryIO) -> int | None:
    """Where the last picture ends that a JPEG's index tells of; None without an index.

    Source: CIPA DC-007, Multi-Picture Format, 5.2; an offset of 0 is the file's start.
    """
    at = 2
    for _ in range(MOST_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[0] != 0xFF or head[1] in (0xFF, 0xD9, 0xDA):
            return None
        if head[1] == 0xE2 and head[4:] == b"MPF\0":
            return index_end(file, at + 8)
        at += 2 + int.from_bytes(head[2:4])
    return None


def index_end(file: BinaryIO, base: int) -> int | None:
    """Where the last picture of an index ends that begins at `base`, as its offsets do."""
    file.seek(base)
    order = ORDERS.get(file.read(2), "=")
    (first,) = numbers(file, base + 4, f"{order}I")
    (count,) = numbers(file, base + first, f"{order}H")
    for index in range(count):
        tag, _, length, place = numbers(file, base + first + 2 + 12 * index, f"{order}HHII")
        if tag == 0xB002:
            pictures = numbers(file, base + place, f"{order}{min(length, 1 << 16) // 16 * 4}I")
            places = [base + offset if offset else 0 for offset in pictures[2::4]]
            return max(map(add, places, pictures[1::4]), default=None)
    return None


def film_start(file: BinaryIO) -> int | None:
    """Where a film begins behind a photograph."""
    at, before = 0, b""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        part = before + chunk
        box = part.find(b"ftyp")
        while box >= 0:
            if box >= 4 and part[box + 4 : box + 8].startswith(FILMS):
                return at - len(before) + box - 4
            box = part.find(b"ftyp", box + 1)
        at += len(chunk)
        before = part[-11:]
    return None


ENDS: dict[str, Callable[[BinaryIO, int], int | None]] = {
    "AVIF": heif_end,
    "GIF": gif_end,
    "HEIF": heif_end,
    "JPEG": jpeg_end,
    "JPEG2000": jpeg_2000_end,
    "JXL": jpeg_xl_end,
    "MPO": jpeg_end,
    "PNG": png_end,
    "TIFF": tiff_end,
    "WEBP": webp_end,
}
