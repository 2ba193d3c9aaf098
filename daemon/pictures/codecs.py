"""AVIF, JPEG 2000 and JPEG XL, at the depth they have."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from daemon.pictures.boxes import EXIF_UUID, XMP_UUID, boxes, content, uuid_content
from daemon.pictures.faults import UnsupportedKindError
from daemon.pictures.file_notes import facts_of, metadata_of
from daemon.pictures.header import open_by_pillow
from daemon.pictures.jxl_header import read_jxl_header
from daemon.pictures.pillow_raster import further_frames
from daemon.pictures.raster import Raster, channels_apart, signalled, to_levels, widened
from daemon.pictures.signals import signal_of_code

CODESTREAM_2000 = b"\xff\x4f\xff\x51"
DEPTH_AT = 42
"""Where a JPEG 2000 codestream says how many bits its first channel has."""


def raster_of(values: NDArray[Any], bits: int, form: str, info: Mapping[Any, Any]) -> Raster:
    """A decoded array of one to four channels of so many bits, with what the file says of it."""
    if values.dtype.kind == "f":
        values = to_levels(np.nan_to_num(values), np.uint16)
    else:
        values = widened(values, bits)
    kind, colours, alpha = channels_apart(values)
    return Raster(
        colours,
        kind,
        form,
        8 * values.dtype.itemsize,
        alpha,
        profile=info.get("icc_profile") or None,
        orientation=facts_of(info.get("exif") or b"").orientation,
        metadata=metadata_of(info, form),
    )


def read_avif(source: BinaryIO) -> Raster:
    """The picture of an AVIF, of a sequence its first."""
    opened = open_by_pillow(source, "AVIF")
    left_out = further_frames(opened)
    source.seek(0)
    data = source.read()
    values = imagecodecs.avif_decode(data, index=0)
    properties = data.find(b"av1C")
    flags = data[properties + 6] if properties >= 0 else 0
    bits = 8 if values.dtype == np.uint8 else (12 if flags & 0x20 else 10)
    raster = raster_of(values, bits, "AVIF", opened.info)
    if left_out is not None:
        raster = raster.with_warnings(left_out)
    code = data.find(b"colrnclx")
    if code < 0 or raster.profile:
        return raster
    primaries, transfer = (int.from_bytes(data[code + at : code + at + 2]) for at in (8, 10))
    return signalled(raster, signal_of_code(primaries, transfer))


def read_jpeg_2000(source: BinaryIO) -> Raster:
    """The picture of a JPEG 2000 file or codestream."""
    source.seek(0)
    data = source.read()
    start = data.find(CODESTREAM_2000)
    bits = (data[start + DEPTH_AT] & 0x7F) + 1 if 0 <= start < len(data) - DEPTH_AT else 8
    info = {
        "icc_profile": profile_of_jp2(data),
        "xmp": uuid_content(data, XMP_UUID),
        "exif": uuid_content(data, EXIF_UUID),
    }
    # Where it sees a profile the decoder converts by it, to 8-bit sRGB's limits; we do not cut.
    stream = data[start:] if info["icc_profile"] and start >= 0 else data
    try:
        values = imagecodecs.jpeg2k_decode(stream)
    except (imagecodecs.Jpeg2kError, ValueError, NotImplementedError) as error:
        if "not supported" not in str(error):
            raise
        raise UnsupportedKindError("a JPEG 2000 of channels of different sizes") from error
    return raster_of(values, bits, "JPEG2000", info)


def profile_of_jp2(data: bytes) -> bytes:
    """The ICC profile of a JP2 file; b"" if its colour box has none."""
    header = next(((start, end) for kind, start, end in boxes(data) if kind == b"jp2h"), None)
    if header is None:
        return b""
    for kind, start, end in boxes(data, *header):
        if kind == b"colr" and data[start] in (2, 3):
            return data[start + 3 : end]
    return b""


def read_jpeg_xl(source: BinaryIO) -> Raster:
    """The picture of a JPEG XL file, turned by its own orientation; of an animation the first."""
    source.seek(0)
    data = source.read()
    values = imagecodecs.jpegxl_decode(data)
    header = read_jxl_header(source)
    frames = 1
    if values.ndim == 4 or sorted(values.shape[1:]) == sorted((header.width, header.height)):
        frames, values = values.shape[0], values[0]
    if values.ndim == 3 and values.shape[2] > 4:  # channels of inks or of depth
        values = values[..., :3]
    info = {"exif": content(data, b"Exif")[4:], "xmp": content(data, b"xml ")}
    raster = raster_of(values, header.bits or 8 * values.dtype.itemsize, "JXL", info)
    raster = replace(raster, orientation=1, lossless=not header.lossy)
    if header.code is not None:
        raster = signalled(raster, signal_of_code(*header.code))
    elif not header.lossy:
        raster = raster.with_warnings("its colour profile cannot be read; taken for sRGB")
    if frames > 1:
        return raster.with_warnings("the file is an animation; its first frame was painted")
    return raster
