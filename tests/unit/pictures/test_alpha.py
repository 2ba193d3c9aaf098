"""Colours beside alpha stay as they are; where nothing covers they come from the surroundings."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.pictures.alpha import MOST_FILL_PIXELS, fill_transparent, unmultiplied
from daemon.pictures.read import read_picture
from tests.support import malformed

DARK = (30, 60, 140)


def cut_out(size: int = 128) -> NDArray[np.uint8]:
    """A dark disk with a soft edge of a pixel, RGBA, white where it is transparent."""
    y, x = np.mgrid[:size, :size]
    alpha = np.clip(size * 0.4 - np.hypot(x - size / 2, y - size / 2), 0, 1)
    image = np.full((size, size, 4), 255, np.uint8)
    image[alpha > 0, :3] = DARK
    image[..., 3] = np.rint(alpha * 255)
    return image


def test_cut_out_is_dark_to_its_edge_and_beyond() -> None:
    from PIL import Image

    content = malformed.encoded(Image.fromarray(cut_out()), "PNG")
    found = read_picture(io.BytesIO(content), "photo")
    assert found.alpha is not None and np.array_equal(found.alpha, cut_out()[..., 3])
    assert (found.pixels == DARK).all()  # no white anywhere, not even half a level


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_covered_colours_are_not_touched(dtype: type) -> None:
    chance = np.random.default_rng(0)
    pixels = (chance.random((50, 70, 3)) * 200).astype(dtype)
    alpha = (chance.integers(0, 3, (50, 70)) * 127).astype(np.uint8)
    found = fill_transparent(pixels.copy(), alpha)
    assert np.array_equal(found[alpha > 0], pixels[alpha > 0])
    assert found.dtype == dtype


def test_transparent_parts_take_the_nearest_colours() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    alpha = np.zeros((64, 64), np.uint8)
    pixels[:, :8], pixels[:, -8:] = (200, 0, 0), (0, 0, 200)
    alpha[:, :8] = alpha[:, -8:] = 255
    found = fill_transparent(pixels, alpha)
    assert found[32, 9].tolist() == [200, 0, 0] and found[32, -10].tolist() == [0, 0, 200]
    middle = found[32, 32].tolist()
    assert middle[1] == 0 and middle[0] + middle[2] == pytest.approx(200, abs=1)


def test_picture_with_nothing_in_it_stays_as_it_is() -> None:
    pixels = np.full((20, 20, 3), 9, np.uint8)
    assert (fill_transparent(pixels, np.zeros((20, 20), np.uint8)) == 9).all()


def test_large_picture_is_filled_by_blocks() -> None:
    side = int(MOST_FILL_PIXELS**0.5) + 300
    pixels = np.full((side, side, 3), 255, np.uint8)
    alpha = np.zeros((side, side), np.uint8)
    pixels[:700], alpha[:700] = DARK, 255
    assert (fill_transparent(pixels, alpha) == DARK).all()


def test_multiplied_colours_come_back() -> None:
    alpha = np.array([[255, 128, 64, 1, 0]], np.uint8)
    colours = np.full((1, 5, 3), 100, np.uint8)
    stored = np.rint(colours * (alpha[..., None] / 255)).astype(np.uint8)
    found = unmultiplied(stored, alpha)
    # Rounding before the division costs half a level of what is covered.
    assert np.abs(found[0, :3].astype(int) - 100).max() <= 2
    assert found[0, 4].tolist() == [0, 0, 0]
