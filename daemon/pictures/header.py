"""What a file's header says, read without decoding; whether such a picture is taken at all.

Loads neither numpy nor a decoder of pixels: the service looks at style images when it starts.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from PIL import Image, ImageFile
from pillow_heif import register_heif_opener

from daemon.engine.errors import PictureError
from daemon.pictures import bmp_header, jxl_header, psd_header
from daemon.pictures.faults import RAW_REMEDY, UnsupportedKindError
from daemon.pictures.formats import MIN_PICTURE_PX
from daemon.pictures.kinds import HEAD_BYTES, UNPAINTED, kind_of_content
from daemon.pictures.tiff_directory import Page, Tag, main_page, open_tiff

MIN_TILE_PIXELS = 16 * 16


@dataclass(frozen=True)
class Header:
    """What a file's header says: format, and size in px before any rotation.

    pieces: in how many strips, tiles or the like it is cut.  tile_px: width and height of a tile.
    alpha: whether it may have transparent parts, as far as is known without decoding.
    """

    format: str
    width_px: int
    height_px: int
    pieces: int = field(default=0, compare=False)
    tile_px: tuple[int, int] = field(default=(0, 0), compare=False)
    alpha: bool = field(default=False, compare=False)


class UnknownContentError(Exception):
    """A file is no picture of any format that is known."""


def header_of(source: BinaryIO) -> Header:
    """Format and size of a picture file.

    Raises UnsupportedKindError, UnknownContentError, or what a reader stumbles over.
    """
    source.seek(0)
    head = source.read(HEAD_BYTES)
    source.seek(0)
    form = kind_of_content(head)
    if form in READERS:
        return READERS[form](source)
    if form in UNPAINTED:
        raise UnsupportedKindError(UNPAINTED[form].what, UNPAINTED[form].remedy)
    if not form:
        raise UnknownContentError
    opened = open_by_pillow(source, form)
    pieces = len(opened.tile) if isinstance(opened, ImageFile.ImageFile) else 0
    alpha = "A" in opened.getbands() or "transparency" in opened.info
    return Header(opened.format or form, *opened.size, pieces, alpha=alpha)


def open_by_pillow(source: BinaryIO, form: str) -> Image.Image:
    """A file as Pillow opens it, nothing decoded yet."""
    register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None  # our own limit takes the place of Pillow's
    source.seek(0)
    formats = ("JPEG", "MPO") if form in ("JPEG", "MPO") else (form,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters is raised when decoding
        return Image.open(source, formats=formats)


def tiff_header(source: BinaryIO) -> Header:
    """The header of the page of a TIFF that is painted."""
    pages = open_tiff(source)
    if is_camera_file(pages):
        return raw_header(source)
    page = main_page(pages)
    size = page.number(Tag.WIDTH), page.number(Tag.HEIGHT)
    tags = (Tag.TILE_OFFSETS, Tag.STRIP_OFFSETS)
    pieces = max(page.entries[tag].count if tag in page.entries else 0 for tag in tags)
    tile = page.number(Tag.TILE_WIDTH), page.number(Tag.TILE_HEIGHT)
    return Header("TIFF", *size, pieces, tile)


def is_camera_file(pages: list[Page]) -> bool:
    """Whether a TIFF is a camera's raw file: its sensor's data are on one of its pages."""
    return any(page.number(Tag.PHOTOMETRIC) in (32803, 34892) for page in pages) or any(
        Tag.DNG_VERSION in page.entries for page in pages[:1]
    )


def raw_header(source: BinaryIO) -> Header:
    """The header of a camera's file: the size it is developed in."""
    with opened_raw(source) as raw:
        return Header("RAW", raw.sizes.width, raw.sizes.height)


def opened_raw(source: BinaryIO) -> Any:
    """A camera's file as libraw opens it; raises UnsupportedKindError without the extra."""
    try:
        import rawpy
    except ImportError as error:
        raise UnsupportedKindError("a camera's raw file", RAW_REMEDY) from error
    source.seek(0)
    try:
        return rawpy.imread(source)
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnsupportedKindError("a raw file of a camera that is not known") from error


READERS: dict[str, Callable[[BinaryIO], Header]] = {
    "TIFF": tiff_header,
    "RAW": raw_header,
    "JXL": lambda source: Header("JXL", *jxl_header.size_of(source)),
    "BMP": lambda source: Header("BMP", *bmp_header.size_of(source)),
    "PSD": lambda source: Header("PSD", *psd_header.size_of(source)),
}


def check_size(header: Header, name: str, max_pixels: int) -> None:
    """Raises PictureError for what is over the limit, smaller than the network sees, or cut up.

    Each tile is decoded whole, however little of it lies in the picture.
    """
    width, height = header.width_px, header.height_px
    if width * height > max_pixels:
        raise PictureError(
            f"{name} claims to be {width}x{height} px, {width * height / 1e6:.0f} megapixels; "
            f"the limit is {max_pixels / 1e6:.0f} (limits: picture_pixels)"
        )
    if min(width, height) < MIN_PICTURE_PX:
        raise PictureError(
            f"{name} is {width}x{height} px; a picture needs at least "
            f"{MIN_PICTURE_PX} px on both sides"
        )
    if header.tile_px[0] * header.tile_px[1] > max_pixels:
        raise PictureError(
            f"{name} has tiles of {header.tile_px[0]}x{header.tile_px[1]} px; the limit is "
            f"{max_pixels / 1e6:.0f} megapixels (limits: picture_pixels)"
        )
    most = 4 * (width + height + width * height // MIN_TILE_PIXELS)  # four bands
    if header.pieces > most:
        raise PictureError(
            f"{name} is {width}x{height} px in {header.pieces} pieces, more than such a "
            "picture can have; export it again"
        )
