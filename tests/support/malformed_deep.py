"""Files that lie to the decoders of deep and newer formats: TIFF's packings, AVIF, JPEG 2000, JPEG
XL, PSD, and colour profiles. As `malformed`, of which this is the second half.
"""

import functools
import io
import itertools
import lzma
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from daemon.pictures.profiles import srgb_profile
from tests.support.malformed import (
    BOMB_BYTES,
    HEIGHT,
    LONG,
    SHORT,
    TAIL,
    WIDTH,
    Malformed,
    box,
    canvas,
    chunk,
    encoded,
    mutated,
    part,
    photograph,
    png,
    riff,
    segment,
    tiff,
    zeros_deflated,
)


def written(values: NDArray[Any], **options: Any) -> bytes:
    """A TIFF by tifffile."""
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


@functools.cache
def sound_deep_pictures(width: int = WIDTH, height: int = HEIGHT) -> dict[str, bytes]:
    """Small sound files of the kinds that are read without Pillow, or in more than 8 bits."""
    photo = np.asarray(photograph(width, height))
    deep = photo.astype(np.uint16) * 257
    floats = (photo / 255).astype(np.float32)
    planes = np.moveaxis(deep, -1, 0)
    rgb: dict[str, Any] = {"photometric": "rgb"}
    found = {
        "planes.tif": written(planes, **rgb, planarconfig="separate"),
        "floats.tif": written(floats, **rgb, compression="zlib", predictor=3),
        "big.tif": written(deep, **rgb, bigtiff=True, byteorder=">", iccprofile=srgb_profile()),
        "tiles.tif": written(deep, **rgb, tile=(16, 16), compression="zstd"),
        "lab.tif": written(photo, photometric="cielab", compression="lzma"),
        "rgb16.png": imagecodecs.png_encode(deep),
        "plain.avif": encoded(photograph(width, height), "AVIF", quality=50, speed=10),
        "deep.avif": imagecodecs.avif_encode(deep >> 6, bitspersample=10, level=50, speed=10),
        "plain.jp2": encoded(photograph(width, height), "JPEG2000"),
        "deep.jp2": imagecodecs.jpeg2k_encode(deep, level=0),
        "plain.jxl": imagecodecs.jpegxl_encode(photo, effort=1),
        "deep.jxl": imagecodecs.jpegxl_encode(deep, lossless=True, effort=1, usecontainer=True),
        "plain.psd": psd(),
    }
    for packing in ("lzw", "packbits", "webp", "jpegxl", "png", "jpeg"):
        found[f"{packing}.tif"] = written(photo, **rgb, compression=packing)
    return found


def deep_mutations(count: int) -> Iterator[Malformed]:
    """Damaged files of every such kind in turn; always the same ones."""
    chance = random.Random(1)
    sound = list(sound_deep_pictures().items())
    for index in range(count):
        name, whole = sound[index % len(sound)]
        kind, content = mutated(whole, chance)
        yield Malformed(f"deep-{index}-{kind}-{name}", content)


def crafted_deep() -> Iterator[Malformed]:
    """Headers and packings made to ask for what they must not get."""
    yield from crafted_packings()
    yield from crafted_psd()
    yield from crafted_jpeg_2000()
    yield from crafted_jpeg_xl()
    yield from crafted_avif()
    yield from crafted_profiles()
    yield from crafted_signals()


# TIFF


def crafted_packings() -> Iterator[Malformed]:
    """Strips that grow without end, and samples of all kinds that are none."""
    block = bytes(BOMB_BYTES)
    bombs = {
        8: zeros_deflated(BOMB_BYTES),
        32946: zeros_deflated(BOMB_BYTES),
        34925: lzma.compress(block, preset=0),
        50000: imagecodecs.zstd_encode(block),
        5: imagecodecs.lzw_encode(bytes(1 << 20)),
        32773: imagecodecs.packbits_encode(bytes(1 << 20)),
    }
    for compression, bomb in bombs.items():
        changes = {259: (SHORT, 1, compression), 279: (LONG, 1, len(bomb))}
        yield Malformed(f"bomb-{compression}.tif", tiff(changes, tail=bytes(bomb)))
        tiles = {322: (LONG, 1, 16), 323: (LONG, 1, 16), 324: (LONG, 12, TAIL), 325: (LONG, 12, 8)}
        yield Malformed(f"tiles-{compression}.tif", tiff({**changes, **tiles}, tail=bytes(bomb)))
    for bits, kind, samples in itertools.product(
        (0, 1, 7, 24, 31, 33, 64, 255, 65535), (0, 1, 2, 3, 5, 9), (1, 4, 9, 65535)
    ):
        changes = {258: (SHORT, 1, bits), 339: (SHORT, 1, kind), 277: (SHORT, 1, samples)}
        yield Malformed(f"of-{bits}-{kind}-{samples}.tif", tiff(changes))
    for compression in (*range(12), 32766, 32809, 34676, 34677, 34712, 34887, 34892, 34933, 50001):
        for photometric in (0, 2, 3, 5, 6, 8, 9, 10, 32803, 32844, 32845, 34892, 65535):
            changes = {259: (SHORT, 1, compression), 262: (SHORT, 1, photometric)}
            yield Malformed(f"packed-{compression}-{photometric}.tif", tiff(changes))
    for predictor in (0, 2, 3, 34892, 65535):
        changes = {317: (SHORT, 1, predictor), 259: (SHORT, 1, 8), 339: (SHORT, 1, 3)}
        tail = zlib.compress(bytes(WIDTH * HEIGHT * 4))
        for bits in (8, 12, 16, 24, 32):
            content = tiff({**changes, 258: (SHORT, 1, bits)}, tail=tail + bytes(WIDTH * HEIGHT))
            yield Malformed(f"predicted-{predictor}-{bits}.tif", content)
    for across, down in itertools.product((0, 1, 2, 4, 255, 65535), repeat=2):
        changes = {
            262: (SHORT, 1, 6),
            277: (SHORT, 1, 3),
            530: (SHORT, 2, across | down << 16),
        }
        yield Malformed(
            f"coarse-{across}-{down}.tif", tiff(changes, tail=bytes(9 * WIDTH * HEIGHT))
        )
    yield Malformed("sub-pages-loop.tif", tiff({330: (LONG, 1, 8)}))
    yield Malformed("sub-pages-many.tif", tiff({330: (LONG, 50_000, TAIL)}, tail=bytes(400_000)))
    yield Malformed("palette-short.tif", tiff({262: (SHORT, 1, 3), 320: (SHORT, 3, TAIL)}))


# Photoshop


def psd(
    width: int = WIDTH,
    height: int = HEIGHT,
    *,
    version: int = 1,
    channels: int = 3,
    bits: int = 8,
    mode: int = 3,
    sections: bytes = bytes(12),
    packing: int = 1,
    row_bytes: int = 4,
) -> bytes:
    """A Photoshop document of which each row is a few runs of zeros."""
    head = struct.pack(">4sH6xHIIHH", b"8BPS", version, channels, height, width, bits, mode)
    rows = min(channels * height, 1 << 12)
    row = bytes(imagecodecs.packbits_encode(bytes(WIDTH)))
    lengths = struct.pack(">H", max(row_bytes, len(row))) * rows
    return head + sections + struct.pack(">H", packing) + lengths + row * rows


def crafted_psd() -> Iterator[Malformed]:
    for what, width, height in (
        ("most", 300_000, 300_000),
        ("beyond", 0xFFFFFFFF, 0xFFFFFFFF),
        ("nothing", 0, 0),
        ("just-over", 1001, 1000),
        ("wide", 62_000, 16),
        ("larger", 900, 900),
    ):
        for version in (1, 2):
            yield Malformed(f"{what}-{version}.psd", psd(width, height, version=version))
    for bits, mode, channels in itertools.product(
        (0, 1, 8, 16, 32), range(12), (0, 1, 3, 56, 65535)
    ):
        name = f"of-{bits}-{mode}-{channels}.psd"
        yield Malformed(name, psd(bits=bits, mode=mode, channels=channels))
    for packing in (0, 1, 2, 3, 65535):
        yield Malformed(f"packed-{packing}.psd", psd(packing=packing))
    for at in (0, 4, 8):
        for length in (1, 0x7FFFFFFF, 0xFFFFFFFF):
            sections = bytes(at) + struct.pack(">I", length) + bytes(8 - at)
            yield Malformed(f"section-{at}-{length}.psd", psd(sections=sections))
    resources = b"8BIM\x04\x0f\xff" + b"8BIM\x04\x0f\0\0\xff\xff\xff\xff" * 1000
    sections = bytes(4) + struct.pack(">I", len(resources)) + resources + bytes(4)
    yield Malformed("resources.psd", psd(sections=sections))
    yield Malformed("rows-long.psd", psd(row_bytes=65535))


# JPEG 2000


def crafted_jpeg_2000() -> Iterator[Malformed]:
    """A codestream's SIZ with every number it has made great, small and nothing."""
    whole = encoded(photograph(), "JPEG2000")
    start = whole.index(b"\xff\x4f\xff\x51")
    for bare in (False, True):
        content = whole[start:] if bare else whole
        siz = content.index(b"\xff\x51") + 4
        for field, value in itertools.product(range(8), (0, 1, 0x7FFFFFFF, 0xFFFFFFFF)):
            at = siz + 2 + 4 * field
            changed = content[:at] + struct.pack(">I", value) + content[at + 4 :]
            yield Malformed(f"siz-{field}-{value}-{bare}.jp2", changed)
        for count in (0, 1, 4, 255, 16384, 65535):
            at = siz + 34
            changed = content[:at] + struct.pack(">H", count) + content[at + 2 :]
            yield Malformed(f"components-{count}-{bare}.jp2", changed)
        for depth in (0, 0x0B, 0x25, 0x7F, 0x80, 0xFF):
            at = siz + 36
            changed = content[:at] + bytes([depth]) + content[at + 1 :]
            yield Malformed(f"depth-{depth}-{bare}.jp2", changed)
    for kind in (b"jp2h", b"ihdr", b"colr", b"jp2c"):
        at = whole.index(kind) - 4
        for length in (0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF):
            changed = whole[:at] + struct.pack(">I", length) + whole[at + 4 :]
            yield Malformed(f"{kind.decode()}-of-{length}.jp2", changed)
    yield Malformed("boxes.jp2", whole[:32] + box(b"free", b"") * 20_000 + whole[32:])


# JPEG XL


def crafted_jpeg_xl() -> Iterator[Malformed]:
    bare = imagecodecs.jpegxl_encode(np.asarray(photograph()), effort=1, usecontainer=False)
    for at in range(2, 24):
        for value in (0x00, 0x55, 0xFF):
            yield Malformed(f"head-{at}-{value}.jxl", bare[:at] + bytes([value]) + bare[at + 1 :])
    start = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    for length in (0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Malformed(f"stream-of-{length}.jxl", start + box(b"jxlc", bare, length))
        yield Malformed(
            f"exif-of-{length}.jxl", start + box(b"Exif", b"", length) + box(b"jxlc", bare)
        )
    yield Malformed("boxes.jxl", start + box(b"free", b"") * 20_000 + box(b"jxlc", bare))
    yield Malformed("parts.jxl", start + box(b"jxlp", bytes(4) + bare[:9]) * 5000)
    yield Malformed("no-stream.jxl", start)


# AVIF


def crafted_avif() -> Iterator[Malformed]:
    whole = encoded(photograph(), "AVIF", quality=50, speed=10)
    for name in (b"iloc", b"iinf", b"ipco", b"ipma", b"av1C", b"ispe", b"pixi", b"pitm", b"mdat"):
        start = whole.find(name)
        label = name.decode()
        for what, filling in (("zeros", bytes(12)), ("ones", b"\xff" * 12)):
            for ahead in (4, 8, 16, 28):
                at = start + ahead
                content = whole[:at] + filling + whole[at + len(filling) :]
                yield Malformed(f"{label}-{what}-at-{ahead}.avif", content)
        yield Malformed(f"{label}-lost.avif", whole[:start] + b"free" + whole[start + 4 :])
    at = whole.index(b"ispe") + 8
    for side in (0, 16, 900, 0x7FFFFFFF, 0xFFFFFFFF):
        size = struct.pack(">II", side, side)
        yield Malformed(f"size-{side}.avif", whole[:at] + size + whole[at + 8 :])


# Colours


def broken_profiles() -> Iterator[tuple[str, bytes]]:
    """Profiles that claim tables, tags and sizes that they have not."""
    sound = srgb_profile()
    yield "tags", sound[:128] + b"\xff" * 4 + sound[132:]
    yield "size", b"\xff" * 4 + sound[4:]
    yield "short", sound[:140]
    for channels, grid in ((3, 255), (4, 255), (15, 255), (4, 33)):
        table = struct.pack(">4s4x4B", b"mft2", channels, 3, grid, 0) + bytes(60)
        head = bytearray(sound[:128])
        head[12:24] = b"prtr" + (b"CMYK" if channels == 4 else b"RGB ") + b"Lab "
        tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
        yield f"table-{channels}-{grid}", bytes(head) + tags + table
    for at in range(128, len(sound), 4):
        yield f"at-{at}", sound[:at] + b"\xff" * 4 + sound[at + 4 :]
    for space in (b"GRAY", b"CMYK", b"Lab ", b"XYZ ", b"6CLR", b"\xff" * 4):
        yield f"of-{space.hex()}", sound[:16] + space + sound[20:]


def crafted_profiles() -> Iterator[Malformed]:
    whole = encoded(photograph(), "JPEG")
    small = encoded(photograph(), "WEBP")[12:]
    for what, profile in broken_profiles():
        packed = b"k\0\0" + zlib.compress(profile)
        yield Malformed(f"profile-{what}.png", png(chunk(b"iCCP", packed), depth=(16, 0)))
        tail = profile + bytes(WIDTH * HEIGHT)
        yield Malformed(f"profile-{what}.tif", tiff({34675: (7, len(profile), TAIL)}, tail=tail))
        inside = segment(0xE2, b"ICC_PROFILE\0\1\1" + profile)
        yield Malformed(f"profile-{what}.jpg", whole[:2] + inside + whole[2:])
        body = riff(canvas(WIDTH, HEIGHT, 0x20), part(b"ICCP", profile), small)
        yield Malformed(f"profile-{what}.webp", body)


def crafted_signals() -> Iterator[Malformed]:
    """PNG's colour chunks with every kind of nonsense."""
    for code in itertools.product((0, 2, 9, 12, 255), (0, 13, 16, 18, 255), (0, 1), (0, 1)):
        name = "-".join(map(str, code))
        yield Malformed(f"cicp-{name}.png", png(chunk(b"cICP", bytes(code)), depth=(16, 0)))
    for gamma, points in itertools.product(
        (0, 1, 45455, 100_000, 0xFFFFFFFF), (bytes(32), b"\xff" * 32, struct.pack(">I", 33_000) * 8)
    ):
        chunks = chunk(b"gAMA", struct.pack(">I", gamma)), chunk(b"cHRM", points)
        yield Malformed(f"gamma-{gamma}-{points[:1].hex()}.png", png(*chunks))
