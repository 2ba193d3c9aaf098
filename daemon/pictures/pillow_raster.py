"""What Pillow decodes well, as a raster: JPEG, MPO, PNG of 8 bits, WebP, GIF, BMP and old TIFFs."""

import warnings
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from daemon.pictures.faults import UnsupportedKindError
from daemon.pictures.file_notes import exif_in, facts_of, metadata_of
from daemon.pictures.header import open_by_pillow
from daemon.pictures.profiles import ADOBE_RGB, rgb_profile
from daemon.pictures.raster import Kind, Raster
from daemon.pictures.split_notes import joined_notes

Values = NDArray[Any]
GAIN_MAPS = (b"hdrgm:Version", b"urn:iso:std:iso:ts:21496:-1", b"HDRGainMap")
KINDS: dict[str, Kind] = {"L": "grey", "RGB": "rgb", "CMYK": "cmyk"}


def read_by_pillow(source: BinaryIO, form: str) -> Raster:
    """The picture Pillow decodes from a file of the given format, to the file's end."""
    opened = open_by_pillow(source, form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata that does no harm
        frame = first_frame_box(opened)
        opened.load()
        raster = raster_of(opened, frame)
        left_out = further_frames(opened)  # goes to them, so it is the last
    return raster if left_out is None else raster.with_warnings(left_out)


def raster_of(opened: Image.Image, frame: tuple[int, int, int, int] | None = None) -> Raster:
    """A loaded picture of Pillow's as a raster. frame: what of it is covered, if not all."""
    form = opened.format or ""
    info: dict[Any, Any] = {**opened.info, **joined_notes(getattr(opened, "applist", ()))}
    kind, values, alpha = samples_of(opened)
    if frame is not None:
        alpha = alpha_within(frame, values, alpha)
    facts = facts_of(exif_in(info))
    profile = info.get("icc_profile") or None
    if profile is None and facts.adobe_rgb and kind == "rgb":
        profile = rgb_profile(ADOBE_RGB)
    metadata = metadata_of(info, form)
    notes = []
    if any(mark in metadata.xmp for mark in GAIN_MAPS):
        notes.append("its gain map (HDR) was left out; the picture for ordinary screens was taken")
    return Raster(
        values,
        kind,
        form,
        alpha=alpha,
        profile=profile,
        orientation=1 if form == "GIF" else facts.orientation,
        lossless=form in ("PNG", "BMP", "GIF"),
        metadata=metadata,
        warnings=tuple(notes),
    )


def samples_of(image: Image.Image) -> tuple[Kind, Values, Values | None]:
    """What an image of any of Pillow's modes holds: kind, values and alpha."""
    mode, clear = image.mode, image.has_transparency_data
    if mode in ("L", "1", "LA") and clear:
        both = np.asarray(image.convert("LA") if mode != "LA" else image)
        return "grey", both[..., 0], both[..., 1]
    if clear or mode in ("RGBA", "PA", "RGBa"):
        all_four = np.asarray(image if mode == "RGBA" else image.convert("RGBA"))
        return "rgb", all_four[..., :3], all_four[..., 3]
    if mode in KINDS:
        return KINDS[mode], np.asarray(image), None
    if mode == "1":
        return "grey", np.asarray(image.convert("L")), None
    if mode in ("P", "RGBX", "YCbCr"):
        return "rgb", np.asarray(image.convert("RGB")), None
    if mode.startswith("I;16"):
        return "grey", np.asarray(image).astype(np.uint16), None
    if mode == "I":
        return "grey", np.clip(np.asarray(image), 0, 65535).astype(np.uint16), None
    raise UnsupportedKindError(f"a {image.format} of colours called {mode}")


def first_frame_box(opened: Image.Image) -> tuple[int, int, int, int] | None:
    """Where on its canvas the first frame of a GIF lies, if it does not cover it."""
    if opened.format != "GIF" or not isinstance(opened, ImageFile.ImageFile) or not opened.tile:
        return None
    box = opened.tile[0][1]
    return None if box is None or box == (0, 0, *opened.size) else box


def alpha_within(box: tuple[int, int, int, int], values: Values, alpha: Values | None) -> Values:
    """Alpha of a frame that covers a part of its canvas."""
    left, top, right, bottom = box
    result = np.zeros(values.shape[:2], np.uint8)
    inside = slice(top, bottom), slice(left, right)
    result[inside] = 255 if alpha is None else alpha[inside]
    return result


def further_frames(opened: Image.Image) -> str | None:
    """What to tell of the frames behind the first; None if there are none."""
    try:
        count = 2 if opened.format == "GIF" else getattr(opened, "n_frames", 1)
        if count < 2 or not getattr(opened, "is_animated", False):
            return None
    except Exception:  # whatever is wrong with what is not painted
        return "the frames behind its first are damaged; the first was painted"
    if opened.format == "MPO":
        return f"the file has {count} pictures; the first was painted"
    return "the file is an animation; its first frame was painted"
