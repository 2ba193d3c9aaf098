"""The header of a Photoshop document.

Source: Adobe Photoshop file formats specification, file header section.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

HEADER = struct.Struct(">4sH6xHIIHH")


@dataclass(frozen=True)
class PsdHeader:
    """large: whether it is a PSB.  mode: 0 bitmap, 1 grey, 2 indexed, 3 RGB, 4 CMYK, 9 Lab, ..."""

    large: bool
    channels: int
    height: int
    width: int
    bits: int
    mode: int


def read_psd_header(source: BinaryIO) -> PsdHeader:
    """The first section; raises ValueError or struct.error if there is none."""
    source.seek(0)
    mark, version, *numbers = HEADER.unpack(source.read(HEADER.size))
    if mark != b"8BPS" or version not in (1, 2):
        raise ValueError("its header is no Photoshop document's")
    return PsdHeader(version == 2, *numbers)


def size_of(source: BinaryIO) -> tuple[int, int]:
    """Width and height in px."""
    header = read_psd_header(source)
    return header.width, header.height
