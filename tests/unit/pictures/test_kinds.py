"""What a file is by its first bytes."""

import io
import struct

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from daemon.pictures.formats import SUFFIXES
from daemon.pictures.kinds import (
    HEAD_BYTES,
    PAINTED,
    UNPAINTED,
    kind_of_content,
    why_unpainted,
)

BOX = struct.pack(">I", 32)
PILLOW_WRITES = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF", "JPEG2000")
HEADS = {
    "JXL": b"\0\0\0\x0cJXL \r\n\x87\n",
    "PSD": b"8BPS\0\x01" + bytes(6),
    "RAW": b"FUJIFILMCCD-RAW 0201FF383501",
    "SVG": b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a logo -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD '
    b'SVG 1.1//EN" "svg11.dtd">\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "PDF": b"%PDF-1.7\n",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "CorelDRAW": b"RIFF\1\2\3\4CDRD",
    "WMF": b"\1\0\0\0" + bytes(36) + b" EMF",
    "Affinity": b"\0\xffKA\7\0",
    "DjVu": b"AT&TFORM\0\0\1\2DJVU",
    "OpenEXR": b"\x76\x2f\x31\x01\2\0\0\0",
    "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
    "XCF": b"gimp xcf v011\0",
    "OpenRaster": b"PK\3\4" + bytes(26) + b"mimetypeimage/openraster",
    "JPEG-LS": b"\xff\xd8\xff\xf7",
    "JPEG XR": b"II\xbc\x01",
    "PNM": b"P6\n# made by hand\n64 48\n255\n",
    "ICO": b"\0\0\1\0\2\0\x10\x10\0\0\1\0\x20\0",
    "ICNS": b"icns\0\0\x10\0",
    "DDS": b"DDS \x7c\0\0\0",
    "QOI": b"qoif\0\0\0\x40",
    "BPG": b"BPG\xfb",
    "MNG": b"\x8aMNG\r\n\x1a\n",
    "SGI": b"\x01\xda\1\1\0\3",
    "PCX": b"\x0a\5\1\x08" + bytes(60) + b"\0\3",
    "FITS": b"SIMPLE  =                    T / conforms",
    "DICOM": bytes(128) + b"DICM",
    "X3F": b"FOVb\0\0\2\0",
    "MRW": b"\0MRM\0\0\1\2",
}
NOTHING = {
    "empty": b"",
    "text": b"The sea was grey that day.\n",
    "web page": b"<!DOCTYPE html><html><body><svg/></body></html>",
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(40),
    "film": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
    "film of MPEG-4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "stream of MPEG": b"\0\0\1\xb3\x14\0\xf0\x13",
    "DS_Store": b"\0\0\0\1Bud1\0\0\x10\0",
    "sound": b"RIFF\1\2\3\4WAVEfmt ",
    "a letter": b"BMW is a maker of cars, P6 is none\n",
    "zeros": bytes(HEAD_BYTES),
    "comments": b"<!-- -->" * 500,  # as many ways to read them as there are subsets
    "program": b"\x7fELF\2\1\1\0",
    "index": b"P1 is the first of our parking levels\n",
}


def tiff(*tags: tuple[int, int, int, int], after: bytes = b"", order: str = "<") -> bytes:
    """A TIFF's head with a directory of these tags: number, type, count, value."""
    entries = b"".join(
        struct.pack(f"{order}HHI", *tag[:3])
        + struct.pack(
            f"{order}{'HH' if tag[1] == 3 else 'I'}", *((tag[3], 0)[: 3 - (tag[1] != 3) - 1])
        )
        for tag in tags
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}I", 8) + struct.pack(f"{order}H", len(tags)) + entries
    return head + bytes(4) + after


def test_every_painted_format_but_those_without_a_mark_is_known_by_its_content() -> None:
    assert set(PAINTED) == set(SUFFIXES) - {"MPO", "TGA"}  # JPEG by its head, and nothing at all


@pytest.mark.parametrize("form", PILLOW_WRITES)
def test_content_tells_a_format_that_is_painted(form: str) -> None:
    register_heif_opener()
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, form)
    assert kind_of_content(file.getvalue()[:HEAD_BYTES]) == form


@pytest.mark.parametrize("kind", HEADS)
def test_content_tells_what_a_file_is(kind: str) -> None:
    assert kind_of_content(HEADS[kind]) == kind


def test_every_kind_that_is_not_painted_is_tried_and_says_what_to_do() -> None:
    assert set(UNPAINTED) - {"TGA"} <= set(HEADS)  # which only its name tells
    for kind in UNPAINTED:
        reason = why_unpainted("logo.x", kind)
        assert reason.startswith("logo.x is a") and "export it as" in reason


@pytest.mark.parametrize(
    "head",
    [
        b"<svg>",
        b'<svg\nwidth="9">',
        b'<svg:svg xmlns:svg="http://www.w3.org/2000/svg">',
        b"<!DOCTYPE svg [<!ENTITY ns 'http://www.w3.org/2000/svg'>]>\n<svg xmlns='&ns;'>",
        b"<?xml version='1.0'?>\n<!-- a -->\n<!-- b > c -->\n<svg/>",
    ],
)
def test_drawing_is_known_however_its_program_begins_it(head: bytes) -> None:
    assert kind_of_content(head) == "SVG"


@pytest.mark.parametrize("form", PAINTED)
def test_what_is_painted_is_not_refused(form: str) -> None:
    assert why_unpainted("photo", form) == ""


@pytest.mark.parametrize("what", NOTHING)
def test_what_is_no_picture_has_no_kind(what: str) -> None:
    assert kind_of_content(NOTHING[what]) == ""
    assert why_unpainted(what, "") == ""


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIF"),
        (b"mif1\0\0\0\0mif1heic", "HEIF"),
        (b"avif\0\0\0\0avifmif1", "AVIF"),
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"crx \0\0\0\1crx isom", "RAW"),
        (b"isom\0\0\0\1isomavif", ""),
    ],
)
def test_boxes_are_told_apart_by_their_brands(brands: bytes, kind: str) -> None:
    assert kind_of_content(BOX + b"ftyp" + brands) == kind


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ([(254, 4, 1, 0), (262, 3, 1, 2)], "TIFF"),
        ([(50706, 1, 4, 0x00000401)], "RAW"),
        ([(262, 3, 1, 32803)], "RAW"),
        ([(254, 4, 1, 1), (271, 2, 18, 50), (330, 4, 1, 4096)], "RAW"),
        ([(254, 4, 1, 0), (271, 2, 18, 50), (330, 4, 1, 4096)], "TIFF"),  # the camera's own TIFF
        ([(254, 4, 1, 1), (262, 3, 1, 2), (330, 4, 1, 4096)], "TIFF"),  # a small copy in front
    ],
)
def test_negatives_of_cameras_are_told_from_other_tiffs(
    tags: list[tuple[int, int, int, int]], kind: str, order: str
) -> None:
    head = tiff(*tags, after=b"NIKON CORPORATION\0", order=order)
    assert kind_of_content(head) == kind


@pytest.mark.parametrize("kept", range(0, 60, 3))
def test_head_that_is_cut_is_answered(kept: int) -> None:
    for head in HEADS.values():
        assert isinstance(kind_of_content(head[:kept]), str)
    assert kind_of_content(tiff((254, 4, 1, 1), (330, 4, 1, 9))[:kept]) in ("", "TIFF")
