"""The boxes of an ISO media file, as JPEG 2000, JPEG XL and AVIF have them.

Source: ISO/IEC 14496-12 section 4.2; 15444-1 Annex I for JPEG 2000's own.
"""

from collections.abc import Iterator

MOST_BOXES = 10_000
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF_UUID = b"JpgTiffExif->JP2"


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box between two places; ends at what is none."""
    end = len(data) if end is None else min(end, len(data))
    at = start
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            return
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        inside = at + 8
        if length == 1:
            length, inside = int.from_bytes(data[at + 8 : at + 16]), at + 16
        stop = at + length if length else end
        if stop < inside:
            return
        yield kind, inside, min(stop, end)
        at = stop


def content(data: bytes, *path: bytes) -> bytes:
    """The content of the first box at a path of kinds; b"" if there is none."""
    start, end = 0, len(data)
    for wanted in path:
        found = next((box for box in boxes(data, start, end) if box[0] == wanted), None)
        if found is None:
            return b""
        _, start, end = found
    return data[start:end]


def uuid_content(data: bytes, uuid: bytes) -> bytes:
    """The content of the box with the given UUID."""
    for kind, start, end in boxes(data):
        if kind == b"uuid" and data[start : start + 16] == uuid:
            return data[start + 16 : end]
    return b""
