"""What a file says of itself comes in as the bytes it had, upright, and bounded."""

import hashlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from daemon.pictures.file_notes import facts_of, turned_exif, turned_xmp
from daemon.pictures.picture import Picture
from daemon.pictures.read import read_picture
from tests.support import malformed

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6">'
    b"<dc:rights>(c) Ada</dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>"
)
UPRIGHT_XMP = XMP.replace(b'"6"', b'"1"')
IPTC = b"\x1c\x02\x74\0\x07(c) Ada\x1c\x02\x50\0\x03Ada"
WITH_EXIF = ["JPEG", "PNG", "WEBP", "HEIF"]


def read(content: bytes) -> Picture:
    return read_picture(io.BytesIO(content), "photo")


@pytest.fixture
def photo(photograph: Image.Image) -> Image.Image:
    return photograph.resize((48, 32))


def exif_block(orientation: int = 6) -> bytes:
    """EXIF as a camera's, big-endian: maker, orientation, resolution, a date and a place."""
    exif = Image.Exif()
    exif.endian = ">"
    exif[0x010F], exif[0x0112], exif[282], exif[283], exif[296] = "Ada", orientation, 240, 120, 2
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    exif.get_ifd(0x8769)[0x927C] = b"maker's own" * 9
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


@pytest.mark.parametrize("form", WITH_EXIF)
def test_exif_comes_to_the_byte_but_for_its_orientation(photo: Image.Image, form: str) -> None:
    block = exif_block(1 if form == "HEIF" else 6)  # its container turns
    found = read(malformed.encoded(photo, form, exif=block)).metadata.exif
    expected = exif_block(1).removeprefix(b"Exif\0\0")
    assert found == expected
    assert facts_of(found).orientation == 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_picture_without_exif_has_none(photo: Image.Image, form: str) -> None:
    assert read(malformed.encoded(photo, form)).metadata.exif == b""


@pytest.mark.parametrize(
    "rubbish", [b"Exif\0\0rubbish", b"Exif\0\0", b"II*\0\xff\xff\xff\xff", b"x"]
)
def test_exif_that_cannot_be_read_is_left_out(rubbish: bytes) -> None:
    assert turned_exif(rubbish) == b""


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_xmp_comes_whole_and_upright(photo: Image.Image, form: str) -> None:
    options: dict[str, Any] = {"xmp": XMP}
    if form == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": text}
    assert read(malformed.encoded(photo, form, **options)).metadata.xmp == UPRIGHT_XMP


def test_orientation_of_xmp_turns_nothing(photo: Image.Image) -> None:
    found = read(malformed.encoded(photo, "JPEG", xmp=XMP))
    assert found.size == photo.size


@pytest.mark.parametrize("written", [b"tiff:Orientation='8'", b"<tiff:Orientation>3</tiff:Orienta"])
def test_orientation_of_xmp_is_put_upright_however_it_is_written(written: bytes) -> None:
    assert b"1" in turned_xmp(written) and len(turned_xmp(written)) == len(written)


def photoshop_block(records: bytes) -> bytes:
    """Photoshop's resources with IPTC among them."""
    other = b"8BIM\x03\xed\0\0" + struct.pack(">I", 16) + bytes(16)
    padded = records + bytes(len(records) % 2)
    return other + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + padded


def test_iptc_of_a_jpeg_comes_whole(photo: Image.Image) -> None:
    whole = malformed.encoded(photo, "JPEG")
    block = malformed.segment(0xED, b"Photoshop 3.0\0" + photoshop_block(IPTC))
    assert read(whole[:2] + block + whole[2:]).metadata.iptc == IPTC


def tiff_with(*tags: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    file = io.BytesIO()
    extra = [(tag, kind, count, value, True) for tag, kind, count, value in tags]
    grey = np.full((32, 32), 77, np.uint8)
    tifffile.imwrite(file, grey, extratags=extra, metadata=None, byteorder=order)
    return file.getvalue()


@pytest.mark.parametrize("tag", [33723, 34377])
def test_iptc_of_a_tiff_comes_whole(tag: int) -> None:
    value = IPTC if tag == 33723 else photoshop_block(IPTC)
    assert read(tiff_with((tag, 7, len(value), value))).metadata.iptc == IPTC


def test_xmp_of_a_tiff_comes_whole() -> None:
    assert read(tiff_with((700, 1, len(XMP), XMP))).metadata.xmp == UPRIGHT_XMP


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_of_a_tiff_becomes_a_block_of_its_own(photo: Image.Image, order: str) -> None:
    """With what describes the picture, and without how the file's pixels lie."""
    block = exif_block(6).removeprefix(b"Exif\0\0")
    file = io.BytesIO()
    exif = Image.Exif()
    exif.load(block)
    photo.save(file, "TIFF", exif=exif, dpi=(240, 120))
    found = Image.Exif()
    found.load(read(file.getvalue()).metadata.exif)
    assert found[0x010F] == "Ada"
    assert found.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
    assert found.get_ifd(0x8769)[0x927C] == b"maker's own" * 9
    assert found.get_ifd(0x8825)[1] == "N"
    assert not {256, 257, 258, 259, 262, 273, 274, 278, 279} & set(found)
    assert order in "<>"


def test_texts_of_a_png_and_comments_come(photo: Image.Image) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Ada")
    text.add_itxt("Copyright", "© Ada", zip=True)
    found = read(malformed.encoded(photo, "PNG", pnginfo=text)).metadata
    assert dict(found.text) == {"Author": "Ada", "Copyright": "© Ada"}
    for form in ("JPEG", "GIF"):
        told = read(malformed.encoded(photo, form, comment="grüße".encode())).metadata.text
        assert dict(told) == {"Comment": "grüße"}


def test_texts_without_end_are_bounded(photo: Image.Image) -> None:
    whole = malformed.encoded(photo, "PNG")
    million = zlib.compress(b"x" * 900_000)
    texts = b"".join(malformed.chunk(b"zTXt", b"k%d\0\0" % n + million) for n in range(9))
    found = read(whole[:33] + texts + whole[33:]).metadata.text
    assert sum(map(len, found.values())) <= 1 << 20


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP"])
def test_resolution_comes_by_the_formats_own_way(photo: Image.Image, form: str) -> None:
    found = read(malformed.encoded(photo, form, dpi=(300, 150))).metadata.density_ppi
    # PNG and BMP count pixels a metre.
    assert found is not None and np.allclose(found, (300, 150), rtol=1e-4)


def test_resolution_of_exif_counts_where_the_format_tells_none(photo: Image.Image) -> None:
    found = read(malformed.encoded(photo, "WEBP", exif=exif_block(1))).metadata
    assert found.density_ppi == (240, 120)


def test_resolution_turns_with_the_picture(photo: Image.Image) -> None:
    found = read(malformed.encoded(photo, "WEBP", exif=exif_block(6)))
    assert found.size == (32, 48) and found.metadata.density_ppi == (120, 240)


def test_second_picture_and_gain_map_are_told(photo: Image.Image) -> None:
    two = malformed.encoded(photo, "MPO", save_all=True, append_images=[photo])
    assert read(two).warnings == ("the file has 2 pictures; the first was painted",)
    xmp = b'<rdf:Description hdrgm:Version="1.0"/>'
    (told,) = read(malformed.encoded(photo, "JPEG", xmp=xmp)).warnings
    assert "gain map" in told


def test_xmp_of_several_segments_is_joined(photo: Image.Image) -> None:
    rdf = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:b="urn:b">'
    inner = b'<rdf:Description xmlns:a="urn:a"><a:long>' + b"x" * 99_000 + b"</a:long>"
    extended = rdf + inner + b"</rdf:Description></rdf:RDF>"
    digest = hashlib.md5(extended).hexdigest().upper().encode()
    link = b'<rdf:Description xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    main = rdf + link + b'xmpNote:HasExtendedXMP="' + digest + b'"/></rdf:RDF>'
    whole = malformed.encoded(photo, "JPEG", xmp=main)
    parts = b""
    for at in (60_000, 0):  # in any order
        numbers = struct.pack(">II", len(extended), at)
        content = b"http://ns.adobe.com/xmp/extension/\0" + digest + numbers
        parts += malformed.segment(0xE1, content + extended[at : at + 60_000])
    found = read(whole[:2] + parts + whole[2:]).metadata.xmp
    assert b"<a:long>" + b"x" * 99_000 + b"</a:long>" in found and b"HasExtendedXMP" not in found
    assert found.endswith(b"</rdf:RDF>") and found.count(b"rdf:RDF") == 2
    assert read(whole).metadata.xmp == main  # what is not whole stays away


def test_notes_that_imagemagick_writes_into_a_png_come(photo: Image.Image) -> None:
    exif = exif_block(6)
    blocks = {"exif": exif, "iptc": photoshop_block(IPTC), "xmp": XMP}
    text = PngImagePlugin.PngInfo()
    for kind, content in blocks.items():
        text.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(content)}\n{content.hex()}\n")
    found = read(malformed.encoded(photo, "PNG", pnginfo=text))
    assert found.metadata.exif == exif_block(1).removeprefix(b"Exif\0\0")
    assert found.metadata.iptc == IPTC and found.metadata.xmp == UPRIGHT_XMP
    assert found.size == (32, 48) and not found.metadata.text
