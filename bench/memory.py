"""Predicted against measured peak memory, each size and dtype in a fresh process.

Run as `python bench/memory.py [SIZE ...] [--precision float32 bfloat16] [--budget-gib N]
[--steps N] [--layers NAME ...] [--match WEIGHT] [--regions N]`.
"""

import argparse
import json
import subprocess
import sys

import torch
from surroundings import ROOT, as_worker, objective_between, photograph
from table import print_row

from daemon.engine.fit import memory
from daemon.engine.fit.plan import count_maps, make_plan
from daemon.engine.fit.scratch import Scratch
from daemon.engine.losses.places import TOP, WeightMap
from daemon.engine.losses.terms import layers_of
from daemon.engine.optimise.steps import Course, make_optimiser, minimise
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.arithmetic import choose_arithmetic
from daemon.engine.vgg.kernels import load_kernels
from daemon.engine.vgg.network import Network

CPU = torch.device("cpu")


def strips(width_px: int, height_px: int, regions: int) -> list[WeightMap | None]:
    """So many upright strips of a picture, each a region; none: one that is everywhere."""
    if not regions:
        return [None]
    strip = torch.arange(width_px) * regions // width_px
    levels = [(strip == number).to(torch.uint8) * TOP for number in range(regions)]
    return [WeightMap(one.repeat(height_px, 1)) for one in levels]


def one(
    width_px: int,
    height_px: int,
    recipe: Recipe,
    precision: str,
    budget: int,
    steps: int,
    regions: int,
) -> dict[str, float]:
    """A few steps, as the engine takes them: predicted and measured peak in bytes."""
    way = choose_arithmetic(CPU, precision, ROOT / "state" / "engine")  # type: ignore[arg-type]
    network = Network(load_kernels("classic", ROOT), CPU, way.dtype, way.winograd)
    small = photograph("docs/images/rocket.jpg", 64, 64)
    objective_between(network, recipe, small, small).evaluate(small)
    memory.give_back()
    memory.reset_peak(CPU)
    held = memory.held_bytes(CPU)
    plan = make_plan(
        height_px,
        width_px,
        recipe,
        value_bytes=way.dtype.itemsize,
        held_bytes=held + network.coming_bytes(layers_of(recipe)),
        budget_bytes=budget,
        aside_bytes=memory.aside_bytes(CPU, ROOT / "state" / "engine"),
        maps=count_maps(regions, faces=0),
    )
    scratch = Scratch(CPU, ROOT / "state" / "engine" if plan.aside else None)
    picture = photograph("docs/images/rocket.jpg", width_px, height_px)
    style = photograph("presets/starry.jpg", 256, 256)
    parts = strips(width_px, height_px, regions)
    objective = objective_between(network, recipe, picture, style, plan.tile_px, scratch, parts)
    del style
    optimiser = make_optimiser(recipe, picture.shape, scratch, plan.history)
    course = Course(picture, optimiser, scratch)
    for _ in range(plan.history + 1):  # so that every pair is there, as after as many steps
        course.optimiser.advance(picture, 1e-3 * torch.randn_like(picture))
    course.optimiser.restart(1.0)
    memory.give_back()
    for _ in minimise(objective.evaluate, course, steps=steps):
        pass
    return {
        "predicted": plan.predicted_bytes,
        "measured": memory.peak_bytes(CPU),
        "held": held,
        "tile": plan.tile_px or 0,
        "history": plan.history,
        "aside": plan.aside,
    }


def main() -> None:
    """Prints a table; with --child does one row's work."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = ["256x256", "512x384", "640x960", "1024x768", "1536x1024", "2048x1365"]
    parser.add_argument("sizes", nargs="*", default=sizes)
    parser.add_argument("--precision", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--budget-gib", type=float, default=1000.0)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--layers", nargs="*", default=[], help="of the style, and the last kept")
    parser.add_argument("--match", type=float, default=0.0, help="weight of the match loss")
    parser.add_argument("--regions", type=int, default=0, help="strips with a mask each")
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    recipe = Recipe(match=options.match)
    if options.layers:
        weights = dict.fromkeys(options.layers, 1.0)
        kept = {options.layers[-1]: 1.0}
        recipe = Recipe(style_layers=weights, content_layers=kept, match=options.match)
    budget = int(options.budget_gib * (1 << 30))
    for precision in options.precision:
        for size in options.sizes:
            if options.child:
                width, height = map(int, size.split("x"))
                way = (precision, budget, options.steps, options.regions)
                print(json.dumps(one(width, height, recipe, *way)))
                continue
            command = [
                sys.executable,
                __file__,
                size,
                "--precision",
                precision,
                "--child",
                "--budget-gib",
                str(options.budget_gib),
                "--steps",
                str(options.steps),
                "--match",
                str(options.match),
                "--regions",
                str(options.regions),
                "--layers",
                *options.layers,
            ]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            row = json.loads(output.splitlines()[-1])
            print_row(
                f"memory at {size} px, {precision}",
                f"{row['measured'] / 1e9:.2f} GB",
                f"predicted {row['predicted'] / row['measured'] - 1:+.0%}",
            )
            print(
                f"{precision:9s} {size:>10s} tile {row['tile']:5d} history {row['history']:2d} "
                f"{'aside ' if row['aside'] else ''}"
                f"held {row['held'] / 1e9:.2f} predicted {row['predicted'] / 1e9:6.2f} GB "
                f"measured {row['measured'] / 1e9:6.2f} GB  "
                f"{row['predicted'] / row['measured'] - 1:+.0%}",
                flush=True,
            )


if __name__ == "__main__":
    as_worker()
    main()
