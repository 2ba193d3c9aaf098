"""IPTC records, and the frame of Photoshop's that JPEG keeps them in.

Source: IPTC IIM 4.2; Adobe Photoshop File Formats, image resource blocks.
"""

import struct
from collections.abc import Iterator

PHOTOSHOP = b"Photoshop 3.0\0"
RECORDS, RESOLUTION = 0x0404, 0x03ED
MARKER, APPLICATION = 0x1C, 2
EXTENDED = 0x8000
PLACES = frozenset({26, 27, 90, 92, 95, 100, 101})
"""Of the application record: content location, city, sub-location, province, country."""


def datasets(iptc: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Record, number and value of each dataset, until one is damaged."""
    for record, number, whole, head in whole_datasets(iptc):
        yield record, number, whole[head:]


def whole_datasets(iptc: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    """Record, number, bytes of each dataset, and how many of them come before its value."""
    at = 0
    while at + 5 <= len(iptc) and iptc[at] == MARKER:
        record, number, size = struct.unpack_from(">BBH", iptc, at + 1)
        head = 5
        if size & EXTENDED:
            wide = size & ~EXTENDED
            size = int.from_bytes(iptc[at + 5 : at + 5 + wide], "big")
            head += wide
        end = at + head + size
        if end > len(iptc):
            return
        yield record, number, iptc[at:end], head
        at = end


def without_places(iptc: bytes) -> bytes:
    """The records without those that tell where a picture was taken."""
    return b"".join(
        whole
        for record, number, whole, _ in whole_datasets(iptc)
        if not (record == APPLICATION and number in PLACES)
    )


def resource(number: int, data: bytes) -> bytes:
    """One of Photoshop's image resources, without a name."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


def resolution_resource(density_ppi: tuple[float, float]) -> bytes:
    """The resource from which Photoshop knows pixels an inch."""
    across, down = (min(round(value * 65536), 2**32 - 1) for value in density_ppi)
    return resource(RESOLUTION, struct.pack(">IHHIHH", across, 1, 1, down, 1, 1))
