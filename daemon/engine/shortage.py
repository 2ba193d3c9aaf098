"""Refusing a picture that needs far more memory than it may take, with what would help it.

A plan that is a little over its budget is tried, since predictions are wrong by a little. One that
is far over would take what was promised to others, and end in a want of memory after hours.
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.engine.errors import TooLargeError
from daemon.engine.fit import memory
from daemon.engine.fit.plan import HISTORIES, Plan, features_bytes, lying_aside_bytes
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass, fit
from daemon.engine.vgg.layers import MIN_SIDE_PX

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

EXACTNESS = 32
"""The size that fits is sought to one part in so many of what was asked for."""


def check_memory(engine: "Engine", recipe: Recipe, size: Pass, maps: int) -> None:
    """Raises TooLargeError if a pass needs far more memory than it may take.

    maps: how many maps of weights it has.
    """
    if why := shortage(engine, recipe, size, maps):
        raise TooLargeError(f"{why} Nothing was painted")


def shortage(engine: "Engine", recipe: Recipe, size: Pass, maps: int) -> str:
    """Why a pass cannot be painted in the memory it may take, and what would help; or nothing.

    maps: how many maps of weights it has.
    """
    plan = engine.plan(recipe, size, maps=maps)
    if not plan.is_far_over:
        return ""
    helps = [
        *ways_with_more_room(engine, recipe, size, maps),
        *smaller_sizes(engine, recipe, size, maps),
        more_memory(engine, plan),
    ]
    return (
        f"{size.width_px}x{size.height_px} px need about {gigabytes(plan.predicted_bytes)} of "
        f"memory even in the smallest tiles, and may take {gigabytes(plan.budget_bytes)}. Any of "
        f"these helps: {'; '.join(helps)}."
    )


def ways_with_more_room(engine: "Engine", recipe: Recipe, size: Pass, maps: int) -> Iterator[str]:
    """What lets vectors and targets lie aside: room for them, or fewer of them, or both."""
    for words, changed in lighter_recipes(recipe):
        if not engine.plan(changed, size, maps=maps).is_far_over:
            yield words
            continue
        fewest = HISTORIES[-1] if changed.optimizer == "lbfgs" else 0
        roomy = engine.plan(changed, size, None, fewest, maps, aside_bytes=sys.maxsize)
        if not roomy.is_far_over:
            value_bytes = engine.dtype.itemsize
            aside = lying_aside_bytes(size.height_px, size.width_px, changed, fewest, value_bytes)
            freed = memory.to_be_freed_bytes(engine.device, engine.folder, aside)
            room = f"{gigabytes(freed)} more free {place_aside(engine)}"
            yield f"{words} with {room}" if words else room


def place_aside(engine: "Engine") -> str:
    """Where vectors lie aside, in words."""
    if engine.device.type == "cuda":
        return "of the machine's own memory"
    return f"on the disk of {engine.folder}"


def lighter_recipes(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """The recipe itself, and those with fewer or smaller targets, with what was changed."""
    yield "", recipe
    usual = Recipe().content_layers
    widest = max(map(width_of, usual))
    wide = [layer for layer in recipe.content_layers if width_of(layer) > widest]
    if wide:
        words = f"`content_layers` deeper than {', '.join(wide)}, such as {', '.join(usual)}"
        yield words, recipe.model_copy(update={"content_layers": usual})
    if recipe.match:
        yield "`match: 0`", recipe.model_copy(update={"match": 0.0})


def width_of(layer: str) -> float:
    """How many values a layer has for a pixel of the picture."""
    return features_bytes(layer, 1, 1)


def smaller_sizes(engine: "Engine", recipe: Recipe, size: Pass, maps: int) -> Iterator[str]:
    """The largest size that fits, if any does."""
    longest = max(size.width_px, size.height_px)

    def fits(side_px: int) -> bool:
        width, height = fit(size.width_px, size.height_px, side_px)
        at = replace(size, width_px=width, height_px=height)
        return min(width, height) >= MIN_SIDE_PX and engine.plan(recipe, at, maps=maps).fits

    found = largest_that(fits, longest)
    if found:
        yield f"`size: {found}` or less"


def largest_that(fits: Callable[[int], bool], failing: int) -> int:
    """The largest number that fits, in round numbers; 0 if none does.  failing: that does not."""
    fitting, exact = 0, max(1, failing // EXACTNESS)
    while failing - fitting > exact:
        middle = (fitting + failing) // 2
        fitting, failing = (middle, failing) if fits(middle) else (fitting, middle)
    return fitting // 10 * 10


def more_memory(engine: "Engine", plan: Plan) -> str:
    """What memory there must be, and where that is said."""
    there = memory.budget_bytes(engine.device, None)
    if plan.predicted_bytes <= there:
        return f"`memory: {math.ceil(plan.predicted_bytes / (1 << 30))}GiB` in config.yaml"
    missing = int((plan.predicted_bytes - there) / memory.SHARE_OF_FREE)
    allowed = ", and as much allowed by `memory` in config.yaml" if engine.memory_bytes else ""
    return f"{gigabytes(missing)} more free memory: end other programs, or add some{allowed}"


def gigabytes(size: int) -> str:
    """Bytes in words, rounded up: what is a little too little does not help."""
    return f"{math.ceil(size / 1e8) / 10:.1f} GB"
