"""Gaussian statistics, against eigenvalues in float64, finite differences and worked numbers."""

from collections.abc import Callable
from functools import cache
from typing import get_args

import pytest
import torch
from torch import Tensor

from daemon.engine.losses import gaussian
from daemon.engine.losses.gaussian import LEAST_ROOT, Gaussian, scalings, transport_map
from daemon.engine.losses.style import STATISTICS, mix
from daemon.engine.losses.term import Moments
from daemon.engine.losses.wide import as_rows, mean_square
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.network import Network
from tests.support.gaussian import moments_of, plain_distance


def random_rows(positions: int, channels: int, *, seed: int, mixed: int = 0) -> Tensor:
    """Features, (N, C) float64, not negative and unlike in size; the first `mixed` are dead."""
    generator = torch.manual_seed(seed)
    rows = torch.randn(positions, channels, generator=generator, dtype=torch.float64)
    mixing = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    strength = torch.logspace(0, -2, channels, dtype=torch.float64)
    rows = ((rows * strength) @ mixing + 0.3).relu()
    rows[:, :mixed] = 0.0
    return rows


def compared(found: Moments, target: Moments) -> tuple[float, Tensor, Tensor]:
    """Value, matrix and row of the pull, times its constant."""
    value, pull = Gaussian(target).compare(found)
    assert pull.row is not None
    return value.item(), pull.constant * pull.matrix, pull.constant * pull.row


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


SHAPES = {
    "more positions than channels": (200, 12, 150),
    "fewer positions than channels": (7, 24, 5),
    "a single position": (1, 6, 40),
    "a single channel": (30, 1, 20),
}
shapes = pytest.mark.parametrize(
    ("positions", "channels", "style_positions"), SHAPES.values(), ids=list(SHAPES)
)


@shapes
@pytest.mark.parametrize("dead", [0, 1])
def test_value_and_gradient_are_those_of_eigenvalues_and_autograd(
    positions: int, channels: int, style_positions: int, dead: int
) -> None:
    rows = random_rows(positions, channels, seed=1, mixed=min(dead, channels - 1))
    target = moments_of(random_rows(style_positions, channels, seed=2))
    value, matrix, row = compared(moments_of(rows), target)
    rows.requires_grad_()
    plain = plain_distance(moments_of(rows), target)
    (gradient,) = torch.autograd.grad(plain, rows)
    # The iteration stops at 1e-10.
    assert value == pytest.approx(plain.item(), rel=1e-9)
    assert relative_error((rows.detach() @ matrix + row) / positions, gradient) < 1e-8


@shapes
def test_gradient_equals_finite_differences(
    positions: int, channels: int, style_positions: int
) -> None:
    rows = random_rows(positions, channels, seed=3)
    target = moments_of(random_rows(style_positions, channels, seed=4))
    _, matrix, row = compared(moments_of(rows), target)
    gradient = (rows @ matrix + row) / positions
    direction = gradient + 0.3 * gradient.norm() * random_rows(positions, channels, seed=5)
    direction /= direction.norm()
    h = 1e-6 * rows.norm()
    # Rounding: 1e-16 / 1e-6; curvature: 1e-12 times what the third derivative brings.
    above, below = (compared(moments_of(rows + s * direction), target)[0] for s in (h, -h))
    slope = (gradient * direction).sum().item()
    assert ((above - below) / (2 * h)).item() == pytest.approx(slope, rel=1e-6)


def test_independent_channels_are_as_far_apart_as_their_means_and_deviations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gaussian, "FLOOR", 1e-12)
    found, target = (
        Moments(torch.diag(variances) + torch.outer(means, means), means)
        for variances, means in (
            (torch.tensor([4.0, 9.0]).double(), torch.tensor([1.0, 2.0]).double()),
            (torch.tensor([1.0, 25.0]).double(), torch.tensor([3.0, 2.0]).double()),
        )
    )
    value, _, _ = compared(found, target)
    # (2 - 1)^2 + (3 - 5)^2 + (1 - 3)^2, over two channels
    assert value == pytest.approx((1 + 4 + 4) / 2, rel=1e-6)


def test_directions_compared_each_for_itself_only_take_from_the_distance() -> None:
    found, target = (moments_of(random_rows(90, 16, seed=seed)) for seed in (6, 7))
    value, _, _ = compared(found, target)
    whole = plain_distance(found, target, all_together=True).item()
    assert 0.5 * whole < value < whole


def test_the_map_takes_one_covariance_to_the_other() -> None:
    rows = random_rows(60, 10, seed=8)
    covariance = moments_of(rows - rows.mean(0)).products + 1e-3 * torch.eye(10).double()
    variances = torch.logspace(1, -2, 10, dtype=torch.float64)
    transport, inverse_trace = transport_map(covariance, variances, scalings())
    assert torch.equal(transport, transport.T)
    moved = transport @ covariance @ transport
    assert relative_error(moved, torch.diag(variances)) < 1e-9
    inverse = torch.linalg.inv(transport)
    assert inverse_trace.item() == pytest.approx(inverse.trace().item(), rel=1e-9)
    assert bool((torch.linalg.eigvalsh(transport) > 0).all())


def test_every_singular_value_in_reach_of_the_iteration_comes_to_1() -> None:
    values = torch.linspace(LEAST_ROOT, 1.0, 20_000, dtype=torch.float64)
    for scaling in scalings():
        values = 0.5 * scaling * values * (3.0 - (scaling * values) ** 2)
    assert (values - 1.0).abs().max() <= 1e-10


def test_mixed_styles_are_one_gaussian_of_the_mixture() -> None:
    one, other = random_rows(40, 6, seed=9), random_rows(40, 6, seed=10) + 2.0
    together = moments_of(torch.cat((one, other)))
    mixed = mix([({"relu1_1": moments_of(one)}, 1.0), ({"relu1_1": moments_of(other)}, 1.0)])
    value, _, _ = compared(together, mixed["relu1_1"])
    assert value < 1e-12 * together.products.trace()


PICTURES = ("photograph", "grey", "black", "noise", "lines")


@pytest.fixture(scope="module")
def layers_of(network: Network, pixels) -> Callable[[str], dict[str, Tensor]]:
    """Gives the default style layers' features, (N, C) float32, of a picture by its name."""
    pictures = {
        "photograph": pixels(96, 128),
        "style": pixels(90, 100, of="coffee"),
        "grey": torch.full((1, 3, 64, 96), 0.5),
        "black": torch.zeros(1, 3, 64, 96),
        "noise": torch.rand(1, 3, 64, 96, generator=torch.manual_seed(1)),
        "lines": (torch.arange(96) % 8 < 4).float().expand(1, 3, 64, 96).contiguous(),
    }

    @cache
    def features(name: str) -> dict[str, Tensor]:
        maps = network.features(pictures[name], Recipe().style_layers, "max")
        return {layer: as_rows(one).clone() for layer, one in maps}

    return features


@pytest.mark.parametrize(
    ("style", "picture"),
    [
        *(("style", picture) for picture in PICTURES),
        *((flat, picture) for flat in ("grey", "black") for picture in PICTURES[:3]),
    ],
)
def test_float32_is_as_good_as_float64_for_every_picture(
    layers_of: Callable[[str], dict[str, Tensor]], picture: str, style: str
) -> None:
    goals = layers_of(style)
    for layer, rows in layers_of(picture).items():
        goal = moments_of(goals[layer])
        assert goal.channels is not None
        single = compared(moments_of(rows), goal)
        exact = compared(
            moments_of(rows.double()), Moments(goal.products.double(), goal.channels.double())
        )
        size = mean_square(Gaussian(goal).size()).item()
        value, matrix, row = single
        assert 0.0 <= value and matrix.isfinite().all() and row.isfinite().all(), layer
        assert value == pytest.approx(exact[0], rel=2e-5, abs=1e-6 * size), layer
        pulled, expected = (
            rows.to(matrix.dtype) @ matrix + row for _, matrix, row in (single, exact)
        )
        # Measured: 2e-4 at most. Where both are alike it is rounding, 6e-6 of the features.
        rounding = 2e-5 * 2.0 / rows.shape[1] * rows.norm()
        assert (pulled - expected).norm() < 5e-4 * expected.norm() + rounding, layer


def test_a_picture_is_nothing_away_from_itself_and_1_from_no_features_at_all(
    layers_of: Callable[[str], dict[str, Tensor]],
) -> None:
    for layer, rows in layers_of("style").items():
        target = moments_of(rows)
        size = mean_square(Gaussian(target).size()).item()
        alike, _, _ = compared(target, target)
        nothing, _, _ = compared(moments_of(torch.zeros_like(rows)), target)
        assert abs(alike) < 1e-6 * size, layer
        assert nothing == pytest.approx(size, rel=1e-5), layer


def test_what_no_channel_answers_to_is_finite() -> None:
    zeros, some = (moments_of(rows) for rows in (torch.zeros(9, 5), torch.ones(9, 5)))
    for found, target in ((zeros, zeros), (some, zeros), (zeros, some), (some, some)):
        value, matrix, row = compared(found, target)
        assert torch.tensor(value).isfinite() and matrix.isfinite().all() and row.isfinite().all()


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_relative_distance_is_the_same_however_large_the_features(factor: float) -> None:
    found, target = (random_rows(90, 16, seed=seed).float() for seed in (11, 12))

    def relative(scale: float) -> float:
        goal = moments_of(scale * target)
        value, _, _ = compared(moments_of(scale * found), goal)
        return value / mean_square(Gaussian(goal).size()).item()

    assert relative(factor) == pytest.approx(relative(1.0), rel=1e-5)


def test_every_statistic_a_recipe_may_name_is_in_the_table() -> None:
    named = get_args(Recipe.model_fields["statistics"].annotation)
    assert set(named) == STATISTICS.keys()


def test_directions_of_a_style_are_sought_by_one_thread_whatever_the_steps_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LAPACK's threads wait for one another at every row: seconds, beside another program."""
    eigh, threads = torch.linalg.eigh, []

    def watched(matrix: Tensor) -> tuple[Tensor, Tensor]:
        threads.append(torch.get_num_threads())
        found: tuple[Tensor, Tensor] = eigh(matrix)
        return found

    monkeypatch.setattr(torch.linalg, "eigh", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        Gaussian(moments_of(random_rows(64, 8, seed=1)))
        assert threads == [1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
