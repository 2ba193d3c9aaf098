"""The same pictures on a CUDA device as on the CPU."""

import gc
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from daemon.engine.engine import Engine, Style
from daemon.engine.fit.scratch import Scratch
from daemon.engine.fit.tiles import cut
from daemon.engine.losses import style as style_loss
from daemon.engine.losses.objective import Evaluation, Objective, make_objective
from daemon.engine.losses.term import Materials, Region, StyleImage
from daemon.engine.losses.terms import layers_of
from daemon.engine.optimise.recorded import Recorded
from daemon.engine.optimise.steps import Best, make_optimiser
from daemon.engine.paint import finish
from daemon.engine.pixels import FloatPixels
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_pixels, to_tensor
from daemon.engine.vgg.kernels import Kernels, load_kernels
from daemon.engine.vgg.network import Network

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


statistics = pytest.mark.parametrize("statistic", ["gram", "gaussian"])


EVERYTHING = {
    "match": 1.0,
    "edges": 1.0,
    "pooling": "blurred",
    "preconditioner": "opponent",
}
"""What is to be recorded, and must not wait for the device."""


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    return load_kernels("classic", Path("unused"))


@pytest.fixture
def picture(photograph: Image.Image) -> Tensor:
    """(1, 3, 96, 96) float64 in 0..1."""
    values = np.asarray(photograph.resize((96, 96)), dtype=np.float64) / 255.0
    return torch.from_numpy(values).permute(2, 0, 1)[None].contiguous()


@pytest.fixture
def starry() -> Style:
    path = Path(__file__).parents[2] / "presets" / "starry.jpg"
    return Style(np.array(Image.open(path).convert("RGB")), 1.0, "starry")


def objective_between(
    network: Network, recipe: Recipe, content: Tensor, style: Tensor
) -> Objective:
    """The objective of a picture and a style, in one tile."""
    tiling = cut(content.shape[2], content.shape[3], None, layers_of(recipe), recipe.pooling)
    styles = style_loss.moments_of(network, lambda tile: tile.crop(style), recipe, tiling)
    scratch = Scratch(network.device)
    image = StyleImage(to_pixels(style), style.shape[3], style.shape[2])
    regions = [Region(styles)]
    return make_objective(Materials(network, recipe, tiling, scratch, content, regions, [image]))


def evaluate(
    kernels: Kernels, picture: Tensor, device: str, dtype: torch.dtype, recipe: Recipe
) -> Evaluation:
    """The losses of a noisy picture against the picture itself and its mirror image's style."""
    network = Network(kernels, torch.device(device), dtype)
    content = picture.to(device, dtype)
    noise = torch.rand(picture.shape, generator=torch.manual_seed(0), dtype=torch.float64)
    start = (0.7 * picture + 0.3 * noise).to(device, dtype)
    return objective_between(network, recipe, content, content.flip(1)).evaluate(start)


@pytest.mark.parametrize("pooling", ["max", "average", "blurred"])
@statistics
def test_gradient_on_cuda_equals_the_cpus(
    kernels: Kernels, picture: Tensor, statistic: str, pooling: str
) -> None:
    recipe = Recipe(pooling=pooling, statistics=statistic, match=0.5, tv=0.5, edges=0.5)  # type: ignore[arg-type]
    cpu, cuda = (
        evaluate(kernels, picture, device, torch.float64, recipe) for device in ("cpu", "cuda:0")
    )
    # The same sums in another order; the style image that is matched comes as float32.
    assert cuda.total.item() == pytest.approx(cpu.total.item(), rel=1e-7)
    error = (cuda.gradient.cpu() - cpu.gradient).norm() / cpu.gradient.norm()
    assert error < 1e-6


def test_float32_gradient_on_cuda_agrees_with_float64(kernels: Kernels, picture: Tensor) -> None:
    exact = evaluate(kernels, picture, "cpu", torch.float64, Recipe())
    single = evaluate(kernels, picture, "cuda:0", torch.float32, Recipe())
    # cuDNN may round the factors of a convolution to TF32 (10 bits, 5e-4); sixteen of them, and
    # maxima that are decided the other way at near ties, give a few percent at worst.
    assert single.total.item() == pytest.approx(exact.total.item(), rel=1e-2)
    error = (single.gradient.double().cpu() - exact.gradient).norm() / exact.gradient.norm()
    assert error < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@statistics
def test_recorded_steps_give_what_plain_ones_give(
    kernels: Kernels, picture: Tensor, statistic: str, dtype: torch.dtype
) -> None:
    recipe = Recipe(statistics=statistic, **EVERYTHING)  # type: ignore[arg-type]
    device = torch.device("cuda:0")
    network = Network(kernels, device, dtype)
    content = picture.float().to(device)
    plain = objective_between(network, recipe, content, content.flip(1)).evaluate
    fast = Recorded(plain, content)
    for factor in (1.0, 0.5, 0.8):
        found, expected = fast(factor * content), plain(factor * content)
        # The same kernels, but some add up in any order; bfloat16 keeps 8 bits.
        assert found.total.item() == pytest.approx(expected.total.item(), rel=1e-3)
        error = (found.gradient - expected.gradient).norm() / expected.gradient.norm()
        assert error < (1e-3 if dtype == torch.float32 else 0.05)


def test_a_recording_keeps_what_it_reads(kernels: Kernels, picture: Tensor) -> None:
    device = torch.device("cuda:0")
    network = Network(kernels, device, torch.float32)
    content = picture.float().to(device)
    plain = objective_between(network, Recipe(), content, content.flip(1)).evaluate
    expected = plain(0.5 * content).total.item()
    fast = Recorded(plain, content)
    del plain
    gc.collect()
    # Whatever the recording did not keep is overwritten by these.
    litter = [torch.full((1 << 20,), math.nan, device=device) for _ in range(64)]
    assert fast(0.5 * content).total.item() == pytest.approx(expected, rel=1e-3)
    del litter


@statistics
def test_steps_are_recorded_without_a_warning(
    photograph: Image.Image, starry: Style, statistic: str, tmp_path: Path
) -> None:
    recipe = Recipe(size=300, steps=12, statistics=statistic, **EVERYTHING)  # type: ignore[arg-type]
    engine = Engine("cuda:0", "classic", tmp_path)
    painted = finish(engine.paint(np.array(photograph), [starry], recipe))
    assert painted.warnings == ()


# The mode says of itself, as a warning, that it does not see everything.
@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
@statistics
def test_a_step_waits_for_nothing_on_the_device(
    kernels: Kernels, picture: Tensor, statistic: str
) -> None:
    recipe = Recipe(statistics=statistic, **EVERYTHING)  # type: ignore[arg-type]
    device = torch.device("cuda:0")
    network = Network(kernels, device, torch.bfloat16)
    content = picture.float().to(device)
    objective = objective_between(network, recipe, content, content)
    optimiser = make_optimiser(recipe, content.shape, Scratch(device), 5)
    best = Best(content.shape, Scratch(device))
    for _ in range(3):  # libraries set themselves up
        optimiser.advance(content, objective.evaluate(content).gradient)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(8):
            found = objective.evaluate(content)
            best.offer(content, found.total)
            optimiser.advance(content, found.gradient)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_picture_is_painted_on_cuda(photograph: Image.Image, starry: Style, tmp_path: Path) -> None:
    engine = Engine("cuda:0", "classic", tmp_path)
    painting = finish(engine.paint(np.array(photograph), [starry], Recipe(size=300, steps=40)))
    assert str(engine.device) == "cuda:0"
    assert painting.pixels.shape == (300, 300, 3)
    first, last = painting.passes[0].first, painting.passes[-1].last
    assert last.losses["style"] < 0.2 * first.losses["style"]


@pytest.mark.parametrize(("depth", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_picture_of_every_depth_comes_back_from_the_device(depth: type, top: int) -> None:
    values: FloatPixels = np.linspace(0, top, 40 * 60 * 3).reshape(40, 60, 3).astype(depth)
    if depth is np.float32:
        values = values * 1.5 - 0.25  # colours beyond sRGB
    for pixels in (values, values[::2, ::-1]):
        back = to_pixels(to_tensor(pixels, torch.device("cuda:0"))) * np.float32(top)
        assert np.abs(back - pixels).max() <= 1e-6 * top


def test_short_device_memory_means_tiles_and_vectors_in_host_memory(
    photograph: Image.Image, starry: Style, tmp_path: Path
) -> None:
    engine = Engine("cuda:0", "classic", tmp_path, precision="float32")
    recipe = Recipe(size=400, steps=4, match=1.0)
    plenty = finish(engine.paint(np.array(photograph), [starry], recipe))
    short = finish(engine.paint(np.array(photograph), [starry], recipe, memory_bytes=1))
    last = short.passes[-1]
    assert last.plan.aside
    # cuDNN adds up in another order for each shape, which four steps a pass carry on.
    assert last.last.total == pytest.approx(plenty.passes[-1].last.total, rel=0.05)
