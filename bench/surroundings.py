"""What the benches share: a worker's settings and runs, medians, and pictures as tensors."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from daemon.engine.fit.scratch import Scratch
from daemon.engine.fit.tiles import cut
from daemon.engine.losses.objective import Objective, make_objective
from daemon.engine.losses.places import WeightMap
from daemon.engine.losses.style import moments_of
from daemon.engine.losses.term import Materials, Region, StyleImage
from daemon.engine.losses.terms import layers_of
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_pixels
from daemon.engine.vgg.network import Network
from daemon.host.files import sha256_of
from daemon.messages import Blob, OrderedStyle, RunOrder
from daemon.pool.local import KEEP_MEMORY

ROOT = Path(__file__).parent.parent
RUNS = 5


def as_worker() -> None:
    """Starts this program anew with the settings of the C library that a worker has."""
    if KEEP_MEMORY.items() - os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_MEMORY})


def finish(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_s(work: Callable[[], object], device: torch.device, *, repeats: int = 1) -> float:
    """Median seconds of several runs, each of `repeats` calls, after one that warms up."""
    return medians_s([work], device, repeats=repeats)[0]


def medians_s(
    works: Sequence[Callable[[], object]],
    device: torch.device,
    *,
    repeats: int = 1,
    runs: int = RUNS,
) -> list[float]:
    """The same of several works that take turns, so that noise meets all of them alike."""
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for work, taken in zip(works, seconds, strict=True):
            finish(device)
            began = time.perf_counter()
            for _ in range(repeats):
                work()
            finish(device)
            taken.append((time.perf_counter() - began) / repeats)
    return [statistics.median(taken) for taken in seconds]


def as_tensor(image: Image.Image) -> Tensor:
    """(1, 3, H, W) in 0..1."""
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.view(image.height, image.width, 3).permute(2, 0, 1)[None].float() / 255.0


def objective_between(
    network: Network,
    recipe: Recipe,
    content: Tensor,
    style: Tensor,
    side: int | None = None,
    scratch: Scratch | None = None,
    parts: Sequence[WeightMap | None] = (None,),
) -> Objective:
    """The objective of a picture to be kept and a style, in tiles of `side` px.

    parts: of the picture, each of which is a region with the style of its own.
    """
    layers = layers_of(recipe)
    whole = cut(*style.shape[2:], None, layers, recipe.pooling)
    moments = moments_of(network, lambda tile: tile.crop(style), recipe, whole)
    tiling = cut(*content.shape[2:], side, layers, recipe.pooling)
    scratch = scratch or Scratch(network.device)
    regions = [Region(moments, part) for part in parts]
    height, width = style.shape[2:]
    images = [StyleImage(to_pixels(style), width, height, region=one) for one in range(len(parts))]
    return make_objective(Materials(network, recipe, tiling, scratch, content, regions, images))


def photograph(name: str, width_px: int, height_px: int) -> Tensor:
    """A picture of the repository, (1, 3, H, W) in 0..1."""
    image = Image.open(ROOT / name).convert("RGB").resize((width_px, height_px))
    return as_tensor(image).contiguous()


def make_order(folder: Path, picture: Path, recipe: dict[str, Any] | None = None) -> RunOrder:
    """A run of a worker after one style, its files in `folder`."""
    style = ROOT / "presets" / "starry.jpg"
    return RunOrder(
        name=picture.name,
        picture=Blob("", picture),
        max_pixels=250_000_000,
        recipe=recipe or {},
        styles=(OrderedStyle(style.name, Blob(sha256_of(style), style), 1.0),),
        result=folder / "result",
        checkpoint=folder / f"checkpoint-{picture.stem}",
        preview=None,
        memory_bytes=None,
        note={"id": "bench"},
    )


def machine(device: torch.device) -> str:
    """The versions and the device, in one line."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"{name}, Python {python}, torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{time.strftime('%Y-%m-%d')}"
    )
