import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.pictures.small import (
    LONGEST_PX,
    PAINTING,
    SCREEN,
    THUMBNAIL,
    small_size,
    small_versions,
    write_small,
)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_depth_becomes_the_same_jpegs_of_the_sizes_foretold(dtype: type) -> None:
    top = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    pixels = np.zeros((300, 400, 3), dtype)
    pixels[:, :200] = top
    versions = dict(small_versions(pixels))
    for ending in LONGEST_PX:
        image = opened(versions[ending])
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert image.size == small_size(400, 300, ending)
        left, right = image.getpixel((5, 5)), image.getpixel((image.width - 5, 5))
        assert min(left) >= 253 and max(right) <= 2  # JPEG's rounding


def test_large_picture_is_averaged_and_not_sampled() -> None:
    stripes = np.zeros((1000, 9600, 3), np.uint8)
    stripes[:, ::2] = 255
    image = opened(dict(small_versions(stripes))[SCREEN])
    assert image.size == (1600, 167)
    grey = np.asarray(image.convert("L"), np.float32)
    assert abs(grey.mean() - 127.5) < 2 and grey.std() < 2


def test_what_is_transparent_lies_on_white() -> None:
    alpha = np.zeros((60, 80), np.uint16)
    alpha[:, :40] = 65535
    image = opened(dict(small_versions(np.zeros((60, 80, 3), np.uint8), alpha))[THUMBNAIL])
    assert max(image.getpixel((5, 5))) <= 2 and min(image.getpixel((75, 5))) >= 253


def test_small_picture_is_not_made_larger() -> None:
    assert small_size(64, 48, SCREEN) == small_size(64, 48, THUMBNAIL) == (64, 48)


def test_versions_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    for ending in LONGEST_PX:
        (tmp_path / (PAINTING + ending)).write_bytes(b"there")
    write_small(tmp_path, PAINTING, np.zeros((8, 8, 3), np.uint8))
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"there"}
