"""Reading pictures: whatever comes in, an upright picture comes out, or a clear refusal."""

import contextlib
import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin
from pillow_heif import register_heif_opener

from daemon.engine.errors import PictureError, UnfinishedPictureError
from daemon.pictures.profiles import srgb_profile
from daemon.pictures.read import Header, Picture, read_header, read_picture
from tests.support import malformed

RED, BLUE = (255, 0, 0), (0, 0, 255)
PHOTO_FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF", "AVIF", "JPEG2000"]


def encoded(image: Image.Image, form: str, **options: object) -> io.BytesIO:
    register_heif_opener()
    file = io.BytesIO()
    image.save(file, form, **options)
    file.seek(0)
    return file


def read(file: io.BytesIO, **limits: int) -> Picture:
    return read_picture(file, "photo", **limits)


def colour(picture: Picture, at: tuple[int, int] = (16, 16)) -> tuple[int, ...]:
    """A pixel in levels of 0 to 255; of floats those beyond are kept."""
    unit = {"u1": 1.0, "u2": 257.0, "f4": 1 / 255}[picture.pixels.dtype.str[1:]]
    return tuple(np.rint(picture.pixels[at[1], at[0]] / unit).astype(int).tolist())


def png_claiming(width: int, height: int) -> io.BytesIO:
    """A PNG of which only the header is there."""
    header = chunk(b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT"))


def chunk(body: bytes) -> bytes:
    """A PNG chunk of the given kind and content."""
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def swapped_profile() -> bytes:
    """An sRGB profile whose red and blue primaries have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.fixture
def photo(photograph: Image.Image) -> Image.Image:
    return photograph.resize((48, 32))


@pytest.mark.parametrize("form", PHOTO_FORMATS)
def test_every_format_is_read(photo: Image.Image, form: str) -> None:
    found = read(encoded(photo, form))
    assert (found.format, found.pixels.dtype, found.pixels.shape) == (form, np.uint8, (32, 48, 3))
    assert found.alpha is None
    difference = np.abs(found.pixels.astype(int) - np.asarray(photo))
    # What loses colour detail (JPEG, WebP, HEIC) is off by a few levels on average.
    assert difference.mean() < 12


def test_animated_gif_is_read_as_its_first_frame() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE)]
    file = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert colour(read(file)) == RED


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(photo: Image.Image, orientation: int, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = photo if undo is None else photo.transpose(undo)
    found = read(encoded(stored, form, exif=exif))
    assert found.size == (48, 32)
    difference = np.abs(found.pixels.astype(int) - np.asarray(photo))
    assert difference.mean() < 12  # a wrong turn is 50 and more levels off


def test_alpha_turns_with_the_picture() -> None:
    image = Image.new("RGBA", (32, 16), RED)
    image.paste((0, 0, 255, 0), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what is left comes to the top
    found = read(encoded(image, "PNG", exif=exif))
    assert found.alpha is not None and found.alpha.shape == found.pixels.shape[:2] == (32, 16)
    assert not found.alpha[:16].any() and (found.alpha[16:] == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_kept_and_transparent_parts_get_the_colours_beside_them(
    mode: str, form: str
) -> None:
    colours = 3 if mode == "RGBA" else 1
    image = Image.new(mode, (32, 32), (*[255] * colours, 0))
    image.paste((*[100] * colours, 255), (16, 0, 32, 32))
    found = read(encoded(image, form, **({"lossless": True} if form == "WEBP" else {})))
    assert found.alpha is not None and found.alpha.dtype == np.uint8
    assert found.alpha[0].tolist() == [0] * 16 + [255] * 16
    assert colour(found, (4, 4)) == colour(found, (24, 4)) == (100, 100, 100)


def test_picture_that_is_opaque_everywhere_has_no_alpha() -> None:
    assert read(encoded(Image.new("RGBA", (32, 32), RED), "PNG")).alpha is None


def test_transparent_colour_of_a_palette_gif_becomes_alpha() -> None:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 16, 32))
    found = read(encoded(image, "GIF", transparency=0))
    assert found.alpha is not None
    assert found.alpha[0].tolist() == [0] * 16 + [255] * 16
    assert colour(found, (4, 4)) == colour(found, (24, 4)) == BLUE


def test_grey_picture_becomes_rgb() -> None:
    found = read(encoded(Image.new("L", (32, 32), 77), "JPEG"))
    assert colour(found) == (77, 77, 77)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_range(form: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (16, 1))
    found = read(encoded(Image.fromarray(ramp), form))
    assert found.bits == 16 and np.array_equal(found.pixels[..., 0], ramp)


def test_dark_sixteen_bit_grey_stays_dark() -> None:
    dark = Image.fromarray(np.full((32, 32), 200, np.uint16))
    assert colour(read(encoded(dark, "PNG"))) == (1, 1, 1)


def test_sixteen_bit_grey_with_a_transparent_value_is_read() -> None:
    values = np.full((32, 32), 40_000, np.uint16)
    file = encoded(Image.fromarray(values), "PNG").getvalue()
    transparent = chunk(b"tRNS" + struct.pack(">H", 1))
    found = read(io.BytesIO(file[:33] + transparent + file[33:]))  # right after the header
    assert found.pixels[8, 8].tolist() == [40_000] * 3


def test_float_grey_tiff_keeps_its_range() -> None:
    found = read(encoded(Image.fromarray(np.full((32, 32), 0.5, np.float32)), "TIFF"))
    assert found.pixels[8, 8].tolist() == [32768] * 3


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_is_taken_as_printed_and_that_is_told(form: str) -> None:
    found = read(encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), form))
    red, green, blue = colour(found)
    # Magenta over yellow of FOGRA39 is L*a*b* 47, 68, 48: about 226, 18, 38 in sRGB.
    assert np.abs(np.subtract((red, green, blue), (226, 18, 38))).max() <= 3
    assert any("CMYK without a profile" in told for told in found.warnings)


def test_cmyk_with_a_profile_that_does_not_fit_becomes_rgb() -> None:
    cmyk = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    found = read(encoded(cmyk, "JPEG", icc_profile=srgb_profile()))
    red, green, blue = colour(found)
    assert red > 200 and green < 60 and blue < 60
    assert any("is of rgb, the pixels are cmyk" in told for told in found.warnings)


def test_lab_tiff_becomes_rgb() -> None:
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (32, 32), (200, 40, 30)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    found = colour(read(encoded(lab, "TIFF")))
    assert np.abs(np.subtract(found, (200, 40, 30))).max() <= 4  # 8 bits of L*a*b* are coarse


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_colours_are_converted_from_the_embedded_profile(form: str) -> None:
    red = Image.new("RGB", (32, 32), RED)
    found = colour(read(encoded(red, form, icc_profile=swapped_profile())))
    # What the file calls red is blue by its profile.
    assert found[0] < 30 and found[2] > 225


def test_profile_of_a_transparent_picture_is_applied() -> None:
    image = Image.new("RGBA", (32, 32), (*RED, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    found = colour(read(encoded(image, "PNG", icc_profile=swapped_profile())))
    assert found[0] < 30 and found[2] > 225


def test_broken_profile_is_told() -> None:
    found = read(encoded(Image.new("RGB", (32, 32), RED), "PNG", icc_profile=b"nonsense"))
    assert colour(found) == RED and found.profile is None
    assert any("profile is damaged" in told for told in found.warnings)


@pytest.mark.parametrize("form", [*PHOTO_FORMATS, "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_picture_that_ends_early_is_unfinished(
    photograph: Image.Image, form: str, share: float
) -> None:
    whole = encoded(photograph.resize((128, 128)), form).getvalue()
    with pytest.raises(UnfinishedPictureError, match="photo"):
        read(io.BytesIO(whole[: int(share * len(whole))]))


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG", b"hello, I am a text\n" * 50, b"\xff\xd8\xff"]
)
def test_what_is_no_picture_is_unfinished(content: bytes) -> None:
    with pytest.raises(UnfinishedPictureError, match=r"holiday\.png"):
        read_picture(io.BytesIO(content), "holiday.png")


def test_format_that_is_not_painted_is_refused(photo: Image.Image) -> None:
    with pytest.raises(
        PictureError, match=r"photo is a PNM; .* export it as PNG or TIFF"
    ) as caught:
        read(encoded(photo, "PPM"))
    assert not isinstance(caught.value, UnfinishedPictureError)


@pytest.mark.parametrize("reader", [read_picture, read_header])
def test_bomb_is_refused_from_its_header(reader: Callable[..., object]) -> None:
    with pytest.raises(PictureError, match=r"20000x20000 px, 400 megapixels; the limit is 250"):
        reader(png_claiming(20_000, 20_000), "bomb.png")


def test_pixel_limit_is_the_callers(photo: Image.Image) -> None:
    with pytest.raises(PictureError, match="picture_pixels"):
        read(encoded(photo, "PNG"), max_pixels=48 * 32 - 1)
    assert read(encoded(photo, "PNG"), max_pixels=48 * 32).size == (48, 32)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_picture_smaller_than_the_network_sees_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match="at least 16 px on both sides"):
        read(encoded(Image.new("RGB", size), "PNG"))


def test_refusals_are_final_and_never_unfinished() -> None:
    for file in (png_claiming(20_000, 20_000), encoded(Image.new("RGB", (1, 1)), "PNG")):
        with pytest.raises(PictureError) as caught:
            read(file)
        assert not isinstance(caught.value, UnfinishedPictureError)


def test_header_is_read_without_decoding(photo: Image.Image) -> None:
    assert read_header(png_claiming(640, 480), "photo.png") == Header("PNG", 640, 480)
    whole = encoded(photo, "JPEG").getvalue()
    assert read_header(io.BytesIO(whole[: len(whole) // 2]), "photo") == Header("JPEG", 48, 32)


def test_odd_metadata_does_no_harm(photo: Image.Image) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 10_000, zip=True)
    file = encoded(photo, "PNG", pnginfo=text, exif=b"Exif\x00\x00rubbish")
    assert np.array_equal(read(file).pixels, np.asarray(photo))


def test_png_with_text_without_end_is_refused_for_that(photo: Image.Image) -> None:
    whole = encoded(photo, "PNG").getvalue()
    for texts in (zlib.compress(bytes(8 << 20)), zlib.compress(bytes(900_000))):
        bomb = b"".join(chunk(b"zTXtk%d\0\0" % index + texts) for index in range(80))
        with pytest.raises(PictureError, match="megabytes of text beside its pixels") as caught:
            read(io.BytesIO(whole[:33] + bomb + whole[33:]))
        assert not isinstance(caught.value, UnfinishedPictureError)


@pytest.mark.parametrize("tag", [273, 700, 34675])
def test_tag_of_a_kind_nobody_expects_is_no_crash(tag: int) -> None:
    file = io.BytesIO(malformed.tiff({tag: (malformed.DOUBLE, 3, malformed.TAIL)}))
    with contextlib.suppress(UnfinishedPictureError):
        assert read(file).size == (malformed.WIDTH, malformed.HEIGHT)


def test_heic_that_lies_of_its_size_is_unfinished_in_one_line() -> None:
    whole = malformed.encoded(malformed.photograph(), "HEIF")
    at = whole.index(b"ispe") + 8
    for content in (whole[:at] + b"\xff" * 8 + whole[at + 8 :], whole[:-100]):
        with pytest.raises(UnfinishedPictureError, match="photo") as caught:
            read(io.BytesIO(content))
        assert "\n" not in str(caught.value)


def test_tiles_larger_than_a_whole_picture_may_be_are_refused() -> None:
    file = io.BytesIO(malformed.deflated_tile(2000, b""))
    with pytest.raises(PictureError, match=r"tiles of 2000x2000 px; the limit is 1 megapixels"):
        read(file, max_pixels=1_000_000)


def test_more_strips_than_a_picture_has_rows_are_refused() -> None:
    strips = {273: (malformed.LONG, 5000, malformed.TAIL), 278: (malformed.LONG, 1, 1)}
    with pytest.raises(PictureError, match=r"is 64x48 px in 5000 pieces"):
        read(io.BytesIO(malformed.tiff({**strips}, tail=bytes(20_000))))


@pytest.mark.parametrize("packed", [None, "tiff_adobe_deflate"])
def test_tiff_of_many_strips_is_read(photograph: Image.Image, packed: str | None) -> None:
    file = encoded(photograph, "TIFF", compression=packed, tiffinfo={278: 1})
    assert read(file).size == (512, 512)


def test_file_is_only_read(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    ImageOps.mirror(photo).save(path)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    with path.open("rb") as file:
        read_picture(file, path.name)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns before it gives up
@pytest.mark.parametrize("form", [*PHOTO_FORMATS, "GIF"])
def test_damaged_bytes_are_read_or_refused_and_never_a_crash(photo: Image.Image, form: str) -> None:
    whole = encoded(photo, form).getvalue()
    chance = random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole[: chance.randrange(64, len(whole) + 1)])
        for _ in range(4):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with contextlib.suppress(PictureError):
            read(io.BytesIO(damaged), max_pixels=1_000_000)
