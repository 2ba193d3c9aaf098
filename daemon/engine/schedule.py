"""Coarse to fine: the sizes a picture is painted at, and bringing pictures to them."""

import math
from dataclasses import dataclass, replace

from daemon.engine.errors import PictureError
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.layers import MIN_SIDE_PX

FIRST_PASS_PX = 128
"""Longest side of the first pass: the network's receptive fields span the whole composition, so
that a style's large forms, such as the swirls of a sky, go across the picture."""

PROOF_PX = 512
PROOF_STEPS = 30
"""Steps of a proof's last pass. Judged by eye: forms, strokes and colours are there, and 70 more
steps hardly change what is seen; it is a fraction of the full picture's time."""


@dataclass(frozen=True)
class Pass:
    """One size of the schedule and the steps taken there."""

    width_px: int
    height_px: int
    steps: int


def fit(width_px: int, height_px: int, longest_px: int) -> tuple[int, int]:
    """Width and height with the given longest side and the same proportions."""
    scale = longest_px / max(width_px, height_px)
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def plan_passes(recipe: Recipe, width_px: int, height_px: int) -> list[Pass]:
    """The passes for a picture of the given size, smallest first.

    From 182 px up they start at the same small size, so that a preview and the full picture share
    their composition, and about double from pass to pass. Raises PictureError if the picture is
    so narrow that the network cannot judge it.
    """
    longest = max(width_px, height_px) if recipe.size == "original" else recipe.size
    final = fit(width_px, height_px, longest)
    if min(final) < MIN_SIDE_PX:
        least = math.ceil(MIN_SIDE_PX * max(width_px, height_px) / min(width_px, height_px))
        raise PictureError(
            f"the picture is {width_px}x{height_px} px and would be painted at "
            f"{final[0]}x{final[1]} px; both sides must be at least {MIN_SIDE_PX} px there: choose "
            f"`size: {least}` or more, or crop the picture"
        )
    doublings = max(0, round(math.log2(longest / FIRST_PASS_PX)))
    growth = (longest / FIRST_PASS_PX) ** (1 / doublings) if doublings else 1.0
    sizes = [
        fit(width_px, height_px, round(longest / growth**back)) for back in range(doublings, 0, -1)
    ]
    sizes = [size for size in sizes if min(size) >= MIN_SIDE_PX]
    return [Pass(width, height, recipe.steps) for width, height in [*sizes, final]]


def plan_proof(recipe: Recipe, width_px: int, height_px: int) -> list[Pass]:
    """The passes for a proof: at most 512 px, with fewer steps in the last pass.

    The ones before it are as long as the full picture's, for the composition is made there. Where
    the full picture is smaller, the proof is the picture itself. Raises PictureError as
    `plan_passes` does.
    """
    full = plan_passes(recipe, width_px, height_px)
    if max(full[-1].width_px, full[-1].height_px) < PROOF_PX:
        return full
    at_proof_size = recipe.model_copy(update={"size": PROOF_PX})
    *smaller, last = plan_passes(at_proof_size, width_px, height_px)
    return [*smaller, replace(last, steps=min(last.steps, PROOF_STEPS))]
