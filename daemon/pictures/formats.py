"""Which kinds of picture are read and written, and by which names. Pillow-free."""

from collections.abc import Mapping
from pathlib import Path

from daemon.host import files
from daemon.pictures.limits import MODES

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jfif", ".jpe"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "JXL": (".jxl",),
    "PSD": (".psd", ".psb"),
    "MPO": (".mpo",),
    "TGA": (".tga",),
    "RAW": (
        *(".nef", ".cr2", ".cr3", ".arw", ".dng"),
        *(".raf", ".rw2", ".orf", ".pef", ".srw", ".nrw", ".rwl", ".3fr"),
    ),
}
"""The formats as Pillow calls them, RAW for all cameras', and how their files' names end."""

FORMAT_OF_SUFFIX = {suffix: form for form, suffixes in SUFFIXES.items() for suffix in suffixes}
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF")

WRITABLE = {form: SUFFIXES[form][0] for form in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")}
"""The formats that results are written in, and how their names end where a picture's does not."""

WITH_ALPHA = ("PNG", "WEBP", "TIFF")
FEW_COLOURS = "GIF"
"""A format whose results would be poorer than what was painted; they are PNG."""

LOSSLESS = ("PNG", "BMP", "GIF")

MAX_PIXELS = 250_000_000
MIN_PICTURE_PX = 16


def suffix_format(name: str) -> str:
    """The format a file's name promises, or an empty string."""
    return FORMAT_OF_SUFFIX.get(Path(name).suffix.lower(), "")


def output_format(name: str) -> str:
    """The format a result is written in, by its name; what is not written becomes JPEG."""
    found = suffix_format(name)
    return found if found in WRITABLE else "JPEG"


def result_suffix(
    name: str, wanted: str = "same", *, form: str = "", alpha: bool = False, mode: str = ""
) -> str:
    """How a result's name ends: as the picture's `name` does, where its format holds the result.

    wanted: a preset's `format`.  form: the picture's format by its content.  alpha: whether it has
    transparent parts.  mode: the colours of the profile that the result is to have (`rgb`, `cmyk`
    or `grey`), empty if it is of no file.
    """
    promised = suffix_format(name)
    if wanted != "same":
        kept = promised == wanted.upper()
        return Path(name).suffix if kept else WRITABLE[wanted.upper()]
    if holds(promised, alpha=alpha, mode=mode):
        return Path(name).suffix
    lossless = alpha or bool({promised, form} & set(LOSSLESS))
    others = (form, "PNG" if lossless else "JPEG", "TIFF")
    return next(WRITABLE[other] for other in others if holds(other, alpha=alpha, mode=mode))


def holds(form: str, *, alpha: bool, mode: str) -> bool:
    """Whether a format is written and nothing of such a result gets lost in it."""
    if form not in WRITABLE or form == FEW_COLOURS:
        return False
    return (form in WITH_ALPHA or not alpha) and (not mode or mode in MODES.get(form, ()))


def output_name(name: str, suffix: str = "") -> str:
    """The name of a picture's result.

    suffix: how it ends; empty: as jobs of earlier versions did, whose result was JPEG where their
    picture's format is not written. What is no suffix of a picture's stays in the name.
    """
    promised = suffix_format(name)
    own = Path(name).suffix
    suffix = suffix or (own if promised in WRITABLE else WRITABLE["JPEG"])
    if own.lower() == suffix.lower():
        return name
    return files.with_ending(Path(name).stem if promised else name, suffix)
