"""Picture files out: the format a name promises, in the depth and colours its form asks for.

The one way out. What a result says of itself is decided here and in `exif`, `xmp`, `iptc`; how
that is kept in a file is each format's own module.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray
from PIL import ImageCms

from daemon import __version__
from daemon.engine.errors import PictureError
from daemon.pictures.colour import is_srgb
from daemon.pictures.embedded import Embedded, embed
from daemon.pictures.exif import ResultFacts
from daemon.pictures.form import OWN_PROFILES, ResultForm
from daemon.pictures.formats import output_format
from daemon.pictures.jpeg_file import write_jpeg
from daemon.pictures.levels import Levels, scaled_alpha
from daemon.pictures.limits import (
    ALPHA_KEPT,
    WITH_16_BITS,
    can_be_output,
    check_profile,
    check_result,
    fits_profile,
)
from daemon.pictures.note import NOTE_KEY
from daemon.pictures.picture import Picture
from daemon.pictures.pillow_files import write_bmp, write_gif, write_webp
from daemon.pictures.png_file import write_png
from daemon.pictures.profiles import srgb_profile
from daemon.pictures.tiff_file import write_tiff

SOFTWARE = f"atelierd {__version__}"
ADOBE_RGB = "Adobe RGB"
HALF_A_PIXEL_A_METRE = 0.0127
"""In pixels an inch."""


@dataclass(frozen=True)
class ResultColours:
    """The colours a result is in. profile: of its numbers.  name: what it is called."""

    profile: bytes
    mode: str
    name: str
    warnings: tuple[str, ...] = ()

    @property
    def is_srgb(self) -> bool:
        """Whether nothing has to be converted."""
        return self.profile == srgb_profile()


def write_picture(
    target: BinaryIO,
    pixels: NDArray[Any],
    *,
    name: str,
    like: Picture,
    note: Mapping[str, Any],
    form: ResultForm = ResultForm(),  # noqa: B008  (immutable)
) -> tuple[str, ...]:
    """Writes a result in the format its name promises, with `note` embedded as JSON.

    target: seekable, at its beginning.  pixels: (H, W, 3) in sRGB's encoding: uint8, uint16, or
    float32 in extended sRGB.  like: the picture painted; its alpha (scaled), notes, profile and
    print size go along where the format has them.  form.profile: `srgb`, `keep`, or the path of a
    profile's file.
    Returns what could not go along, for the record.  Raises PictureError where the format cannot
    hold such a picture, OSError where the disk cannot.
    """
    format_name = output_format(name)
    height, width = pixels.shape[:2]
    check_result(format_name, width, height)
    colours = colours_of(format_name, form, like)
    alpha = None if like.alpha is None else scaled_alpha(like.alpha, (width, height))
    picture = Levels(
        pixels,
        alpha,
        has_alpha=alpha is not None and format_name in ALPHA_KEPT and colours.mode != "cmyk",
        profile=None if colours.is_srgb else colours.profile,
        mode=colours.mode,
        bits=depth_of(format_name, form, like),
    )
    facts = ResultFacts(
        format_name,
        width,
        height,
        print_density(like, (width, height)),
        colours.name,
        colours.mode,
        SOFTWARE,
    )
    embedded, warnings = embed(
        like.metadata, facts, colours.profile, json.dumps(note), form.metadata
    )
    lost = encode(target, picture, embedded, form, format_name, like.lossless)
    return (*colours.warnings, *warnings, *lost)


def colours_of(format_name: str, form: ResultForm, like: Picture) -> ResultColours:
    """The colours a result is written in; raises PictureError if its format has no such."""
    if form.profile not in OWN_PROFILES:
        content = Path(form.profile).read_bytes()
        mode = check_profile(format_name, content, Path(form.profile).name)
        return ResultColours(content, mode, color_name(content))
    kept = like.profile if form.profile == "keep" else None
    if kept is None:
        return ResultColours(srgb_profile(), "rgb", "sRGB")
    if not fits_profile(format_name, kept):
        words = f"the picture's colours were brought into sRGB: {format_name} holds no such profile"
    elif kept[16:20] != b"RGB " or not can_be_output(kept):
        words = "the result is in sRGB: nothing can be converted into the picture's own profile"
    else:
        return ResultColours(kept, "rgb", color_name(kept))
    return ResultColours(srgb_profile(), "rgb", "sRGB", (words,))


def color_name(profile: bytes) -> str:
    """What a profile is called; sRGB and Adobe RGB, which EXIF knows, by these names alone."""
    if is_srgb(profile):
        return "sRGB"
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        words = " ".join(ImageCms.getProfileDescription(opened).split())
    except (ImageCms.PyCMSError, OSError):
        words = ""
    return ADOBE_RGB if ADOBE_RGB in words else words or "unnamed"


def depth_of(format_name: str, form: ResultForm, like: Picture) -> int:
    """Bits of a channel in the result."""
    wanted = like.bits if form.depth == "same" else form.depth
    return 16 if wanted > 8 and format_name in WITH_16_BITS else 8


def print_density(like: Picture, size: tuple[int, int]) -> tuple[float, float] | None:
    """Pixels an inch at which the result has the picture's size on paper."""
    density = like.metadata.density_ppi
    if density is None:
        return None
    across, down = map(near_whole, density)
    width, height = like.size
    return across * size[0] / width, down * size[1] / height


def near_whole(pixels_an_inch: float) -> float:
    """A resolution that a PNG could tell only in whole pixels a metre as it was meant."""
    whole = round(pixels_an_inch)
    return float(whole) if abs(pixels_an_inch - whole) <= HALF_A_PIXEL_A_METRE else pixels_an_inch


def encode(
    target: BinaryIO,
    picture: Levels,
    embedded: Embedded,
    form: ResultForm,
    format_name: str,
    lossless: bool,
) -> tuple[str, ...]:
    """Writes the file; returns what its format had no room for."""
    try:
        match format_name:
            case "JPEG":
                return write_jpeg(target, picture, embedded, form.quality)
            case "PNG":
                write_png(target, picture, embedded, NOTE_KEY)
            case "TIFF":
                write_tiff(target, picture, embedded)
            case "WEBP":
                write_webp(target, picture, embedded, quality=form.quality, lossless=lossless)
            case "GIF":
                write_gif(target, picture, embedded, NOTE_KEY)
            case _:
                write_bmp(target, picture, embedded)
    except (ValueError, OverflowError, RuntimeError) as error:
        width, height = picture.size
        said = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(
            f"a result of {width}x{height} px cannot be written as {format_name} (the encoder "
            f"says: {said}); choose a smaller `size`, or another `format`"
        ) from error
    return ()
