"""How long a full picture will take, foretold from the proof that was just painted of it."""

import math
from collections.abc import Sequence

from daemon.engine.fit.plan import Plan
from daemon.engine.fit.tiles import cut
from daemon.engine.losses.terms import layers_of
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass

GROWTH = 0.05
"""Measured: seconds a pixel grow about with this power of the pixels worked on at once (0 to 0.14
from 512 to 1024 px on two cores, the more so the larger blocks of memory are given back)."""

SECOND_LOOK = 0.3
"""Measured: the share of a step that a tile costs again. The losses need every tile's features
before the first gradient, so that all but one go through the network forwards twice."""

FINISH = 2.2
"""Times the steps of a smaller pass that the last one takes. A heuristic: progress falls about with
the square of the steps, and the last pass ends at a fifth of the others'. Measured: 5 % over 20
steps is left after 61 to 74 steps, 3 % after 78 to 95, 2 % after 97 and 99."""


def estimate_s(
    full: Sequence[tuple[Pass, Plan]],
    recipe: Recipe,
    proof: Sequence[tuple[Pass, int]],
    step_s: float,
) -> float:
    """Seconds of the full picture's passes, each as its plan will compute it.

    proof: the passes that were painted, and the steps each took.  step_s: seconds of a step of the
    last of them.
    """
    smaller_steps = proof[-2][1] if len(proof) > 1 else recipe.steps
    last_steps = min(recipe.steps, round(smaller_steps * FINISH))
    per_work = step_s / work([proof[-1][0].width_px * proof[-1][0].height_px])
    *before, last = [work(regions(size, plan, recipe)) for size, plan in full]
    return per_work * (smaller_steps * sum(before) + last_steps * last)


def regions(size: Pass, plan: Plan, recipe: Recipe) -> list[int]:
    """Pixels that each tile of a pass is computed on."""
    tiling = cut(size.height_px, size.width_px, plan.tile_px, layers_of(recipe), recipe.pooling)
    return [tile.region_px for tile in tiling.tiles]


def work(regions: Sequence[int]) -> float:
    """What a step costs, in no unit, for the pixels of each tile's region."""
    costs = [math.pow(pixels, 1.0 + GROWTH) for pixels in regions]
    return sum(costs) + SECOND_LOOK * sum(costs[:-1])
