"""The total loss and its hand-written gradient, against autograd and finite differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.kernels import CONVOLUTIONS, Kernels
from daemon.engine.network import Network
from daemon.engine.objective import (
    Objective,
    Targets,
    coefficients,
    content_targets,
    gram_targets,
    mix_grams,
)
from daemon.engine.recipe import Recipe

TUTORIAL_STYLE = {"conv1_1": 1.0, "conv1_2": 1.0, "conv2_1": 1.0, "conv5_4": 1.0}
RECIPES = {
    "the default": Recipe(),
    "the tutorial's layers, average pooling": Recipe(
        content_layers={"conv4_2": 1.0}, style_layers=TUTORIAL_STYLE, pooling="average"
    ),
    "raw means and total variation": Recipe(
        content_layers={"relu4_2": 1e-2}, normalise="raw", alpha=3.0, beta=1e-3, tv=50.0
    ),
    "a layer before and after its ReLU, for both losses": Recipe(
        content_layers={"conv2_2": 2.0, "relu3_4": 1.0},
        style_layers={"conv2_2": 1.0, "relu2_2": 3.0, "relu5_4": 0.5},
        tv=0.7,
    ),
}
HEIGHT, WIDTH = 35, 50  # odd on the way: 35 -> 17 -> 8 -> 4 -> 2, 50 -> 25 -> 12 -> 6 -> 3

recipes = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def make_targets(network: Network, recipe: Recipe, pixels) -> Targets:
    content = pixels(HEIGHT, WIDTH, dtype=network.dtype)
    style = pixels(40, 40, of="coffee", dtype=network.dtype)
    return Targets(content_targets(network, content, recipe), gram_targets(network, style, recipe))


def somewhere(dtype: torch.dtype, pixels) -> Tensor:
    """A picture that is neither content nor style."""
    noise = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.manual_seed(3), dtype=torch.float64)
    return (0.7 * pixels(HEIGHT, WIDTH, dtype=torch.float64) + 0.3 * noise).to(dtype)


def plain_features(kernels: Kernels, picture: Tensor, pooling: str) -> dict[str, Tensor]:
    """Every layer, written as plainly as VGG-19 can be, for autograd."""
    found, x = {}, picture
    for name in CONVOLUTIONS:
        kernel, bias = kernels.kernels[name].double(), kernels.biases[name].double()
        if name.endswith("_1") and name != "conv1_1":
            x = F.max_pool2d(x, 2) if pooling == "max" else 2.0 * F.avg_pool2d(x, 2)
        mode = "replicate" if name == "conv1_1" else "constant"
        found[name] = F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), kernel, bias)
        found[name.replace("conv", "relu")] = x = F.relu(found[name])
    return found


def plain_losses(
    features: dict[str, Tensor], recipe: Recipe, targets: Targets
) -> tuple[Tensor, Tensor]:
    """Content and style loss as the formulas say."""

    def plain_sum(weights: dict[str, float], now: dict[str, Tensor], then: dict) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for layer, weight in weights.items():
            term = weight * (now[layer] - then[layer]).pow(2).mean()
            if recipe.normalise == "relative":
                term = term / then[layer].pow(2).mean() / sum(weights.values())
            total = total + term
        return total

    flat = {layer: features[layer].flatten(2)[0] for layer in recipe.style_layers}
    grams = {layer: rows @ rows.T / rows.shape[1] for layer, rows in flat.items()}
    return (
        plain_sum(recipe.content_layers, features, dict(targets.content)),
        plain_sum(recipe.style_layers, grams, dict(targets.grams)),
    )


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@recipes
def test_losses_and_gradient_equal_autograd_of_the_plain_formulas(
    network64: Network, kernels: Kernels, pixels, recipe: Recipe
) -> None:
    targets = make_targets(network64, recipe, pixels)
    picture = somewhere(torch.float64, pixels)
    found = Objective(network64, recipe, targets).evaluate(picture)

    picture.requires_grad_()
    content, style = plain_losses(plain_features(kernels, picture, recipe.pooling), recipe, targets)
    down, across = picture.diff(dim=2), picture.diff(dim=3)
    variation = (down.pow(2).sum() + across.pow(2).sum()) / picture.numel()
    total = recipe.alpha * content + recipe.beta * style + recipe.tv * variation
    (gradient,) = torch.autograd.grad(total, picture)

    # Everything in float64 (1e-16) through some 40 operations: 1e-10 leaves ample room, while
    # a wrong factor or a forgotten border pixel is off by 1e-3 at least.
    for mine, plain in ((found.content, content), (found.style, style), (found.total, total)):
        assert mine.item() == pytest.approx(plain.item(), rel=1e-10)
    assert relative_error(found.gradient, gradient) < 1e-10


@recipes
def test_gradient_equals_central_finite_differences(
    network64: Network, pixels, recipe: Recipe
) -> None:
    objective = Objective(network64, recipe, make_targets(network64, recipe, pixels))
    picture = somewhere(torch.float64, pixels)
    gradient = objective.evaluate(picture).gradient
    generator = torch.manual_seed(5)
    corner, border = torch.zeros(2, *picture.shape, dtype=torch.float64)
    corner[0, 1, 0, 0] = 1.0
    border[0, 2, -1, WIDTH // 2] = 1.0
    anywhere = torch.randn(picture.shape, generator=generator, dtype=torch.float64)
    for direction in (corner, border, anywhere / anywhere.norm()):
        h = 1e-6
        above = objective.evaluate(picture + h * direction).total
        below = objective.evaluate(picture - h * direction).total
        measured = ((above - below) / (2 * h)).item()
        # Rounding gives 1e-16/h = 1e-10 of the loss; curvature h^2; a ReLU or maximum that
        # switches within h moves the slope a little: 1e-4 of the gradient covers all three.
        slope = (gradient * direction).sum().item()
        assert measured == pytest.approx(slope, rel=1e-4, abs=1e-5 * gradient.norm().item())


@recipes
def test_float32_agrees_with_float64(
    network: Network, network64: Network, pixels, recipe: Recipe
) -> None:
    exact = Objective(network64, recipe, make_targets(network64, recipe, pixels)).evaluate(
        somewhere(torch.float64, pixels)
    )
    single = Objective(network, recipe, make_targets(network, recipe, pixels)).evaluate(
        somewhere(torch.float32, pixels)
    )
    assert single.gradient.dtype == torch.float32
    # Sixteen convolutions, each a sum of up to 4608 products at 6e-8: sqrt(4608) * 6e-8 * 16
    # is 7e-5. The gradient adds maxima and ReLUs that are decided the other way at near ties.
    assert single.total.item() == pytest.approx(exact.total.item(), rel=2e-4)
    assert relative_error(single.gradient.double(), exact.gradient) < 2e-3


def test_content_loss_is_nothing_at_the_content_and_style_loss_at_the_style(
    network: Network, pixels
) -> None:
    recipe = Recipe()
    content, style = pixels(32, 32), pixels(32, 32, of="coffee")
    targets = Targets(
        content_targets(network, content, recipe), gram_targets(network, style, recipe)
    )
    objective = Objective(network, recipe, targets)
    at_content, at_style = objective.evaluate(content), objective.evaluate(style)
    assert at_content.content == 0 and at_content.style > 0.01
    assert at_style.style == 0 and at_style.content > 0.01


def test_total_weighs_content_by_alpha_and_style_by_beta(network: Network, pixels) -> None:
    recipe = Recipe(alpha=3.0, beta=0.5)
    found = Objective(network, recipe, make_targets(network, recipe, pixels)).evaluate(
        somewhere(torch.float32, pixels)
    )
    expected = 3.0 * found.content.item() + 0.5 * found.style.item()
    assert found.total.item() == pytest.approx(expected, rel=1e-6)  # one float32 sum


def hand_targets() -> Targets:
    """Targets whose mean squares are 4 and 1/4 (content), 9 and 1 (style)."""
    return Targets(
        {"relu3_1": torch.full((1, 1, 2, 2), 2.0), "relu4_2": torch.full((1, 1, 2, 2), -0.5)},
        {"relu1_1": torch.full((2, 2), 3.0), "relu2_1": torch.eye(2) * math.sqrt(2.0)},
    )


def hand_recipe(normalise: str) -> Recipe:
    return Recipe(
        content_layers={"relu3_1": 3.0, "relu4_2": 1.0},
        style_layers={"relu1_1": 1.0, "relu2_1": 4.0},
        normalise=normalise,
        alpha=7.0,
        beta=11.0,
        tv=0.1,
    )


def test_relative_coefficients_share_the_weights_and_divide_by_the_targets_mean_square() -> None:
    found = coefficients(hand_recipe("relative"), hand_targets())
    assert found.content == pytest.approx({"relu3_1": 3 / 4 / 4, "relu4_2": 1 / 4 / 0.25})
    assert found.style == pytest.approx({"relu1_1": 1 / 5 / 9, "relu2_1": 4 / 5 / 1}, rel=1e-6)
    assert (found.alpha, found.beta, found.tv) == (7.0, 11.0, 0.1)


def test_raw_coefficients_are_the_weights_as_written() -> None:
    found = coefficients(hand_recipe("raw"), hand_targets())
    assert found.content == {"relu3_1": 3.0, "relu4_2": 1.0}
    assert found.style == {"relu1_1": 1.0, "relu2_1": 4.0}


def test_flat_grey_pictures_give_finite_losses(network: Network) -> None:
    recipe = Recipe()
    grey = torch.full((1, 3, 32, 32), 0.5)
    targets = Targets(content_targets(network, grey, recipe), gram_targets(network, grey, recipe))
    found = Objective(network, recipe, targets).evaluate(torch.zeros_like(grey))
    assert found.total.isfinite() and found.gradient.isfinite().all()


def test_target_of_zeros_gives_a_finite_coefficient() -> None:
    targets = Targets({"relu4_2": torch.zeros(1, 1, 2, 2)}, {"relu1_1": torch.zeros(2, 2)})
    recipe = Recipe(content_layers={"relu4_2": 1.0}, style_layers={"relu1_1": 1.0})
    assert math.isfinite(coefficients(recipe, targets).content["relu4_2"])


@pytest.mark.parametrize("weights", [(3.0, 1.0), (30.0, 10.0)])
def test_several_styles_are_mixed_by_weight_whatever_the_weights_sum_to(
    weights: tuple[float, float],
) -> None:
    one, other = {"relu1_1": torch.tensor([[4.0]])}, {"relu1_1": torch.tensor([[8.0]])}
    mixed = mix_grams([(one, weights[0]), (other, weights[1])])
    assert mixed["relu1_1"].item() == pytest.approx(5.0)


def test_single_style_is_taken_as_it_is() -> None:
    gram = torch.rand(3, 3)
    assert mix_grams([({"relu1_1": gram}, 7.0)])["relu1_1"] is gram
