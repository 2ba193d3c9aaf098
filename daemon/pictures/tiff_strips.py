"""The strips and tiles of a TIFF's page, decoded into samples as they are stored.

Each is read whole or the file is unfinished, and none may grow beyond its share of the picture.
Source: TIFF 6.0 sections 7 to 15, Adobe's TIFF technical notes 1 to 3, libtiff's compressions.
"""

import io
import lzma
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from daemon.pictures.faults import CutFileError, UnsupportedKindError
from daemon.pictures.header import header_of
from daemon.pictures.tiff_directory import Page, Tag
from daemon.pictures.tiff_segments import FLOAT, SIGNED, UNSIGNED, Segment, Segments

Samples = NDArray[np.generic]
JPEG, WEBP = (7, 34892), (50001, 34927)
JPEG_2000, JPEG_XL = (34712, 33003, 33005), (50002, 52546)
PNG = 34933
WHOLE_IMAGES = (*JPEG, *WEBP, *JPEG_2000, *JPEG_XL, PNG)
START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
LARGEST_BLOCK = 64
FAX = (2, 3, 4)
FLOATING_POINT, HORIZONTAL = 3, 2
Convert = Callable[[Samples], Samples]


def inflated(data: bytes, size: int) -> bytes:
    return zlib.decompressobj().decompress(data, size)


def unlzma(data: bytes, size: int) -> bytes:
    return lzma.LZMADecompressor().decompress(data, size)


def unpacked_bits(data: bytes, size: int) -> bytes:
    """PackBits, at most `size` bytes of it."""
    try:
        return bytes(imagecodecs.packbits_decode(data, out=size))
    except imagecodecs.ImcdError:  # more than fits: some writers fill up the last row
        return bytes(imagecodecs.packbits_decode(data))[:size] if len(data) < size else b""


DECOMPRESSORS: dict[int, Callable[[bytes, int], bytes]] = {
    1: lambda data, size: data,
    5: lambda data, size: bytes(imagecodecs.lzw_decode(data, out=size)),
    8: inflated,
    32946: inflated,
    32773: unpacked_bits,
    34925: unlzma,
    50000: lambda data, size: bytes(imagecodecs.zstd_decode(data, out=size)),
    34926: lambda data, size: bytes(imagecodecs.zstd_decode(data, out=size)),
}
IMAGE_DECODERS: dict[int, Callable[[bytes], Samples]] = {
    **dict.fromkeys(WEBP, imagecodecs.webp_decode),
    **dict.fromkeys(JPEG_2000, imagecodecs.jpeg2k_decode),
    **dict.fromkeys(JPEG_XL, imagecodecs.jpegxl_decode),
    PNG: imagecodecs.png_decode,
}


def read_samples(page: Page, convert: Convert) -> Samples:
    """The samples of a page, each strip or tile converted as it comes: (H, W, samples).

    What is to be converted is as stored, numbers in the machine's order: uint8 for up to 8 bits,
    uint16 up to 16, uint32 or uint64 beyond, int8 to int64, float16 to float64.
    Raises CutFileError, UnsupportedKindError, or what a decoder raises.
    """
    segments = Segments(page)
    result: Samples | None = None
    for part in segments.parts():
        data = read_part(page, part)
        piece = convert(decoded(segments, data, part.rows))
        if result is None:
            shape = segments.height, segments.width, segments.samples
            result = np.empty(shape, piece.dtype)
        channels = slice(None) if segments.planes == 1 else slice(part.plane, part.plane + 1)
        target = result[part.top : part.top + part.rows, part.left :, channels]
        target = target[:, : segments.size[1]]
        if piece.shape[0] < target.shape[0] or piece.shape[1] < target.shape[1]:
            raise CutFileError("a strip or tile is smaller than its place")
        target[:] = piece[: target.shape[0], : target.shape[1]]
    if result is None:
        raise CutFileError("it has no pixels")
    return result


def read_part(page: Page, part: Segment) -> bytes:
    """The bytes of one strip or tile; raises CutFileError where they are not all there."""
    if part.at + part.length > page.size or part.length <= 0:
        raise CutFileError("a strip or tile is not in the file")
    page.file.seek(part.at)
    data = page.file.read(part.length)
    if len(data) < part.length:
        raise CutFileError("a strip or tile is not in the file")
    return data


def decoded(segments: Segments, data: bytes, rows: int) -> Samples:
    """One strip or tile: (rows, columns, samples)."""
    page, compression = segments.page, segments.compression
    shape = rows, segments.size[1], segments.each
    if page.number(Tag.FILL_ORDER, 1) == 2 and compression not in WHOLE_IMAGES:
        data = bytes(imagecodecs.bitorder_decode(data))
    if compression in FAX:
        return fax(segments, data, rows)
    if compression in WHOLE_IMAGES:
        return whole_image(segments, data)
    if compression not in DECOMPRESSORS:
        raise UnsupportedKindError(f"a TIFF of compression {compression}")
    row_bytes = -(-shape[1] * shape[2] * segments.bits // 8)
    plain = DECOMPRESSORS[compression](data, rows * row_bytes)
    if len(plain) < rows * row_bytes:
        raise CutFileError("a strip or tile ends early")
    return unpredicted(segments, plain[: rows * row_bytes], shape)


def whole_image(segments: Segments, data: bytes) -> Samples:
    """A segment that is a picture file of its own: (rows, columns, samples), as large as it is.

    Raises ValueError if it is far larger than its place, before it is decoded.
    """
    width, height = size_within(data)
    rows, columns = segments.size
    if width > 2 * columns + LARGEST_BLOCK or height > 2 * rows + LARGEST_BLOCK:
        raise ValueError(f"a strip or tile is {width}x{height} px inside")
    if segments.compression in JPEG:
        image = jpeg(segments, data)
    else:
        image = IMAGE_DECODERS[segments.compression](data)
    image = image if image.ndim == 3 else image[..., None]
    if image.shape[2] == 3 and segments.each == 4:  # WebP leaves out alpha that is opaque
        image = np.dstack([image, np.full(image.shape[:2], 255, image.dtype)])
    if image.shape[2] != segments.each:
        raise ValueError(f"a strip or tile has {image.shape[2]} channels")
    return image


def size_within(data: bytes) -> tuple[int, int]:
    """Width and height of a picture file inside a TIFF."""
    if data[:2] != b"\xff\xd8":
        header = header_of(io.BytesIO(data))
        return header.width_px, header.height_px
    at = 2
    while data[at : at + 1] == b"\xff" and at + 9 <= len(data):
        if data[at + 1] in START_OF_FRAME:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    raise ValueError("a strip or tile has no frame")


def fax(segments: Segments, data: bytes, rows: int) -> Samples:
    """A segment of a fax: (rows, columns, 1), 1 where there is a run of black."""
    columns = segments.size[1]
    match segments.compression:
        case 2:
            image = imagecodecs.ccittrle_decode(data, rows, columns)
        case 3:
            options = segments.page.number(Tag.T4_OPTIONS)
            image = imagecodecs.ccittfax3_decode(data, rows, columns, t4options=options)
        case _:
            image = imagecodecs.ccittfax4_decode(data, rows, columns)
    return np.asarray(image).reshape(rows, columns, 1)


def jpeg(segments: Segments, data: bytes) -> Samples:
    """A JPEG inside, with the tables that all of them share; YCbCr comes out as RGB."""
    page = segments.page
    photometric = page.number(Tag.PHOTOMETRIC)
    if segments.each == 3:
        space = ("ycbcr", "rgb") if photometric == 6 else ("rgb", "rgb")
    elif segments.each == 4:
        space = ("cmyk", "cmyk")
    else:
        space = ("grayscale", "grayscale")
    tables = page.content(Tag.JPEG_TABLES) or None
    result: Samples = imagecodecs.jpeg_decode(
        data,
        tables=tables,
        colorspace=space[0],
        outcolorspace=space[1],
        bitspersample=segments.bits,
    )
    return result


def unpredicted(segments: Segments, plain: bytes, shape: tuple[int, int, int]) -> Samples:
    """Samples of a segment's plain bytes, differences added up where a predictor left them."""
    predictor = segments.page.number(Tag.PREDICTOR, 1)
    if segments.compression == 1:
        predictor = 1
    if predictor == FLOATING_POINT and segments.bits == 24:
        return numbers(segments, joined_bytes(segments, plain, shape), shape)
    if predictor == FLOATING_POINT and segments.kind == FLOAT:
        raw = np.frombuffer(plain, f"=f{segments.bits // 8}").reshape(shape)
        result: Samples = imagecodecs.floatpred_decode(raw, axis=-2)
        return result
    samples = numbers(segments, plain, shape)
    if predictor == HORIZONTAL:
        if segments.bits not in (8, 16, 32, 64):
            raise UnsupportedKindError(f"a TIFF of differences of {segments.bits} bits")
        whole = samples.view(f"u{segments.bits // 8}")
        samples = imagecodecs.delta_decode(whole, axis=-2).view(samples.dtype)
    return samples


def joined_bytes(segments: Segments, plain: bytes, shape: tuple[int, int, int]) -> bytes:
    """24-bit floats of a row's highest bytes, middle bytes and lowest bytes, all as differences.

    Source: Adobe Photoshop TIFF technical note 3.
    """
    rows, columns, samples = shape
    changes = np.frombuffer(plain, np.uint8).reshape(rows, -1, samples)
    parts = np.cumsum(changes, axis=1, dtype=np.uint8).reshape(rows, 3, columns * samples)
    whole = parts if segments.page.order == ">" else parts[:, ::-1]
    return whole.swapaxes(1, 2).tobytes()


def numbers(segments: Segments, plain: bytes, shape: tuple[int, int, int]) -> Samples:
    """Plain bytes as numbers of the machine's order: (rows, columns, samples)."""
    bits, order = segments.bits, segments.page.order
    rows, columns, samples = shape
    if bits == 24 and segments.kind == FLOAT:
        floats: Samples = imagecodecs.float24_decode(plain, byteorder="<" if order == "<" else ">")
        return floats.reshape(shape)
    if bits in (8, 16, 32, 64):
        letter = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f"}[segments.kind]
        if bits == 8 and letter == "f":
            raise UnsupportedKindError("a TIFF of 8-bit floats")
        read = np.frombuffer(plain, f"{order}{letter}{bits // 8}").reshape(shape)
        return read.astype(read.dtype.newbyteorder("="), copy=False)
    if segments.kind != UNSIGNED:
        raise UnsupportedKindError(f"a TIFF of {bits}-bit floats or signed numbers")
    if bits < 16:
        kind = "u1" if bits <= 8 else ">u2"
        unpacked = imagecodecs.packints_decode(plain, kind, bits, runlen=columns * samples)
        return np.asarray(unpacked).astype(unpacked.dtype.newbyteorder("=")).reshape(shape)
    return wide_integers(plain, bits, order, (rows, columns * samples)).reshape(shape)


def wide_integers(plain: bytes, bits: int, order: str, shape: tuple[int, int]) -> Samples:
    """Integers of 17 to 63 bits: whole bytes in the file's order, else a stream of bits."""
    rows, count = shape
    raw = np.frombuffer(plain, np.uint8).reshape(rows, -1)
    if bits % 8 == 0:
        parts = raw.reshape(rows, count, bits // 8)
        parts = parts[..., ::-1] if order == "<" else parts
    else:
        stream = np.unpackbits(raw, axis=1)[:, : count * bits].reshape(rows, count, bits)
        padded = np.zeros((rows, count, -bits % 8), np.uint8)
        parts = np.packbits(np.concatenate([padded, stream], axis=2), axis=2)
    value = np.zeros((rows, count), np.uint64)
    for part in range(parts.shape[2]):
        value = value << np.uint64(8) | parts[..., part].astype(np.uint64)
    return value
