"""Which kinds of picture are read and written, and by which names. Pillow-free."""

from pathlib import Path

FORMAT_OF_SUFFIX = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF")
WITH_ALPHA = ("PNG", "WEBP", "TIFF")
MAX_PIXELS = 250_000_000
MIN_PICTURE_PX = 16


def output_name(name: str) -> str:
    """The result's name for a picture's: the same, but HEIC becomes JPEG."""
    path = Path(name)
    return str(path.with_suffix(".jpg")) if output_format(name) != suffix_format(name) else name


def suffix_format(name: str) -> str:
    """The format a file's name promises, or an empty string."""
    return FORMAT_OF_SUFFIX.get(Path(name).suffix.lower(), "")


def output_format(name: str) -> str:
    """The format a result is written in, by its name; HEIC and the unknown become JPEG."""
    found = suffix_format(name)
    return "JPEG" if found in ("", "HEIF") else found
