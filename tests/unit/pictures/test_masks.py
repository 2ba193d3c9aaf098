"""Masks: colours become regions, greys become strength, and wrong ones get a reason."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from daemon.engine.errors import PictureError, UnfinishedPictureError
from daemon.pictures.masks import RegionMasks, mixtures, points, read_masks
from daemon.pictures.regions import WHOLE, region_colour

RED, BLUE, GREEN = "#ff0000", "#0000ff", "#008000"
Edit = Callable[[Image.Image], Image.Image]


def halves(left: str = RED, right: str = BLUE, size: tuple[int, int] = (60, 40)) -> Image.Image:
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def stored(image: Image.Image, form: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file


def read(
    image: Image.Image,
    regions: tuple[str, ...] = (RED, BLUE),
    picture_px: tuple[int, int] | None = None,
    form: str = "PNG",
) -> RegionMasks:
    return read_masks(stored(image, form), "photo.mask.png", regions, 10**6, picture_px)


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("red", RED),
        (" Red ", RED),
        ("#f00", RED),
        ("#FF0000", RED),
        ("rgb(255, 0, 0)", RED),
        ("white", "#ffffff"),
        ("green", GREEN),
    ],
)
def test_region_is_called_by_any_name_of_its_colour(name: str, colour: str) -> None:
    assert region_colour(name) == colour


@pytest.mark.parametrize("name", ["rde", "", "#ff00", "#ff000080"])
def test_region_that_is_no_opaque_colour_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no colour|opacity"):
        region_colour(name)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
def test_halves_of_two_colours_are_two_regions(form: str) -> None:
    found = read(halves(), form=form)
    assert found.warnings == ()
    assert (found.levels[RED][:, :30] == 255).all() and not found.levels[RED][:, 30:].any()
    assert (found.levels[RED] == 255 - found.levels[BLUE]).all()


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_indexed_and_wholly_opaque_masks_are_masks_too(mode: str) -> None:
    assert (read(halves().convert(mode)).levels[BLUE][:, 30:] == 255).all()


def test_colours_in_between_are_shares_that_add_up() -> None:
    soft = halves().filter(ImageFilter.GaussianBlur(6))
    found = read(soft)
    red, blue = (found.levels[one].astype(int) for one in (RED, BLUE))
    assert np.abs(red + blue - 255).max() <= 1
    expected = np.asarray(soft)[..., 0].astype(int)
    assert np.abs(red - expected).max() <= 8  # nearly pure colours count as pure
    assert (np.diff(red[20]) <= 0).all() and 100 < red[20, 30] < 155


@pytest.mark.parametrize("ground", ["black", "white"])
def test_black_and_white_are_no_region_where_none_is_called_so(ground: str) -> None:
    image = Image.new("RGB", (60, 40), ground)
    image.paste("red", (0, 0, 20, 40))
    image.paste("blue", (40, 0, 60, 40))
    found = read(image.filter(ImageFilter.GaussianBlur(1)))
    assert (found.levels[RED][:, :15] == 255).all() and (found.levels[BLUE][:, 45:] == 255).all()
    assert not found.levels[RED][:, 25:].any() and not found.levels[BLUE][:, :35].any()
    assert 60 < found.levels[RED][20, 20] < 200  # half of it, softly


def test_black_and_white_are_regions_where_styles_are_called_so() -> None:
    found = read(halves("black", "white").convert("L"), ("#000000", "#ffffff"))
    assert (found.levels["#000000"][:, :30] == 255).all()
    assert (found.levels["#ffffff"][:, 30:] == 255).all()


def test_soft_edge_between_opposite_colours_is_no_hole_of_grey() -> None:
    found = read(halves("red", "cyan").filter(ImageFilter.GaussianBlur(6)), (RED, "#00ffff"))
    total = sum(level.astype(int) for level in found.levels.values())
    assert np.abs(total - 255).max() <= 1


def test_three_regions_meet_without_a_hole() -> None:
    image = Image.new("RGB", (60, 60), "red")
    image.paste("blue", (30, 0, 60, 30))
    image.paste("lime", (30, 30, 60, 60))
    found = read(image.filter(ImageFilter.GaussianBlur(8)), (RED, BLUE, "#00ff00"))
    total = sum(level.astype(int) for level in found.levels.values())
    assert np.abs(total - 255).max() <= 2
    assert min(level[30, 30] for level in found.levels.values()) > 20


def test_shares_of_a_colour_are_those_it_is_mixed_from() -> None:
    colours = np.array([[255, 0, 0], [128, 0, 127], [64, 0, 64], [0, 255, 0]], np.float32)
    shares, distances = mixtures(colours, points([RED, BLUE, "#000000"]))
    assert shares[0].tolist() == [1, 0, 0] and distances[0] == 0
    assert shares[1] == pytest.approx([128 / 255, 127 / 255, 0], abs=0.01)
    assert shares[2] == pytest.approx([0.25, 0.25, 0.5], abs=0.02)
    assert distances[3] > 200


def test_grey_mask_is_a_strength() -> None:
    ramp: NDArray[np.uint8] = np.arange(60, dtype=np.uint8)[None].repeat(40, axis=0)
    for image in (Image.fromarray(ramp), Image.fromarray(ramp).convert("RGB")):
        assert np.array_equal(read(image, (WHOLE,)).levels[WHOLE], ramp)


def test_style_without_a_place_is_told() -> None:
    (told,) = read(Image.new("RGB", (60, 40), "red")).warnings
    assert "no place for blue (#0000ff)" in told


@pytest.mark.parametrize("picture_px", [(60, 40), (1200, 800), (6001, 4000), (30, 20)])
def test_mask_may_be_of_another_size_with_the_same_proportions(picture_px: tuple[int, int]) -> None:
    assert read(halves(), picture_px=picture_px).levels.keys() == {RED, BLUE}


WRONG: dict[str, tuple[Edit, tuple[str, ...], list[str]]] = {
    "other proportions": (lambda image: image.resize((40, 40)), (RED, BLUE), ["40x40", "600x400"]),
    "another colour": (
        lambda image: halves("lime", "blue"),
        (GREEN, BLUE),
        ["50.0%", "#00ff00", "green (#008000) and blue (#0000ff)", "black or white"],
    ),
    "16 bits": (lambda image: Image.new("I;16", image.size, 9), (WHOLE,), ["16 bits", "8 bits"]),
    "alpha": (
        lambda image: Image.new("RGBA", image.size, (255, 0, 0, 90)),
        (RED, BLUE),
        ["transparent", "without alpha"],
    ),
    "colours where greys are asked for": (
        lambda image: image,
        (WHOLE,),
        ["#ff0000 on 50.0%", "region", "white where"],
    ),
    "black all over": (lambda image: Image.new("L", image.size), (WHOLE,), ["black all over"]),
    "nothing of any region": (
        lambda image: Image.new("RGB", image.size, "white"),
        (RED, BLUE),
        ["nothing of red (#ff0000) and blue", "#ffffff on 100.0%"],
    ),
    "an ordinary photograph": (
        lambda image: Image.merge("RGB", [Image.effect_noise(image.size, 90) for _ in "RGB"]),
        (RED, BLUE),
        ["colours that no style is for"],
    ),
}


@pytest.mark.parametrize(("edit", "regions", "words"), WRONG.values(), ids=list(WRONG))
def test_wrong_mask_gets_a_reason(edit: Edit, regions: tuple[str, ...], words: list[str]) -> None:
    with pytest.raises(PictureError) as caught:
        read(edit(halves()), regions, (600, 400))
    for word in ("photo.mask.png", *words):
        assert word in str(caught.value)


def test_jpeg_is_refused_as_a_mask() -> None:
    with pytest.raises(PictureError, match=r"JPEG.*save it anew as PNG"):
        read(halves(), form="JPEG")


@pytest.mark.parametrize("content", [b"", b"no picture", stored(halves()).getvalue()[:70]])
def test_mask_that_does_not_decode_gets_a_reason(content: bytes) -> None:
    with pytest.raises(UnfinishedPictureError, match=r"photo\.mask\.png"):
        read_masks(io.BytesIO(content), "photo.mask.png", (RED, BLUE), 10**6)


def test_mask_is_turned_as_its_notes_say() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    file = stored(halves(), exif=exif)
    found = read_masks(file, "photo.mask.png", (RED, BLUE), 10**6, (40, 60))
    assert (found.levels[RED][:30] == 255).all()
