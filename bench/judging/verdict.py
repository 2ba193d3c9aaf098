"""What the judge says of an album: figures of every picture, their means, and what got worse."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import fmean

from daemon.engine.pixels import size_of

from .figures import BETTER, Figures, Judge, View
from .pairs import Album, Pair, at_longest, read_pixels, write_whole

COLUMNS = {**BETTER, "seconds": -1}
"""The figures of a table, and whether larger (1) or smaller (-1) is better."""

WORST = 6
"""Pairs that are named for each figure."""


@dataclass(frozen=True)
class Judged:
    """One painted picture, its figures, seconds, and what its painting warned of."""

    recipe: str
    pair: Pair
    figures: Figures
    seconds: float
    warnings: tuple[str, ...]

    def values(self) -> dict[str, float]:
        """Figures and seconds by name."""
        return {**asdict(self.figures), "seconds": self.seconds}


def judge_album(album: Album, judge: Judge) -> Iterator[Judged]:
    """Yields every painted picture of an album, judged; pairs that lack a recipe too."""
    series = album.series()

    @lru_cache(maxsize=64)
    def content_view(name: str) -> View:
        return judge.view(read_pixels(album.content(name)))

    @lru_cache(maxsize=16)
    def style_view(name: str, longest_px: int) -> View:
        return judge.view(at_longest(read_pixels(album.style(name)), longest_px))

    for pair in series.pairs:
        for recipe in series.recipes:
            path = album.painted(recipe, pair)
            if not path.exists():
                continue
            pixels, facts = read_pixels(path), album.facts(recipe, pair)
            style = style_view(pair.style, max(size_of(pixels)))
            figures = judge.judge(judge.view(pixels), content_view(pair.content), style)
            yield Judged(recipe, pair, figures, facts["seconds"], tuple(facts["warnings"]))


def keep(album: Album, judged: Sequence[Judged]) -> None:
    """Writes the figures of every picture beside them, a line of JSON each."""
    rows = [
        {"recipe": one.recipe, **asdict(one.pair), **one.values(), "warnings": one.warnings}
        for one in judged
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write_whole(album.folder / "judged.jsonl", lines.encode())


def kept_labels(album: Album) -> dict[tuple[str, Pair], str]:
    """A few words on each picture, from the figures that `keep` left; none where it did not."""
    path = album.folder / "judged.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {
        (row["recipe"], Pair(row["content"], row["style"])): (
            f"E {row['E']:.3f} C {row['C']:.2f} n {row['noise']:.2f} leak {row['leak']:.2f}"
        )
        for row in rows
    }


def comparable(judged: Sequence[Judged], recipes: Sequence[str]) -> list[Judged]:
    """The pictures of those pairs that every recipe has painted, so that means can be compared."""
    painted = {(one.recipe, one.pair) for one in judged}
    return [one for one in judged if all((recipe, one.pair) in painted for recipe in recipes)]


def means(judged: Sequence[Judged]) -> dict[str, float]:
    """The mean of each figure over some pictures."""
    return {name: fmean(one.values()[name] for one in judged) for name in COLUMNS}


def mean_table(judged: Sequence[Judged], recipes: Sequence[str], against: str) -> list[str]:
    """Lines with each recipe's means, and below them their ratios to those of one recipe."""
    by_recipe = {name: [one for one in judged if one.recipe == name] for name in recipes}
    averages = {name: means(ones) for name, ones in by_recipe.items()}
    width = max(len(name) for name in recipes) + len(against) + 4
    head = "".join(f"{name + ('+' if good > 0 else '-'):>14}" for name, good in COLUMNS.items())
    lines = [f"{'':{width}}{head}{'warned':>8}"]
    for name in recipes:
        row = "".join(f"{averages[name][column]:14.4f}" for column in COLUMNS)
        warned = sum(bool(one.warnings) for one in by_recipe[name])
        lines.append(f"{name:{width}}{row}{warned:8d}")
    for name in recipes:
        if name != against:
            ratios = ratios_of(averages[name], averages[against])
            row = "".join(f"{ratios[column]:14.2f}" for column in COLUMNS)
            lines.append(f"{name + ' / ' + against:{width}}{row}")
    return lines


def ratios_of(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """One set of figures by another; what was 0 and is 0 stays 1."""
    return {
        name: one[name] / other[name] if other[name] else (1.0 if not one[name] else float("inf"))
        for name in COLUMNS
    }


def worsened(judged: Sequence[Judged], recipe: str, against: str, figure: str) -> list[str]:
    """The pairs whose figure a recipe made worst, as `pair before → after`; better ones not."""
    values = {(one.recipe, one.pair): one.values()[figure] for one in judged}
    pairs = dict.fromkeys(one.pair for one in judged)
    loss = {
        pair: (values[against, pair] - values[recipe, pair]) * COLUMNS[figure] for pair in pairs
    }
    worst = sorted((pair for pair in pairs if loss[pair] > 0), key=lambda pair: -loss[pair])
    return [
        f"{pair} {values[against, pair]:.3f} → {values[recipe, pair]:.3f}" for pair in worst[:WORST]
    ]


def picture_lines(judged: Sequence[Judged]) -> list[str]:
    """One line a picture."""
    width = max(len(f"{one.pair} {one.recipe}") for one in judged) + 2
    lines = [f"{'':{width}}" + "".join(f"{name:>14}" for name in COLUMNS)]
    for one in judged:
        row = "".join(f"{value:14.4f}" for value in one.values().values())
        lines.append(f"{f'{one.pair} {one.recipe}':{width}}{row}  {'; '.join(one.warnings)}")
    return lines


def report(album: Album, judged: Sequence[Judged], against: str | None = None) -> str:
    """The whole verdict as text: every picture, means by group, ratios, and what got worse.

    against: the recipe that others are compared with; the first one if None.  Raises ValueError if
    there is no such recipe, or nothing that can be compared.
    """
    series = album.series()
    recipes = [name for name in series.recipes if any(one.recipe == name for one in judged)]
    base = against or next(iter(series.recipes))
    if base not in recipes:
        raise ValueError(f"{album.folder} has no pictures of recipe {base}")
    shared = comparable(judged, recipes)
    if not shared:
        raise ValueError(f"no pair of {album.folder} is painted with all of {', '.join(recipes)}")
    lines = picture_lines(judged)
    groups = {
        "all pairs": shared,
        "figures in the style": [one for one in shared if one.pair.style in series.figures],
        "no figures": [one for one in shared if one.pair.style not in series.figures],
    }
    for title, ones in groups.items():
        if ones:
            lines += ["", f"{title}: {len(ones) // len(recipes)}, + larger is better, - smaller"]
            lines += mean_table(ones, recipes, base)
    for recipe in recipes:
        for figure in COLUMNS if recipe != base else ():
            pairs = worsened(shared, recipe, base, figure)
            lines += ["", f"{recipe}, {figure} worse than {base}: {'; '.join(pairs) or 'none'}"]
    return "\n".join(lines)
