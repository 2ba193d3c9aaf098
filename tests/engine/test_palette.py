"""Whose colours a painting has: recoloured styles, greys, and the photograph's chroma put back."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from daemon.engine.engine import Engine, Style
from daemon.engine.paint import finish
from daemon.engine.palette import Palette, lab_of, matching_matrix, moments_of
from daemon.engine.pixels import Pixels, resize
from daemon.engine.recipe import Colors, Recipe

ODD = {
    "grey": np.repeat(np.linspace(20, 230, 64, dtype=np.uint8)[None, :, None], 48, 0).repeat(3, 2),
    "two colours": np.where(np.arange(64)[None, :, None] < 20, (200, 40, 30), (20, 60, 190)).repeat(
        48, 0
    ),
    "flat": np.full((48, 64, 3), (90, 120, 70)),
    "black": np.zeros((48, 64, 3)),
    "white": np.full((48, 64, 3), 255),
}
ODD = {name: pixels.astype(np.uint8) for name, pixels in ODD.items()}
MODES = get_args(Colors)


def chroma(pixels: Pixels) -> float:
    """The mean OkLab chroma."""
    return float(lab_of(pixels)[..., 1:].norm(dim=-1).mean())


def lightness(pixels: Pixels) -> torch.Tensor:
    return lab_of(pixels)[..., 0]


@pytest.fixture(scope="module")
def starry(starry: Style) -> Style:
    """A small one: what is converted here is every pixel."""
    return Style(resize(starry.pixels, 160, 128))


@pytest.fixture(scope="module")
def photo(photo: Pixels) -> Pixels:
    return resize(photo, 96, 96)


@pytest.fixture(scope="module")
def muted(photo: Pixels) -> Pixels:
    """The photograph with soft colours, so that nothing that is done to them leaves sRGB."""
    return (photo * 0.3 + 90).astype(np.uint8)


def test_style_colours_leave_picture_style_and_painting_as_they_are(
    photo: Pixels, starry: Style
) -> None:
    palette = Palette(photo, "style")
    painted = np.random.default_rng(0).random((8, 8, 3), np.float32)
    assert palette.canvas is photo
    assert palette.style(starry.pixels) is starry.pixels
    assert palette.finish(painted.copy()).tobytes() == painted.tobytes()


@pytest.mark.parametrize("mode", ["match", "content"])
def test_style_gets_the_mean_and_covariance_of_the_photographs_colours(
    mode: Colors, muted: Pixels, starry: Style
) -> None:
    matched = moments_of(Palette(muted, mode).style(starry.pixels))
    wanted = moments_of(muted)
    # Rounding to 16 bits, and the few colours that are held inside sRGB.
    assert (matched.mean - wanted.mean).abs().max() < 1e-3
    assert (matched.covariance - wanted.covariance).abs().max() < 2e-4
    assert (moments_of(starry.pixels).mean - wanted.mean).abs().max() > 0.05


def test_matching_is_the_hand_worked_one() -> None:
    source, target = (torch.diag(torch.tensor(v).double()) for v in ([4, 9, 1], [1, 36, 0]))
    expected = torch.diag(torch.tensor([0.5, 2.0, 0.0]).double())
    assert torch.allclose(matching_matrix(source, target), expected, atol=1e-12)


def test_matching_of_mixed_colours_gives_exactly_the_other_covariance() -> None:
    factors = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    source, target = factors @ factors.mT + 0.1 * torch.eye(3)
    turn = matching_matrix(source, target)
    assert torch.allclose(turn @ source @ turn, target, atol=1e-9)
    assert torch.allclose(turn, turn.T, atol=1e-9)


@pytest.mark.parametrize("mode", ["match", "content"])
def test_style_of_a_region_gets_the_colours_that_the_photograph_has_there(
    mode: Colors, muted: Pixels, starry: Style
) -> None:
    above = np.uint8([[255]] * 48 + [[0]] * 48).repeat(96, axis=1)
    other = 255 - muted[48:]
    masks = {"red": above, "blue": 255 - above}
    palette = Palette(np.concatenate([muted[:48], other]), mode, masks)
    for region, pixels in (("red", muted[:48]), ("blue", other)):
        matched = Palette(pixels, mode).style(starry.pixels)
        found = palette.style(starry.pixels, region)
        # Sums in another order: a sixteen-bit level here and there.
        assert np.abs(found.astype(int) - matched.astype(int)).max() <= 1


def test_luminance_matches_the_greys_of_a_style_to_those_of_its_region(muted: Pixels) -> None:
    halves = np.concatenate([muted[:48], muted[48:] // 2])
    below = np.uint8([[0]] * 48 + [[255]] * 48).repeat(96, axis=1)
    palette = Palette(halves, "luminance", {"red": below})
    greys = palette.style(muted, "red")
    assert float(lightness(greys).mean()) == pytest.approx(
        float(lightness(halves[48:]).mean()), abs=1e-4
    )


def test_soft_mask_counts_each_place_by_its_weight() -> None:
    grey = np.repeat(np.uint8([[40, 120]])[..., None], 3, 2)
    low, high = (float(one) for one in lightness(grey)[0])
    found = moments_of(grey, np.array([[51, 255]], np.uint8))  # a fifth and the whole
    mean = (0.2 * low + high) / 1.2
    assert float(found.mean[0]) == pytest.approx(mean, abs=1e-6)
    assert float(found.covariance[0, 0]) == pytest.approx(
        (0.2 * (low - mean) ** 2 + (high - mean) ** 2) / 1.2, abs=1e-6
    )


@pytest.mark.parametrize("level", [0, 255])
def test_mask_that_is_everywhere_or_nowhere_leaves_all_the_photographs_colours(
    level: int, photo: Pixels, starry: Style
) -> None:
    masks = {"red": np.full((5, 7), level, np.uint8)}
    with_it, without = (Palette(photo, "match", one) for one in (masks, {}))
    matched = without.style(starry.pixels)
    assert with_it.style(starry.pixels, "red").tobytes() == matched.tobytes()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("of_style", ODD)
@pytest.mark.parametrize("of_photograph", ODD)
def test_grey_flat_and_two_coloured_pictures_stay_finite_and_inside_srgb(
    of_photograph: str, of_style: str, mode: Colors
) -> None:
    palette = Palette(ODD[of_photograph], mode)
    style = palette.style(ODD[of_style])
    painted = np.random.default_rng(0).random((24, 32, 3), np.float32)
    for pixels in (palette.canvas, style, palette.finish(painted)):
        values = pixels / np.float32(1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max)
        assert np.isfinite(values).all()
        assert values.min() >= -2e-3 and values.max() <= 1 + 1e-4


def test_grain_of_a_grey_style_is_not_stretched_to_colours(photo: Pixels) -> None:
    grain = np.random.default_rng(0).integers(-1, 2, (64, 64, 3))
    style = (128 + grain).astype(np.uint8)
    spread = moments_of(Palette(photo, "match").style(style)).covariance.trace().sqrt()
    assert spread < 0.5 * moments_of(photo).covariance.trace().sqrt()


@pytest.mark.parametrize("mode", ["content", "luminance"])
def test_finished_painting_has_its_own_lightness_and_the_photographs_chroma(
    mode: Colors, muted: Pixels
) -> None:
    small = resize(muted, 40, 32)
    painted = resize(muted[::-1, ::-1], 40, 32).astype(np.float32) / 255
    finished = Palette(muted, mode).finish(painted.copy())
    assert (lightness(finished) - lightness(painted)).abs().max() < 1e-4
    assert (lab_of(finished)[..., 1:] - lab_of(small)[..., 1:]).abs().max() < 1e-4


def test_chroma_beyond_srgb_is_kept_for_a_photograph_that_has_it() -> None:
    wide = np.full((32, 32, 3), (1.05, -0.1, 0.1), np.float32)
    finished = Palette(wide, "content").finish(wide * np.float32(0.98))
    assert finished[..., 0].max() > 1.0
    assert chroma(finished) == pytest.approx(chroma(wide), abs=0.005)
    held = Palette(np.clip(wide, 0, 1), "content").finish(wide * np.float32(0.98))
    assert held.min() >= -2e-3 and held.max() <= 1.0 + 1e-4


def test_luminance_paints_greys_as_light_as_photograph_and_matched_style(
    photo: Pixels, starry: Style
) -> None:
    palette = Palette(photo, "luminance")
    canvas, style = palette.canvas, palette.style(starry.pixels)
    for pixels in (canvas, style):
        assert chroma(np.ascontiguousarray(pixels)) < 1e-3
    assert (lightness(canvas) - lightness(photo)).abs().max() < 1e-4
    values = lightness(style)
    assert float(values.mean()) == pytest.approx(float(lightness(photo).mean()), abs=0.02)
    assert float(values.std()) == pytest.approx(float(lightness(photo).std()), abs=0.02)


def test_large_pictures_are_converted_band_by_band_to_the_same_colours(
    photo: Pixels, starry: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    def results() -> list[bytes]:
        palette = Palette(photo, "content")
        painted = resize(starry.pixels, *photo.shape[1::-1]).astype(np.float32) / 255
        return [palette.style(starry.pixels).tobytes(), palette.finish(painted).tobytes()]

    style, finished = results()
    monkeypatch.setattr("daemon.engine.palette.BAND_PIXELS", 1000)
    in_bands = results()
    assert in_bands[1] == finished
    # Sums in another order: a sixteen-bit level here and there.
    levels = [np.frombuffer(one, np.uint16).astype(int) for one in (style, in_bands[0])]
    assert np.abs(levels[0] - levels[1]).max() <= 1


@pytest.mark.parametrize("mode", ["content", "luminance"])
def test_painting_has_the_mean_chroma_of_the_photograph(
    mode: Colors, engine: Engine, photo: Pixels, starry: Style
) -> None:
    painted = finish(engine.paint(photo, [starry], Recipe(size=64, steps=6, colors=mode)))
    plain = finish(engine.paint(photo, [starry], Recipe(size=64, steps=6)))
    wanted = chroma(resize(photo, 64, 64))
    assert chroma(painted.pixels) == pytest.approx(wanted, abs=0.01)
    assert painted.judgement.change > 0.02
    assert painted.pixels.tobytes() != plain.pixels.tobytes()


def test_styles_of_a_region_are_recoloured_to_it_in_the_painting(
    engine: Engine, photo: Pixels, starry: Style
) -> None:
    left = np.array([[255, 0]], np.uint8)
    recipe = Recipe(size=64, steps=1, colors="match")
    other = photo.copy()
    other[:, 48:] = 255 - other[:, 48:]

    def style_loss(picture: Pixels, colored: str) -> float:
        style = replace(starry, region=colored)
        masks = {colored: left}
        return (
            finish(engine.paint(picture, [style], recipe, masks=masks))
            .passes[0]
            .first.losses["style"]
        )

    # What is beyond the region changes nothing but what the network sees over its edge.
    assert style_loss(other, "red") == pytest.approx(style_loss(photo, "red"), rel=0.05)


def test_recoloured_style_has_moments_of_its_own(
    engine: Engine, photo: Pixels, starry: Style
) -> None:
    def losses(picture: Pixels, mode: Colors) -> float:
        recipe = Recipe(size=64, steps=1, colors=mode)
        return finish(engine.paint(picture, [starry], recipe)).passes[0].first.losses["style"]

    other = np.ascontiguousarray(255 - photo)
    plain, matched = losses(photo, "style"), losses(photo, "match")
    assert plain != matched
    assert losses(other, "match") != matched
    assert losses(photo, "style") == plain, "what was kept of one is not taken for the other"
    assert losses(photo, "match") == matched
