"""BMP of every layout: masks anywhere, palettes of Windows and OS/2, alpha where it is used."""

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from daemon.pictures.bmp_header import (
    ALPHA_BIT_FIELDS,
    BIT_FIELDS,
    RGB,
    RLE4,
    RLE8,
    BmpHeader,
    read_bmp_header,
)
from daemon.pictures.faults import CutFileError, UnsupportedKindError
from daemon.pictures.file_notes import sound_density
from daemon.pictures.picture import Metadata
from daemon.pictures.pillow_raster import read_by_pillow
from daemon.pictures.raster import Raster

Values = NDArray[Any]
INCH_M = 0.0254
MOST_PROFILE_BYTES = 32 << 20


def read_bmp(source: BinaryIO) -> Raster:
    """The picture of a BMP; runs are Pillow's to decode."""
    header = read_bmp_header(source)
    if header.packing in (RLE4, RLE8):
        return read_by_pillow(source, "BMP")
    if header.of_os2 or header.packing not in (RGB, BIT_FIELDS, ALPHA_BIT_FIELDS):
        inside = "a JPEG or PNG" if header.packing in (4, 5) else f"packing {header.packing}"
        raise UnsupportedKindError(f"a BMP with {inside} inside")
    if header.bits not in (1, 2, 4, 8, 16, 24, 32):
        raise ValueError(f"it has {header.bits} bits a pixel")
    rows = read_rows(source, header)
    alpha = None
    if header.bits <= 8:
        values = palette_colours(source, header, rows)
    elif header.bits == 24:
        values = rows[:, : 3 * header.width].reshape(header.height, header.width, 3)[..., ::-1]
    else:
        values, alpha = masked(rows, header)
    if not header.top_down:
        values, alpha = values[::-1], None if alpha is None else alpha[::-1]
    return Raster(
        values,
        "rgb",
        "BMP",
        alpha=alpha,
        profile=profile_of(source, header),
        lossless=True,
        metadata=Metadata(density_ppi=sound_density(*(INCH_M * n for n in header.density_per_m))),
    )


def read_rows(source: BinaryIO, header: BmpHeader) -> NDArray[np.uint8]:
    """The rows in the file's order: (H, bytes of a row), each filled up to four bytes."""
    row_bytes = (header.width * header.bits + 31) // 32 * 4
    source.seek(header.pixels_at)
    data = source.read(row_bytes * header.height)
    lacking = row_bytes * header.height - len(data)
    if lacking > row_bytes - (header.width * header.bits + 7) // 8:
        raise CutFileError("it ends before its pixels do")
    data += bytes(lacking)  # some writers leave out what fills up the last row
    return np.frombuffer(data, np.uint8).reshape(header.height, row_bytes)


def palette_colours(source: BinaryIO, header: BmpHeader, rows: NDArray[np.uint8]) -> Values:
    """The colours of up to 256 that pixels are numbers of: (H, W, 3)."""
    entries = 1 << header.bits
    room = min(entries, max(0, header.pixels_at - header.palette_at) // header.palette_entry)
    source.seek(header.palette_at)
    raw = source.read(room * header.palette_entry)
    table = np.zeros((entries, 3), np.uint8)
    found = np.frombuffer(raw, np.uint8, len(raw) // header.palette_entry * header.palette_entry)
    found = found.reshape(-1, header.palette_entry)
    table[: len(found)] = found[:, 2::-1]
    if header.bits < 8:
        parts = np.unpackbits(rows, axis=1).reshape(len(rows), -1, header.bits)
        weights = (1 << np.arange(header.bits)[::-1]).astype(np.uint8)
        rows = (parts * weights).sum(axis=2, dtype=np.uint8)
    result: Values = table[rows[:, : header.width]]
    return result


def masked(rows: NDArray[np.uint8], header: BmpHeader) -> tuple[Values, Values | None]:
    """Colours and alpha by the masks of a header.

    A fourth byte that no mask speaks of is alpha where any of it is set: so programs write it.
    """
    words = rows.view("<u2" if header.bits == 16 else "<u4")[:, : header.width]
    result = np.empty((*words.shape, 3), np.uint8)
    for channel, mask in enumerate(header.masks[:3]):
        result[..., channel] = of_mask(words, mask)
    mask = header.masks[3]
    if not mask and header.bits == 32 and header.packing == RGB:
        mask = 0xFF000000
    alpha = of_mask(words, mask) if mask else None
    return result, alpha if alpha is not None and alpha.any() else None


def of_mask(words: Values, mask: int) -> Values:
    """A channel's levels, its bits in the whole range of 8: (H, W)."""
    if not mask:
        return np.zeros(words.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    part = (words & words.dtype.type(mask & int(np.iinfo(words.dtype).max))) >> shift
    if top == 255:
        return np.asarray(part, np.uint8)
    scaled = np.empty(words.shape, np.uint8)
    scaled[:] = np.rint(part * (255 / top))
    return scaled


def profile_of(source: BinaryIO, header: BmpHeader) -> bytes | None:
    """The ICC profile within the file, or None."""
    at, size = header.profile
    if not 0 < size <= MOST_PROFILE_BYTES:
        return None
    source.seek(at)
    return source.read(size) or None
