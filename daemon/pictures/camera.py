"""Cameras' raw files, developed with the camera's own white balance; needs `atelierd[raw]`."""

from typing import BinaryIO

from daemon.pictures.file_notes import metadata_of_tiff
from daemon.pictures.header import opened_raw
from daemon.pictures.picture import Metadata
from daemon.pictures.profiles import WIDE, rgb_profile
from daemon.pictures.raster import Raster
from daemon.pictures.tiff_directory import open_tiff


def read_camera_file(source: BinaryIO) -> Raster:
    """The picture of a raw file: 16 bits in a wide space, turned as the camera was held."""
    with opened_raw(source) as raw:
        import rawpy

        values = raw.postprocess(
            use_camera_wb=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.ProPhoto,
            gamma=(1.8, 16),
        )
    return Raster(values, "rgb", "RAW", 16, profile=rgb_profile(WIDE), metadata=notes_of(source))


def notes_of(source: BinaryIO) -> Metadata:
    """What a raw file that is a TIFF says of itself; nothing of others'."""
    try:
        return metadata_of_tiff(open_tiff(source)[0])
    except Exception:  # of a container that is read by libraw only; it is not the picture
        return Metadata()
