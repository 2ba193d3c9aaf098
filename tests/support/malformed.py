"""Files that lie: pictures and YAML made to confuse what reads them, each with a name.

The builders write only the bytes a case is about, so that a case says what it lies about.
"""

import functools
import io
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import skimage.data
from PIL import Image, ImageCms, PngImagePlugin
from pillow_heif import register_heif_opener

from daemon.pictures.formats import FORMAT_OF_SUFFIX

WIDTH, HEIGHT = 64, 48
BOMB_BYTES = 64 << 20
LONG, SHORT, ASCII, BYTE, RATIONAL, DOUBLE, IFD = 4, 3, 2, 1, 5, 12, 13
FOREIGN = {
    "empty": b"",
    "one-byte": b"\xff",
    "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20,
    "text": b"The sea was grey that day.\n" * 50,
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9e9"/>',
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999 9999\nshowpage\n",
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(40),
    "pixmap": b"P6 64 48 255\n" + bytes(3 * WIDTH * HEIGHT),
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
}


@dataclass(frozen=True)
class Malformed:
    """A file that is wrong: its name, which says how, and its content."""

    name: str
    content: bytes


@functools.cache
def photograph(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A real photograph of the given size, RGB."""
    return Image.fromarray(skimage.data.astronaut()).resize((width, height))


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """The bytes of a sound picture file."""
    register_heif_opener()
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@functools.cache
def sound_pictures() -> dict[str, bytes]:
    """One or more small sound files of every format, with as many kinds of metadata as it has."""
    photo = photograph()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    exif.get_ifd(0x8769)[0x9003] = "2024:02:29 12:00:00"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "grey sea", zip=True)
    text.add_itxt("Title", "See", "de", "Titel", zip=True)
    notes: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    frames = {"save_all": True, "append_images": [photograph().rotate(90), photograph()]}
    return {
        "plain.jpg": encoded(photo, "JPEG", **notes),
        "progressive.jpeg": encoded(photo, "JPEG", progressive=True, comment=b"grey sea"),
        "cmyk.jpg": encoded(photo.convert("CMYK"), "JPEG", dpi=(300, 300)),
        "plain.png": encoded(photo, "PNG", pnginfo=text, **notes),
        "palette.png": encoded(photo.convert("P"), "PNG", transparency=3),
        "deep.png": encoded(photo.convert("I;16"), "PNG"),
        "moving.png": encoded(photo, "PNG", **frames),
        "plain.webp": encoded(photo, "WEBP", **notes),
        "lossless.webp": encoded(photo.convert("RGBA"), "WEBP", lossless=True, method=0),
        "moving.webp": encoded(photo, "WEBP", method=0, **frames),
        "plain.tif": encoded(photo, "TIFF", icc_profile=profile),
        "deflated.tiff": encoded(photo, "TIFF", compression="tiff_adobe_deflate"),
        "lzw.tif": encoded(photo.convert("P"), "TIFF", compression="tiff_lzw"),
        "jpeg.tif": encoded(photo, "TIFF", compression="jpeg"),
        "fax.tif": encoded(photo.convert("1"), "TIFF", compression="group4"),
        "pages.tif": encoded(photo, "TIFF", compression="packbits", **frames),
        "plain.bmp": encoded(photo, "BMP"),
        "palette.bmp": encoded(photo.convert("P"), "BMP"),
        "plain.gif": encoded(photo, "GIF", comment=b"grey sea"),
        "moving.gif": encoded(photo, "GIF", **frames),
        "plain.heic": encoded(photo, "HEIF", quality=50, **notes),
        "plain.heif": encoded(photo.convert("RGBA"), "HEIF", quality=50),
    }


def mutated(whole: bytes, chance: random.Random) -> tuple[str, bytes]:
    """A file damaged in one of the ways that disks, networks and people damage files."""
    damaged = bytearray(whole)
    kind = chance.choice(("cut", "flipped", "header", "hole", "doubled", "missing", "garbage"))
    start = chance.randrange(len(damaged))
    end = min(len(damaged), start + chance.choice((1, 4, 64, 512)))
    match kind:
        case "cut":
            del damaged[start:]
        case "flipped":
            for _ in range(chance.choice((1, 3, 20))):
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        case "header":  # where lengths, sizes and offsets stand
            for _ in range(chance.choice((1, 2, 4))):
                at = chance.randrange(min(len(damaged), 256))
                damaged[at : at + 4] = chance.choice((b"\0\0\0\0", b"\xff" * 4, b"\x7f\xff", b"\1"))
        case "hole":
            damaged[start:end] = bytes(end - start)
        case "doubled":
            damaged[start:start] = damaged[start:end] * chance.choice((1, 2, 50))
        case "missing":
            del damaged[start:end]
        case _:
            damaged += chance.randbytes(chance.choice((1, 100, 10_000)))
    return kind, bytes(damaged)


def mutations(count: int) -> Iterator[Malformed]:
    """Damaged files of every format in turn; always the same ones."""
    chance = random.Random(0)
    sound = list(sound_pictures().items())
    for index in range(count):
        name, whole = sound[index % len(sound)]
        kind, content = mutated(whole, chance)
        yield Malformed(f"{index}-{kind}-{name}", content)


def misnamed() -> Iterator[Malformed]:
    """What is no picture by a picture's name, and one picture by another's; all suffixes."""
    sound = sound_pictures()
    for suffix in FORMAT_OF_SUFFIX:
        for what, content in FOREIGN.items():
            yield Malformed(f"{what}{suffix}", content)
        for name, content in sound.items():
            if not name.endswith(suffix):
                yield Malformed(f"{name}{suffix}", content)
                yield Malformed(f"head-of-{name}{suffix}", content[:16] + FOREIGN["text"])


def crafted() -> Iterator[Malformed]:
    """Every format's headers and metadata made to ask for what they must not get."""
    yield from crafted_png()
    yield from crafted_jpeg()
    yield from crafted_tiff()
    yield from crafted_gif()
    yield from crafted_bmp()
    yield from crafted_webp()
    yield from crafted_heic()


# PNG


def chunk(kind: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """A PNG chunk; `length` to lie about it."""
    size = len(body) if length is None else length
    return struct.pack(">I", size) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    *chunks: bytes,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    depth: tuple[int, int] = (8, 0),
    after: bytes = b"",
    rest: bytes = b"",
) -> bytes:
    """A grey PNG with chunks before and after its pixels, and `rest` inside their stream."""
    header = struct.pack(">IIBBBBB", *size, *depth, 0, 0, 0)
    pixels = zlib.compress(bytes((WIDTH + 1) * HEIGHT) + rest)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunks)
        + chunk(b"IDAT", pixels)
        + after
        + chunk(b"IEND")
    )


def zeros_deflated(count: int) -> bytes:
    """Very many zeros in very few bytes."""
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    return b"".join([*(packer.compress(block) for _ in range(count >> 20)), packer.flush()])


def crafted_png() -> Iterator[Malformed]:
    bomb = zeros_deflated(BOMB_BYTES)
    million = zlib.compress(bytes(1_000_000))
    texts = b"".join(chunk(b"zTXt", b"k%d\0\0" % index + million) for index in range(80))
    loop = looping_exif()
    frame = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 1, 0, 0)
    wide_frame = struct.pack(">IIIIIHHBB", 0, 0x7FFFFFFF, 0x7FFFFFFF, 9, 9, 0, 0, 9, 9)
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">I", 2 * index) + frame[4:])
        + chunk(b"fdAT", struct.pack(">I", 2 * index + 1) + million)
        for index in range(100)
    )
    for what, width, height in (
        ("most", 0x7FFFFFFF, 0x7FFFFFFF),
        ("beyond", 0xFFFFFFFF, 0xFFFFFFFF),
        ("wide", 0x7FFFFFFF, 16),
        ("high", 16, 0x7FFFFFFF),
        ("nothing", 0, 0),
        ("no-height", WIDTH, 0),
        ("just-over", 1001, 1000),
        ("no-width", 0, 0x7FFFFFFF),
    ):
        yield Malformed(f"{what}-ihdr.png", png(size=(width, height)))
    for depth in (0, 1, 3, 16, 255):
        for colour in (0, 1, 2, 3, 6, 255):
            yield Malformed(f"depth-{depth}-colour-{colour}.png", png(depth=(depth, colour)))
    yield Malformed("ztxt-bomb.png", png(chunk(b"zTXt", b"k\0\0" + bomb)))
    yield Malformed("ztxt-bomb-after.png", png(after=chunk(b"zTXt", b"k\0\0" + bomb)))
    yield Malformed("ztxt-many.png", png(texts))
    yield Malformed("ztxt-many-after.png", png(after=texts))
    yield Malformed("itxt-bomb.png", png(chunk(b"iTXt", b"k\0\1\0\0\0" + bomb)))
    yield Malformed("itxt-huge.png", png(chunk(b"iTXt", b"k\0\0\0\0\0" + bytes(8 << 20))))
    yield Malformed("text-huge.png", png(chunk(b"tEXt", b"k\0" + bytes(8 << 20))))
    yield Malformed("text-many.png", png(chunk(b"tEXt", b"k\0v") * 20_000))
    yield Malformed("iccp-bomb.png", png(chunk(b"iCCP", b"k\0\0" + bomb)))
    yield Malformed("iccp-zeros.png", png(chunk(b"iCCP", b"k\0\0" + million)))
    yield Malformed("iccp-twice.png", png(chunk(b"iCCP", b"k\0\0" + million) * 20))
    yield Malformed("iccp-short.png", png(chunk(b"iCCP", b"k")))
    yield Malformed("pixels-bomb.png", png(rest=bytes(BOMB_BYTES)))
    yield Malformed("exif-loop.png", png(chunk(b"eXIf", loop)))
    yield Malformed("exif-rubbish.png", png(chunk(b"eXIf", b"MM\0*" + b"\xff" * 300)))
    yield Malformed("exif-hex.png", png(chunk(b"tEXt", b"Raw profile type exif\0\n\n\nzz\n")))
    yield Malformed(
        "xmp-orientation.png",
        png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b'tiff:Orientation="9"' * 1000)),
    )
    yield Malformed("frames-claimed.png", png(chunk(b"acTL", b"\x7f\xff\xff\xff\0\0\0\0")))
    yield Malformed("frames-none.png", png(chunk(b"acTL", bytes(8)), chunk(b"fcTL", frame)))
    yield Malformed(
        "frames-many.png", png(chunk(b"acTL", struct.pack(">II", 100, 0)), after=frames)
    )
    yield Malformed(
        "frame-huge.png", png(chunk(b"acTL", b"\0\0\0\2" * 2), chunk(b"fcTL", wide_frame))
    )
    yield Malformed("frame-short.png", png(chunk(b"acTL", b"\0\0\0\2" * 2), chunk(b"fcTL", b"\0")))
    yield Malformed("chunk-endless.png", png(chunk(b"tEXt", b"k\0v", length=0xFFFFFFFF)))
    yield Malformed("chunk-most.png", png(chunk(b"IDAT", b"v", length=0x7FFFFFFF)))
    yield Malformed("chunks-empty.png", png(chunk(b"abCd") * 20_000))
    yield Malformed("chunk-unnamed.png", png(chunk(b"\0\0\0\0", b"v")))
    for kind in (b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"IDAT", b"IHDR", b"fdAT"):
        name = kind.decode()
        yield Malformed(f"{name}-empty.png", png(chunk(kind)))
        yield Malformed(f"{name}-short.png", png(chunk(kind, b"\1")))
        yield Malformed(f"{name}-ones.png", png(chunk(kind, b"\xff" * 800), depth=(8, 3)))
    yield Malformed("no-end.png", png()[:-12])
    yield Malformed("no-pixels.png", png()[:33] + chunk(b"IEND"))
    yield Malformed("tail.png", png() + FOREIGN["html"] * 1000)
    yield Malformed("two-in-one.png", png() + png())


# TIFF, and EXIF, which is one inside


def directory(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """A TIFF directory: entries as tag, type, count, value; then where the next one lies."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", following)


def tiff(
    changes: dict[int, tuple[int, int, int] | None] | None = None,
    *,
    following: int = 0,
    tail: bytes = bytes(WIDTH * HEIGHT),
) -> bytes:
    """A grey TIFF with some tags changed to type, count and value, or left out.

    The pixels, or `tail`, lie at the value that TAIL stands for.
    """
    fields: dict[int, tuple[int, int, int] | None] = {
        256: (LONG, 1, WIDTH),
        257: (LONG, 1, HEIGHT),
        258: (SHORT, 1, 8),
        259: (SHORT, 1, 1),
        262: (SHORT, 1, 1),
        273: (LONG, 1, TAIL),
        277: (SHORT, 1, 1),
        278: (LONG, 1, HEIGHT),
        279: (LONG, 1, WIDTH * HEIGHT),
    }
    fields |= changes or {}
    kept = [(tag, *field) for tag, field in sorted(fields.items()) if field is not None]
    tail_at = 8 + 2 + 12 * len(kept) + 4
    entries = [
        (tag, kind, count, tail_at + value - TAIL if TAIL <= value < TAIL + (1 << 20) else value)
        for tag, kind, count, value in kept
    ]
    return b"II*\0" + struct.pack("<I", 8) + directory(entries, following) + tail


TAIL = 0x60000000
TAGS = (
    254,
    256,
    257,
    258,
    259,
    262,
    266,
    270,
    273,
    274,
    277,
    278,
    279,
    282,
    284,
    296,
    305,
    317,
    320,
    322,
    323,
    324,
    325,
    330,
    338,
    339,
    347,
    530,
    532,
    700,
    33432,
    34377,
    34665,
    34675,
    34853,
    48129,
)
"""The tags that readers look at: sizes, layout, colour, orientation, notes, directories."""


def looping_exif() -> bytes:
    """EXIF whose directories all lead back to the first."""
    pointers = [(tag, LONG, 1, 8) for tag in (0x014A, 0x8769, 0x8825, 0xA005)]
    return b"II*\0" + struct.pack("<I", 8) + directory([(0x0112, SHORT, 1, 6), *pointers], 8)


def odd_exif() -> Iterator[tuple[str, bytes]]:
    """EXIF blocks, each wrong in another way."""
    head = b"II*\0" + struct.pack("<I", 8)
    yield "loop", looping_exif()
    yield "endless", head + directory([(0x0112, SHORT, 0xFFFFFFFF, 8)])
    yield "many", head + directory([(tag, LONG, 1, 8) for tag in range(4000)], 8)
    yield "count", head + b"\xff\xff"
    yield "nowhere", b"II*\0\xff\xff\xff\xff"
    yield "no-order", b"XX*\0\0\0\0\x08"
    yield "big", b"II+\0\x08\0\0\0" + b"\xff" * 16
    for kind in range(20):
        yield f"orientation-of-type-{kind}", head + directory([(0x0112, kind, 1, 6)])
        yield f"pointer-of-type-{kind}", head + directory([(0x8769, kind, 1, 8)])
    for value in (0, 9, 0xFFFFFFFF):
        yield f"orientation-{value}", head + directory([(0x0112, LONG, 1, value)])
    # Rationals that divide by zero, where a reader wants the resolution.
    yield "by-zero", head + directory([(282, RATIONAL, 1, 26), (296, SHORT, 1, 2)]) + bytes(64)
    chain = b"".join(
        directory([(0x8769, LONG, 1, 8 + 18 * (index + 1))], 8 + 18 * (index + 1))
        for index in range(2000)
    )
    yield "chain", head + chain


def crafted_tiff() -> Iterator[Malformed]:
    for what, width, height in (
        ("most", 0xFFFFFFFF, 0xFFFFFFFF),
        ("half", 0x7FFFFFFF, 0x7FFFFFFF),
        ("nothing", 0, 0),
        ("wide", 0x7FFFFFFF, 16),
        ("high", 16, 0x7FFFFFFF),
        ("just-over", 1001, 1000),
    ):
        size: dict[int, tuple[int, int, int] | None] = {
            256: (LONG, 1, width),
            257: (LONG, 1, height),
        }
        yield Malformed(f"{what}-size.tif", tiff(size))
        for way in (5, 7, 8, 50000, 65535):
            yield Malformed(f"{what}-size-packed-{way}.tif", tiff(size | {259: (SHORT, 1, way)}))
    for tag in TAGS:
        yield Malformed(f"without-{tag}.tif", tiff({tag: None}))
        for kind, count, value in (
            (LONG, 1, 0),
            (LONG, 1, 0xFFFFFFFF),
            (SHORT, 2, 0x00080008),
            (ASCII, 4, 0x41414141),
            (RATIONAL, 1, TAIL),
            (DOUBLE, 3, TAIL),
            (BYTE, 0, 0),
            (LONG, 0, 0),
            (SHORT, 65535, TAIL),
            (LONG, 0x7FFFFFFF, TAIL),
            (IFD, 1, 8),
            (LONG, 700, TAIL),
            (99, 1, 1),
        ):
            name = f"tag-{tag}-type-{kind}-count-{count}-value-{value:x}.tif"
            yield Malformed(name, tiff({tag: (kind, count, value)}))
    for way in (2, 3, 4, 5, 6, 7, 8, 32773, 32809, 32946, 34676, 34677, 34712, 34925, 50000, 50001):
        for what, tail in (("zeros", bytes(4000)), ("ones", b"\xff" * 4000), ("nothing", b"")):
            yield Malformed(f"packed-{way}-{what}.tif", tiff({259: (SHORT, 1, way)}, tail=tail))
    side = 16_384
    yield Malformed("tile-bomb.tif", deflated_tile(side, zeros_deflated(side * side)))
    yield Malformed("tile-claimed.tif", deflated_tile(65_536, zlib.compress(bytes(100))))
    yield Malformed("tile-most.tif", deflated_tile(0x7FFFFFF0, zlib.compress(bytes(100))))
    many = struct.pack("<I", 8) * 200_000
    table: dict[int, tuple[int, int, int] | None] = {
        273: None,
        278: None,
        279: None,
        322: (LONG, 1, 16),
        323: (LONG, 1, 16),
        324: (LONG, 200_000, TAIL),
        325: (LONG, 200_000, TAIL),
    }
    for way in (1, 5, 8):
        yield Malformed(f"tile-table-{way}.tif", tiff(table | {259: (SHORT, 1, way)}, tail=many))
        strips = {273: (LONG, 200_000, TAIL), 278: (LONG, 1, 1), 259: (SHORT, 1, way)}
        yield Malformed(f"strip-table-{way}.tif", tiff({**strips}, tail=many))
    yield Malformed("next-is-itself.tif", tiff(following=8))
    yield Malformed("next-is-nowhere.tif", tiff(following=0xFFFFFFFF))
    for tag in (330, 34665, 34853, 40965):
        yield Malformed(f"directory-{tag}-is-itself.tif", tiff({tag: (LONG, 1, 8)}))
        yield Malformed(
            f"directory-{tag}-many.tif", tiff({tag: (LONG, 700, TAIL)}, tail=many[:9000])
        )
    page = encoded(photograph(16, 16), "TIFF")
    pages = [photograph(16, 16)] * 100
    yield Malformed("pages.tif", encoded(pages[0], "TIFF", save_all=True, append_images=pages))
    yield Malformed("tail.tif", page + FOREIGN["html"] * 1000)
    for at in (8, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        yield Malformed(f"big-{at:x}.tif", struct.pack("<2sHHHQ", b"II", 43, 8, 0, at) + page[8:])
    for count in (1, 0x7FFF, (1 << 60), (1 << 64) - 1):
        entries = struct.pack("<QHHQQ", 1, 256, 4, count, (1 << 63) - 1)
        content = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + entries + bytes(8)
        yield Malformed(f"big-count-{count:x}.tif", content)
        content = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, count) + bytes(100)
        yield Malformed(f"big-entries-{count:x}.tif", content)


def deflated_tile(side: int, packed: bytes) -> bytes:
    """A small grey TIFF in one tile that is very much larger than the picture."""
    return tiff(
        {
            259: (SHORT, 1, 8),
            273: None,
            278: None,
            279: None,
            322: (LONG, 1, side),
            323: (LONG, 1, side),
            324: (LONG, 1, TAIL),
            325: (LONG, 1, len(packed)),
        },
        tail=packed,
    )


# JPEG


def segment(marker: int, body: bytes = b"", length: int | None = None) -> bytes:
    """A JPEG segment; `length` to lie about it."""
    size = len(body) + 2 if length is None else length
    return struct.pack(">BBH", 0xFF, marker, size) + body


def jpeg_with_exif(exif: bytes) -> bytes:
    """A sound JPEG that says this of itself."""
    whole = sound_pictures()["plain.jpg"]
    return whole[:2] + segment(0xE1, b"Exif\0\0" + exif[:65_000]) + whole[2:]


def crafted_jpeg() -> Iterator[Malformed]:
    whole = encoded(photograph(), "JPEG")
    frame = whole.index(b"\xff\xc0")
    scan = whole.index(b"\xff\xda")

    def with_segments(*segments: bytes) -> bytes:
        return whole[:2] + b"".join(segments) + whole[2:]

    for what, width, height in (
        ("most", 65535, 65535),
        ("nothing", 0, 0),
        ("no-height", WIDTH, 0),
        ("wide", 65535, 16),
        ("just-over", 1001, 1000),
        ("larger", 900, 900),
    ):
        size = struct.pack(">HH", height, width)
        yield Malformed(f"{what}-frame.jpg", whole[: frame + 5] + size + whole[frame + 9 :])
        second = whole[frame : frame + 5] + size + whole[frame + 9 : scan]
        yield Malformed(f"{what}-second-frame.jpg", whole[:scan] + second + whole[scan:])
        yield Malformed(f"{what}-frame-after.jpg", whole[:-2] + second + whole[scan:])
    for precision in (0, 1, 12, 16, 255):
        content = whole[: frame + 4] + bytes([precision]) + whole[frame + 5 :]
        yield Malformed(f"precision-{precision}.jpg", content)
    for components in (0, 1, 2, 4, 255):
        content = whole[: frame + 9] + bytes([components]) + whole[frame + 10 :]
        yield Malformed(f"components-{components}.jpg", content)
    for marker in range(0xC0, 0xFF):
        yield Malformed(f"marker-{marker:x}-empty.jpg", with_segments(segment(marker)))
        yield Malformed(f"marker-{marker:x}-short.jpg", with_segments(segment(marker, length=0)))
        yield Malformed(
            f"marker-{marker:x}-ones.jpg", with_segments(segment(marker, b"\xff" * 200))
        )
        yield Malformed(f"marker-{marker:x}-long.jpg", with_segments(segment(marker, length=65535)))
    for what, exif in odd_exif():
        content = with_segments(segment(0xE1, b"Exif\0\0" + exif[:65_000]))
        yield Malformed(f"exif-{what}.jpg", content)
    profile = b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes([index, 255]) + bytes(65_000))
        for index in range(1, 256)
    )
    yield Malformed("profile-huge.jpg", with_segments(profile))
    yield Malformed("profile-none.jpg", with_segments(segment(0xE2, b"ICC_PROFILE\0\0\0")))
    sound = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for at in range(0, len(sound), 16):
        broken = sound[:at] + b"\xff" * 4 + sound[at + 4 :]
        content = with_segments(segment(0xE2, b"ICC_PROFILE\0\1\1" + broken))
        yield Malformed(f"profile-broken-at-{at}.jpg", content)
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + b'tiff:Orientation="' * 3000
    yield Malformed("xmp.jpg", with_segments(segment(0xE1, xmp)))
    blocks = b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0\xff\xff\xff\xff" * 4000
    yield Malformed("photoshop.jpg", with_segments(segment(0xED, blocks)))
    yield Malformed("comments.jpg", with_segments(segment(0xFE, b"x" * 65_000) * 200))
    for what, entries in (
        ("many", [(0xB001, LONG, 1, 0xFFFFFFFF), (0xB002, 7, 16, 8)]),
        ("some", [(0xB001, LONG, 1, 2), (0xB002, 7, 40, 8)]),
        ("none", [(0xB001, LONG, 0, 0), (0xB002, 7, 16, 8)]),
        ("text", [(0xB001, ASCII, 4, 0x32323232), (0xB002, ASCII, 4, 8)]),
        ("alone", [(0xB002, 7, 40, 8)]),
    ):
        index = b"II*\0" + struct.pack("<I", 8) + directory(entries)
        yield Malformed(f"pictures-{what}.jpg", with_segments(segment(0xE2, b"MPF\0" + index)))
    yield Malformed("tail.jpg", whole + FOREIGN["html"] * 1000)
    yield Malformed("two-in-one.jpg", whole + whole)
    yield Malformed("fill.jpg", whole[:2] + b"\xff" * 1_000_000 + whole[2:])
    progressive = encoded(photograph(), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    yield Malformed("scans.jpg", progressive[:-2] + progressive[last:-2] * 500 + b"\xff\xd9")


# GIF


def gif(
    screen: tuple[int, int] = (WIDTH, HEIGHT),
    frame: tuple[int, int, int, int] = (0, 0, WIDTH, HEIGHT),
    *,
    before: bytes = b"",
    after: bytes = b";",
    code_bits: int = 2,
    codes: bytes = b"\x02\x44\x01\x00",
) -> bytes:
    """A GIF of four colours that has one frame, which ends at once."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x81, 0, 0) + bytes(12)
    body = b"," + struct.pack("<HHHHB", *frame, 0) + bytes([code_bits]) + codes
    return head + before + body + after


def crafted_gif() -> Iterator[Malformed]:
    whole = encoded(photograph(), "GIF")
    most = (0, 0, 65535, 65535)
    yield Malformed("screen-most.gif", gif((65535, 65535)))
    yield Malformed("frame-most.gif", gif(frame=most))
    yield Malformed("frame-outside.gif", gif(frame=(65535, 65535, 65535, 65535)))
    yield Malformed("both-most.gif", gif((65535, 65535), most))
    yield Malformed("just-over.gif", gif((1001, 1000)))
    yield Malformed("screen-nothing.gif", gif((0, 0), (0, 0, 0, 0)))
    yield Malformed("frame-nothing.gif", gif(frame=(0, 0, 0, 0)))
    for bits in (0, 1, 8, 12, 13, 255):
        for what, codes in (
            ("ones", b"\xff" + b"\xff" * 255 + b"\0"),
            ("zeros", b"\xff" + bytes(255) + b"\0"),
            ("none", b"\0"),
            ("cut", b"\xff\x01"),
            ("long", (b"\xff" + b"\xaa" * 255) * 500),
        ):
            yield Malformed(f"codes-{bits}-{what}.gif", gif(code_bits=bits, codes=codes))
    sizes = b"\xff" + b"x" * 255
    for label in (0x01, 0xF9, 0xFE, 0xFF, 0x00):
        start = bytes([0x21, label])
        yield Malformed(f"extension-{label:x}-cut.gif", gif(before=start))
        yield Malformed(f"extension-{label:x}-none.gif", gif(before=start + b"\0"))
        yield Malformed(f"extension-{label:x}-short.gif", gif(before=start + b"\x01x\0"))
        yield Malformed(f"extension-{label:x}-long.gif", gif(before=start + sizes * 20_000 + b"\0"))
        yield Malformed(f"extension-{label:x}-many.gif", gif(before=(start + b"\x01x\0") * 50_000))
    loops = b"!\xff\x0bNETSCAPE2.0\x03\x01\xff\xff\0"
    yield Malformed("loops.gif", gif(before=loops * 1000))
    frames = gif()[25:-1] * 5000
    yield Malformed("frames.gif", gif(after=frames + b";"))
    yield Malformed("no-end.gif", gif(after=b""))
    yield Malformed("rubbish.gif", gif(before=b"\xaa" * 100_000))
    yield Malformed("tail.gif", whole + FOREIGN["html"] * 1000)


# BMP


def bmp(
    width: int = WIDTH,
    height: int = HEIGHT,
    *,
    head_bytes: int = 40,
    planes: int = 1,
    depth: int = 8,
    packed: int = 0,
    colours: int = 256,
    at: int = 1078,
    pixels: bytes = bytes(WIDTH * HEIGHT),
) -> bytes:
    """A BMP in 256 greys."""
    head = struct.pack(
        "<IIIHHIIIIII",
        head_bytes,
        width & 0xFFFFFFFF,
        height & 0xFFFFFFFF,
        planes,
        depth,
        packed,
        0,
        0,
        0,
        colours,
        0,
    )
    greys = b"".join(bytes([value, value, value, 0]) for value in range(256))
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, at) + head + greys + pixels


def crafted_bmp() -> Iterator[Malformed]:
    for what, width, height in (
        ("most", 0x7FFFFFFF, 0x7FFFFFFF),
        ("least", -0x80000000, -0x80000000),
        ("beyond", 0xFFFFFFFF, 0xFFFFFFFF),
        ("nothing", 0, 0),
        ("no-height", WIDTH, 0),
        ("upside-down", WIDTH, -HEIGHT),
        ("mirrored", -WIDTH, HEIGHT),
        ("high", 16, 0x7FFFFFFF),
        ("just-over", 1001, 1000),
        ("wide", 0x7FFFFFFF, 16),
    ):
        for packed in (0, 1, 2, 3):
            name = f"{what}-packed-{packed}.bmp"
            yield Malformed(name, bmp(width, height, packed=packed))
    for depth in (0, 1, 2, 4, 16, 24, 32, 64, 65535):
        for packed in (0, 1, 2, 3, 4, 5, 6, 0xFFFFFFFF):
            yield Malformed(f"depth-{depth}-packed-{packed}.bmp", bmp(depth=depth, packed=packed))
    for size in (0, 1, 12, 16, 39, 41, 52, 56, 64, 108, 124, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Malformed(f"head-of-{size}.bmp", bmp(head_bytes=size))
    for colours in (0, 1, 2, 255, 257, 65536, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Malformed(f"colours-{colours}.bmp", bmp(colours=colours))
    for at in (0, 14, 54, 1_000_000, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Malformed(f"pixels-at-{at}.bmp", bmp(at=at))
    for packed in (1, 2):
        for what, pixels in (
            ("jumps", b"\0\2\xff\xff" * 50_000),
            ("lines", b"\0\0" * 200_000),
            ("runs", b"\xff\x01" * 200_000),
            ("ends", b"\0\1"),
            ("raw", b"\0\xff" * 50_000),
            ("nothing", b""),
            ("short-runs", b"\1\1" * 200_000),
        ):
            width, height = (62_000, 16) if what == "jumps" else (1000, 1000)
            name = f"runs-{packed}-{what}.bmp"
            yield Malformed(
                name, bmp(width, height, packed=packed, depth=8 // packed, pixels=pixels)
            )
    yield Malformed("tail.bmp", bmp() + FOREIGN["html"] * 1000)


# WebP


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    """A WebP file of some chunks; `size` to lie about their length."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def part(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    """A WebP chunk; `length` to lie about it."""
    size = len(body) if length is None else length
    return kind + struct.pack("<I", size) + body + b"\0" * (len(body) % 2)


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    """The chunk that gives an extended WebP its size and kinds of content."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return part(b"VP8X", bytes([flags, 0, 0, 0]) + sides)


def crafted_webp() -> Iterator[Malformed]:
    whole = encoded(photograph(), "WEBP")
    pixels = whole[12:]
    lossless = encoded(photograph(), "WEBP", lossless=True, method=0)[12:]
    animation = part(b"ANIM", b"\xff\xff\xff\xff\0\0")
    sides = (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")
    moving = part(b"ANMF", bytes(6) + sides + b"\x64\0\0\0" + pixels)
    for what, width, height in (
        ("most", 1 << 24, 1 << 24),
        ("under-limit", 65536, 65535),
        ("square", 16384, 16384),
        ("wide", 1 << 24, 16),
        ("just-over", 1001, 1000),
        ("larger", 900, 900),
        ("small", 16, 16),
    ):
        yield Malformed(f"{what}-canvas.webp", riff(canvas(width, height), pixels))
        still = riff(canvas(width, height, 2), animation, moving)
        yield Malformed(f"{what}-canvas-moving.webp", still)
    for side in (0, 1, 0x3FFF):
        lossy = pixels[:14] + struct.pack("<HH", side, side) + pixels[18:]
        yield Malformed(f"lossy-{side}.webp", riff(lossy))
        bits = struct.pack("<I", max(side - 1, 0) | max(side - 1, 0) << 14)
        yield Malformed(f"lossless-{side}.webp", riff(lossless[:9] + bits + lossless[13:]))
    yield Malformed("frames.webp", riff(canvas(WIDTH, HEIGHT, 2), animation, moving * 1000))
    yield Malformed("no-frames.webp", riff(canvas(WIDTH, HEIGHT, 2), animation))
    flags = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
    for kind, flag in flags.items():
        name = kind.decode().strip()
        start = canvas(WIDTH, HEIGHT, flag)
        for what, body in (("huge", bytes(4 << 20)), ("none", b""), ("ones", b"\xff" * 500)):
            one = part(kind, body)
            yield Malformed(f"{name}-{what}.webp", riff(start, one, pixels))
            yield Malformed(f"{name}-{what}-after.webp", riff(start, pixels, one))
        yield Malformed(f"{name}-endless.webp", riff(start, part(kind, b"x", 0xFFFFFFF0), pixels))
    for what, exif in odd_exif():
        yield Malformed(
            f"exif-{what}.webp", riff(canvas(WIDTH, HEIGHT, 8), pixels, part(b"EXIF", exif))
        )
    for size in (0, 4, 12, 0xFFFFFFF6, 0xFFFFFFFF):
        yield Malformed(f"length-{size}.webp", riff(pixels, size=size))
    yield Malformed("parts.webp", riff(canvas(WIDTH, HEIGHT), part(b"abcd", b"") * 50_000, pixels))
    yield Malformed("tail.webp", whole + FOREIGN["html"] * 1000)


# HEIC


def box(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    """A box of an ISO media file; `length` to lie about it."""
    return struct.pack(">I", len(body) + 8 if length is None else length) + kind + body


def crafted_heic() -> Iterator[Malformed]:
    whole = encoded(photograph(), "HEIF", quality=50)
    kind = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    size_at = whole.index(b"ispe") + 8
    for what, width, height in (
        ("most", 0xFFFFFFFF, 0xFFFFFFFF),
        ("half", 0x7FFFFFFF, 0x7FFFFFFF),
        ("nothing", 0, 0),
        ("just-over", 1001, 1000),
        ("larger", 900, 900),
        ("smaller", 16, 16),
        ("wide", 0x7FFFFFFF, 16),
    ):
        size = struct.pack(">II", width, height)
        yield Malformed(f"{what}-size.heic", whole[:size_at] + size + whole[size_at + 8 :])
    flat = encoded(Image.new("L", (2048, 2048)), "HEIF", quality=10)
    at = flat.index(b"ispe") + 8
    yield Malformed("hidden-size.heic", flat[:at] + struct.pack(">II", 64, 64) + flat[at + 8 :])
    yield Malformed("only-kind.heic", kind)
    yield Malformed("no-content.heic", kind + box(b"meta", bytes(4)))
    for length in (0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Malformed(f"meta-of-{length}.heic", kind + box(b"meta", bytes(400), length))
    nested = b""
    for _ in range(1000):
        nested = box(b"meta", bytes(4) + nested)
    yield Malformed("nested.heic", kind + nested)
    yield Malformed(
        "boxes.heic", kind + box(b"free", b"") * 20_000 + whole[whole.index(b"meta") - 4 :]
    )
    yield Malformed("tail.heic", whole + FOREIGN["html"] * 1000)
    for name in (b"iloc", b"iinf", b"ipco", b"ipma", b"hvcC", b"pitm", b"iref", b"idat", b"mdat"):
        start = whole.find(name)
        if start < 0:
            continue
        label = name.decode()
        for what, filling in (("zeros", bytes(12)), ("ones", b"\xff" * 12)):
            for ahead in (4, 8, 16, 28):
                at = start + ahead
                content = whole[:at] + filling + whole[at + len(filling) :]
                yield Malformed(f"{label}-{what}-at-{ahead}.heic", content)
        lost = whole[:start] + b"free" + whole[start + 4 :]
        yield Malformed(f"{label}-lost.heic", lost)
