"""Floats and levels on their way into a file: exact where they are whole, dithered where not."""

import numpy as np
import pytest

from daemon.pictures.colour import from_extended_srgb
from daemon.pictures.levels import Levels, quantised, scaled_alpha
from daemon.pictures.profiles import ADOBE_RGB, rgb_profile


def levels(pixels: np.ndarray, alpha: np.ndarray | None = None, **more: object) -> np.ndarray:
    given = {"has_alpha": False, "profile": None, "mode": "rgb", "bits": 8, **more}
    return Levels(pixels, alpha, **given).whole()  # type: ignore[arg-type]


def ramp(bits: int) -> np.ndarray:
    """Every level of a depth, in each channel; some strips high."""
    most = 256 if bits == 8 else 65536
    row = np.arange(most, dtype=np.uint8 if bits == 8 else np.uint16)
    tall = np.resize(row, (most // 64, 64 * 3)).reshape(-1, 64, 3)
    return np.concatenate([tall] * 12) if bits == 16 else tall


@pytest.mark.parametrize("bits", [8, 16])
def test_levels_of_the_same_depth_come_out_as_they_went_in(bits: int) -> None:
    assert np.array_equal(levels(ramp(bits), bits=bits), ramp(bits))


@pytest.mark.parametrize("bits", [8, 16])
def test_whole_levels_come_out_of_floats_as_they_went_in(bits: int) -> None:
    whole = ramp(bits)
    floats = whole / np.float32(255 if bits == 8 else 65535)
    assert floats.dtype == np.float32
    assert np.array_equal(levels(floats, bits=bits), whole)


def test_8_bits_become_16_and_8_again_unchanged() -> None:
    wide = levels(ramp(8), bits=16)
    assert wide.dtype == np.uint16 and wide.max() == 65535
    assert np.array_equal(levels(wide), ramp(8))


def test_dithering_keeps_what_lies_between_two_levels_on_average() -> None:
    flat = np.full((256, 256, 3), 100.25 / 255, np.float32)
    found = levels(flat)
    assert set(np.unique(found)) == {100, 101}
    # The mean of 65,536 values whose spread is 0.43 levels is off by 0.0017 once in three times.
    assert np.abs(found.mean(axis=(0, 1)) - 100.25).max() < 0.01


def test_grey_stays_grey_when_it_is_dithered() -> None:
    shades = np.linspace(0.2, 0.3, 512, dtype=np.float32)
    found = levels(np.repeat(np.tile(shades, (64, 1))[..., None], 3, axis=2))
    assert np.array_equal(found[..., 0], found[..., 1])
    assert np.array_equal(found[..., 0], found[..., 2])
    assert len(np.unique(found[:, 7, 0])) == 2


def test_dithering_is_the_same_each_time_and_does_not_repeat_down_the_picture() -> None:
    flat = np.full((2100, 256, 3), 100.5 / 255, np.float32)
    assert np.array_equal(levels(flat), levels(flat))
    strip = Levels(flat, None, False, None, "rgb", 8).strip_rows
    assert strip < 2100 - strip
    assert not np.array_equal(levels(flat)[:strip], levels(flat)[strip : 2 * strip])


def test_what_lies_outside_is_cut_and_never_wraps_round() -> None:
    outside = np.array([[[-0.5, 1.5, 0.0], [-1e-9, 1.0, 1e9]]], np.float32)
    for bits, most in ((8, 255), (16, 65535)):
        assert quantised(outside, bits, 0).tolist() == [[[0, most, 0], [0, most, most]]]


def test_transparent_colours_are_laid_over_white_where_there_is_no_alpha() -> None:
    pixels = np.full((1, 3, 3), 51, np.uint8)
    alpha = np.array([[0, 128, 255]], np.uint8)
    found = levels(pixels, alpha).astype(int)[0, :, 0]
    # 51 over white at 128/255: 51 * 0.50196 + 255 * 0.49804 = 152.6
    assert found.tolist() in ([255, 152, 51], [255, 153, 51])


def test_alpha_and_colours_under_it_stay_where_there_is_a_channel_for_it() -> None:
    chance = np.random.default_rng(1)
    pixels = chance.integers(0, 256, (40, 30, 3), np.uint8)
    alpha = chance.integers(0, 256, (40, 30), np.uint8)
    found = levels(pixels, alpha, has_alpha=True)
    assert np.array_equal(found[..., :3], pixels)
    assert np.array_equal(found[..., 3], alpha)
    deep = levels(pixels, alpha, has_alpha=True, bits=16)
    assert np.array_equal(deep[..., 3], alpha.astype(np.uint16) * 257)


def test_alpha_of_the_results_size_is_not_touched_and_another_is_scaled_in_its_depth() -> None:
    alpha = np.zeros((64, 96), np.uint16)
    alpha[:, 48:] = 65535
    assert scaled_alpha(alpha, (96, 64)) is alpha
    half = scaled_alpha(alpha, (48, 32))
    assert half.dtype == np.uint16 and half.shape == (32, 48)
    assert half[:, :20].max() == 0 and half[:, 28:].min() == 65535


def test_colours_outside_srgb_survive_in_a_profile_that_has_them() -> None:
    profile = rgb_profile(ADOBE_RGB)
    green = np.full((4, 4, 3), (-0.5, 1.0, -0.2), np.float32)
    found = levels(green, profile=profile, bits=16)
    wanted = from_extended_srgb(green, profile, np.uint16)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert found[0, 0].min() < 20_000 < 60_000 < found[0, 0].max()


def test_strips_are_the_whole_picture_in_order() -> None:
    pixels = np.arange(3 * 5000 * 100, dtype=np.uint32).astype(np.uint8).reshape(5000, 100, 3)
    picture = Levels(pixels, None, False, None, "rgb", 8)
    strips = list(picture.strips())
    assert len(strips) > 1 and {len(strip) for strip in strips[:-1]} == {picture.strip_rows}
    assert np.array_equal(np.concatenate(strips), pixels)
