"""Judges recipes by pictures: paints pairs, tells figures of each, lays out sheets to look at.

    python bench/judge.py paint OUT --size 256 --recipe today='{}' --recipe new='{"beta": 40}'
    python bench/judge.py table OUT
    python bench/judge.py sheet OUT
    python bench/judge.py validate

`paint` leaves what is painted already as it is, so it can be cut off and called again, with more
pairs or recipes too. The others need nothing but OUT. What the figures mean: docs/benchmarks.md.
"""

import argparse
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from judging import pairs, planted, verdict
from judging.figures import Judge
from judging.painting import Workshop, open_jobs, paint_all
from judging.pairs import Album, Series
from judging.scenes import make_scene
from judging.sheets import make_sheets
from surroundings import as_worker

from daemon.engine import Engine
from daemon.engine.device import usable_device
from daemon.engine.vgg.kernels import load_kernels
from daemon.engine.vgg.network import Network

ENGINE_FOLDER = pairs.ROOT / "state" / "bench-judge"
NAME = re.compile(r"[A-Za-z0-9._-]+")


def named_recipe(text: str) -> tuple[str, dict[str, Any]]:
    """`NAME=JSON` as a name and fields of a recipe."""
    name, _, fields = text.partition("=")
    if not NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r} is no name: letters, digits, . _ - only")
    try:
        found = json.loads(fields)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{fields!r} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{fields!r} is no object of recipe fields")
    return name, found


def make_judge(device: str, engine_folder: Path) -> Judge:
    """A judge on a device; the classic weights, in float32."""
    kernels = load_kernels("classic", engine_folder)
    return Judge(Network(kernels, usable_device(device), torch.float32))


def paint(options: argparse.Namespace) -> int:
    """Paints what is missing; returns 1 if something could not be painted."""
    contents, styles = pairs.all_contents(options.contents), pairs.all_styles(options.styles)
    figures = tuple(name for name in options.figures.split(",") if name)
    for name in figures:
        if name not in styles:
            raise ValueError(f"--figures: no style is called {name}")
    chosen = pairs.choose_pairs(options.pairs, list(contents), list(styles), figures)
    asked = Series(options.size, dict(options.recipe), figures, chosen)
    for name in asked.recipes:
        asked.recipe(name)
    album = Album(options.out)
    album.extend(asked)
    album.lay_out(
        options.size,
        {pair.content: contents[pair.content] for pair in chosen},
        {pair.style: styles[pair.style] for pair in chosen},
    )
    total, failed = len(open_jobs(album, asked)), 0
    workshop = Workshop(options.device, options.jobs, options.engine_folder)
    for number, done in enumerate(paint_all(album, asked, workshop), start=1):
        outcome = f"FAILED: {done.error}" if done.error else f"{done.seconds:.1f} s"
        print(f"{number}/{total} {done.job.pair} {done.job.recipe} {outcome}", flush=True)
        failed += done.error is not None
    return 1 if failed else 0


def table(options: argparse.Namespace) -> int:
    """Judges every picture, keeps the figures, and prints the verdict."""
    album = Album(options.out)
    judged = list(verdict.judge_album(album, make_judge(options.device, options.engine_folder)))
    verdict.keep(album, judged)
    print(verdict.report(album, judged, options.against))
    return 0


def sheet(options: argparse.Namespace) -> int:
    """Writes the sheets, with figures where `table` has left some."""
    album = Album(options.out)
    recipes = options.recipes.split(",") if options.recipes else list(album.series().recipes)
    for path in make_sheets(album, recipes, verdict.kept_labels(album), album.folder / "sheets"):
        print(path)
    return 0


def validate(options: argparse.Namespace) -> int:
    """Plants failures into a picture; returns 1 if a figure did not tell its own."""
    engine = Engine(options.device, "classic", options.engine_folder)
    scene = make_scene(engine, options.size)
    trials = planted.validate(make_judge(options.device, options.engine_folder), scene)
    for name, figures in [("sound", trials[0].sound), *((t.failure, t.failed) for t in trials)]:
        row = "  ".join(f"{key} {value:7.3f}" for key, value in asdict(figures).items())
        print(f"{name:20}{row}")
    for trial in trials:
        print(
            f"{trial.failure}: {'MISSED by ' + ', '.join(trial.missed) if trial.missed else 'told'}"
        )
    return 1 if any(trial.missed for trial in trials) else 0


def parser() -> argparse.ArgumentParser:
    """What may be typed."""
    root = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", default="cpu")
    shared.add_argument("--engine-folder", type=Path, default=ENGINE_FOLDER)
    commands = root.add_subparsers(required=True)
    one = commands.add_parser("paint", parents=[shared], help="paint pairs with recipes")
    one.add_argument("out", type=Path)
    one.add_argument("--size", type=int, default=256, help="longest side in px")
    one.add_argument("--jobs", type=int, default=1, help="processes beside each other")
    one.add_argument("--recipe", type=named_recipe, action="append", required=True)
    one.add_argument("--pairs", default="all", help="all, figures, or patterns: rocket+*,*+wave")
    one.add_argument("--figures", default="", help="styles that show somebody: NAME,NAME")
    one.add_argument("--contents", type=Path, help="a folder of further photographs")
    one.add_argument("--styles", type=Path, help="a folder of further style images")
    one.set_defaults(run=paint)
    one = commands.add_parser("table", parents=[shared], help="judge what is painted")
    one.add_argument("out", type=Path)
    one.add_argument("--against", help="the recipe others are compared with; default: the first")
    one.set_defaults(run=table)
    one = commands.add_parser("sheet", parents=[shared], help="lay pictures side by side")
    one.add_argument("out", type=Path)
    one.add_argument("--recipes", help="NAME,NAME: only these, in this order")
    one.set_defaults(run=sheet)
    one = commands.add_parser("validate", parents=[shared], help="judge planted failures")
    one.add_argument("--size", type=int, default=256)
    one.set_defaults(run=validate)
    return root


def main() -> None:
    """Runs a command; what was asked wrongly is told in a line."""
    options = parser().parse_args()
    try:
        sys.exit(options.run(options))
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"judge: {error}")


if __name__ == "__main__":
    as_worker()
    main()
