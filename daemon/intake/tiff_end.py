"""Where a TIFF ends: its pages are a chain of directories whose strips or tiles lie anywhere."""

import os
import struct
from operator import add
from typing import BinaryIO

from daemon.pictures.tiff_directory import Layout

MOST_PAGES, MOST_ENTRIES, MOST_VALUES = 1 << 14, 1 << 14, 1 << 22
"""What is looked at of one file; more would take seconds."""

ORDERS = {b"II": "<", b"MM": ">"}
KINDS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
PARTS = ((273, 279), (324, 325))
"""The tags of where strips and tiles lie, and how long they are."""


def tiff_end(file: BinaryIO, content: int) -> int | None:
    """The file's size, or where a directory, a strip or a tile ends that lies beyond it.

    Raises ValueError or struct.error where that cannot be told.
    """
    size = file.seek(0, os.SEEK_END)
    layout, at = head_of(file)
    seen: set[int] = set()
    values_left = MOST_VALUES
    while at and at not in seen and len(seen) < MOST_PAGES:
        seen.add(at)
        entries, end, at = directory(file, size, at, layout)
        for places, lengths in PARTS:
            if places in entries and lengths in entries and end <= size:
                values_left -= 2 * entries[places][1]
                if values_left < 0:
                    return None
                end = parts_end(file, size, layout, (entries[places], entries[lengths]))
        if end > size:
            return end
    return size  # never less: there is more than pages, which nothing here knows of


def head_of(file: BinaryIO) -> tuple[Layout, int]:
    """How a TIFF writes numbers, and where its first page's directory lies."""
    file.seek(0)
    head = file.read(16)
    if head[:2] not in ORDERS:
        raise ValueError("no byte order")
    order = ORDERS[head[:2]]
    if struct.unpack_from(f"{order}H", head, 2) == (43,):
        return Layout(order, "Q", "Q"), struct.unpack_from(f"{order}Q", head, 8)[0]
    return Layout(order, "H", "I"), struct.unpack_from(f"{order}I", head, 4)[0]


Entry = tuple[int, int, bytes]
"""Kind and count of an entry's values, and the values or their place."""


def directory(
    file: BinaryIO, size: int, at: int, layout: Layout
) -> tuple[dict[int, Entry], int, int]:
    """The entries of a page, where its directory ends, and where the next page's lies, or 0."""
    start = at + struct.calcsize(layout.count)
    if start > size:
        return {}, start, 0
    file.seek(at)
    (count,) = struct.unpack(layout.order + layout.count, file.read(start - at))
    if not 0 < count <= MOST_ENTRIES:
        raise ValueError("no directory")
    end = start + count * struct.calcsize(layout.entry)
    if end > size:
        return {}, end, 0
    rows = struct.iter_unpack(layout.entry, file.read(end - start))
    entries = {tag: (kind, number, value) for tag, kind, number, value in rows}
    following = file.read(struct.calcsize(layout.place))  # some writers leave out the last
    return entries, end, int.from_bytes(following, "little" if layout.order == "<" else "big")


def parts_end(file: BinaryIO, size: int, layout: Layout, table: tuple[Entry, Entry]) -> int:
    """Where the last of a page's strips or tiles ends, or the list of them that is not there."""
    lists = []
    for kind, count, value in table:
        if kind not in KINDS or count > table[0][1]:
            raise ValueError("no list of strips or tiles")
        form = f"{layout.order}{count}{KINDS[kind]}"
        if struct.calcsize(form) > len(value):
            (place,) = struct.unpack(layout.order + layout.place, value)
            if place + struct.calcsize(form) > size:
                return int(place + struct.calcsize(form))
            file.seek(place)
            value = file.read(struct.calcsize(form))
        lists.append(struct.unpack_from(form, value))
    return max(map(add, *lists), default=0)
