"""TIFFs of every kind come out with the levels, colours and page that were meant."""

import io
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from daemon.engine.errors import PictureError, UnfinishedPictureError
from daemon.pictures import tiff_segments
from daemon.pictures.picture import Picture
from daemon.pictures.read import read_header, read_picture
from tests.support.tiffs import LONG, SHORT, packed_rows, tiff_of

Pixels = NDArray[Any]
RGB, PALETTE, SEPARATED, YCBCR = 2, 3, 5, 6


@pytest.fixture
def photo(photograph: Image.Image) -> Pixels:
    return np.asarray(photograph.resize((48, 32)))


def read(content: bytes | io.BytesIO) -> Picture:
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    return read_picture(file, "photo.tif")


def written(values: Pixels, **options: Any) -> bytes:
    """A TIFF by tifffile."""
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def levels(picture: Picture) -> Pixels:
    """Pixels in levels of 0 to 255."""
    unit = {"u1": 1.0, "u2": 257.0, "f4": 1 / 255}[picture.pixels.dtype.str[1:]]
    return picture.pixels / unit


def of_bits(values: Pixels, bits: int) -> Pixels:
    """8-bit levels as levels of another depth."""
    top = (1 << bits) - 1
    return ((values.astype(object) * top * 2 + 255) // 510).astype(np.uint64)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 9, 10, 11, 12, 13, 14, 15, 24, 32])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_grey_of_any_depth_keeps_its_range(bits: int, white_is_zero: bool) -> None:
    ramp = np.tile(np.arange(64) * ((1 << bits) - 1) // 63, (16, 1))
    stored = (1 << bits) - 1 - ramp if white_is_zero else ramp
    content = tiff_of(
        (64, 16), packed_rows(stored, bits), bits=[bits], photometric=int(not white_is_zero)
    )
    found = read(content)
    assert found.pixels.dtype == (np.uint8 if bits <= 8 else np.uint16)
    expected = ramp / ((1 << bits) - 1) * np.iinfo(found.pixels.dtype).max
    assert np.abs(found.pixels[..., 0] - expected).max() <= 1
    assert found.pixels[0, 0, 0] == 0 and levels(found)[0, -1, 0] == 255


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14, 16, 24, 32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_rgb_of_any_depth_and_byte_order_is_read(photo: Pixels, bits: int, order: str) -> None:
    pixels = packed_rows(of_bits(photo, bits), bits, order)
    found = read(tiff_of((48, 32), pixels, bits=[bits] * 3, photometric=RGB, order=order))
    # Half a step of 2 or 4 bits is 43 or 9 levels; from 10 bits on it is nothing.
    assert np.abs(levels(found) - photo).max() <= {2: 43, 4: 9}.get(bits, 0.6)


def tiled_planes(photo: Pixels) -> bytes:
    planes = np.moveaxis(photo.astype(np.uint16) * 257, -1, 0)
    options: dict[str, Any] = {"tile": (16, 32), "compression": "lzw", "predictor": True}
    return written(planes, photometric="rgb", planarconfig="separate", **options)


LAYOUTS: dict[str, Callable[[Pixels], bytes]] = {
    "planes of 16 bits": lambda photo: written(
        np.moveaxis(photo.astype(np.uint16) * 257, -1, 0),
        photometric="rgb",
        planarconfig="separate",
    ),
    "tiled planes": tiled_planes,
    "tiles": lambda photo: written(photo, photometric="rgb", tile=(32, 16)),
    "BigTIFF, big-endian": lambda photo: written(
        photo, photometric="rgb", bigtiff=True, byteorder=">"
    ),
    "BigTIFF, 16 bits": lambda photo: written(
        photo.astype(np.uint16) * 257, photometric="rgb", bigtiff=True, compression="zstd"
    ),
    "differences, big-endian": lambda photo: written(
        photo.astype(np.uint16) * 257,
        photometric="rgb",
        byteorder=">",
        compression="zlib",
        predictor=True,
    ),
    "half floats": lambda photo: written((photo / 255).astype(np.float16), photometric="rgb"),
    "floats": lambda photo: written((photo / 255).astype(np.float32), photometric="rgb"),
    "doubles": lambda photo: written(photo / 255, photometric="rgb"),
    "floats by bytes": lambda photo: written(
        (photo / 255).astype(np.float32), photometric="rgb", compression="zlib", predictor=3
    ),
    "floats by bytes, big-endian": lambda photo: written(
        (photo / 255).astype(np.float32),
        photometric="rgb",
        compression="lzma",
        predictor=3,
        byteorder=">",
    ),
    "floats of 24 bits": lambda photo: tiff_of(
        (48, 32),
        bytes(imagecodecs.float24_encode((photo / 255).astype(np.float32), byteorder="<")),
        bits=[24] * 3,
        photometric=RGB,
        tags={339: (SHORT, [3] * 3)},
    ),
    "floats to 255": lambda photo: written(photo.astype(np.float32), photometric="rgb"),
    "signed": lambda photo: written(
        (photo.astype(np.int32) * 257 - 32768).astype(np.int16), photometric="rgb"
    ),
    "signed bytes": lambda photo: written(
        (photo.astype(np.int16) - 128).astype(np.int8), photometric="rgb"
    ),
    "WebP": lambda photo: written(photo, photometric="rgb", compression="webp"),
    "JPEG XL": lambda photo: written(photo, photometric="rgb", compression="jpegxl"),
    "PNG": lambda photo: written(photo, photometric="rgb", compression="png"),
    "JPEG 2000": lambda photo: written(photo, photometric="rgb", compression="jpeg2000"),
    "a fourth channel that is no alpha": lambda photo: written(
        np.dstack([photo, photo[..., 0]]), photometric="rgb", extrasamples=["unspecified"]
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_is_read_to_the_level(photo: Pixels, layout: str) -> None:
    found = read(LAYOUTS[layout](photo))
    assert found.size == (48, 32) and found.alpha is None
    # Half floats and those of 24 bits have 11 and 17 bits of precision.
    assert np.abs(levels(found) - photo).max() <= (0.13 if "half" in layout else 0.01)


def test_jpeg_inside_with_coarse_colours_is_read(photograph: Image.Image) -> None:
    photo = photograph.resize((64, 48))
    file = io.BytesIO()
    photo.save(file, "TIFF", compression="jpeg", quality=95)
    assert np.abs(levels(read(file)) - np.asarray(photo)).mean() < 4
    assert not read(file).lossless


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_ycbcr_without_jpeg_is_read(across: int, down: int) -> None:
    colours = np.array([[[200, 40, 30], [20, 120, 220]]], np.uint8)
    flat = np.repeat(np.repeat(colours, 16, axis=1), 32, axis=0)
    values = np.asarray(Image.fromarray(flat).convert("YCbCr"))
    units = values.reshape(32 // down, down, 32 // across, across, 3).swapaxes(1, 2)
    light = units[..., 0].reshape(32 // down, 32 // across, -1)
    pixels = np.dstack([light, units[:, :, 0, 0, 1], units[:, :, 0, 0, 2]]).tobytes()
    tags = {530: (SHORT, [across, down])}
    found = read(tiff_of((32, 32), pixels, bits=[8] * 3, photometric=YCBCR, tags=tags))
    assert np.abs(levels(found) - flat).max() <= 2


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_palette_gives_its_colours(depth: type) -> None:
    entries = 1 << 8 * np.dtype(depth).itemsize
    steps = np.linspace(0, 65535, entries).astype(np.uint16)
    palette = np.stack([steps, steps[::-1], np.full(entries, 257 * 9, np.uint16)])
    indices = np.tile(np.linspace(0, entries - 1, 64).astype(depth), (16, 1))
    found = read(written(indices, photometric="palette", colormap=palette))
    expected = palette.T[indices] / 257
    assert np.abs(levels(found) - expected).max() <= 0.5


@pytest.mark.parametrize("multiplied", [False, True])
@pytest.mark.parametrize("colours", [1, 3, 4])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_alpha_of_any_kind_is_read_straight(multiplied: bool, colours: int, depth: type) -> None:
    top = np.iinfo(depth).max
    alpha = np.full((32, 32), top, depth)
    alpha[:16] = top // 2
    values = np.full((32, 32, colours), top // 4, depth)
    stored = values.copy()
    if multiplied:
        stored[:16] = np.rint(values[:16] * (alpha[:16, :, None] / top))
    photometric = {1: "minisblack", 3: "rgb", 4: "separated"}[colours]
    kind = "assocalpha" if multiplied else "unassalpha"
    extra = {"photometric": photometric, "extrasamples": [kind]}
    found = read(written(np.dstack([stored, alpha]), **extra))
    plain = read(written(values if colours > 1 else values[..., 0], photometric=photometric))
    assert found.alpha is not None and np.array_equal(found.alpha, alpha)
    assert np.abs(levels(found) - levels(plain)).max() <= 1.5  # of a rounding before a division


@pytest.mark.parametrize("kind", ["cielab", "icclab"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_lab_is_read(kind: str, depth: type) -> None:
    lab = np.broadcast_to(np.array([53.0, 40.0, -20.0]), (32, 32, 3))
    unit = 1 if depth is np.uint8 else 256
    if kind == "cielab":
        light, shift = np.iinfo(depth).max / 100, 0
    else:
        light, shift = 255 * unit / 100, 128 * unit
    stored = np.stack([lab[..., 0] * light, *(lab[..., c] * unit + shift for c in (1, 2))], -1)
    found = read(written(np.rint(stored).astype(np.int64).astype(depth), photometric=kind))
    # By littlecms in doubles; 8 bits of L* are 0.4 apart.
    assert np.abs(levels(found)[8, 8] - (179.31, 98.14, 162.17)).max() <= (
        0.6 if depth is np.uint8 else 0.05
    )


def test_floats_that_are_no_numbers_become_finite(photo: Pixels) -> None:
    floats = (photo / 255).astype(np.float32)
    floats[0, 0], floats[0, 1], floats[0, 2] = np.nan, np.inf, -np.inf
    found = read(written(floats, photometric="rgb"))
    assert levels(found)[0, :3, 0].tolist() == [0, 255, 0]
    assert np.abs(levels(found)[1:] - photo[1:]).max() <= 0.01


def test_light_above_white_is_cut_and_that_is_told(photo: Pixels) -> None:
    floats = (photo / 255).astype(np.float32)
    floats[0, 0] = 3.5
    found = read(written(floats, photometric="rgb"))
    assert levels(found)[0, 0].tolist() == [255] * 3
    assert np.abs(levels(found)[1:] - photo[1:]).max() <= 0.01
    assert found.warnings == ("floats above white, up to 3.5, were cut",)


def pages(*images: Pixels, **options: Any) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for image in images:
            kind = {"subfiletype": 1} if image.shape[0] < images[-1].shape[0] else {}
            writer.write(image, photometric="rgb", **kind, **options)
    return file.getvalue()


def test_first_page_is_painted_and_the_others_are_told(photo: Pixels) -> None:
    found = read(pages(photo, photo[::-1], photo))
    assert np.array_equal(found.pixels, photo)
    assert found.warnings == ("the file has 3 pages; page 1 was painted",)


def test_reduced_copy_is_never_painted(photo: Pixels) -> None:
    found = read(pages(photo[::2, ::2], photo))
    assert np.array_equal(found.pixels, photo) and not found.warnings
    content = io.BytesIO(pages(photo[::2, ::2], photo))
    assert (read_header(content, "photo").width_px, found.size[0]) == (48, 48)


def test_pyramid_is_painted_from_its_largest(photo: Pixels) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(photo, photometric="rgb", subifds=1, tile=(16, 16))
        writer.write(photo[::2, ::2], photometric="rgb", subfiletype=1, tile=(16, 16))
    found = read(file)
    assert np.array_equal(found.pixels, photo) and not found.warnings


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "lzma", "zstd", "webp"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_tiff_that_ends_early_is_unfinished(
    photograph: Image.Image, compression: str | None, share: float
) -> None:
    whole = written(np.asarray(photograph), photometric="rgb", compression=compression)
    with pytest.raises(UnfinishedPictureError, match=r"photo\.tif .* damaged or incomplete"):
        read(whole[: int(share * len(whole))])


def test_kind_that_is_not_read_is_named_with_what_to_do() -> None:
    luv = tiff_of((32, 32), bytes(32 * 32 * 3), bits=[16] * 3, photometric=32845)
    with pytest.raises(
        PictureError, match=r"is a TIFF of LogLuv \(HDR\); .* 16-bit TIFF"
    ) as caught:
        read(luv)
    assert not isinstance(caught.value, UnfinishedPictureError)
    inks = tiff_of(
        (32, 32),
        bytes(32 * 32 * 6),
        bits=[8] * 6,
        photometric=SEPARATED,
        tags={332: (SHORT, [2])},
    )
    with pytest.raises(PictureError, match="is a TIFF of 6 inks"):
        read(inks)


def test_strip_that_would_grow_without_end_is_cut(photo: Pixels) -> None:
    """Zeros without end in a few bytes: no more of them are unpacked than the picture has."""
    bomb = imagecodecs.zlib_encode(bytes(64 << 20))
    content = tiff_of((48, 32), bytes(bomb), tags={259: (SHORT, [8]), 279: (LONG, [len(bomb)])})
    assert not read(content).pixels.any()


def test_lab_of_a_photograph_is_seen_as_the_photograph(photo: Pixels) -> None:
    """A round through L*a*b* of D50 by littlecms."""
    from PIL import ImageCms

    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = np.asarray(ImageCms.applyTransform(Image.fromarray(photo), to_lab)).copy()
    lab[..., 1:] ^= 128 if lab[..., 1:].mean() > 64 else 0  # Pillow has a* and b* from -128
    found = read(written(lab, photometric="cielab"))
    difference = deltaE_ciede2000(rgb2lab(np.clip(levels(found) / 255, 0, 1)), rgb2lab(photo / 255))
    assert difference.mean() < 1  # 8 bits of L*a*b* are coarse


def test_jpeg_as_tiff_first_had_it_is_read(photograph: Image.Image) -> None:
    file = io.BytesIO()
    photograph.resize((64, 48)).save(file, "JPEG", quality=95)
    inside = file.getvalue()
    tags = {
        259: (SHORT, [6]),
        513: (LONG, [8]),
        514: (LONG, [len(inside)]),
        530: (SHORT, [2, 2]),
    }
    found = read(tiff_of((64, 48), inside, bits=[8] * 3, photometric=YCBCR, tags=tags))
    assert (
        np.abs(levels(found) - np.asarray(photograph.resize((64, 48)))).mean() < 6
    )  # coarse colours


def test_long_strip_without_compression_is_read_in_bands(
    photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_segments, "BAND_BYTES", 5 * 48 * 3)
    pixels = photo.tobytes()
    assert np.array_equal(
        read(tiff_of((48, 32), pixels, bits=[8] * 3, photometric=RGB)).pixels, photo
    )
    planes = np.moveaxis(photo, -1, 0).tobytes()
    separate = {
        284: (SHORT, [2]),
        273: (LONG, [8, 8 + 1536, 8 + 3072]),
        279: (LONG, [1536] * 3),
    }
    found = read(tiff_of((48, 32), planes, bits=[8] * 3, photometric=RGB, tags=separate))
    assert np.array_equal(found.pixels, photo)


def jpeg_of(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), 99).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "words"), [((48, 16), "smaller than its place"), ((9000, 9000), "9000x9000 px inside")]
)
def test_picture_inside_that_does_not_fit_its_place_is_no_picture(
    size: tuple[int, int], words: str
) -> None:
    inside = jpeg_of(*size)
    tags = {259: (SHORT, [7])}
    with pytest.raises(UnfinishedPictureError, match=words):
        read(tiff_of((48, 32), inside, tags=tags))
    assert read(tiff_of((48, 32), jpeg_of(48, 40), tags=tags)).size == (48, 32)


def old_lzw(data: bytes) -> bytes:
    """LZW as before 1990, its codes from the lowest bit on; cleared before they grow."""
    codes = []
    for at in range(0, len(data), 200):
        codes += [256, *data[at : at + 200]]
    stream = sum(code << 9 * index for index, code in enumerate([*codes, 257]))
    return stream.to_bytes(-(-9 * (len(codes) + 1) // 8), "little")


def test_lzw_of_old_programs_is_read(photo: Pixels) -> None:
    inside = old_lzw(photo.tobytes())
    content = tiff_of((48, 32), inside, bits=[8] * 3, photometric=RGB, tags={259: (SHORT, [5])})
    assert np.array_equal(read(content).pixels, photo)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int32, [0, 128, 255], [0, 128, 255]),
        (np.uint32, [0, 257 * 128, 65535], [0, 128, 255]),
        (np.int32, [0, 2**30, 2**31 - 1], [0, 128, 255]),
        (np.int32, [-(2**31), 0, 2**31 - 1], [0, 128, 255]),
        (np.uint64, [0, 2**63, 2**64 - 1], [0, 128, 255]),
        (np.int16, [0, 16384, 32767], [0, 128, 255]),
        (np.int16, [-32768, 0, 32767], [0, 128, 255]),
        (np.int8, [0, 64, 127], [0, 129, 255]),
        (np.int8, [-128, 0, 127], [0, 128, 255]),
    ],
)
def test_integers_are_read_by_the_range_they_have(
    dtype: type, values: list[int], expected: list[int]
) -> None:
    stored = np.repeat(np.array(values, dtype), 8)[None].repeat(16, axis=0)
    found = levels(read(written(stored, photometric="minisblack")))
    assert np.abs(found[0, ::8, 0] - expected).max() < 0.6
