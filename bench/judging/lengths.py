"""Painting with several numbers of steps, and what a picture looked like on the way."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from daemon.engine.engine import Engine, Style
from daemon.engine.paint import Painted, Stepped
from daemon.engine.pixels import size_of, to_levels
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass, StepLimits, plan_passes
from daemon.engine.tensors import to_pixels

from .painting import PaintJob, facts_line
from .pairs import Album, Pair, Series, read_pixels, save_pixels, write_whole
from .verdict import COLUMNS, Judged

WORST_OF = ("E", "C", "noise", "colour_noise")
"""Figures whose worst pair is told; the others are near 0 in a good picture."""


@dataclass(frozen=True)
class Seen:
    """The best picture of a painting so far, (1, 3, H, W), and its total loss.

    seconds: the processor's, since the painting began.
    """

    picture: Tensor
    total: float
    seconds: float


def name_of(text: str) -> str:
    """What pictures painted with lengths such as `60/30/40` are kept as; raises ValueError."""
    first, between, last = (int(part) for part in text.split("/"))
    return f"{first}-{between}-{last}"


def limits_of(name: str) -> StepLimits:
    """The limits of a `name_of`."""
    first, between, last = (int(part) for part in name.split("-"))
    return StepLimits(first, between, last)


def passes_of(recipe: Recipe, limits: StepLimits, width_px: int, height_px: int) -> list[Pass]:
    """The passes of a picture of that size, as long as asked for."""
    planned = plan_passes(recipe, width_px, height_px)
    return [
        replace(size, steps=limits.steps(number, len(planned)))
        for number, size in enumerate(planned, start=1)
    ]


def paint_seen(
    engine: Engine, album: Album, pair: Pair, recipe: Recipe, limits: StepLimits, at: Sequence[int]
) -> tuple[dict[int, Seen], Painted]:
    """Paints a pair, and keeps what it looked like after the steps `at` of the last pass.

    Where a painting ended before, its end stands for the steps that were not taken.
    """
    content = read_pixels(album.content(pair.content))
    style = Style(read_pixels(album.style(pair.style)))
    passes = passes_of(recipe, limits, *size_of(content))
    began_s, seen, best = time.process_time(), dict[int, Seen](), None
    for moment in engine.paint(content, [style], recipe, passes=passes):
        if isinstance(moment, Stepped) and moment.pass_number == len(passes):
            step = moment.step
            if best is None or step.total < best.total:
                best = Seen(moment.picture.clone(), step.total, 0.0)
            best = replace(best, seconds=time.process_time() - began_s)
            if step.number in at:
                seen[step.number] = best
        if isinstance(moment, Painted):
            assert best is not None
            return {number: seen.get(number, best) for number in at}, moment
    raise ValueError("a painting without an end")


def keep(album: Album, name: str, pair: Pair, seen: Seen, painted: Painted) -> None:
    """Keeps a picture and its facts as `bench/judge.py` does."""
    target = album.painted(name, pair)
    target.parent.mkdir(parents=True, exist_ok=True)
    facts = facts_line(PaintJob(name, pair), painted, seen.seconds)
    write_whole(target.with_suffix(".json"), facts.encode())
    save_pixels(target, to_levels(to_pixels(seen.picture.clamp(0, 1))))


def paint_all(engine: Engine, album: Album, series: Series) -> None:
    """Paints what is missing, pair by pair, the lengths with the same smaller passes in one go."""
    for pair in series.pairs:
        groups: dict[tuple[int, int], list[tuple[int, str]]] = defaultdict(list)
        for name in series.recipes:
            limits = limits_of(name)
            if not album.painted(name, pair).exists():
                groups[limits.first, limits.between].append((limits.last, name))
        for (first, between), lasts in groups.items():
            limits = StepLimits(first, between, max(last for last, _ in lasts))
            recipe = series.recipe(lasts[0][1])
            at = [last for last, _ in lasts]
            seen, painted = paint_seen(engine, album, pair, recipe, limits, at)
            for last, name in lasts:
                keep(album, name, pair, seen[last], painted)
                loss, seconds = seen[last].total, seen[last].seconds
                print(f"{pair} {name} loss {loss:.5g} {seconds:.1f} s", flush=True)


def worst_lines(judged: Sequence[Judged], names: Sequence[str], against: str) -> Iterator[str]:
    """For each of the lengths, the pairs whose figures got worst, as ratios to the first's."""
    by_name = {(one.recipe, one.pair): one.values() for one in judged}
    every = dict.fromkeys(one.pair for one in judged)
    for name in names:
        told = []
        for figure in WORST_OF if name != against else ():
            ratios = {
                pair: by_name[name, pair][figure] / (by_name[against, pair][figure] or 1e-9)
                for pair in every
            }
            pick = min if COLUMNS[figure] > 0 else max
            worst = pick(ratios, key=lambda pair: ratios[pair])
            told.append(f"{figure} {ratios[worst]:.2f} ({worst})")
        if told:
            yield f"{name} worst: {', '.join(told)}"
