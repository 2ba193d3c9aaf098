"""Small versions of pictures, for looking at: JPEGs in sRGB that every browser shows. Loads what
computes only where it computes: who shows them only wants their names and sizes.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.engine.pixels import Pixels

SCREEN, THUMBNAIL = ".jpg", ".thumb.jpg"
"""What names of the version for a screen, and of that for a page of many, end in."""

PAINTING, PHOTOGRAPH = "painting", "photograph"
LONGEST_PX = {SCREEN: 1600, THUMBNAIL: 480}
QUALITY = 84
OVERSAMPLED = 2
"""A large picture is averaged over squares first, to so many times what is wanted."""

PAPER = "#ffffff"


def small_size(width_px: int, height_px: int, ending: str) -> tuple[int, int]:
    """The width and height of a picture's small version, which is never larger than itself."""
    return size_within(width_px, height_px, LONGEST_PX[ending])


def size_within(width_px: int, height_px: int, longest_px: int) -> tuple[int, int]:
    """The width and height of a picture whose longest side is so long at most."""
    scale = min(1.0, longest_px / max(width_px, height_px, 1))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def write_small(
    folder: Path, name: str, pixels: "Pixels", alpha: "NDArray[Any] | None" = None
) -> None:
    """Writes the small versions of a picture into a folder, unless they are there. Raises OSError.

    pixels, alpha: as of a `Picture`. What is transparent lies on white paper.
    """
    from daemon.host import files

    if all((folder / (name + ending)).exists() for ending in LONGEST_PX):
        return
    for ending, content in small_versions(pixels, alpha):
        files.write_bytes(folder / (name + ending), content, replace=True)


def small_versions(
    pixels: "Pixels", alpha: "NDArray[Any] | None" = None
) -> Iterator[tuple[str, bytes]]:
    """Yields each version's ending and its JPEG, the largest first."""
    from PIL import Image

    from daemon.engine.pixels import reduce, size_of, to_levels

    width, height = size_of(pixels)
    times = max(width, height) // (OVERSAMPLED * LONGEST_PX[SCREEN])
    if times > 1:
        pixels = reduce(pixels, times, 1)
        alpha = None if alpha is None else alpha[::times, ::times]
    image = Image.fromarray(to_levels(pixels))
    if alpha is not None:
        seen = alpha if alpha.dtype.itemsize == 1 else (alpha >> 8).astype("u1")
        mask = Image.fromarray(seen).resize(image.size)
        image = Image.composite(image, Image.new("RGB", image.size, PAPER), mask)
    for ending in LONGEST_PX:
        image = image.resize(small_size(width, height, ending), Image.Resampling.LANCZOS)
        target = io.BytesIO()
        image.save(target, "JPEG", quality=QUALITY, optimize=True, progressive=ending == SCREEN)
        yield ending, target.getvalue()
