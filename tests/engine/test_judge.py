"""The judge of `bench/judge.py`: what its figures tell, and what they are not moved by."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from bench.judging import contours, distribution, leak
from bench.judging.figures import Figures, Judge
from bench.judging.planted import FAILURES, Scene, Trial, validate
from bench.judging.scenes import make_scene
from daemon.engine import noise
from daemon.engine.engine import Engine
from daemon.engine.pixels import resize
from daemon.engine.tensors import to_tensor
from daemon.engine.vgg.network import Network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def judge(network: Network) -> Judge:
    return Judge(network)


@pytest.fixture(scope="module")
def scene(vgg_engine: Engine) -> Scene:
    return make_scene(vgg_engine, 128)


@pytest.fixture(scope="module")
def trials(judge: Judge, scene: Scene) -> dict[str, Trial]:
    return {trial.failure: trial for trial in validate(judge, scene)}


@pytest.mark.parametrize("failure", FAILURES)
def test_planted_failure_is_told_by_its_own_figures(trials: dict[str, Trial], failure: str) -> None:
    trial = trials[failure]
    assert trial.missed == (), f"{trial.sound} and with {failure} {trial.failed}"


def test_sound_picture_leaks_nothing_and_is_no_noisier_than_its_style(
    trials: dict[str, Trial],
) -> None:
    sound = trials["flat"].sound
    assert sound.leak == 0.0
    assert sound.noise < 1.0
    assert sound.colour_noise < 1.0


def test_one_figure_in_a_picture_leaks_less_than_two(judge: Judge, scene: Scene) -> None:
    def leaked(spots: tuple[tuple[int, int], ...]) -> float:
        planted = Scene(scene.result, scene.content, scene.style, scene.figure, spots)
        picture = FAILURES["figures leaked"].plant(planted)
        views = (judge.view(pixels) for pixels in (picture, scene.content, scene.style))
        return judge.judge(*views).leak

    assert 0.5 < leaked(scene.spots[:1]) < leaked(scene.spots)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_pictures_have_finite_figures(judge: Judge, scene: Scene, level: int) -> None:
    even = judge.view(np.full_like(scene.content, level))
    for views in ((even, even, even), (judge.view(scene.result), even, even)):
        assert all(np.isfinite(value) for value in asdict(judge.judge(*views)).values())


def test_style_judged_as_its_own_picture_is_at_no_distance(judge: Judge, scene: Scene) -> None:
    style = judge.view(scene.style)
    figures: Figures = judge.judge(style, style, style)
    assert figures.E == pytest.approx(distribution.LEAST)
    assert figures.C == pytest.approx(1.0, abs=1e-4)
    assert figures.change == 0.0
    assert figures.leak == 0.0, "the content has the same there"


def test_leak_is_sought_at_one_size_whatever_the_pictures(judge: Judge, scene: Scene) -> None:
    larger = judge.view(resize(scene.content, 400, 267))
    assert max(larger.pieces.shape[1:]) == leak.LONGEST_PX // 8


def test_distance_of_gaussians_is_the_hand_worked_one() -> None:
    # Along each axis (m - m')² + (s - s')²: 9 + (2-1)² and 16 + (3-5)², by the variance 1 + 25.
    one = distribution.FeatureGaussian(
        torch.tensor([3.0, 0.0]).double(), torch.diag(torch.tensor([4.0, 9.0]).double())
    )
    target = distribution.FeatureGaussian(
        torch.tensor([0.0, 4.0]).double(), torch.diag(torch.tensor([1.0, 25.0]).double())
    )
    found = distribution.squared_distance(one, target)
    assert found == pytest.approx((9 + 1 + 16 + 4) / 26, rel=1e-4)  # a floor of 1e-6 in the size


def test_contours_that_are_crossed_or_gone_are_not_kept() -> None:
    across = torch.arange(64.0).view(1, 1, 1, 64)
    stripes = (0.5 + 0.4 * torch.sin(across * 0.7)).expand(1, 3, 64, 64)
    assert contours.contours_kept(stripes, stripes) == 1.0
    assert contours.contours_kept(1 - 0.5 * stripes, stripes) > 0.9, "colours do not matter"
    assert contours.contours_kept(stripes.transpose(2, 3), stripes) < 0.05
    assert contours.contours_kept(torch.full_like(stripes, 0.5), stripes) < 0.05


@pytest.mark.parametrize("period", [(1, 2), (2, 1), (2, 2)])
def test_checkerboard_and_stripes_of_two_pixels_are_noise(period: tuple[int, int]) -> None:
    down, across = (torch.arange(64) % count for count in period)
    board = ((down[:, None] + across) % 2).float().expand(1, 3, 64, 64)
    smooth = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    assert noise.noise_of(0.5 + 0.1 * (board - 0.5), smooth) > 5.0
    assert noise.noise_of(smooth, smooth) < 1.0
    assert noise.colour_noise_of(0.5 + 0.1 * (board - 0.5), smooth) < 0.01, "it is grey"


def test_noise_of_the_style_itself_is_one(scene: Scene) -> None:
    style = to_tensor(scene.style, CPU)
    assert 0.7 < noise.noise_of(style, style) <= 1.0


def features(seed: int, *, channels: int = 32, side: int = 16) -> torch.Tensor:
    """Unrelated features, (channels, side, side)."""
    return torch.randn(channels, side, side, generator=torch.Generator().manual_seed(seed))


def test_piece_of_the_style_is_a_leak_where_the_content_has_nothing_like_it() -> None:
    result, content, style = features(1), features(2), features(3)
    assert leak.leak_of(result, content, style) < 0.1
    result[:, 4:9, 4:9] = style[:, 8:13, 2:7]
    found = leak.excess_map(result, content, style)
    assert int(found.argmax()) in {row * 14 + column for row in (4, 5, 6) for column in (4, 5, 6)}
    assert leak.leak_of(result, content, style) > 2.0


def test_piece_that_the_style_has_many_of_is_a_stroke_and_no_leak() -> None:
    result, content, style = features(1), features(2), features(3)
    style[:, :, 8:] = style[:, :, :8]
    result[:, 4:9, 4:9] = style[:, 8:13, 2:7]
    assert leak.leak_of(result, content, style) < 0.1


def test_piece_that_the_content_has_there_too_is_no_leak() -> None:
    result, content, style = features(1), features(2), features(3)
    result[:, 4:9, 4:9] = style[:, 8:13, 2:7]
    content[:, 4:9, 4:9] = style[:, 8:13, 2:7]
    assert leak.leak_of(result, content, style) < 0.1
