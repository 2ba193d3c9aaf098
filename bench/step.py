"""One optimisation step, against what its convolutions alone cost, and against plain autograd.

Run as `python bench/step.py [LONGEST_PX ...] [--device cuda:0] [--precision float32]`. Medians of
several runs, in one process, so that the ratios hold on a noisy machine. On CUDA also the share
of the card's measured matrix peak.
"""

import argparse
import functools
import os

import torch
import torch.nn.functional as F
from surroundings import (
    ROOT,
    as_worker,
    finish,
    machine,
    median_s,
    medians_s,
    objective_between,
    photograph,
)
from table import print_row
from torch import Tensor
from torchvision.models import vgg

from daemon.engine.fit import memory
from daemon.engine.fit.plan import usual_history
from daemon.engine.fit.scratch import Scratch
from daemon.engine.losses.statistics import gram_matrix
from daemon.engine.losses.style import STATISTICS
from daemon.engine.optimise.recorded import Recorded
from daemon.engine.optimise.steps import make_optimiser
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import fit
from daemon.engine.vgg.arithmetic import PLAIN, Arithmetic, choose_arithmetic
from daemon.engine.vgg.kernels import Kernels, load_kernels
from daemon.engine.vgg.layers import CONVOLUTIONS
from daemon.engine.vgg.network import Filter, Network

USED = CONVOLUTIONS[: CONVOLUTIONS.index("conv5_1") + 1]
MATRIX_SIDE = 8192
STATISTICS_RUNS = 9
"""Of each statistic: what they differ by is a few per cent of a step."""


def convolutions_s(
    kernels: Kernels, way: Arithmetic, device: torch.device, width_px: int, height_px: int
) -> float:
    """The convolutions of a step alone, one layer at a time: forward, and input gradient."""
    total = 0.0
    for name in USED:
        scale = 2 ** (int(name[4]) - 1)
        kernel = kernels.kernels[name].to(device, way.dtype)
        for one in (kernel, kernel.flip(2, 3).transpose(0, 1)):
            shape = (1, one.shape[1], height_px // scale, width_px // scale)
            features = torch.randn(shape, dtype=way.dtype, device=device)
            features = features.contiguous(memory_format=torch.channels_last)
            work = functools.partial(Filter(one, None, way.winograd).apply, features)
            total += median_s(work, device)
    return total


def operations(kernels: Kernels, width_px: int, height_px: int) -> float:
    """Floating-point operations of a step's convolutions, done directly."""
    pixels = {name: width_px * height_px / 4 ** (int(name[4]) - 1) for name in USED}
    return sum(2 * 2 * kernels.kernels[name].numel() * pixels[name] for name in USED)


def matrix_peak(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large matrix product."""
    one = torch.randn(MATRIX_SIDE, MATRIX_SIDE, device=device, dtype=dtype)
    return 2.0 * MATRIX_SIDE**3 / median_s(lambda: one @ one, device, repeats=10)


def plain_step(
    kernels: Kernels, recipe: Recipe, targets: dict[str, Tensor], picture: Tensor
) -> Tensor:
    """The same losses as a plain programmer writes them: modules, autograd, NCHW, float32."""
    picture = picture.clone().requires_grad_()
    x, block, index = picture, 1, 1
    content = style = torch.zeros((), device=picture.device)
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
            content = content + F.mse_loss(x, targets[name].float())
        if name in recipe.style_layers:
            rows = x.flatten(2)[0]
            style = style + F.mse_loss(rows @ rows.T / rows.shape[1], targets[name])
        if name == "relu5_1":
            break
    (content + style).backward()
    assert picture.grad is not None
    return picture.grad


def gaussian_beyond_gram_s(network: Network, picture: Tensor, style: Tensor) -> float:
    """What the losses and gradient take more by Gaussian statistics than by Gram matrices."""
    works = []
    for name in STATISTICS:
        recipe = Recipe.model_validate({"statistics": name})
        evaluate = objective_between(network, recipe, picture, style).evaluate
        recorded = Recorded(evaluate, picture) if picture.is_cuda else evaluate
        works.append(functools.partial(recorded, picture))
    repeats = 10 if picture.is_cuda else 1
    seconds = medians_s(works, picture.device, repeats=repeats, runs=STATISTICS_RUNS)
    of = dict(zip(STATISTICS, seconds, strict=True))
    return of["gaussian"] - of["gram"]


def placed(kernels: Kernels, device: torch.device) -> Kernels:
    """The weights on the device."""
    return Kernels(
        kernels.name,
        kernels.sha256,
        {name: one.to(device) for name, one in kernels.kernels.items()},
        {name: one.to(device) for name, one in kernels.biases.items()},
    )


def report(longest: int, device: torch.device, way: Arithmetic, kernels: Kernels) -> None:
    """Prints one size's table."""
    width, height = fit(4, 3, longest)
    megapixels = width * height / 1e6
    network = Network(kernels, device, way.dtype, way.winograd)
    recipe = Recipe(statistics="gram")  # as the plain step beside it
    picture = photograph("docs/images/rocket.jpg", width, height).to(device)
    style = photograph("presets/starry.jpg", width, height).to(device)
    memory.give_back()
    memory.reset_peak(device)
    idle = memory.peak_bytes(device)
    objective = objective_between(network, recipe, picture, style)
    history = usual_history(width * height)
    optimiser = make_optimiser(recipe, picture.shape, Scratch(device), history)
    evaluate = (
        Recorded(objective.evaluate, picture) if device.type == "cuda" else (objective.evaluate)
    )
    for _ in range(history):
        optimiser.advance(picture, objective_gradient := evaluate(picture).gradient)
    del objective_gradient

    def step() -> None:
        optimiser.advance(picture, evaluate(picture).gradient)

    repeats = 10 if device.type == "cuda" else 1
    step_s = median_s(step, device, repeats=repeats)
    unrecorded_s = median_s(lambda: objective.evaluate(picture), device, repeats=repeats)
    finish(device)
    above = (memory.peak_bytes(device) - idle) / 1e9
    floor = convolutions_s(kernels, way, device, width, height)
    direct = convolutions_s(kernels, PLAIN, device, width, height)
    targets = dict(network.features(picture, recipe.content_layers, recipe.pooling))
    for layer, features in network.features(style, recipe.style_layers, recipe.pooling):
        targets[layer] = gram_matrix(features)
    plain_s = median_s(lambda: plain_step(kernels, recipe, targets, picture), device)
    print(f"{width}x{height} px, {way}")
    print(f"step                          {step_s:9.4f} s   {1 / step_s:.1f} steps a second")
    print(f"its losses and gradient       {unrecorded_s:9.4f} s   launched one by one")
    beyond_s = gaussian_beyond_gram_s(network, picture, style)
    print(f"gaussian beyond Gram          {beyond_s:9.4f} s   {1 + beyond_s / step_s:.3f} x a step")
    print(f"convolutions alone            {floor:9.4f} s   {floor / step_s:.0%} of a step")
    print(f"... directly in float32       {direct:9.4f} s   {direct / step_s:.2f} x a step")
    print(f"plain autograd, no optimiser  {plain_s:9.4f} s   {plain_s / step_s:.2f} x a step")
    print(f"peak above idle               {above / megapixels:9.2f} GB/megapixel ({above:.2f} GB)")
    print_row(
        f"a step at {width}x{height} px, {way}",
        f"{step_s:.3f} s",
        f"plain autograd {plain_s:.3f} s: {plain_s / step_s:.2f} times; "
        f"convolutions {floor / step_s:.0%} of it",
    )
    if device.type == "cuda":
        peak = matrix_peak(way.dtype, device)
        rate = operations(kernels, width, height) / step_s
        print(
            f"matrix peak {peak / 1e12:.0f} TFLOP/s, a step reaches {rate / 1e12:.0f}: "
            f"{rate / peak:.0%}"
        )


def main() -> None:
    """Prints a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("longest_px", nargs="*", type=int, default=[512])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    device = torch.device(options.device)
    print(machine(device))
    policy = os.environ.get("OMP_WAIT_POLICY", "ACTIVE").lower()
    print(f"{torch.get_num_threads()} threads, whose waiting is {policy} (OMP_WAIT_POLICY)")
    way = choose_arithmetic(device, options.precision, ROOT / "state" / "engine")
    kernels = placed(load_kernels("classic", ROOT), device)
    for longest in options.longest_px:
        report(longest, device, way, kernels)


if __name__ == "__main__":
    as_worker()
    main()
