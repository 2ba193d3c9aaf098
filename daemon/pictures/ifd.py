"""The structure that TIFF files and EXIF share: directories of fields, read and laid out again.

A field keeps its type, its count and its bytes as they were found, so what nobody changes comes
out as it went in. Maker notes hold offsets of their own, counted from the head of the structure:
they, and what they may point to, stay where they lay.

Source: TIFF 6.0 section 2, EXIF 2.32 section 4.6.2, and for 64 bits the BigTIFF design.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7
TYPE_BYTES = {
    **{1: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, 6: 1, UNDEFINED: 1, 8: 2, 9: 4, 10: 8},
    **{11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1},  # 129 is UTF-8, of EXIF 3
}
EXIF_POINTER, GPS_POINTER, INTEROP_POINTER, MAKER_NOTE = 0x8769, 0x8825, 0xA005, 0x927C
POINTERS = frozenset({EXIF_POINTER, GPS_POINTER, INTEROP_POINTER})
THUMBNAILS = ((0x0201, 0x0202), (0x0111, 0x0117))
"""Where a second directory says that its picture lies, and how many bytes of it."""
HEAD_BYTES = 8
MOST_DENOMINATOR = 10_000


class ExifError(ValueError):
    """The bytes are no TIFF structure."""


@dataclass(frozen=True)
class Field:
    """One field of a directory, its bytes in the order of the structure."""

    type: int
    count: int
    data: bytes


Directory = Mapping[int, Field]
Order = Literal["<", ">"]


@dataclass(frozen=True)
class Tags:
    """What a TIFF structure says of its picture, by directory; each a map from tag to field.

    order: `<` or `>`, as for struct.  pinned: stretches of bytes that stay at their offsets.
    """

    order: Order = "<"
    main: Directory = field(default_factory=dict)
    exif: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    interop: Directory = field(default_factory=dict)
    pinned: tuple[tuple[int, bytes], ...] = ()

    def short(self, *values: int) -> Field:
        """A field of whole numbers up to 65,535."""
        return Field(SHORT, len(values), struct.pack(f"{self.order}{len(values)}H", *values))

    def long(self, *values: int) -> Field:
        """A field of whole numbers of 32 bits."""
        return Field(LONG, len(values), struct.pack(f"{self.order}{len(values)}I", *values))

    def rational(self, value: float) -> Field:
        """A field of one positive fraction."""
        near = near_fraction(value)
        return Field(RATIONAL, 1, struct.pack(f"{self.order}2I", near.numerator, near.denominator))


def text(words: str) -> Field:
    """A field of words."""
    data = words.encode("ascii", "replace") + b"\0"
    return Field(ASCII, len(data), data)


def near_fraction(value: float) -> Fraction:
    """A fraction as EXIF can hold it."""
    return Fraction(min(max(value, 0.0), 1e5)).limit_denominator(MOST_DENOMINATOR)


@dataclass(frozen=True)
class Found:
    """A directory as it lay: its fields, where each one's bytes begin, and what it took."""

    fields: dict[int, Field]
    at: dict[int, int]
    spans: list[tuple[int, int]]
    following: int


def order_of(blob: bytes) -> Order:
    """The byte order a structure's head tells; raises ExifError."""
    orders: dict[bytes, Order] = {b"II*\0": "<", b"MM\0*": ">"}
    if blob[:4] not in orders or len(blob) < HEAD_BYTES:
        raise ExifError("it does not begin as EXIF does")
    return orders[blob[:4]]


def read_directory(blob: bytes, order: Order, offset: int) -> Found:
    """The directory at an offset; fields that reach beyond the blob are left out."""
    found = Found({}, {}, [], 0)
    if not HEAD_BYTES <= offset <= len(blob) - 2:
        return found
    (count,) = struct.unpack_from(f"{order}H", blob, offset)
    count = min(count, (len(blob) - offset - 2) // 12)
    end = offset + 2 + 12 * count
    for start in range(offset + 2, end, 12):
        tag, kind, number, value = struct.unpack_from(f"{order}HHII", blob, start)
        size = TYPE_BYTES.get(kind, 0) * number
        at = value if size > 4 else start + 8
        if size == 0 or at + size > len(blob) or tag in found.fields:
            continue
        found.fields[tag] = Field(kind, number, blob[at : at + size])
        found.at[tag] = at
        if size > 4:
            found.spans.append((at, at + size))
    following = blob[end : end + 4]
    found.spans.append((offset, end + len(following)))
    next_at = struct.unpack(f"{order}I", following)[0] if len(following) == 4 else 0
    return Found(found.fields, found.at, found.spans, next_at)


def number_in(fields: Directory, tag: int, order: Order) -> int | None:
    """The first whole number of a field, or None."""
    found = fields.get(tag)
    if found is None or found.type not in (SHORT, LONG, 13):
        return None
    size = TYPE_BYTES[found.type]
    return int.from_bytes(found.data[:size], "little" if order == "<" else "big")


def parse(blob: bytes) -> Tags:
    """The directories of an EXIF structure, without thumbnails; raises ExifError."""
    order = order_of(blob)
    (first,) = struct.unpack_from(f"{order}I", blob, 4)
    main = read_directory(blob, order, first)
    seen = {0, first}

    def child(offset: int | None) -> Found:
        if offset is None or offset in seen:  # damaged: directories that hold themselves
            return Found({}, {}, [], 0)
        seen.add(offset)
        return read_directory(blob, order, offset)

    exif = child(number_in(main.fields, EXIF_POINTER, order))
    gps = child(number_in(main.fields, GPS_POINTER, order))
    interop = child(number_in(exif.fields, INTEROP_POINTER, order))
    thumbnail = child(main.following)
    known = [(0, HEAD_BYTES), *thumbnail_spans(thumbnail, order)]
    for found in (main, exif, gps, interop, thumbnail):
        known += found.spans
    pinned = tuple(pinned_parts(blob, exif, known))
    return Tags(order, plain(main), plain(exif), plain(gps), plain(interop), pinned)


def plain(found: Found) -> Directory:
    """A directory's fields but those that lead to others."""
    return {tag: value for tag, value in found.fields.items() if tag not in POINTERS}


def thumbnail_spans(thumbnail: Found, order: Order) -> Iterator[tuple[int, int]]:
    """Where the pictures of a second directory lie."""
    for start_tag, size_tag in THUMBNAILS:
        start = number_in(thumbnail.fields, start_tag, order)
        size = number_in(thumbnail.fields, size_tag, order)
        if start is not None and size is not None:
            yield start, start + size


def pinned_parts(
    blob: bytes, exif: Found, known: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, bytes]]:
    """The maker note and all that no directory knows of: some makers' notes point into that."""
    start = exif.at.get(MAKER_NOTE, 0)
    if start < HEAD_BYTES or len(exif.fields[MAKER_NOTE].data) <= 4:
        return
    note = (start, start + len(exif.fields[MAKER_NOTE].data))
    yield note[0], blob[slice(*note)]
    end = 0
    for begin, stop in sorted([*known, note, (len(blob), len(blob))]):
        if begin > end and blob[end:begin].strip(b"\0"):
            yield end, blob[end:begin]
        end = max(end, stop)


class Space:
    """Bytes that grow: things are placed at even offsets, between and behind what is pinned.

    base: the offset of the first byte in the file.
    """

    def __init__(self, base: int = 0, pinned: Iterable[tuple[int, bytes]] = ()) -> None:
        self.base = base
        self._parts = {offset: data for offset, data in pinned if data}
        self._gaps = list(self._free_gaps())
        self.end = max((at + len(data) for at, data in self._parts.items()), default=base)

    def _free_gaps(self) -> Iterator[tuple[int, int]]:
        end = self.base
        for offset in sorted(self._parts):
            if offset > end:
                yield end, offset
            end = max(end, offset + len(self._parts[offset]))

    def take(self, size: int) -> int:
        """The offset of so many free bytes, which are then no longer free."""
        for index, (start, stop) in enumerate(self._gaps):
            even = start + start % 2
            if even + size <= stop:
                self._gaps[index] = (even + size, stop)
                return even
        offset = self.end + self.end % 2
        self.end = offset + size
        return offset

    def put(self, offset: int, data: bytes) -> None:
        """Writes into bytes that were taken."""
        self._parts[offset] = data

    def tobytes(self) -> bytes:
        """All that was placed, from the base on, with zeros between."""
        result = bytearray(max(self.end - self.base, 0))
        for offset, data in self._parts.items():
            result[offset - self.base : offset - self.base + len(data)] = data
        return bytes(result)


@dataclass(frozen=True)
class Width:
    """How wide a structure's numbers are: TIFF's 32 bits, or BigTIFF's 64."""

    count: str
    number: str
    inline_bytes: int
    pointer_type: int


CLASSIC, BIG = Width("H", "I", 4, LONG), Width("Q", "Q", 8, 18)


@dataclass(frozen=True)
class DirectoryTree:
    """A directory to be placed, and those below it by the field that will point to each.

    held: where the bytes of pinned fields lie already.
    """

    fields: Directory
    children: Mapping[int, "DirectoryTree"] = field(default_factory=dict)
    held: Mapping[int, int] = field(default_factory=dict)


def place_directory(space: Space, tree: DirectoryTree, order: Order, width: Width = CLASSIC) -> int:
    """Places a directory, its longer values and those below it; returns the directory's offset."""
    fields = dict(tree.fields)
    below = {tag: child for tag, child in tree.children.items() if child.fields or child.children}
    head = struct.pack(f"{order}{width.count}", len(fields.keys() | below.keys()))
    row_bytes = 4 + 2 * width.inline_bytes
    rows_bytes = row_bytes * len(fields.keys() | below.keys())
    offset = space.take(len(head) + rows_bytes + width.inline_bytes)
    for tag, child in below.items():
        at = place_directory(space, child, order, width)
        pointer = struct.pack(f"{order}{width.number}", at)
        fields[tag] = Field(width.pointer_type, 1, pointer)
    rows = []
    for tag, value in sorted(fields.items()):
        rows.append(struct.pack(f"{order}HH{width.number}", tag, value.type, value.count))
        rows.append(place_value(space, value.data, order, width, tree.held.get(tag)))
    space.put(offset, b"".join([head, *rows, bytes(width.inline_bytes)]))
    return offset


def place_value(
    space: Space, data: bytes, order: Order, width: Width, held_at: int | None
) -> bytes:
    """What a field's row says of its value: itself, or where it was placed if it is longer."""
    if len(data) <= width.inline_bytes:
        return data.ljust(width.inline_bytes, b"\0")
    at = held_at
    if at is None:
        at = space.take(len(data))
        space.put(at, data)
    return struct.pack(f"{order}{width.number}", at)


def tree_of(tags: Tags, main: Directory) -> DirectoryTree:
    """The directories of a picture below a main one."""
    note = tags.exif.get(MAKER_NOTE)
    kept_at = [offset for offset, data in tags.pinned if note is not None and data == note.data]
    held = {MAKER_NOTE: kept_at[0]} if kept_at else {}
    interop = {INTEROP_POINTER: DirectoryTree(tags.interop)} if tags.interop else {}
    exif = DirectoryTree(tags.exif, interop, held)
    return DirectoryTree(main, {EXIF_POINTER: exif, GPS_POINTER: DirectoryTree(tags.gps)})


def lay_out(tags: Tags) -> bytes:
    """The structure as EXIF in other formats holds it, from its head on."""
    space = Space(HEAD_BYTES, tags.pinned)
    offset = place_directory(space, tree_of(tags, tags.main), tags.order)
    mark = b"II*\0" if tags.order == "<" else b"MM\0*"
    return mark + struct.pack(f"{tags.order}I", offset) + space.tobytes()
