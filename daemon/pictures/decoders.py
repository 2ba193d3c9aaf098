"""The decoder of each format; what is not in the table Pillow decodes."""

from collections.abc import Callable
from typing import BinaryIO

from daemon.pictures.bmp import read_bmp
from daemon.pictures.camera import read_camera_file
from daemon.pictures.codecs import read_avif, read_jpeg_2000, read_jpeg_xl
from daemon.pictures.heif import read_heif
from daemon.pictures.pillow_raster import read_by_pillow
from daemon.pictures.png import read_png
from daemon.pictures.psd import read_psd
from daemon.pictures.raster import Raster
from daemon.pictures.tiff import read_tiff
from daemon.pictures.webp import read_webp

__all__ = ["DECODERS", "read_by_pillow"]

DECODERS: dict[str, Callable[[BinaryIO], Raster]] = {
    "AVIF": read_avif,
    "BMP": read_bmp,
    "HEIF": read_heif,
    "JPEG2000": read_jpeg_2000,
    "JXL": read_jpeg_xl,
    "PNG": read_png,
    "PSD": read_psd,
    "RAW": read_camera_file,
    "TIFF": read_tiff,
    "WEBP": read_webp,
}
