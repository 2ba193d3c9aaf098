"""PNG: deep and animated ones whole, and what their chunks say of colours."""

from typing import BinaryIO

import imagecodecs

from daemon.pictures.file_notes import exif_in, facts_of, metadata_of
from daemon.pictures.header import open_by_pillow
from daemon.pictures.pillow_raster import read_by_pillow
from daemon.pictures.raster import Raster, channels_apart, signalled
from daemon.pictures.signals import png_chunks, png_signal

DEPTH_AT = 24


def read_png(source: BinaryIO) -> Raster:
    """The picture of a PNG, of an animated one the picture that every viewer shows."""
    kinds = {kind for kind, _ in png_chunks(source)}
    source.seek(DEPTH_AT)
    deep = source.read(1) == b"\x10"
    whole = deep or b"acTL" in kinds
    raster = read_whole_png(source) if whole else read_by_pillow(source, "PNG")
    if b"acTL" in kinds:
        shown = "first frame" if b"fcTL" in kinds else "still picture"
        raster = raster.with_warnings(f"the file is an animation; its {shown} was painted")
    signal = png_signal(source, has_profile=raster.profile is not None)
    return signalled(raster, signal)


def read_whole_png(source: BinaryIO) -> Raster:
    """A PNG by libpng: Pillow has eight bits, and lets a faulty animation spoil the picture."""
    info = open_by_pillow(source, "PNG").info
    source.seek(0)
    values = imagecodecs.png_decode(source.read())
    kind, colours, alpha = channels_apart(values)
    return Raster(
        colours,
        kind,
        "PNG",
        8 * values.dtype.itemsize,
        alpha,
        profile=info.get("icc_profile") or None,
        orientation=facts_of(exif_in(info)).orientation,
        lossless=True,
        metadata=metadata_of(info, "PNG"),
    )
