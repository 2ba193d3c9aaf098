"""What is measured of a finished painting: the same at any size, and the same as the judge's."""

import numpy as np
import pytest

from bench.judging.figures import Judge
from daemon.engine import judgement
from daemon.engine.checkpoint import PassReport
from daemon.engine.fit.plan import Plan
from daemon.engine.judgement import Judgement, deviation_of, judge, part, windows
from daemon.engine.noise import noise_of
from daemon.engine.optimise.steps import Step
from daemon.engine.pixels import Pixels, resize, size_of
from daemon.engine.schedule import Pass
from daemon.engine.vgg.network import Network


def report(first: float, best: float) -> PassReport:
    """A pass whose loss came from `first` to `best`, and ended a little above."""
    steps = [
        Step(n, total, {"style": total}, 0.1) for n, total in enumerate((first, best * 1.1, best))
    ]
    plan = Plan(None, 20, aside=False, predicted_bytes=1, budget_bytes=2)
    return PassReport(Pass(64, 64, 30), plan, 1.0, steps[0], steps[1], False, steps[2])


def judged(painted: Pixels, photograph: Pixels, style: Pixels) -> Judgement:
    floats = painted.astype(np.float32) / np.float32(255 if painted.dtype == np.uint8 else 1)
    return judge(floats, photograph, [(style, size_of(painted))], report(4.0, 1.0))


def test_figures_are_those_of_the_bench(network: Network, photo: Pixels) -> None:
    content, style, result = (
        resize(pixels, 64, 48) for pixels in (photo, photo[::-1], photo[:, ::-1])
    )
    other = Judge(network)
    expected = other.judge(*(other.view(one) for one in (result, content, style)))
    found = judged(result, content, style)
    for name in ("noise", "colour_noise", "change"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-4)


def test_fall_is_that_of_the_best_picture_which_is_kept(photo: Pixels) -> None:
    small = resize(photo, 32, 32)
    assert judged(small, small, small).fall == pytest.approx(0.75)
    floats = small.astype(np.float32) / 255
    assert judge(floats, small, [(small, (32, 32))], report(4.0, 4.5)).fall == 0.0


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_single_value_that_is_no_number_is_found(photo: Pixels, wrong: float) -> None:
    small = resize(photo, 32, 32)
    painted = small.astype(np.float32) / 255
    painted[31, 31, 2] = wrong
    assert judged(painted, small, small) == Judgement(finite=False)


def test_noise_is_against_the_noisiest_of_several_styles(photo: Pixels) -> None:
    small = resize(photo, 64, 64)
    even = np.full_like(small, 90)
    floats = small.astype(np.float32) / 255
    styles = [(even, (64, 64)), (small, (64, 64))]
    both = judge(floats, small, styles, report(4.0, 1.0))
    assert both.noise == judge(floats, small, styles[1:], report(4.0, 1.0)).noise < 1.0
    assert judge(floats, small, styles[:1], report(4.0, 1.0)).noise > 3.0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(90, 61), (400, 271)])
def test_part_of_a_picture_at_another_size_is_cut_out_of_the_whole_at_that_size(
    photo: Pixels, dtype: type, size: tuple[int, int]
) -> None:
    pixels = resize(photo, 200, 140)
    pixels = (pixels / 255).astype(np.float32) if dtype is np.float32 else pixels.astype(dtype)
    width, height = size
    whole = resize(pixels, width, height).astype(float)
    for box in ((0, 0, 32, 32), (17, 23, 49, 55), (width - 32, height - 32, width, height)):
        left, top, right, bottom = box
        found = part(pixels, size, box).astype(float)
        # The filter's places are floats: a level here and there.
        assert np.abs(found - whole[top:bottom, left:right]).max() <= (
            1e-4 if dtype is np.float32 else 1.0
        )


def test_windows_of_a_large_picture_have_its_noise(
    photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, style = resize(photo, 512, 384), resize(photo[:, ::-1], 384, 512)
    whole = [windows(one, size_of(one)) for one in (picture, style)]
    monkeypatch.setattr(judgement, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(judgement, "WINDOW_PX", 64)
    seen = [windows(one, size_of(one)) for one in (picture, style)]
    assert seen[0].shape == (16, 3, 64, 64)
    assert noise_of(*seen) == pytest.approx(noise_of(*whole), rel=0.15)
    narrow = windows(resize(photo, 40, 400), (40, 400))
    assert narrow.shape == (16, 3, 64, 40)


def test_deviation_is_the_hand_worked_one_however_many_pixels() -> None:
    # Half black and half white in every channel: each is 0.5 from the mean.
    halves = np.zeros((1200, 1000, 3), np.uint8)
    halves[600:] = 255
    assert deviation_of(halves) == pytest.approx(0.5, abs=1e-3)
    assert deviation_of(halves[:600]) == 0.0
