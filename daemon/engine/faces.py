"""Faces of a picture: where they are. The engine finds none, it is told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Face:
    """A face's box, from the forehead to the chin, in px of the upright picture."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int
