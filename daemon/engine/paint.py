"""The passes of a painting, as moments to walk over: planned, stepped, resting, painted.

Whoever walks decides what to do with each; leaving the walk ends the painting.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from daemon.engine.checkpoint import (
    Checkpoint,
    Earlier,
    PassReport,
    make_checkpoint,
    resume_point,
)
from daemon.engine.device import translated_errors
from daemon.engine.errors import CheckpointError, DivergedError
from daemon.engine.faces import Face
from daemon.engine.fit import memory
from daemon.engine.fit.plan import Plan, count_maps
from daemon.engine.fit.scratch import Scratch, Vector
from daemon.engine.fit.tiles import cut
from daemon.engine.judgement import Judgement, judge
from daemon.engine.losses import style as style_loss
from daemon.engine.losses.faces import keep_faces
from daemon.engine.losses.moments import StyleMoments
from daemon.engine.losses.objective import make_objective
from daemon.engine.losses.places import WeightMap, covered
from daemon.engine.losses.term import Materials, Region
from daemon.engine.losses.terms import layers_of
from daemon.engine.optimise.recorded import Evaluate, recorded
from daemon.engine.optimise.steps import (
    Course,
    Minimum,
    Step,
    make_optimiser,
    minimise,
)
from daemon.engine.palette import Palette
from daemon.engine.pixels import Bounds, FloatPixels, Pixels, bounds_of, resize, size_of
from daemon.engine.recipe import Recipe
from daemon.engine.regions import Masks, share_of, weight_maps
from daemon.engine.schedule import Pass, limits_of, style_size
from daemon.engine.shortage import check_memory
from daemon.engine.tensors import hold, refine, to_pixels, to_tensor

if TYPE_CHECKING:
    from daemon.engine.engine import Engine, Style

CUDA_BURST = 10
"""Steps between two looks at the losses."""

TOO_LARGE = "this size needs about"


@dataclass(frozen=True)
class Planned:
    """A pass is about to begin, and how it will be computed."""

    size: Pass
    plan: Plan


@dataclass(frozen=True)
class Stepped:
    """One step, and where it stands in the schedule; passes count from 1.

    picture: (1, 3, H, W), what the step's losses are of; only lent, so copy what is to be kept.
    palette: what shows a copy of it as the result will look.
    """

    pass_number: int
    passes: tuple[Pass, ...]
    step: Step
    picture: Tensor
    palette: Palette


@dataclass(frozen=True)
class Resting:
    """Between two steps. make_checkpoint: what is to be gone on from; only valid now."""

    make_checkpoint: Callable[[], Checkpoint]


@dataclass(frozen=True, eq=False)
class Painted:
    """The end: the painted picture, float32 pixels, how it came about, and what it is like."""

    pixels: FloatPixels
    passes: tuple[PassReport, ...]
    warnings: tuple[str, ...]
    judgement: Judgement


Moment = Planned | Stepped | Resting | Painted


StylesOfRegion = tuple[list["Style"], WeightMap | None]
"""The styles of a region, and how much each place is it; None: the whole picture."""


@dataclass(frozen=True, eq=False)
class Commission:
    """What is to be painted: picture, styles, recipe, the passes in order, masks and faces.

    picture, styles: in the colours they are painted in, which the palette has seen to.
    """

    picture: Pixels
    styles: Sequence["Style"]
    recipe: Recipe
    passes: tuple[Pass, ...]
    palette: Palette
    masks: Masks = field(default_factory=dict)
    faces: tuple[Face, ...] = ()

    @cached_property
    def bounds(self) -> Bounds:
        """What the painted picture is held to: the widest of sRGB, the picture and the styles."""
        every = [bounds_of(pixels) for pixels in (self.picture, *(s.pixels for s in self.styles))]
        return [
            (min(least for least, _ in channel), max(most for _, most in channel))
            for channel in zip(*every, strict=True)
        ]


def finish(moments: Iterator[Moment]) -> Painted:
    """Walks to the end of a painting, and returns it."""
    for moment in moments:
        if isinstance(moment, Painted):
            return moment
    raise ValueError("a schedule has at least one pass")


def paint_passes(
    engine: "Engine",
    commission: Commission,
    identity: Mapping[str, Any],
    resumed: Checkpoint | None,
    memory_bytes: int | None,
) -> Iterator[Moment]:
    """Every moment of a painting; see `Engine.paint`.

    identity: what `resumed` must have been made of.
    """
    point = resume_point(resumed, identity)
    reports, warnings, earlier = point.reports, point.warnings, point.earlier
    passes, painted = commission.passes, None
    if resumed is None and memory_bytes is None:
        check_memory(engine, commission.recipe, passes[-1], maps_of(commission))
    for number, size in enumerate(passes[len(reports) :], start=len(reports) + 1):
        began_s = time.perf_counter() - (earlier.seconds if earlier else 0.0)
        plan = plan_pass(engine, commission, size, memory_bytes, earlier)
        yield Planned(size, plan)
        begins = f"pass {number}: {TOO_LARGE}"
        if not plan.fits and not any(text.startswith(begins) for text in warnings):
            warnings.append(f"pass {number}: {too_large(plan)}")  # a checkpoint brings its own
        keep = partial(
            make_checkpoint,
            identity,
            plan=plan,
            began_s=began_s,
            reports=reports,
            warnings=warnings,
        )
        with translated_errors(size):
            evaluate, course = begin_pass(engine, commission, size, plan, painted, earlier)
            if earlier and earlier.light and course.taken < size.steps:
                warnings.append(began_anew(course.taken, number))
            minimum = yield from take_steps(evaluate, course, number, commission, keep)
        earlier = None
        with translated_errors(size):
            painted = keep_rest(minimum.picture, commission, size)
        warnings.extend(f"pass {number}: {text}" for text in minimum.warnings)
        seconds, ends = time.perf_counter() - began_s, (minimum.first, minimum.last)
        reports.append(PassReport(size, plan, seconds, *ends, minimum.converged, minimum.best))
        del evaluate, course, minimum, keep  # of a pass that is over nothing is to take memory
    if painted is not None:
        with translated_errors(passes[-1]):
            pixels = to_pixels(hold(painted, commission.bounds))
            commission.palette.finish(pixels)
            judgement = judge_painting(pixels, commission, reports[-1])
            yield Painted(pixels, tuple(reports), tuple(warnings), judgement)


def judge_painting(pixels: FloatPixels, commission: Commission, last: PassReport) -> Judgement:
    """The figures of a finished painting, beside the photograph, and the styles as painted."""
    styles = [
        (style.pixels, style_size(last.size, size_of(style.pixels), scale))
        for style in commission.styles
        for scale in commission.recipe.style_scales
    ]
    return judge(pixels, commission.palette.photograph, styles, last)


def plan_pass(
    engine: "Engine",
    commission: Commission,
    size: Pass,
    memory_bytes: int | None,
    earlier: Earlier | None,
) -> Plan:
    """How a pass is computed: as before where it goes on, unless there is less memory now."""
    history = earlier.plan.history if earlier else None
    now = engine.plan(commission.recipe, size, memory_bytes, history, maps_of(commission))
    return earlier.still_good(now) if earlier else now


def maps_of(commission: Commission) -> int:
    """How many maps of weights a painting has."""
    return count_maps(len(commission.masks), len(commission.faces))


def take_steps(
    evaluate: Evaluate,
    course: Course,
    number: int,
    commission: Commission,
    keep: Callable[..., Checkpoint],
) -> Generator[Moment, None, Minimum]:
    """Yields the steps and rests of a pass, and returns what it came to.

    number: of the pass, from 1.  Raises DivergedError if no loss was a finite number.
    """
    passes = commission.passes
    size = passes[number - 1]
    limits = limits_of(commission.recipe)
    least = limits.last_progress if number == len(passes) else limits.coarse_progress
    burst = CUDA_BURST if course.picture.is_cuda else 1
    for steps in minimise(evaluate, course, steps=size.steps, burst=burst, least_progress=least):
        for step in steps:
            yield Stepped(number, passes, step, course.picture, commission.palette)
        if not steps:
            yield Resting(partial(keep, course=course))
    minimum = course.minimum(least)
    if not math.isfinite(minimum.best.total):
        raise DivergedError(
            "the loss was not a finite number at any step; alpha, beta, tv and the "
            "layers' weights are too large, or too far apart"
        )
    return minimum


def begin_pass(
    engine: "Engine",
    commission: Commission,
    size: Pass,
    plan: Plan,
    before: Tensor | None,
    earlier: Earlier | None,
) -> tuple[Evaluate, Course]:
    """What is minimised in a pass, and where the optimisation starts or goes on.

    before: the result of the pass before, (1, 3, h, w).
    """
    recipe = commission.recipe
    scratch = Scratch(engine.device, engine.folder if plan.aside else None)
    groups = styles_by_region(commission, size, engine.device)
    content = to_tensor(resize(commission.picture, size.width_px, size.height_px), engine.device)
    objective = make_objective(
        gather_materials(engine, commission, size, plan, groups, content, scratch)
    )
    if before is None:
        leading, parts = [styles[0] for styles, _ in groups], [part for _, part in groups]
        start = engine.start(content, leading, recipe, parts)
    else:
        smaller = resize(commission.picture, before.shape[3], before.shape[2])
        start = refine(before, to_tensor(smaller, engine.device), content)
    del content
    if plan.aside and engine.device.type == "cpu":
        start = put_aside(start, scratch)
    memory.give_back()  # what making all that took, Pillow's large pictures among it
    evaluate, warning = (
        recorded(objective.evaluate, start) if not plan.aside else (objective.evaluate, None)
    )
    optimiser = make_optimiser(recipe, start.shape, scratch, plan.history, commission.bounds)
    course = Course(start, optimiser, scratch)
    if earlier:
        go_on(course, earlier)
    if warning:
        course.notices.append(warning)
    return evaluate, course


def gather_materials(
    engine: "Engine",
    commission: Commission,
    size: Pass,
    plan: Plan,
    groups: Sequence[StylesOfRegion],
    content: Tensor,
    scratch: Scratch,
) -> Materials:
    """What a pass's losses are made from.  content: the picture at its size, (1, 3, H, W)."""
    recipe = commission.recipe
    regions = [Region(mixed(engine, styles, recipe, size, plan), part) for styles, part in groups]
    layers = layers_of(recipe)
    tiling = cut(size.height_px, size.width_px, plan.tile_px, layers, recipe.pooling)
    images = [
        replace(image, weight=weight / len(recipe.style_scales), region=number)
        for number, (styles, part) in enumerate(groups)
        for style, weight in zip(styles, weights_in(styles, part), strict=True)
        for image in engine.style_images(style, recipe, size, plan)
    ]
    materials = Materials(engine.network, recipe, tiling, scratch, content, regions, images)
    return keep_faces(materials, commission.faces, size_of(commission.picture))


def mixed(
    engine: "Engine", styles: Sequence["Style"], recipe: Recipe, size: Pass, plan: Plan
) -> StyleMoments:
    """The moments of several styles, mixed by weight."""
    return style_loss.mix(
        [(engine.moments(style, recipe, size, plan), style.weight) for style in styles]
    )


def styles_by_region(
    commission: Commission, size: Pass, device: torch.device
) -> list[StylesOfRegion]:
    """The styles of each region that has a place at a pass's size, and how much each place is it.

    Without masks there is one region: the whole picture.
    """
    maps: dict[str, WeightMap | None] = weight_maps(commission.masks, size, device)
    if not commission.masks:
        return [(list(commission.styles), None)]
    return [
        ([style for style in commission.styles if style.region == region], part)
        for region, part in maps.items()
    ]


def keep_rest(painted: Tensor, commission: Commission, size: Pass) -> Tensor:
    """The painting of a pass, where its masks leave the photograph that again, in place.

    painted: (1, 3, H, W).  The losses alone let what is painted shine into the rest: deep layers
    see far, and smooth steps reach farther.
    """
    parts = weight_maps(commission.masks, size, painted.device)
    rest = covered(list(parts.values()))
    if not commission.masks or (parts and rest is None):
        return painted
    content = to_tensor(resize(commission.picture, size.width_px, size.height_px), painted.device)
    return content if rest is None else painted.sub_(content).mul_(rest.pixels()).add_(content)


def weights_in(styles: Sequence["Style"], part: WeightMap | None) -> list[float]:
    """What each style of a region weighs in the picture: of its share as much as among them."""
    if part is None:
        return [style.weight for style in styles]
    share = share_of(part) / sum(style.weight for style in styles)
    return [style.weight * share for style in styles]


def put_aside(start: Tensor, scratch: Scratch) -> Tensor:
    """The same picture, (1, 3, H, W), where it takes no memory while the optimiser has none for it.

    Not for CUDA, whose network looks at it at every step.
    """
    aside = scratch.empty(*start.shape)
    Vector(aside.view(-1), scratch).copy(Vector(start.view(-1), scratch))
    return aside


def go_on(course: Course, earlier: Earlier) -> None:
    """Takes a run to where a checkpoint left it; raises CheckpointError if it is of another."""
    try:
        course.resume(earlier.tensors, earlier.course, light=earlier.light)
    except (KeyError, TypeError, RuntimeError) as error:
        if memory.is_out_of_memory(error):
            raise
        raise CheckpointError(f"it belongs to another painting ({error})") from error


def began_anew(taken: int, number: int) -> str:
    """What to tell of a painting whose optimiser was left behind after so many steps of a pass."""
    return (
        f"went on from a light checkpoint at step {taken} of pass {number}: the optimiser began "
        "anew there, so the bytes differ from an uninterrupted painting"
    )


def too_large(plan: Plan) -> str:
    """What to tell when even the smallest plan does not fit."""
    return (
        f"{TOO_LARGE} {plan.predicted_bytes / 1e9:.1f} GB, more than the "
        f"{plan.budget_bytes / 1e9:.1f} GB it may take; it was tried with the smallest tiles"
    )
