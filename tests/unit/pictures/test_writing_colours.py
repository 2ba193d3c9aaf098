"""The colours, the depth and the compression of results."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image, ImageCms
from skimage.color import deltaE_ciede2000

from daemon.engine.errors import PictureError
from daemon.pictures import colour
from daemon.pictures.ifd import Tags
from daemon.pictures.limits import check_profile
from daemon.pictures.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    SRGB_CURVE,
    WIDE,
    RgbSpace,
    rgb_profile,
    srgb_profile,
)
from daemon.pictures.tiff_file import write_tiff
from tests.support.profiles import cmyk_profile, grey_profile, scanner_profile
from tests.support.written import levels_of, picture_like, read, write

PROFILES = {
    "sRGB": srgb_profile(),
    "Display P3": rgb_profile(DISPLAY_P3),
    "Adobe RGB": rgb_profile(ADOBE_RGB),
    "ProPhoto": rgb_profile(WIDE),
}


def lab_of(values: np.ndarray, profile: bytes) -> np.ndarray:
    """CIE Lab of D50, by littlecms."""
    found: np.ndarray = imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        profile,
        imagecodecs.cms_profile("lab4"),
        colorspace="rgb",
        outcolorspace="lab",
        outdtype=np.float64,
        intent=1,
    )
    return found


def cube(bits: int) -> np.ndarray:
    """Colours of every kind, grey among them: (81, 9, 3)."""
    side = np.linspace(0, 255 if bits == 8 else 65535, 9).round()
    dtype = np.uint8 if bits == 8 else np.uint16
    grid = np.stack(np.meshgrid(side, side, side, indexing="ij"), -1).astype(dtype)
    return np.ascontiguousarray(grid.reshape(27, 27, 3))


def embedded_profile(path: Path) -> bytes:
    with Image.open(path) as opened:
        return bytes(opened.info["icc_profile"])


@pytest.mark.parametrize("space", PROFILES)
@pytest.mark.parametrize(
    ("name", "bits"), [("a.png", 8), ("a.tif", 8), ("a.tif", 16), ("a.png", 16)]
)
def test_painting_nothing_changes_no_colour_of_any_space(
    tmp_path: Path, space: str, name: str, bits: int
) -> None:
    source = tmp_path / f"in-{name}"
    tifffile.imwrite(tmp_path / "in.tif", cube(bits), photometric="rgb", iccprofile=PROFILES[space])
    picture = read(tmp_path / "in.tif")
    assert (picture.pixels.dtype == np.float32) == (space != "sRGB")
    path = write(source, picture.pixels, picture)
    found = levels_of(path)
    assert found.dtype == cube(bits).dtype
    profile = embedded_profile(path)
    off = deltaE_ciede2000(lab_of(cube(bits), PROFILES[space]), lab_of(found, profile))
    # Half a level of 8 bits is 0.3 of CIEDE2000 in dark colours of wide spaces.
    assert off.mean() < 0.1 and off.max() < 1.0
    if space == "sRGB":
        assert np.array_equal(found, cube(bits))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("wanted", ["keep", "srgb"])
def test_result_is_tagged_with_the_profile_its_numbers_are_in(
    tmp_path: Path, name: str, wanted: str
) -> None:
    p3 = PROFILES["Display P3"]
    like = picture_like((48, 32), profile=p3)
    flat = colour.to_extended_srgb(np.full((32, 48, 3), (250, 40, 30), np.uint8), p3)
    path = write(tmp_path / name, flat, like, profile=wanted)
    profile = embedded_profile(path)
    assert profile == (p3 if wanted == "keep" else srgb_profile())
    with Image.open(path) as opened:
        found = np.asarray(opened.convert("RGB"))[16, 24].astype(int)
    expected = (250, 40, 30) if wanted == "keep" else (255, 0, 0)
    assert np.abs(found - expected).max() <= (24 if wanted == "srgb" else 3)


def test_exact_levels_need_no_dithering_and_get_none(tmp_path: Path) -> None:
    photo = skimage.data.astronaut()
    for name in ("a.png", "a.tif", "a.bmp"):
        with Image.open(write(tmp_path / name, photo / np.float32(255))) as found:
            assert np.array_equal(np.asarray(found), photo)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_ramp_keeps_all_of_its_65536_levels(tmp_path: Path, name: str) -> None:
    ramp = np.repeat(np.arange(65536, dtype=np.uint16).reshape(256, 256, 1), 3, axis=2)
    for pixels in (ramp, ramp / np.float32(65535)):
        path = write(tmp_path / name, pixels, picture_like((256, 256), bits=16))
        found = (
            tifffile.imread(path) if name == "a.tif" else imagecodecs.png_decode(path.read_bytes())
        )
        assert found.dtype == np.uint16 and np.array_equal(found, ramp)


@pytest.mark.parametrize(
    ("name", "bits", "depth", "wanted"),
    [
        ("a.png", 8, "same", 8),
        ("a.png", 16, "same", 16),
        ("a.tif", 8, 16, 16),
        ("a.tif", 16, 8, 8),
        ("a.jpg", 16, 16, 8),
        ("a.webp", 16, "same", 8),
    ],
)
def test_depth_is_the_presets_or_the_pictures_where_the_format_has_it(
    tmp_path: Path, name: str, bits: int, depth: object, wanted: int
) -> None:
    path = write(
        tmp_path / name, np.zeros((32, 48, 3), np.float32), picture_like(bits=bits), depth=depth
    )
    content = path.read_bytes()
    if name == "a.png":
        assert content[24] == wanted
    elif name == "a.tif":
        with tifffile.TiffFile(path) as found:
            assert found.pages[0].bitspersample == wanted
    else:
        assert read(path).bits == wanted


def test_lossless_webp_is_answered_with_a_lossless_one(tmp_path: Path) -> None:
    photo = skimage.data.astronaut()
    path = write(tmp_path / "a.webp", photo, picture_like((512, 512), lossless=True))
    assert np.array_equal(read(path).pixels, photo)
    rough = write(tmp_path / "c.webp", photo, picture_like((512, 512), lossless=True), quality=1)
    assert rough.read_bytes() == path.read_bytes()
    lossy = write(tmp_path / "b.webp", photo, picture_like((512, 512)))
    assert not np.array_equal(read(lossy).pixels, photo)


def test_quality_is_the_presets(tmp_path: Path) -> None:
    photo = skimage.data.astronaut()
    for name in ("a.jpg", "a.webp"):
        sizes = [
            write(tmp_path / name, photo, quality=quality).stat().st_size for quality in (60, 95)
        ]
        assert sizes[0] < 0.6 * sizes[1]


def test_jpeg_is_baseline(tmp_path: Path) -> None:
    content = write(tmp_path / "a.jpg", skimage.data.astronaut()).read_bytes()
    assert b"\xff\xc0" in content and b"\xff\xc2" not in content


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_presses_profile_gives_inks_that_print_the_painted_colours(
    tmp_path: Path, name: str
) -> None:
    press = tmp_path / "press.icc"
    press.write_bytes(cmyk_profile())
    pixels = np.zeros((32, 96, 3), np.float32)
    pixels[:, :48] = 1
    like = picture_like((96, 32))
    path = write(tmp_path / name, pixels, like, profile=str(press))
    with Image.open(path) as found:
        assert found.mode == "CMYK" and found.info["icc_profile"] == cmyk_profile()
        inks = np.asarray(found).astype(int)
    wanted = colour.from_extended_srgb(pixels, cmyk_profile(), np.uint8).astype(int)
    assert np.abs(inks - wanted)[:, [8, 88]].max() <= 2
    # White is paper, black is ink; the profile for tests is a coarse one.
    assert inks[16, 8].max() <= 2 and inks[16, 88, 3] >= 240


def test_transparent_picture_in_inks_is_laid_over_the_papers_white(tmp_path: Path) -> None:
    press = tmp_path / "press.icc"
    press.write_bytes(cmyk_profile())
    like = picture_like((96, 32), alpha=np.zeros((32, 96), np.uint8))
    path = write(tmp_path / "a.tif", np.zeros((32, 96, 3), np.uint8), like, profile=str(press))
    with Image.open(path) as found:
        assert found.mode == "CMYK" and np.asarray(found).max() <= 2


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_grey_profile_gives_a_grey_result(tmp_path: Path, name: str, has_alpha: bool) -> None:
    grey = tmp_path / "grey.icc"
    grey.write_bytes(grey_profile())
    alpha = np.full((32, 48), 255, np.uint8)
    alpha[:, :8] = 0
    like = picture_like((48, 32), alpha=alpha if has_alpha else None)
    path = write(tmp_path / name, np.full((32, 48, 3), 128, np.uint8), like, profile=str(grey))
    with Image.open(path) as found:
        assert found.mode == ("LA" if has_alpha and name != "a.jpg" else "L")
        level = np.asarray(found.getchannel(0))[16, 24]
    # sRGB's 128 is 0.2159 of the light, which is 255 * 0.2159 ** (1 / 2.2) = 127.0
    assert abs(int(level) - 127) <= 1


@pytest.mark.parametrize("name", ["a.bmp", "a.gif"])
def test_format_without_profiles_gets_srgb_with_a_warning(tmp_path: Path, name: str) -> None:
    warned: list[str] = []
    like = picture_like((48, 32), profile=PROFILES["Display P3"])
    write(tmp_path / name, np.zeros((32, 48, 3), np.float32), like, warned=warned)
    assert len(warned) == 1 and "brought into sRGB" in warned[0]


def test_picture_of_a_profile_that_only_leads_out_comes_back_in_srgb_with_a_warning(
    tmp_path: Path,
) -> None:
    warned: list[str] = []
    like = picture_like((48, 32), profile=scanner_profile())
    path = write(tmp_path / "a.png", np.zeros((32, 48, 3), np.uint8), like, warned=warned)
    assert len(warned) == 1 and "the result is in sRGB" in warned[0]
    assert embedded_profile(path) == srgb_profile()


def test_inks_in_a_format_that_has_none_are_refused_before_a_byte_is_written(
    tmp_path: Path,
) -> None:
    press = tmp_path / "press.icc"
    press.write_bytes(cmyk_profile())
    with pytest.raises(
        PictureError, match=r"press.icc is a profile of CMYK, which PNG cannot hold"
    ):
        write(tmp_path / "a.png", np.zeros((32, 48, 3), np.uint8), profile=str(press))
    assert (tmp_path / "a.png").read_bytes() == b""
    with pytest.raises(PictureError):
        check_profile("PNG", cmyk_profile(), "press.icc")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
@pytest.mark.parametrize("bits", [8, 16])
def test_edges_of_a_cut_out_are_exact_over_any_ground(tmp_path: Path, name: str, bits: int) -> None:
    y, x = np.mgrid[:128, :128]
    share = np.clip(50.5 - np.hypot(x - 64, y - 64), 0, 1)
    most, dtype = (255, np.uint8) if bits == 8 or name == "a.webp" else (65535, np.uint16)
    alpha = (share * most).round().astype(dtype)
    pixels = np.full((128, 128, 3), (30, 60, 140), np.uint8).astype(dtype) * dtype(most // 255)
    like = picture_like((128, 128), alpha=alpha, bits=bits, lossless=True)
    found = read(write(tmp_path / name, pixels, like))
    assert found.alpha is not None and np.array_equal(found.alpha, alpha)
    shown = alpha > 0
    assert np.array_equal(found.pixels[shown], pixels[shown])


def test_gif_keeps_what_is_wholly_transparent(tmp_path: Path) -> None:
    alpha = np.full((32, 48), 255, np.uint8)
    alpha[:, :20] = 0
    like = picture_like((48, 32), alpha=alpha)
    with Image.open(write(tmp_path / "a.gif", np.full((32, 48, 3), 90, np.uint8), like)) as found:
        rgba = np.asarray(found.convert("RGBA"))
    assert np.array_equal(rgba[..., 3], alpha)
    assert np.abs(rgba[:, 20:, :3].astype(int) - 90).max() <= 1


def test_tiff_of_many_strips_is_read_by_others(tmp_path: Path) -> None:
    tall = np.resize(skimage.data.astronaut(), (2000, 512, 3))
    path = write(tmp_path / "a.tif", tall)
    with tifffile.TiffFile(path) as found:
        page = found.pages[0]
        assert len(page.dataoffsets) > 1
        assert (page.compression.name, page.predictor.name) == ("LZW", "HORIZONTAL")
        assert np.array_equal(page.asarray(), tall)
    with Image.open(path) as opened:
        assert np.array_equal(np.asarray(opened), tall)


def test_tiff_larger_than_four_gigabytes_is_a_bigtiff(tmp_path: Path) -> None:
    from daemon.pictures.embedded import Embedded
    from daemon.pictures.ifd import text
    from daemon.pictures.levels import Levels

    tall = np.resize(skimage.data.astronaut(), (1500, 512, 3)) * np.uint16(257)
    levels = Levels(tall, None, False, None, "rgb", 16)
    tags = Tags(">", {0x010F: text("A camera of many letters")}, {0x9003: text("2026:01:02")})
    for limit, kind in ((1000, True), (2**32, False)):
        buffer = io.BytesIO()
        write_tiff(
            buffer, levels, Embedded(srgb_profile(), "{}", b"<x/>", tags), classic_bytes=limit
        )
        with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as found:
            assert found.is_bigtiff == kind
            assert np.array_equal(found.pages[0].asarray(), tall)
            assert found.pages[0].tags["Make"].value == "A camera of many letters"


def test_linear_profile_wider_than_srgb_is_kept(tmp_path: Path) -> None:
    linear = rgb_profile(RgbSpace("linear P3", DISPLAY_P3.primaries, (1.0,)))
    assert SRGB_CURVE != (1.0,)
    values = cube(16)
    pixels = colour.to_extended_srgb(values, linear)
    path = write(tmp_path / "a.tif", pixels, picture_like((27, 27), profile=linear, bits=16))
    assert embedded_profile(path) == linear
    assert np.abs(tifffile.imread(path).astype(int) - values).max() <= 40  # of 65,535


def test_profile_has_the_name_a_person_knows() -> None:
    described = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())))
    assert "sRGB" in described
