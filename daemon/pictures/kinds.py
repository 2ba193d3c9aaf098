"""What a file is by its first bytes, whatever it is called. Pure: no decoder, no numpy.

Painted kinds are called as in `formats.SUFFIXES`. Of the others it is known what to do instead: a
picture that cannot be painted is to be told from what is no picture at all.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HEAD_BYTES = 4096
"""How much of a file's beginning tells what it is."""

PAINTED: Mapping[str, bytes] = {
    "JPEG": rb"\xff\xd8\xff(?!\xf7)",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "GIF": rb"GIF8[79]a",
    "AVIF": rb"....ftyp(?:avi[fs]|mif1....(?:(?!hei[cx])....){0,16}?avif)",
    "HEIF": rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)",
    "JPEG2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "JXL": rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a",
    "PSD": rb"8BPS\0[\x01\x02]",
    "RAW": rb"II\*\0....CR|....ftypcrx |FUJIFILMCCD-RAW|II(?:U\0|RO|RS)|MMOR",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
}
"""The formats that are painted, and what their files begin with."""

PIXELS = "export it as PNG or TIFF"
DRAWING = "export it as PNG in the size it is to be painted at"
LIGHT = "export it as a TIFF of 16 bits with its tones as they are to be seen"


@dataclass(frozen=True)
class Unpainted:
    """A kind of picture that is not painted. what: in a sentence.  remedy: what to do instead."""

    begins: bytes
    what: str
    remedy: str = PIXELS


UNPAINTED: Mapping[str, Unpainted] = {
    "SVG": Unpainted(
        rb"(?:\xef\xbb\xbf)?"
        rb"(?>\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE svg[^>\[]*(?:\[[^\]]*\])?[^>\[]*>)*+"
        rb"<(?:svg:)?svg[\s>/]",
        "an SVG drawing, which has no pixels",
        DRAWING,
    ),
    "PDF": Unpainted(rb"%PDF-\d", "a PDF document", DRAWING),
    "PostScript": Unpainted(rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript (EPS) drawing", DRAWING),
    "CorelDRAW": Unpainted(rb"RIFF....CDR", "a CorelDRAW drawing", DRAWING),
    "WMF": Unpainted(rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile", DRAWING),
    "Affinity": Unpainted(rb"\0\xffKA", "an Affinity document"),
    "DjVu": Unpainted(rb"AT&TFORM....DJV", "a DjVu document"),
    "OpenEXR": Unpainted(rb"\x76\x2f\x31\x01", "an OpenEXR picture of light, not of tones", LIGHT),
    "Radiance": Unpainted(
        rb"#\?(?:RADIANCE|RGBE)", "a Radiance HDR picture of light, not of tones", LIGHT
    ),
    "XCF": Unpainted(rb"gimp xcf ", "a GIMP document (XCF)"),
    "OpenRaster": Unpainted(
        rb"PK\x03\x04.{26}mimetype(?:image/openraster|application/x-krita)",
        "a document of Krita or OpenRaster",
    ),
    "JPEG-LS": Unpainted(rb"\xff\xd8\xff\xf7", "a JPEG-LS picture"),
    "JPEG XR": Unpainted(rb"II\xbc[\0\x01]", "a JPEG XR picture"),
    "PNM": Unpainted(
        rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s|P7\nWIDTH|P[Ff]\s\d+\s\d+\s", "a PNM"
    ),
    "ICO": Unpainted(rb"\0\0\x01\0[\x01-\x40]\0...\0[\0\x01]\0", "an icon"),
    "ICNS": Unpainted(rb"icns\0", "an icon of macOS"),
    "DDS": Unpainted(rb"DDS \x7c\0\0\0", "a DDS texture"),
    "QOI": Unpainted(rb"qoif", "a QOI picture"),
    "BPG": Unpainted(rb"BPG\xfb", "a BPG picture"),
    "MNG": Unpainted(rb"[\x8a\x8b][MJ]NG\r\n\x1a\n", "an MNG or JNG picture"),
    "SGI": Unpainted(rb"\x01\xda[\0\x01][\x01\x02]\0[\x01-\x03]", "an SGI picture"),
    "PCX": Unpainted(
        rb"\x0a[\0\x02-\x05]\x01[\x01\x02\x04\x08].{60}\0[\x01-\x04]", "a PCX picture"
    ),
    "FITS": Unpainted(rb"SIMPLE  =\s+T", "a FITS picture of an instrument", LIGHT),
    "DICOM": Unpainted(rb".{128}DICM", "a DICOM picture of an instrument", LIGHT),
    "TGA": Unpainted(rb"(?!)", "a TGA picture, as its name says"),  # nothing in it tells
    "X3F": Unpainted(rb"FOVb", "a raw file of a Sigma camera (X3F)"),
    "MRW": Unpainted(rb"\0MRM", "a raw file of a Minolta camera (MRW)"),
}
"""The kinds of picture that are told of and not painted."""

PATTERNS = {
    kind: re.compile(begins, re.DOTALL)
    for kind, begins in {**PAINTED, **{kind: one.begins for kind, one in UNPAINTED.items()}}.items()
}

MAKE, NEW_SUBFILE_TYPE, PHOTOMETRIC, SUB_IFDS, DNG_VERSION = 271, 254, 262, 330, 50706
SENSOR = (32803, 34892)
"""What TIFF calls pixels as a sensor has them: a colour filter's mosaic, and linear raw."""

MAKERS = tuple(b"nikon sony pentax ricoh samsung hasselblad canon phase leaf epson kodak".split())
MOST_TAGS = 512


def kind_of_content(head: bytes) -> str:
    """The format of a picture by the first `HEAD_BYTES` of its file; empty if it is none.

    Cameras' raw files that are TIFF by their form are RAW; films, sounds and texts are nothing.
    """
    kind = next((kind for kind, begins in PATTERNS.items() if begins.match(head)), "")
    return "RAW" if kind == "TIFF" and is_raw(head) else kind


def why_unpainted(name: str, kind: str) -> str:
    """Why a picture of a kind cannot be painted and what to do; empty for one that can be."""
    found = UNPAINTED.get(kind)
    if found is None:
        return ""
    return f"{name} is {found.what}; atelierd does not paint those: {found.remedy} and drop that"


def is_raw(head: bytes) -> bool:
    """Whether a TIFF is a camera's raw file: a negative with a small picture of it in front.

    Source: Adobe, Digital Negative 1.7; for others a heuristic: the maker of a camera, and a
    reduced picture (NewSubfileType 1) whose large one lies in a sub-directory.
    """
    try:
        tags = dict(first_tags(head))
    except struct.error:  # the directory lies further behind: its suffix has to tell
        return False
    if DNG_VERSION in tags or tags.get(PHOTOMETRIC) in SENSOR:
        return True
    at = tags.get(MAKE, 0)
    is_camera = bool(at) and head[at:].lower().startswith(MAKERS)
    return is_camera and tags.get(NEW_SUBFILE_TYPE) == 1 and SUB_IFDS in tags


def first_tags(head: bytes) -> Iterator[tuple[int, int]]:
    """The tags of a TIFF's first directory and their values, or the places of these.

    Raises struct.error where it lies beyond the head. Not of BigTIFF, which no camera writes.
    """
    order = "<" if head.startswith(b"II") else ">"
    (at,) = struct.unpack_from(f"{order}I", head, 4)
    (count,) = struct.unpack_from(f"{order}H", head, at)
    for number in range(min(count, MOST_TAGS)):
        place = at + 2 + 12 * number
        tag, form, values = struct.unpack_from(f"{order}HHI", head, place)
        is_short = form == 3 and values == 1
        (value,) = struct.unpack_from(f"{order}{'H' if is_short else 'I'}", head, place + 8)
        yield tag, value
