"""HEIC and HEIF at any depth, with what their containers say of colours and further pictures."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pillow_heif

from daemon.pictures.file_notes import metadata_of
from daemon.pictures.raster import Raster, channels_apart, signalled
from daemon.pictures.signals import signal_of_code


def read_heif(source: BinaryIO) -> Raster:
    """The primary picture of a HEIF file, turned as its container says."""
    source.seek(0)
    pillow_heif.options.THUMBNAILS = False
    opened = pillow_heif.open_heif(source, convert_hdr_to_8bit=False, bgr_mode=False)
    image = opened[opened.primary_index]
    image.load()
    info: dict[str, Any] = dict(image.info)
    values = np.asarray(image)
    bits = int(info.get("bit_depth") or 8)
    if values.dtype == np.uint16:  # the file's bits, at the top of 16
        values = values | values >> bits
    kind, colours, alpha = channels_apart(values)
    raster = Raster(
        colours,
        kind,
        "HEIF",
        16 if bits > 8 else 8,
        alpha,
        bool(alpha is not None and image.premultiplied_alpha),
        info.get("icc_profile") or None,
        metadata=metadata_of(info, "HEIF"),
        warnings=tuple(left_out(info, len(opened))),
    )
    nclx = info.get("nclx_profile")
    if not nclx or raster.profile:  # a profile says more
        return raster
    code = nclx["color_primaries"], nclx["transfer_characteristics"]
    return signalled(raster, signal_of_code(int(code[0]), int(code[1])))


def left_out(info: dict[str, Any], pictures: int) -> Iterator[str]:
    """What to tell of what else the container holds."""
    if pictures > 1:
        yield f"the file has {pictures} pictures; its primary one was painted"
    if any("gainmap" in str(name).lower() for name in info.get("aux") or ()):
        yield "its gain map (HDR) was left out; the picture for ordinary screens was taken"
