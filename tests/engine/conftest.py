"""The real network, loaded once; small pictures of real photographs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from daemon.engine import engine as engine_module
from daemon.engine.engine import Engine, Style
from daemon.engine.fit.scratch import Scratch
from daemon.engine.fit.tiles import cut
from daemon.engine.losses import style as style_loss
from daemon.engine.losses.moments import MomentStore
from daemon.engine.losses.objective import Objective, make_objective
from daemon.engine.losses.term import Materials, Region, StyleImage
from daemon.engine.losses.terms import layers_of
from daemon.engine.pixels import Pixels
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_pixels
from daemon.engine.vgg.arithmetic import Arithmetic
from daemon.engine.vgg.kernels import Kernels, load_kernels
from daemon.engine.vgg.layers import CONVOLUTIONS, channels_of
from daemon.engine.vgg.network import Network
from daemon.engine.vgg.timings import CHANNELS

CPU = torch.device("cpu")
STARRY = Path(__file__).parents[2] / "presets" / "starry.jpg"

MakePixels = Callable[..., Tensor]
MakeMaterials = Callable[..., Materials]


@pytest.fixture(scope="session")
def make_materials() -> MakeMaterials:
    """Makes what terms are made from: of a network, a recipe, a picture to be kept and a style."""

    def make(
        network: Network, recipe: Recipe, content: Tensor, style: Tensor, side: int | None = None
    ) -> Materials:
        layers = layers_of(recipe)
        tiling, of_style = (
            cut(*one.shape[2:], side, layers, recipe.pooling) for one in (content, style)
        )
        moments = style_loss.moments_of(network, lambda tile: tile.crop(style), recipe, of_style)
        image = StyleImage(to_pixels(style), style.shape[3], style.shape[2], tile_px=side)
        scratch = Scratch(network.device)
        return Materials(network, recipe, tiling, scratch, content, [Region(moments)], [image])

    return make


@pytest.fixture(scope="session")
def objective_between(make_materials: MakeMaterials) -> Callable[..., Objective]:
    """Makes the objective of the same things."""

    def make(
        network: Network, recipe: Recipe, content: Tensor, style: Tensor, side: int | None = None
    ) -> Objective:
        return make_objective(make_materials(network, recipe, content, style, side))

    return make


@pytest.fixture(scope="session")
def kernels() -> Kernels:
    return load_kernels("classic", Path("unused"))


@pytest.fixture(scope="session")
def network(kernels: Kernels) -> Network:
    return Network(kernels, CPU, torch.float32)


@pytest.fixture(scope="session")
def network64(kernels: Kernels) -> Network:
    return Network(kernels, CPU, torch.float64)


@pytest.fixture(scope="session")
def thin_kernels() -> Kernels:
    """Random kernels of VGG-19's form with an eighth of its channels.

    For what is no claim about VGG-19: a hundred times as fast, its layers, poolings and margins
    are the same.  He et al. 2015 eq. 10, so that no layer dies out.
    """
    generator = torch.Generator().manual_seed(0)
    kernels: dict[str, Tensor] = {}
    biases: dict[str, Tensor] = {}
    channels = 3
    for name in CONVOLUTIONS:
        maps = channels_of(name) // 8
        kernel = torch.randn(maps, channels, 3, 3, generator=generator)
        kernels[name] = kernel * (2 / (9 * channels)) ** 0.5
        biases[name] = torch.zeros(maps)
        channels = maps
    return Kernels("thin", "thin", kernels, biases)


@pytest.fixture(scope="session")
def thin(thin_kernels: Kernels) -> Network:
    return Network(thin_kernels, CPU, torch.float32)


@pytest.fixture(scope="session")
def thin64(thin_kernels: Kernels) -> Network:
    return Network(thin_kernels, CPU, torch.float64)


@pytest.fixture
def engine(thin_engine: Engine, tmp_path: Path) -> Engine:
    """A warm engine that remembers no style; its network is the thin one."""
    thin_engine._moments = MomentStore(tmp_path / "grams")
    return thin_engine


@pytest.fixture(scope="session")
def thin_engine(thin_kernels: Kernels, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine_of(thin_kernels, tmp_path_factory.mktemp("thin"))


@pytest.fixture(scope="session")
def vgg_engine(kernels: Kernels, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A warm engine whose network is VGG-19."""
    return engine_of(kernels, tmp_path_factory.mktemp("vgg"))


def engine_of(kernels: Kernels, folder: Path) -> Engine:
    """An engine of these kernels; its arithmetic is every machine's, and not tried."""
    with pytest.MonkeyPatch.context() as patch:
        way = Arithmetic(torch.float32, CHANNELS)
        patch.setattr(engine_module, "choose_arithmetic", lambda *asked: way)
        patch.setattr(engine_module, "load_kernels", lambda *asked: kernels)
        return Engine("cpu", kernels.name, folder, "float32")


@pytest.fixture(scope="session")
def starry() -> Style:
    return Style(np.array(Image.open(STARRY).convert("RGB")), 1.0, "starry")


@pytest.fixture(scope="session")
def photo(photograph: Image.Image) -> Pixels:
    """The photograph as the engine takes it."""
    return np.array(photograph)


@pytest.fixture(scope="session")
def pixels() -> MakePixels:
    """Makes a photograph as (1, 3, H, W) in 0..1: `astronaut` or `coffee`."""

    def make(
        height: int, width: int, *, of: str = "astronaut", dtype: torch.dtype = torch.float32
    ) -> Tensor:
        photo = Image.fromarray(getattr(skimage.data, of)())
        values = np.array(photo.resize((width, height), Image.Resampling.LANCZOS))
        return torch.from_numpy(values).to(dtype).div(255).permute(2, 0, 1)[None].contiguous()

    return make
