"""Regions of a picture by the colours that masks have for them. Loads no numpy."""

from PIL import ImageColor

WHOLE = ""
"""The region of styles that name none: all of a picture, or what a grey mask leaves of it."""


def region_colour(name: str) -> str:
    """The colour a region is called by, as `#rrggbb`: `red`, `#f00`, `rgb(255, 0, 0)`, `white`.

    Raises ValueError if it is none, or is transparent.
    """
    colour = ImageColor.getrgb(name.strip())
    if len(colour) != 3:
        raise ValueError(f"{name!r} has an opacity; a region is an opaque colour")
    return "#{:02x}{:02x}{:02x}".format(*colour)
