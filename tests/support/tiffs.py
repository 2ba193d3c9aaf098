"""TIFFs of every kind, written byte by byte: depth, byte order and layout as a test wants them."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

SHORT, LONG, DOUBLE = 3, 4, 12


def packed_rows(values: NDArray[np.integer], bits: int, order: str = "<") -> bytes:
    """Whole numbers of so many bits, rows filled up to bytes: (H, columns, ...)."""
    rows = values.reshape(len(values), -1)
    if bits % 8 == 0:
        byte_order = "little" if order == "<" else "big"
        return b"".join(int(value).to_bytes(bits // 8, byte_order) for value in rows.ravel())
    packed = b""
    for row in rows:
        text = "".join(format(int(value), f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        packed += int(text, 2).to_bytes(len(text) // 8)
    return packed


def tiff_of(
    size: tuple[int, int],
    pixels: bytes,
    *,
    bits: Sequence[int] = (8,),
    photometric: int = 1,
    tags: Mapping[int, tuple[int, Sequence[float]]] | None = None,
    order: str = "<",
) -> bytes:
    """A TIFF of one strip. size: width, height.  tags: type and values of further ones."""
    fields: dict[int, tuple[int, Sequence[float]]] = {
        256: (LONG, [size[0]]),
        257: (LONG, [size[1]]),
        258: (SHORT, bits),
        259: (SHORT, [1]),
        262: (SHORT, [photometric]),
        273: (LONG, [8]),
        277: (SHORT, [len(bits)]),
        278: (LONG, [size[1]]),
        279: (LONG, [len(pixels)]),
    }
    fields |= tags or {}
    body = pixels + bytes(len(pixels) % 2)
    at = 8 + len(body)
    tail_at, tail, rows = at + 2 + 12 * len(fields) + 4, b"", b""
    for tag, (kind, values) in sorted(fields.items()):
        letter = {SHORT: "H", LONG: "I", DOUBLE: "d"}[kind]
        raw = struct.pack(f"{order}{len(values)}{letter}", *values)
        place = raw.ljust(4, b"\0")
        if len(raw) > 4:
            place = struct.pack(order + "I", tail_at + len(tail))
            tail += raw
        rows += struct.pack(order + "HHI", tag, kind, len(values)) + place
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", at)
    return head + body + struct.pack(order + "H", len(fields)) + rows + bytes(4) + tail
