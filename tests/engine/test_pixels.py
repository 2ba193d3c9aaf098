"""Pictures as arrays, going in and coming out."""

import numpy as np
import pytest
import torch
from PIL import Image

from daemon.engine.engine import Engine, Style
from daemon.engine.errors import PictureError
from daemon.engine.pixels import Pixels, check_pixels, cover, resize
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_pixels, to_tensor

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((20, 30, 4), np.uint8),
        np.zeros((20, 30), np.uint8),
        np.zeros((20, 30, 3), np.float32),
        np.zeros((1, 20, 30, 3), np.uint8),
    ],
    ids=["alpha", "grey", "float", "batch"],
)
def test_array_that_is_no_picture_is_refused_with_its_shape_and_type(values: np.ndarray) -> None:
    with pytest.raises(PictureError, match=r"\(height, width, 3\) of uint8") as told:
        check_pixels(values)
    assert str(values.shape) in str(told.value) and str(values.dtype) in str(told.value)


@pytest.mark.parametrize("part", ["picture", "style"])
def test_engine_refuses_what_is_no_picture_before_it_paints(
    engine: Engine, photo: Pixels, part: str
) -> None:
    wrong = photo.astype(np.float32) / 255.0
    picture, style = (wrong, photo) if part == "picture" else (photo, wrong)
    with pytest.raises(PictureError, match="float32"):
        next(engine.paint(picture, [Style(style)], Recipe(size=64)))


def test_pixels_come_back_from_a_tensor_as_they_went_in(photo: Pixels) -> None:
    read_only = np.frombuffer(photo.tobytes(), np.uint8).reshape(photo.shape)
    for pixels in (photo, read_only, photo[::2, ::-1], np.rot90(photo)):
        tensor = to_tensor(pixels, CPU)
        assert tensor.shape == (1, 3, *pixels.shape[:2])
        assert 0.0 <= tensor.min() and tensor.max() <= 1.0
        assert np.array_equal(to_pixels(tensor), pixels)


def test_pixels_at_their_own_size_are_not_copied(photo: Pixels) -> None:
    assert resize(photo, 512, 512) is photo
    assert resize(photo, 100, 60).shape == (60, 100, 3)


def test_cover_is_the_middle_of_the_picture_as_large_as_can_be() -> None:
    stripes = np.zeros((40, 120, 3), np.uint8)
    stripes[:, 40:80] = 200
    assert cover(stripes, 20, 20).min() > 180  # the filter sees a little of what is beside it


def test_styles_without_a_hash_are_known_by_their_pixels(photo: Pixels) -> None:
    flat = np.full((20, 30, 3), 7, np.uint8)
    assert Style(photo).key == Style(photo.copy()).key
    assert Style(photo).key != Style(photo[::-1]).key
    assert Style(flat).key != Style(np.rot90(flat)).key
    assert Style(photo, 1.0, "its file's").key == "its file's"


def test_style_without_a_hash_is_painted_as_with_one(engine: Engine, photo: Pixels) -> None:
    style = np.asarray(Image.fromarray(photo).transpose(Image.Transpose.ROTATE_90))
    first = []
    for given in (Style(style), Style(style, 1.0, "some hash")):
        moments = engine.paint(photo, [given], Recipe(size=64, steps=1))
        first.append([moment.step.losses for moment in moments if hasattr(moment, "step")])
    assert first[0] == first[1] and first[0]
