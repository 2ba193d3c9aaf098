"""Results that Pillow writes whole: WebP, BMP and GIF."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from daemon.pictures.embedded import Embedded
from daemon.pictures.exif import density_fields
from daemon.pictures.ifd import Tags, lay_out
from daemon.pictures.levels import Levels

JPEG_MARK = b"Exif\0\0"
LOSSLESS_EFFORT = 20
"""Of 100, for a painted texture: 95 takes sixteen times as long for a file 0.4 % smaller."""
OPAQUE_FROM = 128
COLOURS = 255
"""Of a GIF's 256 one is kept for what is transparent."""


def write_webp(
    target: BinaryIO, picture: Levels, embedded: Embedded, *, quality: int, lossless: bool
) -> None:
    """Writes a WebP; colours under what is transparent stay as they are."""
    Image.fromarray(picture.whole()).save(
        target,
        format="WEBP",
        quality=LOSSLESS_EFFORT if lossless else quality,
        lossless=lossless,
        exact=True,
        icc_profile=embedded.profile,
        exif=exif_of(embedded),
        xmp=embedded.xmp,
    )


def exif_of(embedded: Embedded) -> bytes:
    """EXIF as WebP has it, from its head on; behind it the resolution as ImageMagick 6 finds it.

    That looks for the mark before EXIF in JPEG, which WebP's has not, and would tell no resolution.
    """
    tags = embedded.tags
    if tags is None or embedded.density_ppi is None:
        return lay_out(tags) if tags is not None else b""
    whole = lay_out(tags)
    again = lay_out(Tags(tags.order, density_fields(tags, embedded.density_ppi)))
    return whole + bytes(len(whole) % 2) + JPEG_MARK + again


def write_bmp(target: BinaryIO, picture: Levels, embedded: Embedded) -> None:
    """Writes a BMP, which has room for a resolution and nothing else."""
    density = embedded.density_ppi or (96.0, 96.0)
    Image.fromarray(picture.whole()).save(target, format="BMP", dpi=density)


def write_gif(target: BinaryIO, picture: Levels, embedded: Embedded, note_key: str) -> None:
    """Writes a GIF in 255 colours of its own, its note as the comment."""
    levels = picture.whole()
    image = Image.fromarray(np.ascontiguousarray(levels[..., :3]))
    palette = image.quantize(COLOURS, Image.Quantize.MEDIANCUT)
    indexed = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    options: dict[str, object] = {"comment": f"{note_key} {embedded.note}".encode()}
    if picture.has_alpha:
        indexed = with_hole(indexed, levels[..., 3])
        options |= {"transparency": COLOURS, "disposal": 2}
    indexed.save(target, format="GIF", optimize=False, **options)


def with_hole(indexed: Image.Image, alpha: NDArray[np.uint8]) -> Image.Image:
    """A picture of a palette, its last colour where it is transparent."""
    indices = np.array(indexed)
    indices[alpha < OPAQUE_FROM] = COLOURS
    result = Image.fromarray(indices, mode="P")
    result.putpalette(list(indexed.getpalette() or []))
    return result
