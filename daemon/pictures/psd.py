"""Photoshop documents: the flattened picture that they hold beside their layers.

Source: Adobe Photoshop file formats specification; 32-bit documents are in linear light.
"""

import struct
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from daemon.pictures.faults import CutFileError, UnsupportedKindError
from daemon.pictures.file_notes import (
    MOST_EXIF_BYTES,
    facts_of,
    photoshop_resources,
    sound_density,
    turned_exif,
    turned_xmp,
)
from daemon.pictures.picture import Metadata
from daemon.pictures.profiles import LINEAR_SRGB, rgb_profile
from daemon.pictures.psd_header import HEADER, PsdHeader, read_psd_header
from daemon.pictures.raster import Kind, Raster, inverted, to_levels

Values = NDArray[Any]
BITMAP, GREY, INDEXED, RGB, CMYK, DUOTONE, LAB = 0, 1, 2, 3, 4, 8, 9
COLOURS: dict[int, tuple[Kind, int]] = {
    BITMAP: ("grey", 1),
    GREY: ("grey", 1),
    DUOTONE: ("grey", 1),
    INDEXED: ("rgb", 1),
    RGB: ("rgb", 3),
    CMYK: ("cmyk", 4),
    LAB: ("lab", 3),
}
RESOLUTION, IPTC, ICC, EXIF, XMP = 1005, 1028, 1039, 1058, 1060
PLAIN, PACK_BITS = 0, 1
MOST_SECTION_BYTES = 256 << 20
"""Of colours and resources; layers are skipped."""


def read_psd(source: BinaryIO) -> Raster:
    """The flattened picture of a document."""
    header = read_psd_header(source)
    if header.mode not in COLOURS or header.bits not in (1, 8, 16, 32):
        raise UnsupportedKindError("a Photoshop document of several inks")
    kind, colours = COLOURS[header.mode]
    source.seek(HEADER.size)
    palette = section(source)
    resources = dict(photoshop_resources(section(source)))
    layers = int.from_bytes(exactly(source, 8 if header.large else 4))
    merged_alpha = has_merged_alpha(source, header, layers)
    planes = colours + (merged_alpha and header.channels > colours)
    samples = read_planes(source, header, planes)
    values, alpha = samples[:colours], samples[colours] if planes > colours else None
    if alpha is not None:
        values = unmatted(values, alpha)
    profile = resources.get(ICC) or None
    if header.bits == 32 and profile is None and kind == "rgb":
        profile = rgb_profile(LINEAR_SRGB)
    exif = turned_exif(resources.get(EXIF, b"")[:MOST_EXIF_BYTES])
    return Raster(
        picture_values(values, header, palette),
        kind,
        "PSD",
        16 if header.bits > 8 else 8,
        alpha,
        profile=profile,
        lossless=True,
        metadata=Metadata(
            exif,
            turned_xmp(resources.get(XMP)),
            resources.get(IPTC, b""),
            {},
            density_of(resources.get(RESOLUTION, b"")) or facts_of(exif).density_ppi,
        ),
    )


def exactly(source: BinaryIO, count: int) -> bytes:
    """The next bytes; raises CutFileError where they are not all there."""
    data = source.read(count)
    if len(data) < count:
        raise CutFileError("it ends before its pixels do")
    return data


def section(source: BinaryIO) -> bytes:
    """The next section that begins with its length."""
    length = int.from_bytes(exactly(source, 4))
    if length > MOST_SECTION_BYTES:
        raise ValueError("a section of it is longer than any is")
    return exactly(source, length)


def has_merged_alpha(source: BinaryIO, header: PsdHeader, layers_bytes: int) -> bool:
    """Whether the flattened picture has alpha; goes on behind the layers.

    A negative count of layers says so.
    """
    start = source.tell()
    head = source.read(min(layers_bytes, 10 if header.large else 6))
    source.seek(start + layers_bytes)
    return len(head) >= 6 and int.from_bytes(head[-2:], signed=True) < 0


def read_planes(source: BinaryIO, header: PsdHeader, planes: int) -> Values:
    """The first channels of the flattened picture: (planes, H, W), uint8 or uint16.

    Raises CutFileError, UnsupportedKindError.
    """
    (packing,) = struct.unpack(">H", exactly(source, 2))
    if packing not in (PLAIN, PACK_BITS):
        raise UnsupportedKindError("a Photoshop document packed in a way that is not read")
    if not 1 <= planes <= header.channels:
        raise ValueError("it has fewer channels than its colours take")
    row_bytes = -(-header.width * header.bits // 8)
    lengths: list[int] = []
    if packing == PACK_BITS:
        each = 4 if header.large else 2
        table = exactly(source, header.channels * header.height * each)
        lengths = [int(n) for n in np.frombuffer(table, f">u{each}")]
    shape = planes, header.height, header.width
    result = np.empty(shape, np.uint16 if header.bits > 8 else np.uint8)
    for index in range(planes * header.height):
        row = exactly(source, lengths[index] if lengths else row_bytes)
        if lengths:
            row = bytes(imagecodecs.packbits_decode(row, out=row_bytes))
        if len(row) < row_bytes:
            raise CutFileError("a row of it ends early")
        result[divmod(index, header.height)] = row_levels(row, header)
    return result


def row_levels(row: bytes, header: PsdHeader) -> Values:
    """A row as levels of whole range."""
    match header.bits:
        case 1:
            bits = np.unpackbits(np.frombuffer(row, np.uint8))[: header.width]
            white: Values = (1 - bits) * np.uint8(255)  # 1 is black
            return white
        case 8:
            return np.frombuffer(row, np.uint8)
        case 16:
            return np.frombuffer(row, ">u2")
        case _:
            floats = np.nan_to_num(np.frombuffer(row, ">f4").astype(np.float32))
            levels: Values = to_levels(floats[None], np.uint16)[0]
            return levels


def unmatted(planes: Values, alpha: Values) -> Values:
    """Colours without the white that Photoshop lays under a flattened picture with alpha."""
    top = np.float32(np.iinfo(planes.dtype).max)
    result = np.empty_like(planes)
    for row in range(alpha.shape[0]):
        cover = np.maximum(alpha[row], 1) / top
        bare = (planes[:, row] - (1 - cover) * top) / cover
        result[:, row] = np.clip(np.rint(bare), 0, top)
    return result


def picture_values(planes: Values, header: PsdHeader, palette: bytes) -> Values:
    """The colours of a document's channels, as a raster has them: (H, W) or (H, W, C)."""
    if header.mode == INDEXED:
        table = np.frombuffer(palette.ljust(768, b"\0")[:768], np.uint8).reshape(3, 256).T
        indexed: Values = table[planes[0]]
        return indexed
    if len(planes) == 1:
        only: Values = planes[0]
        return only
    values = np.moveaxis(planes, 0, -1)
    if header.mode == CMYK:  # kept as light, not as ink
        return inverted(values)
    if header.mode == LAB:
        top = np.float32(np.iinfo(values.dtype).max)
        unit = np.float32(1 if values.dtype == np.uint8 else 256)
        lab = values.astype(np.float32)
        lab[..., 0] *= 100 / top
        lab[..., 1:] = lab[..., 1:] / unit - 128
        return lab
    return values


def density_of(resource: bytes) -> tuple[float, float] | None:
    """The resolution in pixels an inch, whatever unit is shown."""
    if len(resource) < 16:
        return None
    across, _, _, down = struct.unpack_from(">IHHI", resource)
    return sound_density(across / 65536, down / 65536)
