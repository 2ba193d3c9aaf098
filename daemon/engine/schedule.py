"""Coarse to fine: the sizes a picture is painted at, and how far it goes at each of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from daemon.engine.errors import PictureError
from daemon.engine.recipe import Effort, Recipe
from daemon.engine.vgg.layers import MIN_SIDE_PX

FIRST_PASS_PX = 128
"""Longest side of the first pass: the network's receptive fields span the whole composition, so
that a style's large forms, such as the swirls of a sky, go across the picture."""

PROOF_PX = 512
PROOF_STEPS = 30
"""Steps of a proof's last pass. Judged by eye: forms, strokes and colours are there, and 70 more
steps hardly change what is seen; it is a fraction of the full picture's time."""

MOST_STYLE_AREA = 4
"""A style image's pixels to the picture's, at most, at a style_scale of 1: as a square one has them
beside a picture of 4:1. Beside a narrower one it would go on growing with the longest side alone,
to twenty times the picture's pixels at 20:1, and most work would go into it."""

MOST_STYLE_PIXELS = 250_000_000
"""Of a style image at the scale it is seen at: more cannot be worth what they cost."""


LEAST_PROGRESS = 0.01
"""Less progress than this over a window of steps cannot be seen in the picture."""

COARSE_PROGRESS = 0.05
"""Measured: what a smaller pass gains below this, the next one gains in a few steps anyway."""


@dataclass(frozen=True)
class StepLimits:
    """How far a painting goes: the steps of its passes, at most, and where a pass ends before.

    first: of the pass that begins from nothing.  between, last: of those that go on from a smaller
    one.  last_progress: the last pass ends once it gains less than this share of the loss over a
    window of steps.  coarse_progress: the same of the others.
    """

    first: int
    between: int
    last: int
    coarse_progress: float = COARSE_PROGRESS
    last_progress: float = LEAST_PROGRESS

    def steps(self, number: int, count: int) -> int:
        """The steps of a pass by its number, from 1, among `count`."""
        if number == count:
            return max(self.first, self.last) if count == 1 else self.last
        return self.first if number == 1 else self.between


EFFORTS: Mapping[Effort, StepLimits] = {
    "draft": StepLimits(first=40, between=20, last=15),
    "good": StepLimits(first=100, between=100, last=100),
    "best": StepLimits(first=150, between=150, last=200),
}
"""Judged by eye and by the judge's figures; docs/decisions.md has them."""


def limits_of(recipe: Recipe) -> StepLimits:
    """How far a recipe goes: as many steps as it says, or as its effort does."""
    if recipe.steps is not None:
        return StepLimits(recipe.steps, recipe.steps, recipe.steps)
    return EFFORTS[recipe.effort]


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


def style_size(size: Pass, style_px: tuple[int, int], style_scale: float) -> tuple[int, int]:
    """Width and height that a style image is seen at in a pass.

    Its longest side is the picture's times `style_scale`, unless the picture is very narrow
    (`MOST_STYLE_AREA`).  style_px: its own width and height.
    """
    longest = round(max(size.width_px, size.height_px) * style_scale)
    width, height = fit(*style_px, longest)
    most = most_style_pixels(size.height_px, size.width_px, style_scale)
    if width * height > most:
        width, height = fit(*style_px, round(longest * math.sqrt(most / (width * height))))
    return max(width, MIN_SIDE_PX), max(height, MIN_SIDE_PX)


def most_style_pixels(height_px: int, width_px: int, style_scale: float) -> int:
    """Pixels that a style image is seen at, at most, beside a picture of that size."""
    narrowed = min(max(height_px, width_px), MOST_STYLE_AREA * min(height_px, width_px))
    return int(max(height_px, width_px) * narrowed * style_scale**2)


def check_style_size(size: Pass, style_px: tuple[int, int], style_scale: float) -> None:
    """Raises PictureError if a style image would be larger in a pass than can be worth it."""
    width, height = style_size(size, style_px, style_scale)
    if width * height > MOST_STYLE_PIXELS:
        raise PictureError(
            f"with style_scale {style_scale:g} a style image would be seen at {width}x{height} px, "
            f"more than {MOST_STYLE_PIXELS // 10**6} megapixels, beside a picture of "
            f"{size.width_px}x{size.height_px} px; choose a smaller `style_scale` or `size`"
        )


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
    sizes, limits = [*sizes, final], limits_of(recipe)
    return [
        Pass(width, height, limits.steps(number, len(sizes)))
        for number, (width, height) in enumerate(sizes, start=1)
    ]


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
