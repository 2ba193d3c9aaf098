"""PNG: deep ones whole, and what their chunks say of colours."""

from typing import BinaryIO

import imagecodecs

from daemon.pictures.file_notes import exif_in, facts_of, metadata_of
from daemon.pictures.header import open_by_pillow
from daemon.pictures.pillow_raster import further_frames, read_by_pillow
from daemon.pictures.raster import Raster, channels_apart, signalled
from daemon.pictures.signals import png_signal

DEPTH_AT = 24


def read_png(source: BinaryIO) -> Raster:
    """The picture of a PNG, of an animated one the default image."""
    source.seek(DEPTH_AT)
    deep = source.read(1) == b"\x10"
    raster = read_deep_png(source) if deep else read_by_pillow(source, "PNG")
    signal = png_signal(source, has_profile=raster.profile is not None)
    return signalled(raster, signal)


def read_deep_png(source: BinaryIO) -> Raster:
    """A PNG of 16 bits a channel; Pillow has eight of them."""
    opened = open_by_pillow(source, "PNG")
    left_out = further_frames(opened)
    source.seek(0)
    kind, colours, alpha = channels_apart(imagecodecs.png_decode(source.read()))
    return Raster(
        colours,
        kind,
        "PNG",
        16,
        alpha,
        profile=opened.info.get("icc_profile") or None,
        orientation=facts_of(exif_in(opened.info)).orientation,
        lossless=True,
        metadata=metadata_of(opened.info, "PNG"),
        warnings=() if left_out is None else (left_out,),
    )
