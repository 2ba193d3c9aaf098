"""The directories of a TIFF: what it says of its pages, read within limits and without numpy.

A file may claim anything: no list is longer than the file, no chain endless.
Source: TIFF 6.0 section 2; BigTIFF by the libtiff project.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

MOST_PAGES, MOST_ENTRIES, MOST_VALUES = 1 << 10, 1 << 12, 1 << 22
"""What is looked at of one file; more would take seconds."""
MOST_BYTES = 64 << 20
"""The longest value, such as a profile or XMP."""
FORMATS = dict(zip(range(1, 19), "B s H I II b s h i ii f d I - - Q q Q".split(), strict=True))
"""The kinds of values, as `struct` writes them; two numbers make a fraction."""
del FORMATS[14], FORMATS[15]


class Tag(IntEnum):
    """The tags that are looked at. Source: TIFF 6.0, Adobe's supplements, ExifTool's list."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    PLANAR = 284
    T4_OPTIONS = 292
    RESOLUTION_UNIT = 296
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_BYTES = 325
    SUB_IFDS = 330
    INK_SET = 332
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    S_MIN = 340
    S_MAX = 341
    JPEG_TABLES = 347
    YCBCR_COEFFICIENTS = 529
    YCBCR_SUBSAMPLING = 530
    REFERENCE_BLACK_WHITE = 532
    XMP = 700
    CFA_PATTERN = 33422
    IPTC = 33723
    PHOTOSHOP = 34377
    EXIF_IFD = 34665
    ICC_PROFILE = 34675
    GPS_IFD = 34853
    DNG_VERSION = 50706


@dataclass(frozen=True)
class Layout:
    """How a TIFF writes numbers: byte order, and the kinds of a count and of a place."""

    order: str
    count: str
    place: str

    @property
    def entry(self) -> str:
        """One entry of a directory: tag, kind, count and the value or its place."""
        return f"{self.order}HH{self.place}{struct.calcsize(self.place)}s"

    def place_in(self, raw: bytes) -> int:
        """A place in the file."""
        return int.from_bytes(raw, "little" if self.order == "<" else "big")


@dataclass(frozen=True)
class Entry:
    """One entry of a directory: the kind and count of its values, and where they lie."""

    kind: int
    count: int
    at: int


@dataclass(frozen=True, eq=False)
class Page:
    """A directory of a TIFF and the file it is of. at: where it lies."""

    file: BinaryIO
    size: int
    layout: Layout
    at: int
    entries: dict[int, Entry]
    sub_page: bool = False

    @property
    def order(self) -> str:
        """The file's byte order, `<` or `>`."""
        return self.layout.order

    def values(self, tag: int) -> tuple[int | float, ...]:
        """The numbers of a tag, rationals as fractions; empty where it is missing or no sense."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in FORMATS or FORMATS[entry.kind] == "s":
            return ()
        form = FORMATS[entry.kind]
        raw = self._raw(entry, struct.calcsize(f"{self.order}{form}"))
        if entry.count > MOST_VALUES or not raw:
            return ()
        read = struct.unpack(f"{self.order}{entry.count * len(form)}{form[0]}", raw)
        if len(form) == 2:
            return tuple(a / b if b else 0.0 for a, b in zip(read[::2], read[1::2], strict=True))
        return read

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of a tag as a whole number."""
        found = self.values(tag)
        return int(found[0]) if found and found[0] == found[0] else default

    def content(self, tag: int) -> bytes:
        """The bytes of a tag as they lie in the file, in the file's byte order."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in FORMATS:
            return b""
        form = FORMATS[entry.kind]
        return self._raw(entry, struct.calcsize(f"{self.order}{form}"))

    def _raw(self, entry: Entry, each: int) -> bytes:
        length = entry.count * each
        if length > MOST_BYTES or entry.at + length > self.size:
            return b""
        self.file.seek(entry.at)
        raw = self.file.read(length)
        return raw if len(raw) == length else b""

    @property
    def is_reduced(self) -> bool:
        """Whether it is a smaller copy of another page, or a mask of it."""
        return bool(self.number(Tag.NEW_SUBFILE_TYPE) & 0b101) or (
            self.number(Tag.SUBFILE_TYPE) == 2
        )

    @property
    def pixels(self) -> int:
        """How many pixels it has."""
        return self.number(Tag.WIDTH) * self.number(Tag.HEIGHT)


def is_tiff(head: bytes) -> bool:
    """Whether a file begins as a TIFF or a BigTIFF does."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_tiff(file: BinaryIO) -> list[Page]:
    """The pages of a TIFF in their order, large sub-pages behind those they belong to.

    Raises ValueError or struct.error if there is no directory.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    if not is_tiff(head):
        raise ValueError("it does not begin as a TIFF")
    order = "<" if head[:1] == b"I" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    layout = Layout(order, "Q", "Q") if big else Layout(order, "H", "I")
    (at,) = struct.unpack_from(order + layout.place, head, 8 if big else 4)
    found: list[Page] = []
    seen: set[int] = set()
    while at and at not in seen and len(seen) < MOST_PAGES:
        seen.add(at)
        try:
            page, at = directory(file, size, at, layout)
        except (ValueError, struct.error):
            if not found:
                raise
            break  # the pages before it are whole
        found.append(page)
        found += sub_pages(page, seen)
    if not found:
        raise ValueError("it has no pages")
    return found


def directory_of(page: Page, pointer: int) -> Page | None:
    """The directory that a tag of another points to, such as EXIF's; None if there is none."""
    at = page.number(pointer)
    if not 8 <= at < page.size:
        return None
    try:
        return directory(page.file, page.size, at, page.layout)[0]
    except (ValueError, struct.error):
        return None


def sub_pages(page: Page, seen: set[int]) -> Iterator[Page]:
    """The pages below a page: in pyramids and camera files the full picture may be one of them."""
    for at in page.values(Tag.SUB_IFDS)[:16]:
        if int(at) not in seen:
            seen.add(int(at))
            try:
                yield directory(page.file, page.size, int(at), page.layout, sub_page=True)[0]
            except (ValueError, struct.error):
                continue


def directory(
    file: BinaryIO, size: int, at: int, layout: Layout, *, sub_page: bool = False
) -> tuple[Page, int]:
    """The directory at some place of a file, and where the next lies, or 0."""
    file.seek(at)
    (count,) = struct.unpack(
        layout.order + layout.count, file.read(struct.calcsize("=" + layout.count))
    )
    if not 0 < count <= MOST_ENTRIES:
        raise ValueError("it has no directory where its header says")
    entry = struct.Struct(layout.entry)
    start = file.tell()
    rows = file.read(count * entry.size)
    if len(rows) < count * entry.size:
        raise ValueError("its directory ends early")
    entries: dict[int, Entry] = {}
    for index, (tag, kind, number, value) in enumerate(entry.iter_unpack(rows)):
        length = number * struct.calcsize("=" + FORMATS.get(kind, "B"))
        inside = start + (index + 1) * entry.size - len(value)
        place = inside if length <= len(value) else layout.place_in(value)
        entries.setdefault(tag, Entry(kind, number, place))
    following = file.read(struct.calcsize("=" + layout.place))  # some writers leave out the last
    return Page(file, size, layout, at, entries, sub_page), layout.place_in(following)


def main_page(pages: list[Page]) -> Page:
    """The page that is painted: the first full one, unless a page below it is larger.

    A reduced copy is never it, unless there is nothing else.
    """
    full = [page for page in pages if not page.is_reduced and page.pixels] or pages
    first = next((page for page in full if not page.sub_page), full[0])
    return max([first, *(page for page in full if page.sub_page)], key=lambda page: page.pixels)
