"""Faces: soft ovals of a picture in which the photograph counts for more and the style for less."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from daemon.engine.faces import Face
from daemon.engine.losses.places import TOP, WeightMap
from daemon.engine.losses.term import Materials

MORE_ALPHA = 3.0
"""With `faces: 1` the content counts so many times more inside, on top of once."""

LESS_BETA = 0.7
"""With `faces: 1` the styles' pull inside is weaker by this share."""

OVAL = (0.6, 0.75)
"""Half of an oval's width and height, in widths and heights of its face's box."""

LOWER = 0.05
"""How far below the box's middle the oval's is, in heights: a chin lies lower than hair."""

FEATHER = 0.4
"""The share of an oval's radius, at its border, over which it fades: a cheek has no edge there."""

ROWS_AT_ONCE = 256


def keep_faces(
    materials: Materials, faces: Sequence[Face], picture_px: tuple[int, int]
) -> Materials:
    """The materials with the content's weight raised and the styles' lowered in faces.

    faces: in a picture of `picture_px`, width and height.  The same materials where there are none,
    or the recipe does without.
    """
    strength = materials.recipe.faces
    if not (strength and faces):
        return materials
    height, width = materials.content.shape[2:]
    levels = face_levels(faces, picture_px, (width, height)).to(materials.content.device)
    lowered = WeightMap(levels, 1.0, 1.0 - LESS_BETA * strength)
    return replace(
        materials,
        regions=[replace(one, weights=product(one.weights, lowered)) for one in materials.regions],
        content_weights=WeightMap(levels, 1.0, 1.0 + MORE_ALPHA * strength),
    )


def product(weights: WeightMap | None, others: WeightMap) -> WeightMap:
    """What both maps give a place, multiplied; both are at most 1."""
    if weights is None:
        return others
    levels = weights.pixels().mul_(others.pixels()).mul_(TOP).round_()
    return WeightMap(levels.to(torch.uint8))


def face_levels(
    faces: Sequence[Face], picture_px: tuple[int, int], size_px: tuple[int, int]
) -> Tensor:
    """Soft ovals around faces, (H, W) uint8: 255 inside, 0 outside.

    picture_px: width and height that the boxes are of; size_px: those of the map.
    """
    width, height = size_px
    levels = torch.zeros(height, width, dtype=torch.uint8)
    scales = (width / picture_px[0], height / picture_px[1])
    for face in faces:
        across, down = oval(face, scales)
        for first in range(0, height, ROWS_AT_ONCE):
            band = levels[first : first + ROWS_AT_ONCE]
            rows = distances(down, first, len(band))
            radius = (rows[:, None] + distances(across, 0, width)).sqrt_()  # 1 at the border
            depth = (1.0 - radius).div_(FEATHER).clamp_(0.0, 1.0)
            soft = depth.square() * (3.0 - 2.0 * depth)
            torch.maximum(band, soft.mul_(TOP).round_().to(torch.uint8), out=band)
    return levels


def oval(
    face: Face, scales: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Middle and half length of a face's oval, across and down, in px of a map of those scales."""
    middle_px = (
        face.left_px + face.width_px / 2,
        face.top_px + face.height_px * (0.5 + LOWER),
    )
    halves_px = (OVAL[0] * face.width_px, OVAL[1] * face.height_px)
    across, down = (
        (middle * scale, half * scale)
        for middle, half, scale in zip(middle_px, halves_px, scales, strict=True)
    )
    return across, down


def distances(oval_span: tuple[float, float], first: int, count: int) -> Tensor:
    """Squared distances of pixels' middles from an oval's, in shares of its half length."""
    middle, half = oval_span
    return ((torch.arange(first, first + count) + 0.5 - middle) / half).square_()
