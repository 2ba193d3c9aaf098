"""By which names pictures come, and what their results are called."""

import pytest

from daemon.pictures.formats import output_format, output_name, result_suffix, suffix_format


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.jfif", "JPEG"),
        ("a.JPE", "JPEG"),
        ("a.hif", "HEIF"),
        ("a.avif", "AVIF"),
        ("a.jp2", "JPEG2000"),
        ("a.j2k", "JPEG2000"),
        ("a.jxl", "JXL"),
        ("a.psd", "PSD"),
        ("a.mpo", "MPO"),
        ("DSC_1.NEF", "RAW"),
        ("a.cr3", "RAW"),
        ("a.txt", ""),
        ("a", ""),
    ],
)
def test_names_that_browsers_cameras_and_programs_give_promise_their_format(
    name: str, form: str
) -> None:
    assert suffix_format(name) == form


@pytest.mark.parametrize(
    ("name", "form", "result"),
    [
        ("photo.jpg", "JPEG", "photo.jpg"),
        ("photo.JFIF", "JPEG", "photo.JFIF"),
        ("photo.tiff", "TIFF", "photo.tiff"),
        ("photo.bmp", "BMP", "photo.bmp"),
        ("moving.gif", "GIF", "moving.png"),  # its colours would be reduced
        ("IMG_1.HIF", "HEIF", "IMG_1.jpg"),
        ("photo.avif", "AVIF", "photo.jpg"),
        ("photo.jxl", "JXL", "photo.jpg"),
        ("photo.jp2", "JPEG2000", "photo.jpg"),
        ("layers.psd", "PSD", "layers.jpg"),
        ("DSC_1.NEF", "RAW", "DSC_1.jpg"),
        ("stereo.mpo", "MPO", "stereo.jpg"),
        ("photo", "JPEG", "photo.jpg"),
        ("photo", "PNG", "photo.png"),
        ("IMG_1.JPG_large", "JPEG", "IMG_1.JPG_large.jpg"),
        ("at 18.30", "TIFF", "at 18.30.tif"),
        ("misnamed.heic", "PNG", "misnamed.png"),
        ("misnamed.jpg", "PNG", "misnamed.jpg"),
        ("misnamed.jpg", "AVIF", "misnamed.jpg"),
    ],
)
def test_result_is_called_like_its_picture_where_that_format_is_written(
    name: str, form: str, result: str
) -> None:
    assert output_name(name, result_suffix(name, form=form)) == result


@pytest.mark.parametrize(
    ("name", "form", "result"),
    [
        ("cut.png", "PNG", "cut.png"),
        ("cut.webp", "WEBP", "cut.webp"),
        ("cut.heic", "HEIF", "cut.png"),
        ("cut.avif", "AVIF", "cut.png"),
        ("cut.psd", "PSD", "cut.png"),
        ("cut.bmp", "BMP", "cut.png"),
        ("cut.gif", "GIF", "cut.png"),
        ("misnamed.jpg", "WEBP", "misnamed.webp"),
    ],
)
def test_what_is_transparent_stays_so_in_the_results_format(
    name: str, form: str, result: str
) -> None:
    assert output_name(name, result_suffix(name, form=form, alpha=True)) == result


@pytest.mark.parametrize(
    ("name", "form", "result"),
    [("a.jpeg", "JPEG", "a.jpeg"), ("a.tif", "TIFF", "a.tif"), ("a.png", "PNG", "a.tif")],
)
def test_presss_colours_go_into_a_format_that_has_them(name: str, form: str, result: str) -> None:
    assert output_name(name, result_suffix(name, form=form, cmyk=True)) == result


@pytest.mark.parametrize(
    ("name", "wanted", "result"),
    [
        ("a.jpg", "tiff", "a.tif"),
        ("a.tiff", "tiff", "a.tiff"),
        ("a.jpe", "jpeg", "a.jpe"),
        ("a.heic", "webp", "a.webp"),
        ("a.png", "jpeg", "a.jpg"),
        ("a", "png", "a.png"),
    ],
)
def test_preset_decides_the_format_whatever_came_in(name: str, wanted: str, result: str) -> None:
    made = output_name(name, result_suffix(name, wanted, form="PNG", alpha=True))
    assert made == result
    assert output_format(made) == wanted.upper()


def test_jobs_of_earlier_versions_keep_the_names_they_were_to_get() -> None:
    assert [output_name(name) for name in ("a.gif", "a.heic", "a.jpg")] == [
        "a.gif",
        "a.jpg",
        "a.jpg",
    ]


def test_name_that_is_as_long_as_may_be_keeps_its_results_suffix() -> None:
    assert output_name("a" * 255, ".jpg").endswith("a.jpg")
    assert len(output_name("a" * 255, ".jpg")) == 255
