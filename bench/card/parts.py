"""What `bench/gpu.py` measures on a card. Each yields its rows as it finds them.

Works with torch from 2.11 on. What does not fit into the card's memory is a row that says so.
"""

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from step import matrix_peak, operations, placed
from surroundings import ROOT, make_order, median_s, objective_between, photograph

from daemon import __version__
from daemon.engine.engine import Engine, Style
from daemon.engine.fit import memory
from daemon.engine.fit.plan import usual_history
from daemon.engine.fit.scratch import Scratch
from daemon.engine.optimise.recorded import Recorded
from daemon.engine.optimise.steps import make_optimiser
from daemon.engine.paint import Painted, Planned
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass
from daemon.engine.vgg.arithmetic import choose_arithmetic
from daemon.engine.vgg.kernels import load_kernels
from daemon.engine.vgg.network import Network
from daemon.messages import RunOrder, WorkerSettings
from daemon.pool.devices import shares_of
from daemon.pool.local import LocalPool
from daemon.settings.config import Config

from .line import Line
from .runner import Row

SIZES_PX = (512, 1024, 2048, 4096)
AT_ONCE = (1, 2, 4)
TOGETHER_PX = 512
PICTURES = 16
ENGINE = ROOT / "state" / "engine"
MPS_PIPE = "/tmp/nvidia-mps"


def facts(device: torch.device) -> Row:
    """The card, the versions and the date."""
    import pynvml

    driver = "unknown"
    try:
        pynvml.nvmlInit()
        driver = str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        pass
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        check=False,
        text=True,
    ).stdout.strip()
    found = torch.cuda.get_device_properties(device)
    dtype = choose_arithmetic(device, "auto", ENGINE).dtype
    return {
        "card": found.name,
        "memory_gb": found.total_memory / 1e9,
        "driver": driver,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "processors": len(os.sched_getaffinity(0)),
        "dtype": str(dtype).removeprefix("torch."),
        "version": f"{__version__} ({commit})" if commit else __version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def each_size(
    measure: Callable[[int], Iterator[Row]], sizes_px: Sequence[int] = SIZES_PX
) -> Iterator[Row]:
    """The rows of each size; one too large for the card is a row that says so."""
    for px in sizes_px:
        try:
            yield from measure(px)
        except (torch.OutOfMemoryError, MemoryError):
            yield {"px": px, "held_to": "all", "error": "out of memory"}
        torch.cuda.empty_cache()


def steps(device: torch.device) -> Iterator[Row]:
    """Seconds of a step, recorded as a CUDA graph and not, against the card's matrix peak."""
    way = choose_arithmetic(device, "auto", ENGINE)
    kernels = placed(load_kernels("classic", ROOT), device)
    peak = matrix_peak(way.dtype, device)

    def measure(px: int) -> Iterator[Row]:
        memory.reset_peak(device)
        idle = memory.peak_bytes(device)
        network = Network(kernels, device, way.dtype, way.winograd)
        picture = photograph("docs/images/rocket.jpg", px, px).to(device)
        style = photograph("presets/starry.jpg", px, px).to(device)
        plain = objective_between(network, Recipe(), picture, style).evaluate
        history = usual_history(px * px)
        optimiser = make_optimiser(Recipe(), picture.shape, Scratch(device), history)
        evaluate = plain

        def step() -> None:
            optimiser.advance(picture, evaluate(picture).gradient)

        for _ in range(history + 1):
            step()
        repeats = max(1, 2048 * 10 // px // 4)
        launched_s = median_s(step, device, repeats=repeats)
        evaluate = Recorded(plain, picture)
        step_s = median_s(step, device, repeats=repeats)
        yield {
            "px": px,
            "step_s": step_s,
            "launched_s": launched_s,
            "flops": operations(kernels, px, px) / step_s,
            "peak_flops": peak,
            "above_idle_bytes": memory.peak_bytes(device) - idle,
        }

    yield from each_size(measure)


def plans(device: torch.device) -> Iterator[Row]:
    """The memory that a pass was planned to take against what it took, free and held to half."""
    engine = Engine(str(device), "classic", ENGINE)
    content = np.array(Image.open(ROOT / "docs/images/rocket.jpg").convert("RGB"))
    style = Style(np.array(Image.open(ROOT / "presets/starry.jpg").convert("RGB")))

    def paint(px: int, held_to: int | None) -> tuple[Row, int]:
        torch.cuda.empty_cache()
        memory.reset_peak(device)
        square = np.array(Image.fromarray(content).resize((px, px)))
        whole = Pass(px, px, usual_history(px * px) + 3)
        planned, found = 0, {"px": px, "held_to": "half" if held_to else "all"}
        moments = engine.paint(square, [style], Recipe(), passes=[whole], memory_bytes=held_to)
        for moment in moments:
            match moment:
                case Planned(_, plan):
                    planned = plan.predicted_bytes
                    aside = ", vectors aside" if plan.aside else ""
                    found["tiles"] = f"{plan.tile_px or 'one'}{aside}"
                case Painted():
                    taken = memory.peak_bytes(device)
        return found | {"planned_bytes": planned, "taken_bytes": taken}, planned

    def measure(px: int) -> Iterator[Row]:
        row, planned = paint(px, None)
        yield row
        if px == SIZES_PX[-2]:
            yield paint(px, planned // 2)[0]

    yield from each_size(measure)


def order_in(folder: Path, number: int) -> RunOrder:
    """The order of a picture, with a folder of its own."""
    own = folder / str(number)
    own.mkdir(parents=True)
    return make_order(own, ROOT / "docs/images/rocket.jpg", {"size": TOGETHER_PX})


def at_once(device: torch.device, folder: Path) -> Iterator[Row]:
    """Seconds a picture where one, two and four are painted at once, by warm workers."""
    pipe = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", MPS_PIPE)) / "control"
    for count in AT_ONCE:
        settings = WorkerSettings(str(device), "classic", ENGINE)
        workers = [
            replace(settings, **asdict(one))
            for one in shares_of([str(device)], Config(per_device=count))
        ]
        pool = LocalPool(workers, lambda run_id, event: None)
        try:
            line = Line(pool, partial(order_in, folder / str(count)))
            line.paint(2 * count)  # the workers become warm
            seconds = line.paint(PICTURES)
        finally:
            pool.close(grace_s=2.0)
        yield {
            "at_once": count,
            "px": TOGETHER_PX,
            "pictures": PICTURES,
            "picture_s": seconds / PICTURES,
            "mps": pipe.exists(),
        }
