"""Colours between profiles: nothing is cut, levels come back, and broken profiles are told."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageCms

from daemon.pictures import profiles
from daemon.pictures.colour import (
    ProfileError,
    from_extended_srgb,
    from_linear,
    is_srgb,
    is_wide,
    kind_of,
    to_extended_srgb,
    to_linear,
)
from daemon.pictures.press import press_profile
from daemon.pictures.profile_tables import is_whole
from daemon.pictures.profiles import RgbSpace, rgb_profile, srgb_profile

WIDE_SPACES = [profiles.ADOBE_RGB, profiles.DISPLAY_P3, profiles.WIDE]
NAMES = [space.name for space in WIDE_SPACES]


def cube(dtype: type, side: int = 9) -> NDArray[np.generic]:
    steps = np.linspace(0, np.iinfo(dtype).max, side).round().astype(dtype)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(side, -1, 3)


def every_level() -> NDArray[np.uint16]:
    """All 65,536 greys."""
    return np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)


@pytest.mark.parametrize("space", WIDE_SPACES, ids=NAMES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_of_a_wide_profile_come_back_to_the_level(space: RgbSpace, dtype: type) -> None:
    colours = cube(dtype)
    there = to_extended_srgb(colours, rgb_profile(space), "rgb")
    assert there.dtype == np.float32 and there.min() < -0.1 and there.max() > 1.02
    back = from_extended_srgb(there, rgb_profile(space), dtype)
    # Where a channel has no light, 1e-7 is left of a difference of floats; by a curve of 1 / 2.2
    # that is 43 of 65,535.
    most = 0 if dtype is np.uint8 else 64
    assert np.abs(back.astype(int) - colours.astype(int)).max() <= most


@pytest.mark.parametrize("space", WIDE_SPACES, ids=NAMES)
def test_every_sixteen_bit_level_comes_back(space: RgbSpace) -> None:
    profile = rgb_profile(space)
    back = from_extended_srgb(to_extended_srgb(every_level(), profile), profile, np.uint16)
    assert np.array_equal(back, every_level())


def test_adobe_rgb_green_has_the_published_place() -> None:
    # Adobe RGB (1998) green in XYZ of D65 is (0.18556, 0.62737, 0.07069); with sRGB's inverse
    # matrix that is red -0.3985, green 1.0, blue -0.0429 of linear light.
    green = np.array([[[0, 255, 0]]], np.uint8)
    linear = to_linear(to_extended_srgb(green, rgb_profile(profiles.ADOBE_RGB)))
    assert np.allclose(linear[0, 0], (-0.3985, 1.0, -0.0429), atol=1e-3)


def test_curve_is_mirrored_and_goes_on_above_white() -> None:
    values = np.array([-1.5, -0.5, -0.01, 0.0, 0.01, 0.5, 1.0, 1.5], np.float32)
    assert np.allclose(from_linear(to_linear(values)), values, atol=1e-6)
    assert np.allclose(to_linear(-values), -to_linear(values))
    # IEC 61966-2-1: 0.5 is 0.214041 of light.
    assert np.isclose(to_linear(values)[5], 0.214041, atol=1e-6)


def test_srgb_is_known_by_its_colours_and_not_by_its_name() -> None:
    renamed = rgb_profile(RgbSpace("anything", profiles.SRGB_PRIMARIES, profiles.SRGB_CURVE))
    assert is_srgb(renamed) and is_srgb(srgb_profile()) and not is_wide(renamed)
    linear = rgb_profile(profiles.LINEAR_SRGB)
    assert not is_srgb(linear) and not is_wide(linear)
    assert is_wide(rgb_profile(profiles.DISPLAY_P3))


def test_profile_that_is_made_here_is_read_by_littlecms_of_pillow() -> None:
    made = ImageCms.ImageCmsProfile(io.BytesIO(rgb_profile(profiles.DISPLAY_P3)))
    assert "Display P3" in ImageCms.getProfileDescription(made)


@pytest.mark.parametrize("damaged", [b"", b"nonsense" * 40, srgb_profile()[:200]])
def test_damaged_profile_is_told(damaged: bytes) -> None:
    with pytest.raises(ProfileError, match="damaged"):
        to_extended_srgb(np.zeros((2, 2, 3), np.uint8), damaged)


def test_profile_of_another_kind_is_told() -> None:
    with pytest.raises(ProfileError, match="is of rgb, the pixels are cmyk"):
        to_extended_srgb(np.zeros((2, 2, 4), np.uint8), srgb_profile(), "cmyk")
    assert kind_of(srgb_profile()) == "rgb"


@pytest.mark.parametrize("kind", [b"mft1", b"mft2", b"mAB "])
def test_profile_with_less_than_its_tables_is_told_before_room_is_made(kind: bytes) -> None:
    """255 colours a side are 100 MB of room, whatever the file's size is."""
    table = kind + bytes(4) + bytes([3, 3, 255, 0]) + bytes(12)
    if kind == b"mAB ":
        table += (32).to_bytes(4) + bytes(4) + bytes([255] * 3 + [0] * 13 + [2, 0, 0, 0])
    profile = profiles.assembled(b"\2\x40\0\0prtrRGB Lab ", {b"A2B0": table + bytes(60)})
    assert not is_whole(profile)
    with pytest.raises(ProfileError, match="damaged"):
        to_extended_srgb(np.zeros((2, 2, 3), np.uint8), profile)


def test_profiles_that_are_whole_are_known() -> None:
    for profile in (srgb_profile(), press_profile(), rgb_profile(profiles.DISPLAY_P3)):
        assert is_whole(profile) and not is_whole(profile[:-8])
