"""Time of a tiled evaluation against an untiled one, for each megapixel, after one that warms up.

Run as `python bench/tiles.py [WIDTHxHEIGHT] [--tiles PX ...]`. An untiled evaluation of the default
picture takes about 11 GB.
"""

import argparse
import time

import torch
from surroundings import ROOT, as_worker, machine, objective_between, photograph

from daemon.engine.fit.tiles import cut
from daemon.engine.losses.terms import layers_of
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.arithmetic import choose_arithmetic
from daemon.engine.vgg.kernels import load_kernels
from daemon.engine.vgg.network import Network

CPU = torch.device("cpu")


def main() -> None:
    """Prints a line for each way, the untiled one first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", default="3072x2048")
    parser.add_argument("--tiles", nargs="*", type=int, default=[2048, 1024, 768, 512])
    options = parser.parse_args()
    width_px, height_px = map(int, options.size.split("x"))
    way = choose_arithmetic(CPU, "auto", ROOT / "state" / "engine")
    network = Network(load_kernels("classic", ROOT), CPU, way.dtype, way.winograd)
    recipe = Recipe()
    picture = photograph("docs/images/rocket.jpg", width_px, height_px)
    style = photograph("presets/starry.jpg", 512, 512)
    print(machine(CPU), way)
    untiled_s = 0.0
    for side in [None, *options.tiles]:
        tiling = cut(height_px, width_px, side, layers_of(recipe), recipe.pooling)
        objective = objective_between(network, recipe, picture, style, side)
        objective.evaluate(picture)
        began = time.perf_counter()
        found = objective.evaluate(picture)
        seconds = time.perf_counter() - began
        untiled_s = untiled_s or seconds
        print(
            f"tiles {side or 'one':>5} ({len(tiling.tiles):3d}): {seconds:6.1f} s, "
            f"{seconds / (width_px * height_px / 1e6):.2f} s/MP, "
            f"{seconds / untiled_s:.2f} of one tile; loss {found.total.item():.6g}",
            flush=True,
        )


if __name__ == "__main__":
    as_worker()
    main()
