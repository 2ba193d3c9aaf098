"""What a file says of itself beside its pixels, read as it is: EXIF, XMP, IPTC, texts, density.

Orientation is put to 1 where it stands, for it has been applied; all else stays to the byte.
"""

import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.pictures.exif import OF_CAMERA
from daemon.pictures.ifd import Field, Tags, lay_out
from daemon.pictures.picture import Metadata
from daemon.pictures.split_notes import PHOTOSHOP_MARK, raw_profile
from daemon.pictures.tiff_directory import FORMATS, Page, Tag, directory_of, open_tiff

XMP_ORIENTATION = re.compile(
    rb"(tiff:Orientation\s*=\s*[\"']|<tiff:Orientation>\s*)([2-8])(?=\s*[\"'<])"
)
DESCRIPTIVE = frozenset(
    (
        *(269, 270, 271, 272, 282, 283, 285, 296, 297, 305, 306, 315, 316, 33432, 18246, 18249),
        *(32781, 37393, 37394, 37395, *range(40091, 40096), *OF_CAMERA),
    )
)
"""The tags of a TIFF's own directory that describe the picture and not how its pixels lie."""
EXIF_MARK = b"Exif\0\0"
POINTERS = (Tag.EXIF_IFD, Tag.GPS_IFD, 0xA005)
MOST_EXIF_BYTES, MOST_TEXT_BYTES = 16 << 20, 1 << 20
PER_INCH = {2: 1.0, 3: 2.54}
IPTC_RESOURCE = 0x0404
COLOR_SPACE, INTEROP_IFD, INTEROP_INDEX = 0xA001, 0xA005, 1


@dataclass(frozen=True)
class ExifFacts:
    """What EXIF says that concerns the pixels.

    adobe_rgb: whether a camera means Adobe RGB by it (DCF's option file, R03).
    """

    orientation: int = 1
    density_ppi: tuple[float, float] | None = None
    adobe_rgb: bool = False


def facts_of(exif: bytes) -> ExifFacts:
    """What a block of EXIF says of the pixels; one that cannot be read says nothing.

    Source: Exif 2.32 section 4.6; DCF 2.0 section 3 for R03.
    """
    try:
        page = open_tiff(io.BytesIO(exif.removeprefix(EXIF_MARK)))[0]
        below = directory_of(page, Tag.EXIF_IFD)
        space = below.number(COLOR_SPACE) if below else 0
        interop = directory_of(below, INTEROP_IFD) if below else None
        index = interop.content(INTEROP_INDEX) if interop else b""
        adobe = space == 2 or (space == 0xFFFF and index[:3] == b"R03")
        return ExifFacts(orientation_of(page), density_of(page), adobe)
    except (ValueError, struct.error, IndexError, OverflowError):
        return ExifFacts()


def orientation_of(page: Page) -> int:
    """The orientation of a directory, 1 where it says nothing sound."""
    found = page.values(Tag.ORIENTATION)
    return int(found[0]) if len(found) == 1 and found[0] in range(1, 9) else 1


def density_of(page: Page) -> tuple[float, float] | None:
    """The resolution a directory tells, in pixels an inch; None if it has no unit or no sense."""
    factor = PER_INCH.get(page.number(Tag.RESOLUTION_UNIT, 2))
    across, down = page.values(Tag.X_RESOLUTION), page.values(Tag.Y_RESOLUTION)
    if factor is None or not across or not down:
        return None
    return sound_density(across[0] * factor, down[0] * factor)


def sound_density(across: float, down: float) -> tuple[float, float] | None:
    """A resolution if it may be one, else None."""
    return (float(across), float(down)) if 1 <= across <= 1e5 and 1 <= down <= 1e5 else None


def turned_exif(exif: bytes) -> bytes:
    """EXIF with its orientation put to 1 where it stands; b"" for what is no EXIF."""
    exif = exif.removeprefix(EXIF_MARK)
    try:
        page = open_tiff(io.BytesIO(exif))[0]
    except (ValueError, struct.error, IndexError, OverflowError):
        return b""
    entry = page.entries.get(Tag.ORIENTATION)
    if entry is None or orientation_of(page) == 1 or FORMATS.get(entry.kind) not in ("B", "H", "I"):
        return exif
    upright = struct.pack(page.order + FORMATS[entry.kind], 1)
    return exif[: entry.at] + upright + exif[entry.at + len(upright) :]


def turned_xmp(xmp: bytes | str | None) -> bytes:
    """An XMP packet whose orientation is 1."""
    packet = xmp.encode() if isinstance(xmp, str) else xmp or b""
    return XMP_ORIENTATION.sub(rb"\g<1>1", packet)


def metadata_of(info: Mapping[Any, Any], format: str) -> Metadata:
    """What Pillow found in a file of any format but TIFF."""
    exif = turned_exif(exif_in(info))
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp") or raw_profile(info, "xmp")
    return Metadata(
        exif,
        turned_xmp(packet),
        iptc_in(resources_of(info)),
        texts_of(info, format),
        density_told(info, format) or facts_of(exif).density_ppi,
    )


def exif_in(info: Mapping[Any, Any]) -> bytes:
    """The EXIF Pillow found, in its own place or as ImageMagick writes it into a PNG's texts."""
    found = info.get("exif")
    if isinstance(found, bytes) and found:
        return found
    return raw_profile(info, "exif") or raw_profile(info, "APP1")


def density_told(info: Mapping[Any, Any], format: str) -> tuple[float, float] | None:
    """The resolution that JFIF, pHYs or a BMP's header tells.

    A JFIF of 72 or 96 is what programs write that know nothing: there EXIF, if any, counts.
    """
    found = info.get("dpi")
    if format in ("JPEG", "MPO"):
        unit, density = info.get("jfif_unit"), info.get("jfif_density")
        if unit not in (1, 2) or density is None:
            return None
        factor = 1.0 if unit == 1 else 2.54
        found = density[0] * factor, density[1] * factor
    elif format not in ("PNG", "BMP", "JPEG2000", "PSD"):
        return None
    try:
        return sound_density(*found) if found else None
    except (TypeError, ValueError):
        return None


def resources_of(info: Mapping[Any, Any]) -> Any:
    """Photoshop's image resources by number; those of PNG are texts of other programs."""
    block = info.get("photoshop_block", b"")
    for kind in ("8bim", "iptc"):
        block = block or raw_profile(info, kind)
    if block[:1] == b"\x1c":
        return {IPTC_RESOURCE: block}
    return dict(photoshop_resources(block.removeprefix(PHOTOSHOP_MARK))) or info.get("photoshop")


def iptc_in(resources: Any) -> bytes:
    """The IIM records among Photoshop's resources, as Pillow keeps them by number."""
    found = resources.get(IPTC_RESOURCE) if isinstance(resources, dict) else None
    return found if isinstance(found, bytes) else b""


def texts_of(info: Mapping[Any, Any], format: str) -> dict[str, str]:
    """PNG's texts by keyword, and a comment of JPEG or GIF; a megabyte in all at most."""
    found: dict[str, str] = {}
    room = MOST_TEXT_BYTES
    if format in ("JPEG", "GIF", "MPO", "JPEG2000") and isinstance(info.get("comment"), bytes):
        found["Comment"] = decoded_text(info["comment"])[:MOST_TEXT_BYTES]
    for keyword, value in info.items() if format == "PNG" else ():
        known = keyword in ("xmp", "exif") or keyword.startswith(("XML:com.adobe", "Raw profile"))
        if not isinstance(value, str) or known or len(value) > room:
            continue
        room -= len(value)
        found[keyword] = str(value)
    return found


def decoded_text(raw: bytes) -> str:
    """A comment as text: UTF-8 where it is, else Latin-1."""
    raw = raw.rstrip(b"\0")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def metadata_of_tiff(page: Page) -> Metadata:
    """What a TIFF says of itself, its EXIF as a block of its own as other formats have it."""
    return Metadata(
        standalone_exif(page),
        turned_xmp(page.content(Tag.XMP)),
        iptc_of_tiff(page),
        {},
        density_of(page),
    )


def iptc_of_tiff(page: Page) -> bytes:
    """The IIM records of a TIFF: its own tag, else among Photoshop's resources.

    Some writers declare them as LONG: those are swapped in a file of the other byte order.
    """
    records = page.content(Tag.IPTC)
    if records[:1] != b"\x1c" and records[3:4] == b"\x1c":
        whole = len(records) // 4 * 4
        words = struct.unpack(f"<{whole // 4}I", records[:whole])
        records = struct.pack(f">{whole // 4}I", *words)
    if records[:1] == b"\x1c":
        return records
    return dict(photoshop_resources(page.content(Tag.PHOTOSHOP))).get(IPTC_RESOURCE, b"")


def photoshop_resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Photoshop's image resources: number and content of each.

    Source: Adobe Photoshop file formats specification, image resource blocks.
    """
    at = 0
    while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, at + 4)
        at += 6 + (block[at + 6] + 2) // 2 * 2
        if at + 4 > len(block):
            return
        (length,) = struct.unpack_from(">I", block, at)
        yield number, block[at + 4 : at + 4 + length]
        at += 4 + (length + 1) // 2 * 2


def standalone_exif(page: Page) -> bytes:
    """A TIFF's descriptive tags with its EXIF and GPS directories as one block of EXIF.

    In the file's byte order, so that each value stays as it was; b"" if it says nothing.
    """
    exif, gps = directory_of(page, Tag.EXIF_IFD), directory_of(page, Tag.GPS_IFD)
    interop = directory_of(exif, INTEROP_IFD) if exif else None
    main = {tag: value for tag, value in fields_of(page).items() if tag in DESCRIPTIVE}
    if not main and not exif and not gps:
        return b""
    below = fields_of(exif), fields_of(gps), fields_of(interop)
    blob = lay_out(Tags("<" if page.order == "<" else ">", main, *below))
    return blob if len(blob) < MOST_EXIF_BYTES else b""


def fields_of(page: Page | None) -> dict[int, Field]:
    """The fields of a directory but those that lead to others, and those of BigTIFF alone."""
    found: dict[int, Field] = {}
    for tag, entry in page.entries.items() if page else ():
        content = page.content(tag) if page and tag not in POINTERS and entry.kind <= 13 else b""
        if content:
            found[tag] = Field(entry.kind, entry.count, content)
    return found
