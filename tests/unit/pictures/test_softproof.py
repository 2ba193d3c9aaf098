"""Soft proof: what a device can print of a picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.engine.errors import PictureError
from daemon.pictures.profiles import DISPLAY_P3, SRGB_CURVE, RgbSpace, rgb_profile, srgb_profile
from daemon.pictures.softproof import as_printed
from tests.support.profiles import cmyk_profile, grey_profile, scanner_profile

NARROW = RgbSpace("narrow", ((0.5, 0.33), (0.31, 0.5), (0.2, 0.15)), SRGB_CURVE)
DEVICES = {
    "press": cmyk_profile(),
    "narrow": rgb_profile(NARROW),
    "grey": grey_profile(),
    "sRGB": srgb_profile(),
}


def cube() -> NDArray[np.float32]:
    """Colours of all of sRGB, (24, 9, 3)."""
    side = np.linspace(0, 1, 6, dtype=np.float32)
    return np.stack(np.meshgrid(side, side, side, indexing="ij"), -1).reshape(24, 9, 3)


@pytest.mark.parametrize("device", DEVICES)
def test_white_and_black_stay_what_they_are(device: str) -> None:
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    printed = as_printed(ends, DEVICES[device], "x.icc")
    assert printed.dtype == np.float32
    assert np.abs(printed - ends / 255).max() < 0.006  # the press's tables are coarse


@pytest.mark.parametrize("device", ["narrow", "grey", "sRGB"])
def test_what_was_printed_once_can_be_printed(device: str) -> None:
    once = as_printed(cube(), DEVICES[device], "x.icc")
    again = as_printed(once, DEVICES[device], "x.icc")
    assert np.abs(again - once).max() < 1e-3


def test_colours_that_a_device_has_not_become_some_that_it_has() -> None:
    printed = as_printed(cube(), DEVICES["narrow"], "x.icc")
    red = as_printed(np.array([[[1, 0, 0]]], np.float32), DEVICES["narrow"], "x.icc")[0, 0]
    # Red of the narrow space, in sRGB: worked out from its primaries below.
    linear = np.linalg.inv(primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))) @ primaries(
        *NARROW.primaries
    )
    assert linear[:, 0].min() > 0.0031308  # above it the curve is a power
    encoded = 1.055 * linear[:, 0] ** (1 / 2.4) - 0.055
    assert np.abs(red - encoded).max() < 2e-3
    assert (printed.max(axis=2) - printed.min(axis=2)).max() < 0.85


def primaries(*xy: tuple[float, float]) -> NDArray[np.float64]:
    """Linear RGB to XYZ for three primaries and the white of D65."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in xy]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    scaled: NDArray[np.float64] = columns * np.linalg.solve(columns, white)
    return scaled


def test_colours_beyond_srgb_that_a_device_has_are_kept() -> None:
    wide = np.array([[[1.05, -0.1, 0.2], [-0.2, 1.0, 0.1]]], np.float32)
    printed = as_printed(wide, rgb_profile(DISPLAY_P3), "x.icc")
    assert np.abs(printed - wide).max() < 1e-3


@pytest.mark.parametrize("depth", [np.uint8, np.uint16, np.float32])
def test_depth_of_the_pixels_does_not_matter(depth: type) -> None:
    top = 1 if depth is np.float32 else np.iinfo(depth).max
    pixels = (cube() * top).astype(depth)
    printed = as_printed(pixels, DEVICES["narrow"], "x.icc")
    expected = as_printed(pixels.astype(np.float32) / np.float32(top), DEVICES["narrow"], "x.icc")
    assert np.array_equal(printed, expected)


def test_it_can_be_done_in_place_of_a_view() -> None:
    whole = np.moveaxis(np.ascontiguousarray(np.moveaxis(cube(), 2, 0)), 0, 2)  # a tensor's
    expected = as_printed(cube(), DEVICES["narrow"], "x.icc")
    assert as_printed(whole, DEVICES["narrow"], "x.icc", whole) is whole
    assert np.array_equal(whole, expected)


@pytest.mark.parametrize(
    "content", [scanner_profile(), b"", b"no profile" * 30], ids=["scanner", "empty", "noise"]
)
def test_file_that_leads_to_no_device_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(PictureError, match=r"^press\.icc is no profile .*`proof_profile`"):
        as_printed(cube(), content, "press.icc")
