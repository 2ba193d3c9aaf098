"""Picture files in: orientation, colour profile, alpha, depth.

What leaves `read_picture` is upright sRGB in 8 bits, whatever came in.
"""

import io
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from daemon.engine.errors import OutOfMemoryError, PictureError, UnfinishedPictureError
from daemon.pictures.formats import MAX_PIXELS, MIN_PICTURE_PX, READABLE

if TYPE_CHECKING:  # the service reads headers only, and numpy takes a tenth of a second to load
    import numpy as np
    from numpy.typing import NDArray

ORIENTATION_TAG = 0x0112
TILE_WIDTH_TAG, TILE_HEIGHT_TAG = 322, 323
MIN_TILE_PIXELS = 16 * 16
XMP_TAG = 700
EXIF_ERRORS = (ValueError, TypeError, KeyError, OverflowError, SyntaxError, struct.error)
"""What Pillow raises on EXIF that is damaged; the pixels may be fine all the same."""


@dataclass(frozen=True)
class Header:
    """What a file's header says: format, and size in px before any rotation."""

    format: str
    width_px: int
    height_px: int


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: upright, sRGB, 8 bits.

    pixels: (H, W, 3).  alpha: (H, W), or None.  exif: what the file said of itself, with the
    orientation taken out since it has been applied.
    """

    pixels: "NDArray[np.uint8]"
    alpha: "NDArray[np.uint8] | None"
    format: str
    exif: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px, as they are seen."""
        height, width, _ = self.pixels.shape
        return width, height


def open_checked(source: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """The picture, its header read and nothing decoded; raises PictureError if it is refused."""
    register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None  # our own limit below takes the place of Pillow's
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is raised when decoding
            opened = Image.open(source, formats=READABLE)
    except UnidentifiedImageError as error:
        raise UnfinishedPictureError(
            f"{name} is not a picture that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF or HEIC); "
            "open it in a viewer and export it again"
        ) from error
    except MemoryError as error:
        raise OutOfMemoryError(f"{name} needs more memory to open than there is") from error
    except Exception as error:  # whatever Pillow and its plugins stumble over
        raise UnfinishedPictureError(f"{name} has a damaged header: {words(error)}") from error
    width, height = opened.size
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
    check_pieces(opened, name, max_pixels)
    return opened


def check_pieces(opened: Image.Image, name: str, max_pixels: int) -> None:
    """Raises PictureError if a TIFF is cut up so that a small picture costs what a huge one does.

    Each tile is decoded whole, however little of it lies in the picture.
    """
    tags = getattr(opened, "tag_v2", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tags with more values than one
        width, height = tags.get(TILE_WIDTH_TAG), tags.get(TILE_HEIGHT_TAG)
    if isinstance(width, int) and isinstance(height, int) and width * height > max_pixels:
        raise PictureError(
            f"{name} has tiles of {width}x{height} px; the limit is {max_pixels / 1e6:.0f} "
            "megapixels (limits: picture_pixels)"
        )
    pieces = len(opened.tile) if isinstance(opened, ImageFile.ImageFile) else 0
    most = 4 * (sum(opened.size) + opened.width * opened.height // MIN_TILE_PIXELS)  # four bands
    if pieces > most:
        raise PictureError(
            f"{name} is {opened.width}x{opened.height} px in {pieces} pieces, more than such a "
            "picture can have; export it again"
        )


def read_header(source: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Header:
    """Format and size from the header alone; raises PictureError if the picture is refused."""
    opened = open_checked(source, name, max_pixels)
    return Header(opened.format or "", *opened.size)


def read_picture(source: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decodes a whole picture; `name` is what messages call it.

    Raises UnfinishedPictureError if the bytes do not decode to the end, OutOfMemoryError, else
    PictureError.
    """
    import numpy as np

    opened = open_checked(source, name, max_pixels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata that does no harm
            opened.load()
            upright = turned_upright(opened)
            exif = clean_exif(opened)  # after turning: it takes the orientation out
            alpha = alpha_of(upright)
            image = to_srgb(upright)
            form = opened.format or ""
            del opened, upright  # each takes as much as the picture
            return Picture(
                np.asarray(image), None if alpha is None else np.asarray(alpha), form, exif
            )
    except MemoryError as error:
        raise OutOfMemoryError(f"{name} needs more memory to decode than there is") from error
    except Exception as error:  # whatever Pillow and its plugins stumble over
        raise UnfinishedPictureError(
            f"{name} could not be decoded to the end: {words(error)}; it is damaged or incomplete"
        ) from error


def words(error: Exception) -> str:
    """What a decoder said, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def turned_upright(opened: Image.Image) -> Image.Image:
    """The picture turned as its EXIF says; EXIF that cannot be read says nothing."""
    try:
        return ImageOps.exif_transpose(opened)
    except EXIF_ERRORS:
        return opened


def clean_exif(opened: Image.Image) -> bytes:
    """The file's EXIF without orientation and without what described the old pixels."""
    if opened.format == "TIFF":
        return b""  # a TIFF's EXIF is its own structure: strip offsets, tile sizes
    try:
        exif = opened.getexif()
        exif.pop(ORIENTATION_TAG, None)
        exif.pop(XMP_TAG, None)
        return exif.tobytes() if len(exif) else b""
    except EXIF_ERRORS:
        return b""  # some cameras write EXIF that cannot be read, or written again


def alpha_of(image: Image.Image) -> Image.Image | None:
    """The alpha channel, (W, H) mode L, unless everything is opaque."""
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def to_srgb(image: Image.Image) -> Image.Image:
    """The picture as RGB in 8 bits with sRGB colours, transparent parts over white."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = to_eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        backdrop = Image.new("RGBA", rgba.size, "white")
        converted = Image.alpha_composite(backdrop, rgba).convert("RGB")
        converted.info["icc_profile"] = image.info.get("icc_profile")
        image = converted
    if image.mode not in ("RGB", "CMYK", "L", "LAB"):
        profile = image.info.get("icc_profile")
        image = image.convert("RGB")
        image.info["icc_profile"] = profile
    return apply_profile(image)


def apply_profile(image: Image.Image) -> Image.Image:
    """The picture in sRGB by its embedded profile; a broken or unfitting profile is ignored."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def to_eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit, integer or float grey picture as mode L, its range kept."""
    import numpy as np

    values = np.asarray(image).astype(np.float64)
    top = 65535.0 if values.max(initial=0) > 255 or image.mode.startswith("I;16") else 255.0
    if image.mode == "F" and values.max(initial=0) <= 1.0:
        top = 1.0
    scaled = np.clip(values / top * 255.0, 0, 255).round().astype(np.uint8)
    return Image.fromarray(scaled)
