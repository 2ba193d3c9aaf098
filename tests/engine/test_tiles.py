"""Tiles: what they own, and that their sum is the whole picture's loss and gradient."""

import numpy as np
import pytest
import torch
from torch import Tensor

from daemon.engine.fit.tiles import ALIGNMENT_PX, cut, margin_px
from daemon.engine.losses.objective import Evaluation
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.layers import LAYERS, Pooling, scale_of
from daemon.engine.vgg.network import Network

MIDDLE = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0}
DEEP = {"relu1_1": 1.0, "relu3_1": 1.0, "conv5_4": 1.0}
CASES = [
    # dtype, height, width, side, changes of the recipe. Strips are the cheapest pictures that are
    # wider than a deep tile and its margins; what needs rows and columns looks less deep. float32
    # is VGG-19's, float64 the thin network's: with few channels a maximum that is decided the other
    # way weighs too much for float32's limit.
    (torch.float32, 32, 229, 64, {}),
    (torch.float64, 203, 19, 96, {"tv": 3.0}),
    (torch.float64, 17, 301, 96, {"style_layers": DEEP}),
    (torch.float64, 41, 37, 256, {}),  # smaller than a tile
    (torch.float64, 64, 165, 64, {"match": 2.0, "style_layers": {"relu1_1": 1.0}}),
    (torch.float64, 31, 331, 96, {"pooling": "blurred", "edges": 2.0, "tv": "auto"}),
    (
        torch.float64,
        75,
        61,
        32,
        {"pooling": "average", "style_layers": MIDDLE, "content_layers": {"conv2_2": 1.0}},
    ),
    (
        torch.float64,
        87,
        101,
        48,
        {
            "normalise": "raw",
            "beta": 1e-3,
            "tv": 3.0,
            "style_layers": MIDDLE,
            "content_layers": {"relu1_1": 1.0, "relu4_1": 1.0},
        },
    ),
    (torch.float64, 203, 19, 96, {"statistics": "gaussian"}),
    (torch.float32, 32, 229, 64, {"statistics": "gram"}),
    (torch.float64, 87, 101, 48, {"statistics": "gaussian", "style_layers": MIDDLE}),
]


@pytest.mark.parametrize(("dtype", "height", "width", "side", "changes"), CASES)
def test_tiled_gradient_equals_the_whole_pictures(
    network: Network,
    thin64: Network,
    pixels,
    objective_between,
    dtype: torch.dtype,
    height: int,
    width: int,
    side: int,
    changes: dict[str, object],
) -> None:
    recipe = Recipe(**changes)  # type: ignore[arg-type]
    chosen = network if dtype == torch.float32 else thin64
    content = pixels(height, width, dtype=dtype)
    noise = torch.rand(content.shape, generator=torch.manual_seed(1), dtype=torch.float64)
    picture = (0.8 * content + 0.2 * noise).to(dtype)
    style = content.flip(1).roll(40, dims=3)
    whole: Evaluation
    tiled: Evaluation
    whole, tiled = (
        objective_between(chosen, recipe, content, style, one).evaluate(picture)
        for one in (None, side)
    )
    # float64: the same sums in another order. float32: likewise, through some thirty
    # convolutions of up to 4608 products; a maximum that is decided the other way at a near tie
    # would cost 1e-5 at most. A wrong margin costs 1e-3 and more.
    limit = 1e-5 if dtype == torch.float32 else 1e-11
    assert tiled.total.item() == pytest.approx(whole.total.item(), rel=limit)
    assert tiled.losses.keys() == whole.losses.keys()
    for name, loss in whole.losses.items():
        assert tiled.losses[name].item() == pytest.approx(loss.item(), rel=limit), name
    error = (tiled.gradient - whole.gradient).norm() / whole.gradient.norm()
    assert error < limit
    # No seam: nowhere is the difference larger than rounding of the largest gradient.
    assert (tiled.gradient - whole.gradient).abs().max() < limit * whole.gradient.abs().max()


@pytest.mark.parametrize("pooling", ["average", "blurred"])
def test_margin_is_as_wide_as_the_network_sees_and_no_wider(
    thin64: Network, pooling: Pooling
) -> None:
    # Which pixels one position of conv5_1 depends on, by the gradient's own account.
    picture = torch.rand(1, 3, 256, 16, dtype=torch.float64, generator=torch.manual_seed(0))
    picture = picture.mul(0.2).add(0.4)

    def inject(features: Tensor, gradient: Tensor) -> None:
        gradient[:, :, 8] += 1.0

    trace = thin64.trace(picture, ["conv5_1"], pooling, lambda layer, features: None)
    seen = thin64.pull_back(trace, {"conv5_1": inject})[0].abs().amax(dim=(0, 2)).nonzero()
    first, last = int(seen.min()), int(seen.max())
    # Position 8 owns the pixels 128 to 143.
    reach = max(128 - first, last - 143)
    # A maximum takes one of two neighbours: those that are never taken are never seen.
    assert reach <= margin_px(["conv5_1"], pooling) < reach + ALIGNMENT_PX


@pytest.mark.parametrize(
    "layer", ["conv1_1", "relu1_2", "conv2_1", "relu3_4", "relu5_1", "conv5_4"]
)
@pytest.mark.parametrize("pooling", ["max", "blurred"])
def test_margin_grows_with_depth(layer: str, pooling: Pooling) -> None:
    shallower = LAYERS[: LAYERS.index(layer) + 1]
    assert margin_px(shallower, pooling) == margin_px([layer], pooling)
    assert margin_px([layer], pooling) % ALIGNMENT_PX == 0


@pytest.mark.parametrize("seed", range(30))
def test_every_position_of_every_layer_is_owned_by_one_tile(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(16, 700, 2).tolist()
    tiling = cut(height, width, 16 * int(random.integers(1, 20)), LAYERS, "blurred")
    for layer in ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"):
        scale = scale_of(layer)
        counts = torch.zeros(1, 1, height // scale, width // scale)
        for tile in tiling.tiles:
            tile.owned_of_layer(counts, layer).add_(1)
            region = torch.empty(1, 1, *((one.end - one.first) // scale for one in tile.region))
            owned = tile.owned_of_region(region, layer)
            assert owned.shape == tile.owned_of_layer(counts, layer).shape
        assert (counts == 1).all()
        assert counts.numel() == tiling.positions(layer)
    for tile in tiling.tiles:
        assert all(one.first % ALIGNMENT_PX == 0 for one in (*tile.owned, *tile.region))


def test_tiles_are_of_about_equal_size() -> None:
    tiling = cut(1000, 2100, 1024, ["relu5_1"], "max")
    sides = [
        (t.owned[0].end - t.owned[0].first, t.owned[1].end - t.owned[1].first) for t in tiling.tiles
    ]
    assert sides == [(1000, 704), (1000, 704), (1000, 692)]


def test_one_tile_computes_nothing_twice(thin: Network, pixels, objective_between) -> None:
    calls = []
    objective = objective_between(thin, Recipe(), pixels(64, 64), pixels(64, 64, of="coffee"))
    walk = thin._walk
    thin._walk = lambda *a: (calls.append(1), walk(*a))[1]  # type: ignore[method-assign]
    try:
        objective.evaluate(pixels(64, 64))
    finally:
        del thin._walk
    assert len(calls) == 1
