"""Picture files out: the format a name promises, alpha, colour profile, and the note within."""

import json
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from daemon.engine.errors import PictureError
from daemon.pictures.formats import WITH_ALPHA, output_format
from daemon.pictures.note import NOTE_KEY, to_xmp
from daemon.pictures.picture import Picture
from daemon.pictures.profiles import srgb_profile
from daemon.pictures.read import words

JPEG_SEGMENT_BYTES = 65_000
XMP_TAG = 700


def write_picture(
    target: BinaryIO,
    pixels: NDArray[np.uint8],
    *,
    name: str,
    like: Picture,
    note: dict[str, Any],
) -> None:
    """Writes a result in the format its name promises, with `note` embedded as JSON.

    pixels: (H, W, 3).  Alpha (scaled), EXIF and an sRGB profile go along where the format has them.
    PNG keeps the note as text, JPEG, WebP and TIFF in XMP, GIF as its comment; BMP cannot.
    Raises PictureError where the format cannot hold such a picture.
    """
    form, image = output_format(name), Image.fromarray(pixels)
    if like.alpha is not None and form in WITH_ALPHA:
        alpha = Image.fromarray(like.alpha)
        image.putalpha(alpha.resize(image.size, Image.Resampling.LANCZOS))
    options = save_options(form, like, json.dumps(note), srgb_profile())
    try:
        image.save(target, format=form, **options)
    except (OSError, ValueError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's, not the format's
        raise PictureError(
            f"a result of {image.width}x{image.height} px cannot be written as {form}: "
            f"{words(error)}; choose a smaller `size`, or export the picture in another format"
        ) from error


def save_options(form: str, like: Picture, note: str, profile: bytes) -> dict[str, Any]:
    """Pillow's options for one format."""
    exif = b"Exif\0\0" + like.metadata.exif if like.metadata.exif else b""
    match form:
        case "JPEG":
            exif = exif if len(exif) <= JPEG_SEGMENT_BYTES else b""  # it would not fit
            xmp = to_xmp(note)
            return {
                "quality": 95,
                "subsampling": 0,
                "exif": exif,
                "xmp": xmp,
                "icc_profile": profile,
            }
        case "WEBP":
            return {"quality": 95, "exif": exif, "xmp": to_xmp(note), "icc_profile": profile}
        case "TIFF":
            tags = ImageFileDirectory_v2()
            tags[XMP_TAG] = to_xmp(note)
            return {"compression": "tiff_adobe_deflate", "tiffinfo": tags, "icc_profile": profile}
        case "PNG":
            text = PngImagePlugin.PngInfo()
            text.add_itxt(NOTE_KEY, note)
            return {"pnginfo": text, "exif": exif, "icc_profile": profile}
        case "GIF":
            return {"comment": f"{NOTE_KEY} {note}".encode()}
        case _:
            return {}
