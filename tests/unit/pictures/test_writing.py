"""Writing results: format by name, depth and colours by its form, and what goes along."""

import errno
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from pillow_heif import register_heif_opener

from daemon.engine.errors import PictureError
from daemon.pictures.formats import output_format, output_name
from daemon.pictures.note import read_note
from daemon.pictures.picture import Metadata
from daemon.pictures.profiles import srgb_profile
from daemon.pictures.read import read_picture
from daemon.pictures.write import write_picture
from tests.support.written import NOTE, picture_like, write

WITH_NOTE = ["photo.jpg", "photo.jpeg", "photo.png", "photo.webp", "photo.tif", "photo.gif"]


@pytest.fixture
def painted(photograph: Image.Image) -> Image.Image:
    return photograph.resize((48, 32))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.jpg", "JPEG"),
        ("a.JPEG", "JPEG"),
        ("a.png", "PNG"),
        ("a.webp", "WEBP"),
        ("a.tif", "TIFF"),
        ("a.tiff", "TIFF"),
        ("a.bmp", "BMP"),
        ("a.gif", "GIF"),
        ("a.heic", "JPEG"),
        ("a.heif", "JPEG"),
        ("a", "JPEG"),
    ],
)
def test_result_has_the_format_its_name_promises(
    painted: Image.Image, tmp_path: Path, name: str, form: str
) -> None:
    assert output_format(name) == form
    with Image.open(write(tmp_path / name, painted)) as found:
        assert (found.format, found.size) == (form, (48, 32))


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("photo.jpg", "photo.jpg"),
        ("IMG_1.HEIC", "IMG_1.jpg"),
        ("a.b.heif", "a.b.jpg"),
        ("photo.PNG", "photo.PNG"),
        ("photo", "photo.jpg"),
    ],
)
def test_results_name_is_the_pictures_but_heic_becomes_jpeg(name: str, result: str) -> None:
    assert output_name(name) == result


@pytest.mark.parametrize("name", ["photo.png", "photo.tif", "photo.bmp"])
def test_lossless_formats_keep_every_pixel(painted: Image.Image, tmp_path: Path, name: str) -> None:
    with Image.open(write(tmp_path / name, painted)) as found:
        assert np.array_equal(np.asarray(found), np.asarray(painted))


def test_jpeg_is_written_with_full_colour_resolution(painted: Image.Image, tmp_path: Path) -> None:
    with Image.open(write(tmp_path / "photo.jpg", painted)) as found:
        # Quality 95 without chroma subsampling: a few levels, where 4:2:0 loses thin strokes.
        assert np.abs(np.asarray(found).astype(int) - np.asarray(painted)).mean() < 3
        assert {sampling[1:3] for sampling in found.layer} == {(1, 1)}


@pytest.mark.parametrize("name", WITH_NOTE)
def test_note_comes_back_as_it_was_written(painted: Image.Image, tmp_path: Path, name: str) -> None:
    assert read_note(write(tmp_path / name, painted)) == NOTE


def test_picture_without_note_has_none(painted: Image.Image, tmp_path: Path) -> None:
    assert read_note(write(tmp_path / "photo.bmp", painted)) is None
    painted.save(tmp_path / "plain.gif", comment=b"holiday")
    assert read_note(tmp_path / "plain.gif") is None


@pytest.mark.parametrize("name", ["photo.png", "photo.webp", "photo.tif"])
def test_alpha_goes_along_scaled_where_the_format_has_it(
    painted: Image.Image, tmp_path: Path, name: str
) -> None:
    alpha = Image.new("L", (96, 64), 255)
    alpha.paste(0, (0, 0, 48, 64))
    path = write(tmp_path / name, painted, picture_like(alpha=np.asarray(alpha)))
    with Image.open(path) as found:
        assert found.mode == "RGBA"
        row = np.asarray(found.getchannel("A"))[16]
    assert row[:22].max() <= 8 and row[26:].min() >= 247  # a filter rings at the edge
    assert read_note(path) == NOTE


def test_jpeg_of_a_transparent_picture_has_no_alpha(painted: Image.Image, tmp_path: Path) -> None:
    alpha = Image.new("L", (96, 64), 100)
    with Image.open(
        write(tmp_path / "photo.jpg", painted, picture_like(alpha=np.asarray(alpha)))
    ) as found:
        assert found.mode == "RGB"


def test_painted_image_is_left_as_it_is(painted: Image.Image, tmp_path: Path) -> None:
    pixels = np.array(painted)
    write(tmp_path / "photo.png", pixels, picture_like(alpha=np.full((64, 96), 100, np.uint8)))
    assert np.array_equal(pixels, np.array(painted))


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp"])
def test_exif_goes_along(painted: Image.Image, tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    with Image.open(
        write(tmp_path / name, painted, picture_like(metadata=Metadata(exif=exif.tobytes()[6:])))
    ) as found:
        assert found.getexif()[0x010F] == "A camera"


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp", "photo.tif"])
def test_result_says_that_its_colours_are_srgb(
    painted: Image.Image, tmp_path: Path, name: str
) -> None:
    with Image.open(write(tmp_path / name, painted)) as found:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(found.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_phone_picture_comes_back_upright_as_jpeg_with_its_camera(
    painted: Image.Image, tmp_path: Path
) -> None:
    register_heif_opener()
    exif = Image.Exif()
    exif[0x010F] = "A phone"
    painted.save(tmp_path / "IMG_1.heic", exif=exif)
    with (tmp_path / "IMG_1.heic").open("rb") as file:
        picture = read_picture(file, "IMG_1.heic")
    path = write(tmp_path / output_name("IMG_1.heic"), picture.pixels, picture)
    with Image.open(path) as found:
        assert (found.format, found.size) == ("JPEG", (48, 32))
        assert found.getexif()[0x010F] == "A phone"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_result_dropped_again_is_not_turned_twice(
    painted: Image.Image, tmp_path: Path, name: str
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    first = tmp_path / f"in-{name}"
    painted.save(first, exif=exif)
    with first.open("rb") as file:
        picture = read_picture(file, name)
    assert picture.size == (32, 48)
    with write(tmp_path / name, picture.pixels, picture).open("rb") as file:
        assert read_picture(file, name).size == (32, 48)


def test_embedded_profile_does_not_tell_the_time() -> None:
    assert srgb_profile()[24:36] == bytes(12)  # ICC.1:2022, 7.2.1: bytes 24 to 35 are the date
    assert ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())).profile.profile_description


@pytest.mark.parametrize("name", ["long.jpg", "long.webp", "long.gif"])
def test_picture_that_its_format_cannot_hold_is_the_pictures_fault(
    tmp_path: Path, name: str
) -> None:
    # Pillow says OSError without a number, which would be taken for the disk's, and tried for ever.
    with pytest.raises(PictureError, match=r"65600x16 px cannot be written as .*; choose"):
        write(tmp_path / name, Image.new("RGB", (65_600, 16)))


def test_full_disk_is_not_the_pictures_fault(painted: Image.Image) -> None:
    full = Path("/dev/full").open("wb", buffering=0)
    with full, pytest.raises(OSError, match="No space left") as found:
        write_picture(full, np.array(painted), name="a.jpg", like=picture_like(), note=NOTE)  # type: ignore[arg-type]
    assert found.value.errno == errno.ENOSPC
