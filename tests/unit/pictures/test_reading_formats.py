"""Formats beside TIFF at their full depth, and what they say of their colours."""

import io
import struct
import sys
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from daemon.engine.errors import PictureError, UnfinishedPictureError
from daemon.pictures import profiles
from daemon.pictures.colour import from_extended_srgb, from_linear, to_linear
from daemon.pictures.picture import Picture
from daemon.pictures.profiles import RgbSpace, rgb_profile
from daemon.pictures.read import read_header, read_picture
from tests.support import malformed

Pixels = NDArray[Any]
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def photo(photograph: Image.Image) -> Pixels:
    return np.asarray(photograph.resize((64, 48)))


def read(content: bytes) -> Picture:
    return read_picture(io.BytesIO(content), "photo")


def levels(picture: Picture) -> Pixels:
    """Pixels in levels of 0 to 255."""
    unit = {"u1": 1.0, "u2": 257.0, "f4": 1 / 255}[picture.pixels.dtype.str[1:]]
    return picture.pixels / unit


def deep(photo: Pixels, bits: int = 16) -> Pixels:
    """The photograph in more bits, the lower ones not those of 8 repeated."""
    top = (1 << bits) - 1
    values = np.rint(photo / 255 * top * 0.97).astype(np.uint16)
    return np.asarray(values)


def in_space(photo: Pixels, space: RgbSpace, dtype: type = np.uint8) -> Pixels:
    """A photograph of sRGB as numbers of another space."""
    return from_extended_srgb((photo / 255).astype(np.float32), rgb_profile(space), dtype)


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def heic(photo: Pixels, mode: str = "RGB", **options: Any) -> bytes:
    image = pillow_heif.from_bytes(
        mode=mode, size=(photo.shape[1], photo.shape[0]), data=photo.tobytes()
    )
    file = io.BytesIO()
    image.save(file, quality=100, chroma=444, **options)
    return file.getvalue()


def nclx(primaries: int, transfer: int) -> dict[str, Any]:
    return {
        "color_primaries": primaries,
        "transfer_characteristics": transfer,
        "matrix_coefficients": 6,
        "full_range_flag": 1,
        "save_nclx_profile": True,
    }


# PNG


def test_every_sixteen_bit_level_of_a_png_is_read() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    found = read(imagecodecs.png_encode(ramp))
    assert found.bits == 16 and np.array_equal(found.pixels, ramp)


def test_sixteen_bit_png_keeps_its_alpha(photo: Pixels) -> None:
    alpha = np.linspace(1, 65535, photo.shape[1]).astype(np.uint16)
    alpha = np.broadcast_to(alpha, photo.shape[:2])
    found = read(imagecodecs.png_encode(np.dstack([deep(photo), alpha])))
    assert found.alpha is not None and np.array_equal(found.alpha, alpha)
    assert np.array_equal(found.pixels, deep(photo))


def test_transparent_level_of_sixteen_bit_grey_becomes_alpha() -> None:
    grey = np.full((32, 32), 40_000, np.uint16)
    grey[:16] = 50_000
    content = imagecodecs.png_encode(grey)
    found = read(with_chunks(content, malformed.chunk(b"tRNS", struct.pack(">H", 50_000))))
    assert found.alpha is not None
    assert not found.alpha[:16].any() and (found.alpha[16:] == 65535).all()
    assert (found.pixels == 40_000).all()  # what is transparent takes the colours beside it


def png_with_chunks(values: Pixels, *chunks: tuple[bytes, bytes]) -> bytes:
    content = malformed.encoded(Image.fromarray(values), "PNG")
    return with_chunks(content, *(malformed.chunk(*chunk) for chunk in chunks))


def gamma(exponent: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(1e5 / exponent))


def corners(space: RgbSpace) -> tuple[bytes, bytes]:
    numbers = [value for point in (space.white, *space.primaries) for value in point]
    return b"cHRM", struct.pack(">8I", *(round(1e5 * value) for value in numbers))


def test_png_by_cicp_display_p3_is_seen_as_meant(photo: Pixels) -> None:
    stored = in_space(photo, profiles.DISPLAY_P3)
    found = read(png_with_chunks(stored, (b"cICP", bytes([12, 13, 0, 1]))))
    assert np.abs(levels(found) - photo).mean() < 0.5 and found.profile is not None


def test_png_by_gamma_is_seen_as_meant(photo: Pixels) -> None:
    for exponent in (1.0, 1.8):
        space = RgbSpace("g", profiles.SRGB_PRIMARIES, (exponent,))
        found = read(png_with_chunks(in_space(photo, space), gamma(exponent)))
        # 8 bits of linear light leave nothing of the shadows.
        assert np.abs(levels(found) - photo).mean() < (2.5 if exponent == 1 else 0.6)


def test_grey_png_by_gamma_is_seen_as_meant() -> None:
    grey = np.full((32, 32), 55, np.uint8)  # 0.2157 of light is 0.5019 in sRGB
    found = read(png_with_chunks(grey, gamma(1.0)))
    assert np.abs(levels(found)[8, 8] - 128).max() <= 1


def test_png_by_gamma_and_primaries_of_adobe_rgb_is_seen_as_meant(photo: Pixels) -> None:
    stored = in_space(photo, profiles.ADOBE_RGB)
    found = read(png_with_chunks(stored, gamma(563 / 256), corners(profiles.ADOBE_RGB)))
    assert np.abs(levels(found) - photo).mean() < 0.6


@pytest.mark.parametrize("chunk", [(b"sRGB", b"\0"), gamma(2.2), (b"cICP", bytes([1, 13, 0, 1]))])
def test_signal_of_srgb_changes_nothing(photo: Pixels, chunk: tuple[bytes, bytes]) -> None:
    found = read(png_with_chunks(photo, chunk))
    assert np.array_equal(found.pixels, photo) and found.profile is None


def test_senseless_signal_is_told(photo: Pixels) -> None:
    found = read(png_with_chunks(photo, (b"gAMA", bytes(4))))
    assert np.array_equal(found.pixels, photo)
    assert found.warnings == ("its gAMA or cHRM chunk makes no sense and was left out",)


def pq(linear: Pixels) -> Pixels:
    """PQ of light that is 1 at reference white. Source: SMPTE ST 2084."""
    power = (linear * 203 / 10_000) ** (2610 / 16384)
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32))


def test_hdr_below_reference_white_keeps_its_place_and_is_told(photo: Pixels) -> None:
    linear = to_linear((photo / 255).astype(np.float32)) * 0.7
    stored = np.rint(pq(linear) * 65535).astype(np.uint16)
    content = imagecodecs.png_encode(stored)
    found = read(with_chunks(content, malformed.chunk(b"cICP", bytes([1, 16, 0, 1]))))
    assert np.abs(found.pixels - from_linear(linear)).max() < 0.01
    assert found.warnings == ("HDR: light brighter than white was brought down to it",)


def test_hdr_above_white_is_rolled_off_and_stays_in_order() -> None:
    light = np.linspace(0, 20, 64)
    ramp = np.rint(pq(np.tile(light, (16, 1))) * 65535).astype(np.uint16)[..., None].repeat(3, 2)
    found = read(
        with_chunks(imagecodecs.png_encode(ramp), malformed.chunk(b"cICP", bytes([9, 16, 0, 1])))
    )
    row = found.pixels[0, :, 1]
    assert (np.diff(row) > 0).all() and 0.98 < row[-1] <= 1.001


def test_animation_without_frames_is_read_as_the_picture_it_is(photo: Pixels) -> None:
    for count in (1, 2):
        found = read(png_with_chunks(photo, (b"acTL", struct.pack(">II", count, 0))))
        assert np.array_equal(found.pixels, photo)
        assert found.warnings == ("the file is an animation; its still picture was painted",)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_animated_png_of_any_colours_is_read_as_a_still_one(photo: Pixels, mode: str) -> None:
    image = Image.fromarray(photo).convert(mode)
    frames = {"save_all": True, "append_images": [image.rotate(180)]}
    still = read(malformed.encoded(image, "PNG"))
    moving = read(malformed.encoded(image, "PNG", **frames))
    assert np.array_equal(moving.pixels, still.pixels)


# HEIC and AVIF


def test_heic_of_ten_bits_is_read_whole(photo: Pixels) -> None:
    found = read(heic(deep(photo), "RGB;16"))
    assert found.bits == 16 and len(np.unique(found.pixels)) > 256
    assert np.abs(found.pixels.astype(int) - deep(photo)).mean() < 257  # a level of 8 bits


def test_heic_keeps_its_alpha(photo: Pixels) -> None:
    alpha = np.zeros(photo.shape[:2], np.uint8)
    alpha[:, 32:] = 255
    found = read(heic(np.dstack([photo, alpha]), "RGBA"))
    assert found.alpha is not None and np.abs(found.alpha.astype(int) - alpha).mean() < 3


def test_heic_by_nclx_display_p3_is_seen_as_meant(photo: Pixels) -> None:
    found = read(heic(in_space(photo, profiles.DISPLAY_P3), **nclx(12, 13)))
    assert np.abs(levels(found) - photo).mean() < 2 and found.profile is not None


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_any_depth_is_read(photo: Pixels, bits: int) -> None:
    stored = photo if bits == 8 else deep(photo, bits)
    options = {} if bits == 8 else {"bitspersample": bits}
    found = read(imagecodecs.avif_encode(stored, level=100, **options))
    top = (1 << bits) - 1
    assert found.format == "AVIF" and found.bits == (8 if bits == 8 else 16)
    assert np.abs(levels(found) - stored / top * 255).mean() < 1


# JPEG 2000, JPEG XL, PSD


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_jpeg_2000_of_any_depth_is_read(photo: Pixels, bits: int) -> None:
    stored = photo if bits == 8 else deep(photo, bits)
    found = read(imagecodecs.jpeg2k_encode(stored, level=0, bitspersample=bits))
    assert found.format == "JPEG2000" and found.bits == (8 if bits == 8 else 16)
    assert np.abs(levels(found) - stored / ((1 << bits) - 1) * 255).max() < 0.01


def test_profile_of_jpeg_2000_is_applied_and_nothing_is_cut(photo: Pixels) -> None:
    profile = rgb_profile(profiles.DISPLAY_P3)
    stored = Image.fromarray(in_space(photo, profiles.DISPLAY_P3))
    plain = malformed.encoded(stored, "JPEG2000")
    at = plain.index(b"colr") - 4
    colour = malformed.box(b"colr", b"\2\0\0" + profile)
    header = plain.index(b"jp2h") - 4
    size = int.from_bytes(plain[header : header + 4]) + len(colour) - 15
    content = plain[:header] + size.to_bytes(4) + plain[header + 4 : at] + colour + plain[at + 15 :]
    found = read(content)
    assert found.profile == profile and np.abs(levels(found) - photo).mean() < 0.5
    back = from_extended_srgb(found.pixels, profile, np.uint8)
    assert np.array_equal(back, np.asarray(stored))


def test_large_picture_that_fails_may_have_been_too_large(photo: Pixels) -> None:
    """Where memory runs out some decoders say no more than that they failed."""
    content = bytearray(imagecodecs.jpeg2k_encode(photo, level=0, codecformat="j2k"))
    with pytest.raises(UnfinishedPictureError, match="is damaged or incomplete; copy"):
        read(bytes(content[:200]))
    content[8:16] = struct.pack(">II", 10_000, 6000)
    with pytest.raises(UnfinishedPictureError, match="incomplete or too large to decode; copy"):
        read(bytes(content[:200]))


@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl_is_read_in_and_out_of_its_container(photo: Pixels, container: bool) -> None:
    content = imagecodecs.jpegxl_encode(photo, lossless=True, usecontainer=container)
    found = read(content)
    assert found.format == "JXL" and found.lossless and np.array_equal(found.pixels, photo)
    header = read_header(io.BytesIO(content), "photo")
    assert (header.format, header.width_px, header.height_px) == ("JXL", 64, 48)


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (1000, 17), (301, 700), (256, 256)])
def test_size_of_a_jpeg_xl_is_known_before_it_is_decoded(size: tuple[int, int]) -> None:
    content = imagecodecs.jpegxl_encode(np.zeros((size[1], size[0], 3), np.uint8))
    header = read_header(io.BytesIO(content), "photo")
    assert (header.width_px, header.height_px) == size


def test_jpeg_xl_of_ten_bits_in_linear_light_is_read(photo: Pixels) -> None:
    linear = to_linear((photo / 255).astype(np.float32))
    stored = np.rint(linear * 1023).astype(np.uint16)  # the encoder marks deep ones linear
    found = read(imagecodecs.jpegxl_encode(stored, lossless=True, bitspersample=10))
    assert found.bits == 16 and np.abs(levels(found) - photo).mean() < 2


def test_animated_jpeg_xl_is_painted_from_its_first_frame_and_that_is_told(photo: Pixels) -> None:
    frames = np.stack([photo, photo[::-1]])
    found = read(imagecodecs.jpegxl_encode(frames, lossless=True))
    assert np.array_equal(found.pixels, photo)
    assert found.warnings == ("the file is an animation; its first frame was painted",)


def psd(
    planes: Pixels, *, mode: int, packed: bool, resources: bytes = b"", layers: int = 0
) -> bytes:
    """A flattened Photoshop document. planes: (channels, H, W)."""
    bits = 8 * planes.dtype.itemsize
    channels, height, width = planes.shape
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, height, width, bits, mode)
    rows = [row.astype(row.dtype.newbyteorder(">")).tobytes() for plane in planes for row in plane]
    pixels = b"".join(rows)
    if packed:
        rows = [bytes(imagecodecs.packbits_encode(row)) for row in rows]
        pixels = struct.pack(f">{len(rows)}H", *map(len, rows)) + b"".join(rows)
    info = struct.pack(">Ih", 2, layers) if layers else b""
    sections = bytes(4) + struct.pack(">I", len(resources)) + resources
    return (
        head + sections + struct.pack(">I", len(info)) + info + struct.pack(">H", packed) + pixels
    )


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_photoshop_document_is_read_flattened(photo: Pixels, packed: bool, depth: type) -> None:
    stored = photo if depth is np.uint8 else deep(photo)
    found = read(psd(np.moveaxis(stored, -1, 0), mode=3, packed=packed))
    assert found.format == "PSD" and np.array_equal(found.pixels, stored)


def test_alpha_of_a_photoshop_document_is_freed_of_its_white() -> None:
    shown = np.full((32, 32), 40, np.uint8)
    alpha = np.full((32, 32), 128, np.uint8)
    alpha[:16] = 255
    matted = np.rint(shown * (alpha / 255) + 255 - alpha).astype(np.uint8)
    found = read(psd(np.stack([matted] * 3 + [alpha]), mode=3, packed=True, layers=-1))
    assert found.alpha is not None and np.array_equal(found.alpha, alpha)
    assert np.abs(found.pixels.astype(int) - 40).max() <= 1


def test_photoshop_document_without_all_its_rows_is_unfinished(photo: Pixels) -> None:
    content = psd(np.moveaxis(photo, -1, 0), mode=3, packed=True)
    with pytest.raises(UnfinishedPictureError, match="ends before its pixels do"):
        read(content[:-100])


# BMP, GIF, WebP, JPEG


def bmp(words: Pixels, masks: tuple[int, ...], head_bytes: int, packing: int) -> bytes:
    """A BMP of 16 or 32 bits a pixel with its channels where masks say, bottom row first."""
    height, width = words.shape
    bits = 8 * words.dtype.itemsize
    fields = struct.pack("<IiiHHIIiiII", head_bytes, width, height, 1, bits, packing, *[0] * 5)
    head = (fields + struct.pack(f"<{len(masks)}I", *masks)).ljust(max(head_bytes, 40), b"\0")
    rows = np.pad(words, ((0, 0), (0, width * bits // 8 % 4 // (bits // 8))))[::-1]
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, 14 + len(head)) + head + rows.tobytes()


@pytest.mark.parametrize("head_bytes", [40, 52, 56, 108, 124])
@pytest.mark.parametrize(
    "masks",
    [(0xF800, 0x07E0, 0x001F), (0x0F00, 0x00F0, 0x000F), (0x001F, 0x07E0, 0xF800), (7, 56, 448)],
)
def test_bmp_of_odd_bit_fields_is_read(head_bytes: int, masks: tuple[int, ...]) -> None:
    words = np.zeros((16, 16), np.uint16)
    words[:8], words[8:] = masks[0], masks[2] | masks[1]
    found = read(bmp(words, masks, head_bytes, 3))
    assert found.pixels[0, 0].tolist() == [255, 0, 0]
    assert found.pixels[15, 15].tolist() == [0, 255, 255]


def test_fourth_byte_of_a_bmp_is_alpha_where_it_is_used() -> None:
    words = np.full((16, 16), 0xFF102030, np.uint32)
    words[:8] = 0x80102030
    found = read(bmp(words, (), 40, 0))
    assert found.alpha is not None and found.alpha[:, 0].tolist() == [128] * 8 + [255] * 8
    unused = read(bmp(words & 0xFFFFFF, (), 40, 0))
    assert unused.alpha is None and unused.pixels[0, 0].tolist() == [16, 32, 48]


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_palette_of_os2_is_read(bits: int) -> None:
    colours = bytes([0, 0, 255, 255, 0, 0]) + bytes(3 * (1 << bits) - 6)  # red and blue
    row = {1: b"\x00\xff", 4: bytes(4) + b"\x11" * 4, 8: bytes(8) + b"\x01" * 8}[bits]
    row += bytes(-len(row) % 4)
    head = struct.pack("<IHHHH", 12, 16, 16, 1, bits)
    start = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 26 + len(colours))
    found = read(start + head + colours + row * 16)
    assert found.pixels[0, 0].tolist() == [255, 0, 0]
    assert found.pixels[0, 15].tolist() == [0, 0, 255]


def test_frame_smaller_than_its_canvas_leaves_the_rest_transparent() -> None:
    image = malformed.encoded(Image.new("RGB", (32, 32), RED), "GIF")
    content = image[:6] + struct.pack("<HH", 64, 48) + image[10:]
    found = read(content)
    assert found.size == (64, 48) and found.alpha is not None
    assert (found.alpha[:32, :32] == 255).all() and not found.alpha[32:].any()
    assert found.pixels[40, 60].tolist() == [*RED]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animation_is_painted_from_its_first_frame_and_that_is_told(form: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE)]
    options = {"lossless": True} if form == "WEBP" else {}
    found = read(
        malformed.encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    )
    assert found.pixels[8, 8].tolist() == [*RED]
    assert found.warnings == ("the file is an animation; its first frame was painted",)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("extended", [False, True])
def test_packing_of_webp_is_known(photo: Pixels, lossless: bool, extended: bool) -> None:
    options = {"icc_profile": profiles.srgb_profile()} if extended else {}
    content = malformed.encoded(Image.fromarray(photo), "WEBP", lossless=lossless, **options)
    assert read(content).lossless is lossless


def exif_of(space: int, interop: bytes) -> bytes:
    """EXIF of a camera that follows DCF."""

    def one(*entries: tuple[int, int, int, int]) -> bytes:
        return malformed.directory(list(entries))

    first = one((0x8769, malformed.LONG, 1, 26))
    second = one((0xA001, malformed.SHORT, 1, space), (0xA005, malformed.LONG, 1, 56))
    third = one((1, malformed.ASCII, 4, int.from_bytes(interop, "little")))
    return b"II*\0" + struct.pack("<I", 8) + first + second + third


def test_adobe_rgb_as_cameras_mark_it_is_seen_as_meant(photo: Pixels) -> None:
    stored = Image.fromarray(in_space(photo, profiles.ADOBE_RGB))
    exif = b"Exif\0\0" + exif_of(0xFFFF, b"R03\0")
    found = read(malformed.encoded(stored, "JPEG", quality=100, subsampling=0, exif=exif))
    assert np.abs(levels(found) - photo).mean() < 1 and found.profile is not None
    plain = b"Exif\0\0" + exif_of(1, b"R98\0")
    found = read(malformed.encoded(stored, "JPEG", quality=100, subsampling=0, exif=plain))
    assert found.profile is None and found.pixels.dtype == np.uint8


@pytest.mark.parametrize("space", [profiles.DISPLAY_P3, profiles.ADOBE_RGB, profiles.WIDE])
def test_nothing_of_a_wide_profile_is_cut(space: RgbSpace) -> None:
    steps = np.linspace(0, 255, 5).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(25, 5, 3)
    cube = cube.repeat(4, axis=1)
    image = Image.fromarray(cube)
    found = read(malformed.encoded(image, "PNG", icc_profile=rgb_profile(space)))
    assert found.pixels.dtype == np.float32 and found.profile == rgb_profile(space)
    assert np.array_equal(from_extended_srgb(found.pixels, found.profile, np.uint8), cube)


def test_cmyk_is_seen_as_its_profile_prints_it_and_nothing_is_cut() -> None:
    from daemon.pictures.press import press_profile

    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    found = read(malformed.encoded(cyan, "TIFF", icc_profile=press_profile()))
    assert found.pixels.dtype == np.float32 and found.pixels[0, 0, 0] < -0.3  # beyond sRGB
    assert found.profile is not None and found.warnings == ()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"%PDF-1.7\n" * 20, "is a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 20, "is an SVG drawing"),
        (b"\x76\x2f\x31\x01" + bytes(400), "is an OpenEXR picture"),
        (b"#?RADIANCE\n" * 20, "is a Radiance HDR picture"),
    ],
)
def test_what_is_not_painted_is_named_with_what_to_do(head: bytes, words: str) -> None:
    for reader in (read_picture, read_header):
        with pytest.raises(PictureError, match=f"^x.jpg {words}.*: (export|install)") as caught:
            reader(io.BytesIO(head), "x.jpg")
        assert not isinstance(caught.value, UnfinishedPictureError)


# Cameras


def dng(orientation: int = 1) -> bytes:
    """A negative of a camera: grey on the left, red on the right, half as bright as can be."""
    colours = np.full((64, 96, 3), 0.5)
    colours[:, 48:] = 0.4, 0.05, 0.05
    mosaic = np.empty((64, 96))
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = colours[row::2, column::2, channel]
    to_camera = (3.2405, -1.5371, -0.4985, -0.9693, 1.8760, 0.0416, 0.0556, -0.2040, 1.0572)
    matrix = [number for value in to_camera for number in (round(value * 10_000), 10_000)]
    tags = [
        (274, 3, 1, orientation, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),
        (50708, 2, 5, "Ada", True),
        (50717, 4, 1, 16383, True),
        (50721, 10, 9, matrix, True),
        (50728, 5, 3, [1, 1] * 3, True),
        (50778, 3, 1, 21, True),
    ]
    file = io.BytesIO()
    values = (mosaic * 16383).astype(np.uint16)
    tifffile.imwrite(file, values, photometric=32803, extratags=tags, metadata=None)
    return file.getvalue()


def test_raw_file_of_a_camera_is_developed_upright_in_sixteen_bits() -> None:
    pytest.importorskip("rawpy", reason="cameras' files need the extra atelierd[raw]")
    found = read(dng(6))
    assert (found.format, found.size, found.bits) == ("RAW", (64, 96), 16)
    grey, red = levels(found)[20, 32], levels(found)[80, 32]
    assert np.ptp(grey) < 1 and red[0] > 2 * red[1] > 0
    assert read_header(io.BytesIO(dng()), "photo").format == "RAW"


def test_raw_file_without_the_extra_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    for content in (dng(), b"FUJIFILMCCD-RAW 0201" + bytes(400)):
        for reader in (read_header, read_picture):
            with pytest.raises(
                PictureError, match=r"a camera's raw file; .*atelierd\[raw\]"
            ) as caught:
                reader(io.BytesIO(content), "x.dng")
            assert not isinstance(caught.value, UnfinishedPictureError)
