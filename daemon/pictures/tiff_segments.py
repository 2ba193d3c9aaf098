"""How a page of a TIFF is cut into strips or tiles, and where each lies.

Source: TIFF 6.0 sections 3, 15 and 21.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from daemon.pictures.faults import CutFileError, UnsupportedKindError
from daemon.pictures.tiff_directory import Page, Tag

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
BAND_BYTES = 64 << 20
"""Of a strip without compression so much is read at once."""


@dataclass(frozen=True)
class Segment:
    """A strip or tile, or a band of one: its place in the picture and in the file.

    rows: how many it has, those of a tile that lie below the picture too.
    """

    plane: int
    top: int
    left: int
    rows: int
    at: int
    length: int


@dataclass(frozen=True, eq=False)
class Segments:
    """How a page is cut up: strips are tiles as wide as the picture."""

    page: Page

    @cached_property
    def width(self) -> int:
        return self.page.number(Tag.WIDTH)

    @cached_property
    def height(self) -> int:
        return self.page.number(Tag.HEIGHT)

    @cached_property
    def samples(self) -> int:
        """Samples of a pixel, all planes together."""
        return self.page.number(Tag.SAMPLES, 1)

    @cached_property
    def planes(self) -> int:
        """How many separate planes the samples lie in: 1 if they lie together."""
        return self.samples if self.page.number(Tag.PLANAR, 1) == 2 else 1

    @cached_property
    def bits(self) -> int:
        """Bits of a sample. Raises UnsupportedKindError where samples differ in them."""
        found = set(self.page.values(Tag.BITS)[: self.samples]) or {1}
        if len(found) > 1:
            raise UnsupportedKindError("a TIFF of channels of different depths")
        return int(found.pop())

    @cached_property
    def kind(self) -> int:
        """What samples are: unsigned, signed, or floats."""
        found = set(self.page.values(Tag.SAMPLE_FORMAT)[: self.samples]) - {4} or {UNSIGNED}
        if len(found) > 1 or not found <= {UNSIGNED, SIGNED, FLOAT}:
            raise UnsupportedKindError(
                "a TIFF of complex numbers" if found & {5, 6} else "mixed numbers"
            )
        return int(found.pop())

    @cached_property
    def compression(self) -> int:
        return self.page.number(Tag.COMPRESSION, 1)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a tile or strip."""
        if Tag.TILE_WIDTH in self.page.entries:
            return self.page.number(Tag.TILE_HEIGHT), self.page.number(Tag.TILE_WIDTH)
        rows = self.page.number(Tag.ROWS_PER_STRIP, self.height)
        return min(rows or self.height, self.height), self.width

    @cached_property
    def tiled(self) -> bool:
        return Tag.TILE_WIDTH in self.page.entries

    @property
    def each(self) -> int:
        """Samples of a pixel within one segment."""
        return self.samples // self.planes

    def places(self) -> list[tuple[int, int]]:
        """Where the segments lie and how many bytes each has, plane after plane."""
        tags = Tag.STRIP_OFFSETS, Tag.STRIP_BYTES
        if self.tiled:
            tags = Tag.TILE_OFFSETS, Tag.TILE_BYTES
        offsets = [int(value) for value in self.page.values(tags[0])]
        lengths = [int(value) for value in self.page.values(tags[1])]
        if not lengths and len(offsets) == 1:  # old writers, one strip: as far as the file goes
            lengths = [self.page.size - offsets[0]]
        return list(zip(offsets, lengths, strict=False))

    def parts(self) -> Iterator[Segment]:
        """Each strip or tile that is to be read, one without compression in bands.

        Raises CutFileError where the file lists too few.
        """
        places = self.places()
        if len(places) < self.count:
            raise CutFileError(f"it lists {len(places)} of {self.count} strips or tiles")
        rows, columns = self.size
        places_left = iter(places)
        for plane in range(self.planes):
            for top in range(0, self.height, rows):
                for left in range(0, self.width, columns):
                    at, length = next(places_left)
                    inside = rows if self.tiled else min(rows, self.height - top)
                    yield from self.bands(Segment(plane, top, left, inside, at, length))

    def bands(self, part: Segment) -> Iterator[Segment]:
        """A strip in bands of rows, if it is long and its rows lie as they are."""
        row_bytes = -(-self.size[1] * self.each * self.bits // 8)
        needed = row_bytes * part.rows
        plain = self.compression == 1 and not self.coarse
        if not plain or self.tiled or part.length < needed:
            yield part
            return
        band = max(1, BAND_BYTES // row_bytes)
        for first in range(0, part.rows, band):
            rows = min(band, part.rows - first)
            at = part.at + first * row_bytes
            yield replace(part, top=part.top + first, rows=rows, at=at, length=rows * row_bytes)

    @cached_property
    def coarse(self) -> bool:
        """Whether it is YCbCr whose colours are coarser than its light."""
        is_ycbcr = self.page.number(Tag.PHOTOMETRIC) == 6
        return is_ycbcr and (self.page.values(Tag.YCBCR_SUBSAMPLING) or (2, 2))[:2] != (1, 1)

    @property
    def count(self) -> int:
        """How many segments there have to be."""
        rows, columns = self.size
        if min(rows, columns) < 1:
            raise ValueError("it has strips or tiles of no size")
        return self.planes * -(-self.height // rows) * -(-self.width // columns)
