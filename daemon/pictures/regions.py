"""Regions of a picture by the colours that masks have for them. Loads no numpy."""

from collections.abc import Sequence

from PIL import ImageColor

WHOLE = ""
"""The region of styles that name none: all of a picture, or what a grey mask leaves of it."""


LOSSLESS = ("PNG", "TIFF", "BMP", "GIF")
"""Formats that keep the colours of a mask as they were drawn; JPEG has others around every edge."""


def region_colour(name: str) -> str:
    """The colour a region is called by, as `#rrggbb`: `red`, `#f00`, `rgb(255, 0, 0)`, `white`.

    Raises ValueError if it is none, or is transparent.
    """
    try:
        colour = ImageColor.getrgb(name.strip())
    except ValueError as error:
        raise ValueError("is no colour; use a name such as red, or '#ff0000' in quotes") from error
    if len(colour) != 3:
        raise ValueError("has an opacity; use an opaque colour, such as '#ff0000' in quotes")
    return "#{:02x}{:02x}{:02x}".format(*colour)


def described(regions: Sequence[str]) -> str:
    """Regions in words: `red (#ff0000) and #123456`."""
    names = {region_colour(name): name for name in reversed(list(ImageColor.colormap))}
    words = [f"{names[one]} ({one})" if one in names else one for one in regions]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
