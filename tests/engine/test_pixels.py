"""Pictures as arrays, going in and coming out."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from daemon.engine import pixels as pixels_module
from daemon.engine.engine import Engine, Style
from daemon.engine.errors import PictureError
from daemon.engine.paint import Stepped, finish
from daemon.engine.pixels import TOPS, Pixels, check_pixels, cover, reduce, resize, top_of
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_pixels, to_tensor

CPU = torch.device("cpu")
Change = Callable[[Pixels, int, int], Pixels]


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((20, 30, 4), np.uint8),
        np.zeros((20, 30), np.uint8),
        np.zeros((20, 30, 3), np.float64),
        np.zeros((20, 30, 3), ">u2"),
        np.zeros((1, 20, 30, 3), np.uint8),
    ],
    ids=["alpha", "grey", "double", "other byte order", "batch"],
)
def test_array_that_is_no_picture_is_refused_with_its_shape_and_type(values: np.ndarray) -> None:
    with pytest.raises(PictureError, match=r"\(height, width, 3\) of uint8, uint16 or") as told:
        check_pixels(values)
    assert str(values.shape) in str(told.value) and str(values.dtype) in str(told.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_array_with_values_that_are_no_numbers_is_refused(value: float) -> None:
    pixels = np.zeros((20, 30, 3), np.float32)
    pixels[7, 8, 1] = value
    with pytest.raises(PictureError, match="finite"):
        check_pixels(pixels)


@pytest.mark.parametrize("part", ["picture", "style"])
def test_engine_refuses_what_is_no_picture_before_it_paints(
    engine: Engine, photo: Pixels, part: str
) -> None:
    wrong = photo.astype(np.float64) / 255.0
    picture, style = (wrong, photo) if part == "picture" else (photo, wrong)
    with pytest.raises(PictureError, match="float64"):
        next(engine.paint(picture, [Style(style)], Recipe(size=64)))


@pytest.mark.parametrize("depth", [np.uint8, np.uint16, np.float32])
def test_pixels_come_back_from_a_tensor_as_they_went_in(photo: Pixels, depth: type) -> None:
    whole = at_depth(photo, depth)
    read_only = np.frombuffer(whole.tobytes(), depth).reshape(whole.shape)
    for pixels in (whole, read_only, whole[::2, ::-1], np.rot90(whole)):
        tensor = to_tensor(pixels, CPU)
        assert tensor.shape == (1, 3, *pixels.shape[:2])
        assert 0.0 <= tensor.min() and tensor.max() <= 1.0
        back = to_pixels(tensor) * np.float32(top_of(pixels))
        assert np.array_equal(back if depth is np.float32 else back.round(), pixels)


def at_depth(photo: Pixels, depth: type) -> Pixels:
    """The same picture in 8 bits, in 16, or in floats."""
    match depth:
        case np.uint8:
            return photo
        case np.uint16:
            return photo.astype(np.uint16) * np.uint16(257)
        case _:
            return photo.astype(np.float32) / np.float32(255)


def test_pixels_of_a_tensor_are_a_view_of_it() -> None:
    picture = torch.zeros(1, 3, 20, 30)
    pixels = to_pixels(picture)
    picture[0, 1, 7, 8] = 1.5
    assert pixels.shape == (20, 30, 3) and pixels[7, 8].tolist() == [0.0, 1.5, 0.0]


SIZES = [(100, 60), (700, 900), (513, 511)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("change", [resize, cover], ids=["resize", "cover"])
def test_deep_picture_is_resized_as_its_8_bits_are(
    photo: Pixels, size: tuple[int, int], change: Change
) -> None:
    eight = change(photo, *size)
    for depth in (np.uint16, np.float32):
        deep = change(at_depth(photo, depth), *size)
        assert deep.dtype == depth and deep.shape == eight.shape
        off = np.abs(deep / (top_of(deep) / 255) - eight)
        # Half a level of rounding; more where 8 bits are cut between the two directions.
        assert np.quantile(off, 0.95) <= 1.0 and off.mean() < 0.4


@pytest.mark.parametrize("size", SIZES)
def test_bands_of_a_deep_picture_have_no_seams(
    photo: Pixels, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = at_depth(photo, np.float32)
    at_once = resize(deep, *size)
    for values in (600, 30_000):  # a row at a time, and some
        monkeypatch.setattr(pixels_module, "BAND_VALUES", values)
        # The filter's weights are rounded otherwise in a band.
        assert np.abs(resize(deep, *size) - at_once).max() < 1e-5


def test_colours_beyond_srgb_stay_where_they_are_resized() -> None:
    flat = np.empty((40, 60, 3), np.float32)
    flat[:] = (1.25, -0.5, 0.25)
    for resized in (resize(flat, 33, 47), cover(flat, 20, 20), reduce(flat, 2, 16)):
        assert np.abs(resized - flat[0, 0]).max() < 1e-6


@pytest.mark.parametrize("depth", [np.uint8, np.uint16, np.float32])
def test_filter_rings_over_no_bound_of_the_picture(depth: type) -> None:
    edge = np.zeros((40, 40, 3), np.uint8)
    edge[:, 20:] = 255
    resized = resize(at_depth(edge, depth), 90, 90)
    assert (resized.min(), resized.max()) == (0, TOPS[np.dtype(depth)])


def test_wide_picture_rings_to_its_own_bounds_at_most() -> None:
    edge = np.zeros((40, 40, 3), np.float32)
    edge[:, :20], edge[:, 20:] = (-0.25, 0.0, 0.5), (1.5, 1.0, 0.75)
    resized = resize(edge, 90, 90)
    least, most = resized.min(axis=(0, 1)), resized.max(axis=(0, 1))
    assert (least[:2].tolist(), most[:2].tolist()) == ([-0.25, 0.0], [1.5, 1.0])
    assert 0.4 < least[2] < 0.5 and 0.75 < most[2] < 0.85  # there is room for it there


@pytest.mark.parametrize("times", [2, 3, 7])
def test_deep_picture_is_reduced_to_means(photo: Pixels, times: int) -> None:
    deep = at_depth(photo, np.float32)
    rows = 512 // times
    squares = deep[: rows * times, : rows * times].reshape(rows, times, rows, times, 3)
    assert np.abs(reduce(deep, times, 16) - squares.mean(axis=(1, 3))).max() < 1e-6


@pytest.mark.parametrize("size", [(20, 20), (200, 31), (31, 200)])
def test_cover_is_what_pillow_calls_fit(photo: Pixels, size: tuple[int, int]) -> None:
    wide = photo[:300]
    fitted = ImageOps.fit(Image.fromarray(wide), size, Image.Resampling.LANCZOS)
    assert np.array_equal(cover(wide, *size), np.asarray(fitted))


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


def test_style_of_one_hash_that_is_read_otherwise_is_looked_at_anew(
    engine: Engine, photo: Pixels
) -> None:
    first = []
    for pixels in (photo, photo[::-1], photo.astype(np.uint16)):
        moments = engine.paint(photo, [Style(pixels, 1.0, "file")], Recipe(size=64, steps=1))
        first.append(next(m.step.losses["style"] for m in moments if isinstance(m, Stepped)))
    assert len(set(first)) == 3


WAYS = [{"optimizer": "lbfgs"}, {"optimizer": "adam"}]


@pytest.mark.parametrize("settings", WAYS, ids=repr)
def test_depth_of_a_picture_changes_nothing_of_its_painting(
    engine: Engine, photo: Pixels, settings: dict[str, object]
) -> None:
    small = resize(photo, 64, 48)
    recipe = Recipe(**({"size": 64, "steps": 4} | settings))
    painted = [
        finish(engine.paint(at_depth(small, depth), [Style(photo)], recipe)).pixels.tobytes()
        for depth in (np.uint8, np.uint16, np.float32)
    ]
    assert painted[0] == painted[1] == painted[2]


def test_every_level_of_16_bits_goes_through_the_engine(engine: Engine, photo: Pixels) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = np.stack([ramp, ramp[::-1], ramp.T], axis=2)
    # Each pass's best picture after one step is what it started from: the content.
    painting = finish(engine.paint(picture, [Style(photo)], Recipe(size="original", steps=1)))
    assert len(painting.passes) == 2
    assert np.array_equal((painting.pixels * 65535).round(), picture)


@pytest.fixture
def wide(photo: Pixels) -> Pixels:
    """The photograph with colours that sRGB has not: at both ends of red, and below of green."""
    deep = resize(photo, 256, 192).astype(np.float32) / 255
    deep[..., 0] = deep[..., 0] * 1.5 - 0.25
    deep[..., 1] = deep[..., 1] * 1.2 - 0.2
    return deep


@pytest.mark.parametrize("settings", WAYS, ids=repr)
def test_colours_beyond_srgb_go_through_every_pass(
    engine: Engine, photo: Pixels, wide: Pixels, settings: dict[str, object]
) -> None:
    recipe = Recipe(**({"size": "original", "steps": 1} | settings))
    painting = finish(engine.paint(wide, [Style(photo)], recipe))
    assert len(painting.passes) == 2
    assert np.abs(painting.pixels - wide).max() < 1e-6


@pytest.mark.parametrize("settings", WAYS, ids=repr)
def test_painting_goes_as_far_beyond_srgb_as_the_picture_and_no_further(
    engine: Engine, photo: Pixels, wide: Pixels, settings: dict[str, object]
) -> None:
    recipe = Recipe(**({"size": 64, "steps": 8, "beta": 1e4} | settings))
    painted = finish(engine.paint(wide, [Style(photo)], recipe)).pixels
    least, most = (end.tolist() for end in (painted.min(axis=(0, 1)), painted.max(axis=(0, 1))))
    assert least[0] < 0 and most[0] > 1  # used, and so
    for channel in range(3):
        values = wide[..., channel]
        assert least[channel] >= min(0.0, values.min())
        assert most[channel] <= max(1.0, values.max())


def test_srgb_picture_in_floats_is_painted_within_srgb(engine: Engine, photo: Pixels) -> None:
    recipe = Recipe(size=64, steps=8, beta=1e4)
    painted = finish(engine.paint(at_depth(photo, np.float32), [Style(photo[::-1])], recipe)).pixels
    assert painted.min() == 0.0 and painted.max() == 1.0  # it overshot, and was held


def test_style_that_goes_beyond_srgb_widens_what_is_painted(
    engine: Engine, photo: Pixels, wide: Pixels
) -> None:
    recipe = Recipe(size=64, steps=8, beta=1e4, init="style")
    painted = finish(engine.paint(photo, [Style(wide)], recipe)).pixels
    assert painted[..., 0].max() > 1.0 and painted[..., 0].min() < 0.0
