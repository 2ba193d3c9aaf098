"""The size, depth and colours of a JPEG XL picture, from its first bits.

Source: ISO/IEC 18181-1 Annex D (headers) and E.2 (colour encoding), 18181-2 for the container.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

MOST_BOXES = 1000
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
CODESTREAM = b"\xff\x0a"


class Bits:
    """Bits of a codestream, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next bits as a number; raises ValueError where there are none."""
        if count > self._left:
            raise ValueError("its header ends early")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found

    def take_u32(self, *ways: tuple[int, int]) -> int:
        """A number in one of four ways: what is added, and how many bits follow."""
        added, count = ways[self.take(2)]
        return added + self.take(count)

    def take_enum(self) -> int:
        """A number that names something."""
        return self.take_u32((0, 0), (1, 0), (2, 4), (18, 6))

    def take_side(self) -> int:
        """A side of a picture in px."""
        return self.take_u32((1, 9), (1, 13), (1, 18), (1, 30))


@dataclass(frozen=True)
class JxlHeader:
    """What the first bits say.

    bits: of a sample, None where that is not told here.  lossy: whether colours were turned into
    XYB.  code: primaries and transfer as in H.273, (1, 13) for sRGB; None where an ICC profile
    tells, or the colours are further in.
    """

    width: int
    height: int
    bits: int | None = None
    lossy: bool = False
    code: tuple[int, int] | None = None


def size_of(source: BinaryIO) -> tuple[int, int]:
    """Width and height in px as stored; raises ValueError or struct.error if there is none."""
    return take_size(started(source))


def read_jxl_header(source: BinaryIO) -> JxlHeader:
    """The header; raises ValueError or struct.error if there is none."""
    bits = started(source)
    size = take_size(bits)
    if bits.take(1):  # all is as usual
        return JxlHeader(*size, 8, True, (1, 13))
    if bits.take(1):
        bits.take(3)  # orientation, which the decoder sees to
        if bits.take(1):
            take_size(bits)
        if bits.take(1):  # a preview
            return JxlHeader(*size)
        if bits.take(1):
            skip_animation(bits)
    depth = take_depth(bits)
    bits.take(1)
    for _ in range(bits.take_u32((0, 0), (1, 0), (2, 4), (1, 12))):
        if not bits.take(1):  # a channel of its own kind
            return JxlHeader(*size, depth)
    lossy = bool(bits.take(1))
    return JxlHeader(*size, depth, lossy, take_code(bits))


def take_depth(bits: Bits) -> int | None:
    """Bits of a sample; None of floats."""
    if bits.take(1):
        bits.take_u32((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
        return None
    return bits.take_u32((8, 0), (10, 0), (12, 0), (1, 6))


def skip_animation(bits: Bits) -> None:
    """Goes on behind the header of an animation."""
    bits.take_u32((100, 0), (1000, 0), (1, 10), (1, 30))
    bits.take_u32((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.take_u32((0, 0), (0, 3), (0, 16), (0, 32))
    bits.take(1)


def take_code(bits: Bits) -> tuple[int, int] | None:
    """The colours a codestream names, as code points of H.273; None for others."""
    if bits.take(1):
        return 1, 13
    if bits.take(1):  # an ICC profile
        return None
    space = bits.take_enum()
    if space not in (0, 1) or bits.take_enum() != 1:  # RGB or grey, of D65
        return None
    primaries = bits.take_enum() if space == 0 else 1
    if primaries == 2 or bits.take(1):  # its own, or a gamma
        return None
    return primaries, bits.take_enum()


def started(source: BinaryIO) -> Bits:
    """The bits of a codestream behind its mark."""
    bits = Bits(codestream_start(source))
    if bits.take(16) != int.from_bytes(CODESTREAM, "little"):
        raise ValueError("its codestream does not begin as one")
    return bits


def take_size(bits: Bits) -> tuple[int, int]:
    """Width and height in px."""
    small = bits.take(1)
    height = 8 * (1 + bits.take(5)) if small else bits.take_side()
    ratio = bits.take(3)
    if ratio:
        across, down = RATIOS[ratio - 1]
        return height * across // down, height
    return (8 * (1 + bits.take(5)) if small else bits.take_side()), height


def codestream_start(source: BinaryIO) -> bytes:
    """The first bytes of the codestream, bare or in a box."""
    source.seek(0)
    head = source.read(12)
    if head[:2] == CODESTREAM:
        source.seek(0)
        return source.read(64)
    at = 0
    for _ in range(MOST_BOXES):
        source.seek(at)
        length, kind = struct.unpack(">I4s", source.read(8))
        start = at + 8
        if length == 1:
            (length,) = struct.unpack(">Q", source.read(8))
            start = at + 16
        if kind in (b"jxlc", b"jxlp"):
            source.seek(start + (4 if kind == b"jxlp" else 0))
            return source.read(64)
        if length < 8:
            break
        at += length
    raise ValueError("it holds no codestream")
