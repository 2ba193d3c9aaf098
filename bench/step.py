"""One optimisation step, against what its convolutions alone cost, and against plain autograd.

Run as `python bench/step.py [LONGEST_PX]`. Medians of several runs, in one process, so that the
ratios hold on a noisy machine.
"""

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.models import vgg

from daemon.engine import memory
from daemon.engine.kernels import CONVOLUTIONS, Kernels, load_kernels
from daemon.engine.lbfgs import Lbfgs
from daemon.engine.network import Filter, Network
from daemon.engine.objective import Objective, Targets, content_targets, gram_targets
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import fit
from daemon.engine.trial import PLAIN, Arithmetic, choose_arithmetic

ROOT = Path(__file__).parent.parent
RUNS = 5


def median_s(work: Callable[[], object]) -> float:
    """Median seconds of several runs after one that warms up."""
    work()
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def photograph(name: str, width_px: int, height_px: int) -> Tensor:
    """A picture of the repository, (1, 3, H, W) in 0..1."""
    image = Image.open(ROOT / name).convert("RGB").resize((width_px, height_px))
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.view(height_px, width_px, 3).permute(2, 0, 1)[None].float().contiguous() / 255.0


def floor_s(kernels: Kernels, way: Arithmetic, width_px: int, height_px: int) -> float:
    """The convolutions of a step alone, one layer at a time: forward, and input gradient."""
    total = 0.0
    for name in CONVOLUTIONS[: CONVOLUTIONS.index("conv5_1") + 1]:
        scale = 2 ** (int(name[4]) - 1)
        kernel = kernels.kernels[name].to(way.dtype)
        for one in (kernel, kernel.flip(2, 3).transpose(0, 1)):
            shape = (1, one.shape[1], height_px // scale, width_px // scale)
            features = torch.randn(shape, dtype=way.dtype)
            features = features.contiguous(memory_format=torch.channels_last)
            work = functools.partial(Filter(one, None, way.method).apply, features)
            total += median_s(work)
    return total


def plain_step(kernels: Kernels, recipe: Recipe, targets: Targets, picture: Tensor) -> Tensor:
    """The same losses as a plain programmer writes them: modules, autograd, NCHW."""
    picture = picture.clone().requires_grad_()
    x, block, index = picture, 1, 1
    content = style = torch.zeros(())
    for module in vgg.make_layers(vgg.cfgs["E"])[:30]:
        if isinstance(module, torch.nn.Conv2d):
            name = f"conv{block}_{index}"
            x = F.conv2d(x, kernels.kernels[name], kernels.biases[name], padding=1)
            continue
        x = module(x) if not isinstance(module, torch.nn.ReLU) else torch.relu(x)
        if isinstance(module, torch.nn.MaxPool2d):
            block, index = block + 1, 1
            continue
        name = f"relu{block}_{index}"
        index += 1
        if name in recipe.content_layers:
            content = content + F.mse_loss(x, targets.content[name])
        if name in recipe.style_layers:
            rows = x.flatten(2)[0]
            style = style + F.mse_loss(rows @ rows.T / rows.shape[1], targets.grams[name])
        if name == "relu5_1":
            break
    (content + style).backward()
    assert picture.grad is not None
    return picture.grad


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("longest_px", nargs="?", type=int, default=512)
    longest = parser.parse_args().longest_px
    width, height = fit(4, 3, longest)
    kernels = load_kernels("classic", ROOT)
    cpu = torch.device("cpu")
    way = choose_arithmetic(cpu, "auto", ROOT / "state" / "engine")
    network = Network(kernels, cpu, way.dtype, way.method)
    recipe = Recipe()
    picture = photograph("docs/images/rocket.jpg", width, height)
    style = photograph("presets/starry.jpg", width, height)
    idle = memory.peak_bytes(network.device)
    targets = Targets(
        content_targets(network, picture, recipe), gram_targets(network, style, recipe)
    )
    objective = Objective(network, recipe, targets)
    optimiser = Lbfgs(picture.shape, network.device, 20)

    def step() -> None:
        optimiser.advance(picture, objective.evaluate(picture).gradient)

    memory.reset_peak(network.device)
    step_s = median_s(step)
    above = memory.peak_bytes(network.device) - idle
    floor = floor_s(kernels, way, width, height)
    direct = floor_s(kernels, PLAIN, width, height)
    plain_s = median_s(lambda: plain_step(kernels, recipe, targets, picture))
    print(
        f"{width}x{height} px, torch {torch.__version__}, {torch.get_num_threads()} threads, {way}"
    )
    print(f"step                          {step_s:8.3f} s")
    print(f"convolutions alone            {floor:8.3f} s   {floor / step_s:.0%} of a step")
    print(f"... directly in float32       {direct:8.3f} s   {direct / step_s:.2f} x a step")
    print(f"plain autograd, no optimiser  {plain_s:8.3f} s   {plain_s / step_s:.2f} x a step")
    print(f"peak above idle               {above / 1e9 / (width * height / 1e6):8.2f} GB/megapixel")


if __name__ == "__main__":
    main()
