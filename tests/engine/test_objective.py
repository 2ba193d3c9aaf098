"""The total loss and its hand-written gradient, against autograd and finite differences."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.fit.tiles import cut
from daemon.engine.losses import content as content_loss
from daemon.engine.losses import match as match_loss
from daemon.engine.losses import style as style_loss
from daemon.engine.losses import variation as variation_loss
from daemon.engine.losses.nearest import find_origins
from daemon.engine.losses.objective import Objective, make_objective
from daemon.engine.losses.places import WeightMap
from daemon.engine.losses.statistics import Sums
from daemon.engine.losses.term import Materials, Moments, Region, StyleImage, shares
from daemon.engine.losses.terms import layers_of
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_pixels
from daemon.engine.vgg.kernels import Kernels
from daemon.engine.vgg.layers import CONVOLUTIONS
from daemon.engine.vgg.network import Network
from tests.support.gaussian import moments_of, plain_distance

TUTORIAL_STYLE = {"conv1_1": 1.0, "conv1_2": 1.0, "conv2_1": 1.0, "conv5_4": 1.0}
RECIPES = {
    "the default": Recipe(),
    "the tutorial's layers, average pooling": Recipe(
        content_layers={"conv4_2": 1.0}, style_layers=TUTORIAL_STYLE, pooling="average"
    ),
    "blurred pooling and edges": Recipe(pooling="blurred", edges=4.0),
    "raw means and total variation": Recipe(
        content_layers={"relu4_2": 1e-2}, normalise="raw", alpha=3.0, beta=1e-3, tv=50.0, edges=30.0
    ),
    "a layer before and after its ReLU, for both losses": Recipe(
        content_layers={"conv2_2": 2.0, "relu3_4": 1.0},
        style_layers={"conv2_2": 1.0, "relu2_2": 3.0, "relu5_4": 0.5},
        tv=0.7,
    ),
    "gaussian statistics": Recipe(statistics="gaussian"),
    "gaussian statistics before a ReLU, raw": Recipe(
        statistics="gaussian",
        style_layers={"conv1_1": 2.0, "conv3_1": 1.0},
        normalise="raw",
        beta=1e-4,
    ),
    "the nearest style features": Recipe(match=3.0, beta=0.5),
    "no more variation than style and content have": Recipe(tv="auto"),
}
HEIGHT, WIDTH = 35, 50  # odd on the way: 35 -> 17 -> 8 -> 4 -> 2, 50 -> 25 -> 12 -> 6 -> 3

recipes = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@pytest.fixture
def materials_of(pixels, make_materials) -> Callable[[Network, Recipe], Materials]:
    """Makes what the terms of a recipe are made from."""

    def make(network: Network, recipe: Recipe) -> Materials:
        content = pixels(HEIGHT, WIDTH, dtype=network.dtype)
        style = pixels(40, 40, of="coffee", dtype=network.dtype)
        return make_materials(network, recipe, content, style)

    return make


@pytest.fixture
def objective_of(pixels, objective_between) -> Callable[[Network, Recipe], Objective]:
    """Makes the objective of the same content and style."""

    def make(network: Network, recipe: Recipe) -> Objective:
        content = pixels(HEIGHT, WIDTH, dtype=network.dtype)
        style = pixels(40, 40, of="coffee", dtype=network.dtype)
        return objective_between(network, recipe, content, style)

    return make


def somewhere(dtype: torch.dtype, pixels) -> Tensor:
    """A picture that is neither content nor style."""
    noise = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.manual_seed(3), dtype=torch.float64)
    return (0.7 * pixels(HEIGHT, WIDTH, dtype=torch.float64) + 0.3 * noise).to(dtype)


def plain_pooling(x: Tensor, pooling: str) -> Tensor:
    """Each pooling by torch's own operations."""
    if pooling == "average":
        return 2.0 * F.avg_pool2d(x, 2)
    if pooling == "max":
        return F.max_pool2d(x, 2)
    triangle = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype) / 4
    kernel = (triangle[:, None] * triangle).expand(x.shape[1], 1, 3, 3)
    return 1.1 * F.conv2d(F.max_pool2d(x, 2, 1, 1), kernel, stride=2, groups=x.shape[1])


def plain_features(kernels: Kernels, picture: Tensor, pooling: str) -> dict[str, Tensor]:
    """Every layer, written as plainly as VGG-19 can be, for autograd."""
    found, x = {}, picture
    for name in CONVOLUTIONS:
        kernel, bias = kernels.kernels[name].double(), kernels.biases[name].double()
        if name.endswith("_1") and name != "conv1_1":
            x = plain_pooling(x, pooling)
        mode = "replicate" if name == "conv1_1" else "constant"
        found[name] = F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), kernel, bias)
        found[name.replace("conv", "relu")] = x = F.relu(found[name])
    return found


def plain_losses(
    features: dict[str, Tensor], recipe: Recipe, materials: Materials
) -> dict[str, Tensor]:
    """The losses on features as the formulas say."""

    def plain_sum(weights: dict[str, float], targets: dict[str, Tensor]) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for layer, weight in weights.items():
            size = targets[layer].pow(2).mean() * sum(weights.values())
            distance = (features[layer] - targets[layer]).pow(2).mean()
            total = total + weight * distance / (size if recipe.normalise == "relative" else 1)
        return total

    losses = {"content": plain_sum(recipe.content_layers, content_loss.feature_maps(materials))}
    style = torch.zeros((), dtype=torch.float64)
    for layer, weight in recipe.style_layers.items():
        rows, goal = features[layer].flatten(2)[0].T, materials.regions[0].moments[layer]
        distance = plain_style_distance(rows, goal, recipe)
        size = plain_style_distance(torch.zeros_like(rows), goal, recipe)
        size = size * sum(recipe.style_layers.values())
        style = style + weight * distance / (size if recipe.normalise == "relative" else 1)
    losses["style"] = style
    if recipe.match:
        losses["match"] = plain_sum(match_loss.layers(recipe), match_loss.matched_maps(materials))
    return losses


def plain_style_distance(rows: Tensor, goal: Moments, recipe: Recipe) -> Tensor:
    """How far features, (N, C), are from a style's moments."""
    match recipe.statistics:
        case "gram":
            return (rows.T @ rows / len(rows) - goal.products).pow(2).mean()
        case "gaussian":
            return plain_distance(moments_of(rows), goal)


def plain_edges(picture: Tensor, content: Tensor, recipe: Recipe) -> Tensor:
    """Edge loss by convolutions with the Laplacian's kernel, on borders that are replicated."""
    kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=torch.float64)[None, None]
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
    total = torch.zeros((), dtype=torch.float64)
    for side in (2, 8):
        now, then = (
            F.conv2d(
                F.pad(
                    F.avg_pool2d((one * weights).sum(1, keepdim=True), side),
                    (1, 1, 1, 1),
                    mode="replicate",
                ),
                kernel,
            )
            for one in (picture, content)
        )
        size = then.pow(2).mean() if recipe.normalise == "relative" else 1.0
        total = total + (now - then).pow(2).mean() / size / 2
    return total


def plain_variation(picture: Tensor, materials: Materials) -> Tensor:
    """Total variation; for `auto` how far it is above what is allowed, squared."""
    down, across = picture.diff(dim=2), picture.diff(dim=3)
    variation = (down.pow(2).sum() + across.pow(2).sum()) / picture.numel()
    if materials.recipe.tv != "auto":
        return variation
    excess = variation / variation_loss.allowed_variation(materials) - 1
    assert excess > 0  # or nothing would be tried
    return excess.pow(2)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def test_losses_and_gradient_of_vgg_equal_autograd_of_the_plain_formulas(
    network64: Network, kernels: Kernels, pixels, materials_of, objective_of
) -> None:
    check_against_autograd(
        network64, kernels, pixels, Recipe(match=1.0), materials_of, objective_of
    )


@recipes
def test_losses_and_gradient_equal_autograd_of_the_plain_formulas(
    thin64: Network, thin_kernels: Kernels, pixels, recipe: Recipe, materials_of, objective_of
) -> None:
    check_against_autograd(thin64, thin_kernels, pixels, recipe, materials_of, objective_of)


def check_against_autograd(
    network: Network, kernels: Kernels, pixels, recipe: Recipe, materials_of, objective_of
) -> None:
    picture = somewhere(torch.float64, pixels)
    found = objective_of(network, recipe).evaluate(picture)

    picture.requires_grad_()
    features = plain_features(kernels, picture, recipe.pooling)
    materials = materials_of(network, recipe)
    expected = plain_losses(features, recipe, materials)
    edges = plain_edges(picture, pixels(HEIGHT, WIDTH, dtype=torch.float64), recipe)
    expected |= {"tv": plain_variation(picture, materials)} if recipe.tv else {}
    expected |= {"edges": edges} if recipe.edges else {}
    weights = {
        "content": recipe.alpha,
        "style": recipe.beta,
        "match": match_loss.BALANCE * recipe.match,
        "tv": 1.0 if recipe.tv == "auto" else recipe.tv,
        "edges": recipe.edges,
    }
    total = torch.stack([weights[name] * loss for name, loss in expected.items()]).sum()
    (gradient,) = torch.autograd.grad(total, picture)

    # Everything in float64 (1e-16) through some 40 operations: 1e-10 leaves ample room, while
    # a wrong factor or a forgotten border pixel is off by 1e-3 at least. The matrix roots of
    # Gaussian statistics are iterated to 1e-10.
    limit = 1e-10 if recipe.statistics == "gram" else 1e-8
    assert found.losses.keys() == expected.keys()
    for name, plain in (expected | {"total": total}).items():
        mine = found.total if name == "total" else found.losses[name]
        assert mine.item() == pytest.approx(plain.item(), rel=limit), name
    assert relative_error(found.gradient, gradient) < limit


def test_gradient_equals_central_finite_differences(thin64: Network, pixels, objective_of) -> None:
    """As a check of the plain formulas too, by which every other recipe's gradient is held."""
    recipe = Recipe(match=3.0, beta=0.5, tv=0.7, edges=4.0)
    check_slopes(objective_of(thin64, recipe), pixels, ((1, 0, 0), (2, -1, WIDTH // 2)))


def check_slopes(
    objective: Objective, pixels, places: Sequence[tuple[int, int, int]], step: float = 1e-5
) -> None:
    """Central differences at some pixels (channel, row, column) and in a direction of them all.

    step: so short that no ReLU and no maximum switches on the way, or it would be a mean of two
    slopes (at 1e-4 some do, and are off by up to 0.04), and so long that rounding, 1e-16 of the
    loss divided by it, is small.
    """
    picture = somewhere(torch.float64, pixels)
    gradient = objective.evaluate(picture).gradient
    anywhere = torch.randn(picture.shape, generator=torch.manual_seed(5), dtype=torch.float64)
    directions = [anywhere / anywhere.norm(), gradient / gradient.norm()]
    for channel, row, column in places:
        directions.append(torch.zeros_like(picture))
        directions[-1][0, channel, row, column] = 1.0
    for direction in directions:
        above, below = (
            objective.evaluate(picture + way * step * direction).total for way in (1, -1)
        )
        slope = (gradient * direction).sum().item()
        assert ((above - below) / (2 * step)).item() == pytest.approx(slope, rel=1e-6)


def test_float32_of_vgg_agrees_with_float64(
    network: Network, network64: Network, pixels, objective_of
) -> None:
    check_float32(network, network64, pixels, Recipe(), objective_of)


@recipes
def test_float32_agrees_with_float64(
    thin: Network, thin64: Network, pixels, recipe: Recipe, objective_of
) -> None:
    check_float32(thin, thin64, pixels, recipe, objective_of)


def check_float32(narrow: Network, wide: Network, pixels, recipe: Recipe, objective_of) -> None:
    exact = objective_of(wide, recipe).evaluate(somewhere(torch.float64, pixels))
    single = objective_of(narrow, recipe).evaluate(somewhere(torch.float32, pixels))
    assert single.gradient.dtype == torch.float32
    # Sixteen convolutions, each a sum of up to 4608 products at 6e-8: sqrt(4608) * 6e-8 * 16
    # is 7e-5. The gradient adds maxima and ReLUs that are decided the other way at near ties.
    assert single.total.item() == pytest.approx(exact.total.item(), rel=2e-4)
    assert relative_error(single.gradient.double(), exact.gradient) < 2e-3


def test_content_loss_is_nothing_at_the_content_and_style_loss_at_the_style(
    thin: Network, pixels, objective_between
) -> None:
    content, style = pixels(32, 32), pixels(32, 32, of="coffee")
    objective = objective_between(thin, Recipe(statistics="gram"), content, style)
    at_content, at_style = (objective.evaluate(one).losses for one in (content, style))
    assert at_content["content"] == 0 and at_content["style"] > 0.01
    assert at_style["style"] == 0 and at_style["content"] > 0.01


def test_total_is_the_terms_by_their_weights(thin: Network, pixels, objective_of) -> None:
    found = objective_of(thin, Recipe(alpha=3.0, beta=0.5, tv=2.0)).evaluate(
        somewhere(torch.float32, pixels)
    )
    content, style, tv = (found.losses[name].item() for name in ("content", "style", "tv"))
    expected = 3.0 * content + 0.5 * style + 2.0 * tv
    assert found.total.item() == pytest.approx(expected, rel=1e-6)  # one float32 sum


SIZES = {"relu3_1": torch.full((1, 1, 2, 2), 2.0), "relu4_2": torch.full((1, 1, 2, 2), -0.5)}
"""Targets whose mean squares are 4 and 1/4."""


def test_relative_shares_divide_by_the_targets_mean_square() -> None:
    found = shares({"relu3_1": 3.0, "relu4_2": 1.0}, SIZES, Recipe())
    assert found == pytest.approx({"relu3_1": 3 / 4 / 4, "relu4_2": 1 / 4 / 0.25})


def test_raw_shares_are_the_weights_as_written() -> None:
    weights = {"relu3_1": 3.0, "relu4_2": 1.0}
    assert shares(weights, SIZES, Recipe(normalise="raw")) == weights


def test_flat_grey_pictures_give_finite_losses(thin: Network, objective_between) -> None:
    grey = torch.full((1, 3, 32, 32), 0.5)
    found = objective_between(thin, Recipe(), grey, grey).evaluate(torch.zeros_like(grey))
    assert found.total.isfinite() and found.gradient.isfinite().all()


def test_target_of_zeros_gives_a_finite_share() -> None:
    found = shares({"relu4_2": 1.0}, {"relu4_2": torch.zeros(1, 1, 2, 2)}, Recipe())
    assert math.isfinite(found["relu4_2"])


@pytest.mark.parametrize("weights", [(3.0, 1.0), (30.0, 10.0)])
def test_several_styles_are_mixed_by_weight_whatever_the_weights_sum_to(
    weights: tuple[float, float],
) -> None:
    one, other = (
        {"relu1_1": Moments(torch.tensor([[value]]), torch.tensor([value]))} for value in (4.0, 8.0)
    )
    mixed = style_loss.mix([(one, weights[0]), (other, weights[1])])["relu1_1"]
    assert mixed.products.item() == pytest.approx(5.0)
    assert mixed.channels is not None and mixed.channels.item() == pytest.approx(5.0)


def test_single_style_is_taken_as_it_is() -> None:
    only = {"relu1_1": Moments(torch.rand(3, 3))}
    assert style_loss.mix([(only, 7.0)]) is only


def halves(height: int, width: int, soft_px: int = 0) -> tuple[WeightMap, WeightMap]:
    """The left and the right half of a picture, with an edge so soft between them."""
    ramp = torch.arange(width).sub(width // 2).div(max(soft_px, 1)).add(0.5).clamp(0, 1)
    right = (ramp * 255).round().to(torch.uint8).expand(height, width)
    return WeightMap(255 - right), WeightMap(right)


REGION_RECIPES = [
    Recipe(statistics="gram"),
    Recipe(statistics="gaussian", style_layers={"relu1_1": 1.0, "conv3_1": 1.0}),
    Recipe(match=3.0, alpha=0.5),
]


@pytest.fixture
def in_regions(materials_of) -> Callable[..., Materials]:
    """Makes the materials of a picture whose left half has the style, its right half the content.

    What belongs to both by the map's edge is soft, and the content is kept more at the right.
    """

    def make(network: Network, recipe: Recipe, side: int | None = None) -> Materials:
        known = materials_of(network, recipe)
        height, width = known.content.shape[2:]
        tiling = cut(height, width, side, layers_of(recipe), recipe.pooling)
        left, right = halves(height, width, soft_px=20)
        whole = cut(height, width, None, layers_of(recipe), recipe.pooling)
        own = style_loss.moments_of(network, lambda t: t.crop(known.content), recipe, whole)
        regions = [Region(known.regions[0].moments, left), Region(own, right)]
        image = StyleImage(to_pixels(known.content.float()), width, height, region=1)
        return replace(
            known,
            tiling=tiling,
            regions=regions,
            images=[*known.images, image],
            content_weights=WeightMap(right.levels, 1.0, 3.0),
        )

    return make


@pytest.mark.parametrize("recipe", REGION_RECIPES, ids=["gram", "gaussian", "match"])
def test_gradient_in_regions_equals_central_finite_differences(
    thin64: Network, pixels, recipe: Recipe, in_regions
) -> None:
    at_the_edge = (1, 17, WIDTH // 2)
    check_slopes(make_objective(in_regions(thin64, recipe)), pixels, [at_the_edge])


@pytest.mark.parametrize("recipe", REGION_RECIPES, ids=["gram", "gaussian", "match"])
def test_regions_in_tiles_have_the_losses_and_the_gradient_of_one_tile(
    thin64: Network, pixels, recipe: Recipe, in_regions
) -> None:
    picture = somewhere(torch.float64, pixels)
    whole, tiled = (
        make_objective(in_regions(thin64, recipe, side)).evaluate(picture) for side in (None, 16)
    )
    for name, loss in whole.losses.items():
        assert tiled.losses[name].item() == pytest.approx(loss.item(), rel=1e-9), name
    # Only the order of sums differs, in float64; the matrix roots magnify it.
    assert relative_error(tiled.gradient, whole.gradient) < 1e-8


def test_weights_of_one_count_as_no_weights(thin64: Network, pixels, materials_of) -> None:
    recipe = Recipe(match=1.0)
    known = materials_of(thin64, recipe)
    everywhere = WeightMap(torch.full((HEIGHT, WIDTH), 255, dtype=torch.uint8))
    regions = [replace(known.regions[0], weights=everywhere)]
    picture = somewhere(torch.float64, pixels)
    without = make_objective(known).evaluate(picture)
    with_them = make_objective(
        replace(known, regions=regions, content_weights=everywhere)
    ).evaluate(picture)
    assert with_them.total.item() == pytest.approx(without.total.item(), rel=1e-12)
    assert relative_error(with_them.gradient, without.gradient) < 1e-10


def test_style_loss_of_a_region_sees_nothing_of_the_rest(
    thin64: Network, pixels, in_regions
) -> None:
    recipe = Recipe(style_layers={"relu1_1": 1.0}, alpha=0.0)
    known = in_regions(thin64, recipe)
    left, _ = halves(HEIGHT, WIDTH)
    objective = make_objective(replace(known, regions=[Region(known.regions[0].moments, left)]))
    picture = somewhere(torch.float64, pixels)
    changed = picture.clone()
    changed[..., WIDTH // 2 + 2 :] = 0.0  # relu1_1 sees one pixel beyond its own
    before, after = (objective.evaluate(one) for one in (picture, changed))
    assert before.losses["style"] == after.losses["style"] > 0
    assert not before.gradient[..., WIDTH // 2 + 2 :].any()
    assert before.gradient[..., : WIDTH // 2].abs().min() > 0


def test_region_of_a_hand_drawn_map_has_the_weighted_gram_matrix() -> None:
    layer = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]], dtype=torch.float64)
    weights = torch.tensor([[0.25, 1.0]], dtype=torch.float64)
    sums = Sums(channels=True)
    sums.add(layer, weights)
    found = sums.moments(1.25)
    # (0.25 * 1 * 1 + 2 * 2) / 1.25 and so on
    assert found.products.tolist() == [[3.4, 7.0], [7.0, 14.6]]
    assert found.channels is not None and found.channels.tolist() == [1.8, 3.8]


def test_region_too_small_for_any_position_of_a_layer_is_left_out(
    thin64: Network, in_regions
) -> None:
    known = in_regions(thin64, Recipe())
    nowhere = WeightMap(torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8))
    none = replace(known, regions=[Region(known.regions[0].moments, nowhere)])
    assert style_loss.make(none) is None


def test_match_looks_only_among_the_images_of_a_cells_region(
    thin64: Network, pixels, in_regions
) -> None:
    recipe = Recipe(match=1.0)
    known = in_regions(thin64, recipe)
    origins = find_origins(
        thin64,
        known.content,
        known.images,
        recipe.pooling,
        recipe.seed,
        [region.weights for region in known.regions],
    )
    middle = WIDTH // 2 // origins.cell_px
    assert (origins.image[:, :middle] == 0).all() and (origins.image[:, middle + 1 :] == 1).all()
