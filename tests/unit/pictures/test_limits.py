"""What a format cannot hold is said before anything is painted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.engine.errors import PictureError
from daemon.pictures.limits import MOST_SIDE_PX, check_profile, check_result, expected_bytes
from daemon.pictures.profiles import srgb_profile
from tests.support.profiles import cmyk_profile, grey_profile, scanner_profile
from tests.support.written import write


@pytest.mark.parametrize(("form", "most"), [("JPEG", 65_500), ("WEBP", 16_383), ("GIF", 65_535)])
def test_result_longer_than_its_format_holds_is_refused_with_a_remedy(form: str, most: int) -> None:
    check_result(form, most, 16)
    check_result(form, 16, most)
    for size in ((most + 1, 16), (16, most + 1)):
        with pytest.raises(PictureError, match=rf"cannot be written as {form}.*smaller `size`"):
            check_result(form, *size)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_png_and_tiff_hold_any_picture(form: str) -> None:
    check_result(form, 250_000_000, 16)


def test_every_format_that_is_written_has_a_limit() -> None:
    assert set(MOST_SIDE_PX) == {"JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"}


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.gif"])
def test_longest_result_that_is_allowed_can_be_written_and_read(tmp_path: Path, name: str) -> None:
    forms = {"a.jpg": "JPEG", "a.webp": "WEBP", "a.gif": "GIF"}
    most = MOST_SIDE_PX[forms[name]]
    with Image.open(write(tmp_path / name, np.zeros((16, most, 3), np.uint8))) as found:
        found.load()
        assert found.size == (most, 16)


@pytest.mark.parametrize(
    ("form", "profile", "mode"),
    [
        ("JPEG", cmyk_profile(), "cmyk"),
        ("TIFF", cmyk_profile(), "cmyk"),
        ("PNG", grey_profile(), "grey"),
        ("TIFF", grey_profile(), "grey"),
        ("WEBP", srgb_profile(), "rgb"),
    ],
)
def test_profile_that_a_format_can_carry_is_taken(form: str, profile: bytes, mode: str) -> None:
    assert check_profile(form, profile, "press.icc") == mode


@pytest.mark.parametrize(
    ("form", "profile", "words"),
    [
        ("PNG", cmyk_profile(), r"press.icc is a profile of CMYK, which PNG.*jpeg or tiff"),
        ("WEBP", grey_profile(), r"press.icc is a profile of grey, which WEBP cannot hold"),
        ("TIFF", scanner_profile(), r"press.icc describes a camera or scanner"),
        ("TIFF", b"rubbish", r"press.icc is no colour profile"),
        ("TIFF", b"", r"press.icc is no colour profile"),
    ],
)
def test_profile_that_cannot_be_used_is_refused_with_a_reason(
    form: str, profile: bytes, words: str
) -> None:
    with pytest.raises(PictureError, match=words):
        check_profile(form, profile, "press.icc")


@pytest.mark.parametrize(
    ("name", "form", "bits"),
    [("a.jpg", "JPEG", 8), ("a.png", "PNG", 16), ("a.tif", "TIFF", 8), ("a.tif", "TIFF", 16)],
)
def test_expected_size_is_not_far_below_a_painted_ones(
    photograph: Image.Image, tmp_path: Path, name: str, form: str, bits: int
) -> None:
    path = write(tmp_path / name, np.asarray(photograph), depth=bits if bits == 16 else "same")
    expected = expected_bytes(form, 512, 512, bits=bits)
    assert path.stat().st_size < expected < path.stat().st_size + 3 * 512 * 512 * 3
