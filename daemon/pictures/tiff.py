"""TIFF of every kind: what its numbers mean, as a raster.

Ranges: integers of n bits go from 0 to 2^n - 1; signed ones from their least to their most if any
is negative, else from 0. Integers of 32 bits and more that reach no further than 255 or 65535 are
levels of 8 or 16 bits in wide fields. Floats go from 0 to 1; those that go further are taken for
0..255 or 0..65535, as far as they reach, unless they reach no further than light above white would.
Source: TIFF 6.0, Adobe PageMaker 6 and Photoshop TIFF technical notes.
"""

from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from daemon.pictures.faults import UnsupportedKindError
from daemon.pictures.file_notes import metadata_of_tiff, orientation_of
from daemon.pictures.pillow_raster import read_by_pillow
from daemon.pictures.raster import Kind, Raster, inverted, to_levels, widened
from daemon.pictures.tiff_directory import Page, Tag, main_page, open_tiff
from daemon.pictures.tiff_segments import FLOAT, SIGNED, Segments
from daemon.pictures.tiff_strips import JPEG, WHOLE_IMAGES, read_samples
from daemon.pictures.ycbcr import read_subsampled, ycbcr_to_rgb

Values = NDArray[Any]
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, SEPARATED, YCBCR = range(7)
CIE_LAB, ICC_LAB, LOG_L, LOG_LUV = 8, 9, 32844, 32845
COLOURS: dict[int, tuple[Kind, int]] = {
    WHITE_IS_ZERO: ("grey", 1),
    BLACK_IS_ZERO: ("grey", 1),
    MASK: ("grey", 1),
    PALETTE: ("rgb", 1),
    RGB: ("rgb", 3),
    YCBCR: ("rgb", 3),
    SEPARATED: ("cmyk", 4),
    CIE_LAB: ("lab", 3),
    ICC_LAB: ("lab", 3),
}
"""What pixels are by their photometric interpretation, and how many samples that takes."""
REFUSED = {
    10: "a TIFF of ITU L*a*b*",
    32803: "a TIFF of a camera's raw sensor data",
    34892: "a TIFF of a camera's linear sensor data",
    LOG_L: "a TIFF of LogL (HDR)",
    LOG_LUV: "a TIFF of LogLuv (HDR)",
}
LZW = 5
OLD_PACKINGS = (6, 32766, 32809)
"""JPEG as TIFF 6.0 first had it, NeXT's and ThunderScan's: Pillow's libtiff unpacks them."""
MOST_SAMPLES = 8
ABOVE_WHITE = 16.0
"""Floats up to here may be light brighter than white; beyond, they count in levels."""
ASSOCIATED, UNASSOCIATED = 1, 2


def read_tiff(source: BinaryIO) -> Raster:
    """The picture a TIFF holds: of several pages the first full one.

    Raises UnsupportedKindError, CutFileError, ValueError or what a decoder raises.
    """
    pages = open_tiff(source)
    page = main_page(pages)
    segments = Segments(page)
    if segments.compression in OLD_PACKINGS or has_old_lzw(segments):
        old = read_by_pillow(source, "TIFF")
        return replace(old, lossless=False, metadata=metadata_of_tiff(page))
    usual = RGB if segments.samples >= 3 else BLACK_IS_ZERO
    photometric = page.number(Tag.PHOTOMETRIC, usual)
    if photometric in REFUSED or photometric not in COLOURS:
        raise UnsupportedKindError(REFUSED.get(photometric, f"a TIFF of colours {photometric}"))
    kind, colours = COLOURS[photometric]
    check_samples(segments, photometric, colours)
    samples, warnings = levels_of(segments, photometric)
    alpha, premultiplied = alpha_of(page, samples, colours)
    values = samples[..., :colours]
    if photometric == YCBCR and (segments.compression not in JPEG or segments.planes > 1):
        values = ycbcr_to_rgb(values, page)
    elif kind == "lab":
        values = lab(values, photometric)
    elif photometric == PALETTE:
        values = coloured(values[..., 0], page)
    values = values[..., 0] if kind == "grey" else values
    if photometric == WHITE_IS_ZERO:
        values = inverted(values)
    return Raster(
        values,
        kind,
        "TIFF",
        8 if values.dtype == np.uint8 or (segments.bits <= 8 and kind != "rgb") else 16,
        alpha,
        premultiplied,
        page.content(Tag.ICC_PROFILE) or None,
        orientation_of(page),
        segments.compression not in WHOLE_IMAGES,
        metadata_of_tiff(page),
        (*warnings, *pages_left_out(pages, page)),
    )


def has_old_lzw(segments: Segments) -> bool:
    """Whether LZW has its codes the other way round, as before 1990: the first is then 0 1."""
    places = segments.places() if segments.compression == LZW else []
    if not places:
        return False
    segments.page.file.seek(min(places[0][0], segments.page.size))
    first = segments.page.file.read(2)
    return len(first) == 2 and first[0] == 0 and first[1] & 1 == 1


def check_samples(segments: Segments, photometric: int, colours: int) -> None:
    """Raises UnsupportedKindError if a page has fewer channels than its colours take, or many."""
    inks = photometric == SEPARATED and segments.page.number(Tag.INK_SET, 1) != 1
    if inks and segments.samples != colours:
        raise UnsupportedKindError(f"a TIFF of {segments.samples} inks")
    if not colours <= segments.samples <= MOST_SAMPLES:
        raise UnsupportedKindError(f"a TIFF of {segments.samples} channels")


def levels_of(segments: Segments, photometric: int) -> tuple[Values, tuple[str, ...]]:
    """Samples in whole range, uint8 or uint16 (a palette's and Lab's as they are), and warnings."""
    page = segments.page
    if photometric == YCBCR and segments.compression not in JPEG:
        if segments.coarse:
            return read_subsampled(segments), ()
    if photometric in (PALETTE, CIE_LAB, ICC_LAB):
        return read_samples(page, lambda piece: piece), ()
    if segments.kind == SIGNED or (segments.bits in (32, 64) and segments.kind != FLOAT):
        return integer_levels(read_samples(page, lambda piece: piece)), ()
    samples = read_samples(page, partial(scaled, bits=segments.bits))
    if segments.kind != FLOAT:
        return samples, ()
    return float_levels(samples, page)


def scaled(piece: Values, bits: int) -> Values:
    """Integers of so many bits in the whole range of uint8 or uint16; floats as float32, finite."""
    if piece.dtype.kind == "f":
        with np.errstate(over="ignore"):
            floats = piece.astype(np.float32)
        np.nan_to_num(floats, copy=False, posinf=1.0, neginf=0.0)
        return floats
    if bits > 16:
        upper: Values = np.right_shift(piece, piece.dtype.type(bits - 16))
        return upper.astype(np.uint16)
    return widened(piece, bits)


def integer_levels(samples: Values) -> Values:
    """Signed integers, or those of 32 and 64 bits, as uint8 or uint16 by the range they have."""
    bits = 8 * samples.dtype.itemsize
    least, most = int(samples.min(initial=0)), int(samples.max(initial=0))
    whole = samples.view(f"u{bits // 8}")
    if least < 0:  # which becomes 0
        whole = whole ^ whole.dtype.type(1 << (bits - 1))
    elif samples.dtype.kind == "i" and bits <= 16:
        bits -= 1
    elif bits > 16 and most <= 65535:
        return whole.astype(np.uint8 if most <= 255 else np.uint16)
    elif samples.dtype.kind == "i":
        whole = whole << whole.dtype.type(1)
    return scaled(whole, bits)


def float_levels(samples: Values, page: Page) -> tuple[Values, tuple[str, ...]]:
    """Floats as uint16, by the range they have; with a profile as float32, in 0..1 where white is.

    Differs from libvips, which takes floats without a profile for linear light.
    """
    top = 1.0
    warnings: tuple[str, ...] = ()
    most = float(samples.max(initial=0))
    said = page.values(Tag.S_MAX)
    if said and said[0] > 1 and most <= said[0]:
        top = float(said[0])
    elif most > ABOVE_WHITE:
        top = 255.0 if most <= 255 else 65535.0
    if most > top:
        warnings = (f"floats above white, up to {most:.3g}, were cut",)
    if top != 1.0:
        samples /= np.float32(top)
    if Tag.ICC_PROFILE in page.entries:
        return np.clip(samples, 0, 1, out=samples), warnings
    return to_levels(samples, np.uint16), warnings


def alpha_of(page: Page, samples: Values, colours: int) -> tuple[Values | None, bool]:
    """The first extra channel that is alpha, and whether colours were multiplied by it.

    What a further channel is for may be left open: then it is no alpha.
    """
    for index, extra in enumerate(page.values(Tag.EXTRA_SAMPLES)):
        if extra in (ASSOCIATED, UNASSOCIATED) and colours + index < samples.shape[2]:
            alpha = samples[..., colours + index]
            if alpha.dtype.kind == "f":
                alpha = to_levels(alpha, np.uint16)
            return alpha, extra == ASSOCIATED
    return None, False


def coloured(indices: Values, page: Page) -> Values:
    """Colours of a palette: (H, W, 3), uint8 where it has no finer ones.

    Source: TIFF 6.0 section 5; old writers put 0..255 where 0..65535 belongs.
    """
    table = np.array(page.values(Tag.COLOR_MAP), np.uint32)
    if table.size < 3 or table.size % 3:
        raise ValueError("it has no palette")
    table = table.reshape(3, -1).T
    if table.max() < 256:
        table = table * 257
    fine = bool((table % 257).any() and (table % 256).any())
    table = table.astype(np.uint16) if fine else (table >> 8).astype(np.uint8)
    result: Values = table[np.minimum(indices, len(table) - 1)]
    return result


def lab(values: Values, photometric: int) -> Values:
    """L*a*b* of whole levels: float32, L* in 0..100.

    Source: TIFF 6.0 section 23; ICC L*a*b* by Adobe's technical note, at 16 bits in ICC's version
    2 encoding.
    """
    bits = 8 * values.dtype.itemsize
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if bits not in (8, 16):
        raise UnsupportedKindError(f"a TIFF of {bits}-bit L*a*b*")
    unit = np.float32(1 << (bits - 8))
    result = np.empty(values.shape, np.float32)
    whole = values.view(f"u{bits // 8}")
    if photometric == CIE_LAB:
        result[..., 0] = whole[..., 0] * np.float32(100 / ((1 << bits) - 1))
        result[..., 1:] = np.ascontiguousarray(whole[..., 1:]).view(f"i{bits // 8}") / unit
    else:
        result[..., 0] = whole[..., 0] * np.float32(100 / (255 * float(unit)))
        result[..., 1:] = whole[..., 1:] / unit - np.float32(128)
    return result


def pages_left_out(pages: list[Page], page: Page) -> tuple[str, ...]:
    """What to tell of further pages."""
    full = [other for other in pages if not other.is_reduced and not other.sub_page]
    if len(full) < 2 or page.sub_page:
        return ()
    return (f"the file has {len(full)} pages; page {full.index(page) + 1} was painted",)
