"""How long a full picture will take, foretold from the proof that was just painted of it."""

import math
from collections.abc import Sequence

from daemon.engine.fit.plan import Plan
from daemon.engine.fit.tiles import cut
from daemon.engine.losses.terms import layers_of
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass, limits_of

GROWTH = 0.05
"""Measured: seconds a pixel grow about with this power of the pixels worked on at once (0 to 0.14
from 512 to 1024 px on two cores, the more so the larger blocks of memory are given back)."""

SECOND_LOOK = 0.3
"""Measured: the share of a step that a tile costs again. The losses need every tile's features
before the first gradient, so that all but one go through the network forwards twice."""


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
    per_work = step_s / work([proof[-1][0].width_px * proof[-1][0].height_px])
    steps = steps_of([size for size, _ in full], recipe, proof)
    works = [work(regions(size, plan, recipe)) for size, plan in full]
    return per_work * sum(taken * cost for taken, cost in zip(steps, works, strict=True))


def steps_of(
    full: Sequence[Pass], recipe: Recipe, proof: Sequence[tuple[Pass, int]]
) -> list[float]:
    """The steps that each pass will take: all, unless a smaller one of the proof ended before.

    A heuristic: progress over a window of steps falls about with the square of the steps. Measured:
    5 % over 20 steps is left after 61 to 74 steps, 3 % after 78 to 95, 2 % after 97 and 99.
    """
    most = [size.steps for size in full]
    if len(proof) < 2 or proof[-2][1] == proof[-2][0].steps:
        return [*most]
    limits, taken = limits_of(recipe), proof[-2][1]
    finish = taken * math.sqrt(limits.coarse_progress / limits.last_progress)
    return [*(min(steps, taken) for steps in most[:-1]), min(most[-1], finish)]


def regions(size: Pass, plan: Plan, recipe: Recipe) -> list[int]:
    """Pixels that each tile of a pass is computed on."""
    tiling = cut(size.height_px, size.width_px, plan.tile_px, layers_of(recipe), recipe.pooling)
    return [tile.region_px for tile in tiling.tiles]


def work(regions: Sequence[int]) -> float:
    """What a step costs, in no unit, for the pixels of each tile's region."""
    costs = [math.pow(pixels, 1.0 + GROWTH) for pixels in regions]
    return sum(costs) + SECOND_LOOK * sum(costs[:-1])
