"""What EXIF says of a result: the photographer's words as they were, the pixels' own as they are.

Everything that describes the old file's pixels is set anew or left out: sizes, orientation,
resolution, colour space, thumbnail, how they were stored. The rest is carried as bytes.

Source: EXIF 2.32 (JEITA CP-3451E), DCF 2.0 for the interoperability index, TIFF 6.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from daemon.pictures.ifd import (
    MAKER_NOTE,
    UNDEFINED,
    Field,
    Tags,
    lay_out,
    near_fraction,
    text,
)

ORIENTATION, SOFTWARE, PROCESSING_SOFTWARE = 0x0112, 0x0131, 0x000B
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
POSITIONING = 0x0213
VERSION, COMPONENTS, FLASHPIX, COLOR_SPACE = 0x9000, 0x9101, 0xA000, 0xA001
WIDTH, HEIGHT, INTEROP_INDEX = 0xA002, 0xA003, 0x0001
INCH, CENTRED, UNCALIBRATED = 2, 1, 0xFFFF
UNKNOWN_PPI = (72.0, 72.0)
"""What EXIF and TIFF say where nobody knows."""

STORAGE = frozenset(
    {
        *(0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0107, 0x0108, 0x0109, 0x010A),
        *(0x0111, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011C, 0x011E, 0x011F, 0x0120, 0x0121),
        *(0x0122, 0x0123, 0x0124, 0x0125, 0x0129, 0x012D, 0x013D, 0x013E, 0x013F, 0x0140, 0x0141),
        *(0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x014C, 0x014D, 0x014E, 0x0150, 0x0151, 0x0152),
        *(0x0153, 0x0154, 0x0155, 0x0156, 0x015B, *range(0x0200, 0x020A), 0x0211, 0x0212, 0x0214),
    }
)
"""Fields of the main directory that say how the old file kept its pixels."""
ELSEWHERE = frozenset({0x02BC, 0x83BB, 0x8649, 0x8773, 0x935C, 0xEA1C})
"""XMP, IPTC, Photoshop's resources, the profile and layers, carried apart or not; and padding."""
OF_THE_PLACE = frozenset({0x830E, 0x8480, 0x8482, 0x85D8, 0x87AF, 0x87B0, 0x87B1, 0xA480, 0xA481})
"""GeoTIFF's: they give each pixel of the old file its place on earth."""
OF_RAW = frozenset({0x828D, 0x828E, *range(0xC612, 0xC800), *range(0xCD2D, 0xCD50)})
OF_CAMERA = frozenset(
    {
        *(0xC614, 0xC615, 0xC62F, 0xC630, 0xC68B, 0xC6D2, 0xC6D3, 0xC763, 0xC764, 0xC772, 0xC789),
        0xC7A1,
    }
)
"""DNG's and TIFF/EP's, by which a reader would take the result for a raw file; but names of the
camera and its lens, the raw file and the reel, title, time codes and stop."""
STALE = frozenset({0x9102, 0xA500, 0xEA1C})
"""Fields of the Exif directory: bits of a pixel in the old JPEG, the curve; and padding."""


@dataclass(frozen=True)
class ResultFacts:
    """What is true of a result, for what it says of itself.

    form: its format.  color: `sRGB`, `Adobe RGB`, or the name of another profile.  mode: `rgb`,
    `grey` or `cmyk`.  density_ppi: None where nobody knows.  software: who wrote it.
    """

    form: str
    width_px: int
    height_px: int
    density_ppi: tuple[float, float] | None
    color: str
    mode: str
    software: str


def describe_result(tags: Tags, facts: ResultFacts) -> Tags:
    """The fields of a picture as its result has them."""
    main = without(tags.main, STORAGE | ELSEWHERE | OF_THE_PLACE | OF_RAW - OF_CAMERA)
    main |= {ORIENTATION: tags.short(1), SOFTWARE: text(facts.software)}
    if PROCESSING_SOFTWARE in main:
        main[PROCESSING_SOFTWARE] = text(facts.software)
    main |= density_fields(tags, facts.density_ppi or UNKNOWN_PPI)
    exif = without(tags.exif, STALE)
    exif |= {WIDTH: tags.long(facts.width_px), HEIGHT: tags.long(facts.height_px)}
    exif[COLOR_SPACE] = tags.short(1 if facts.color == "sRGB" else UNCALIBRATED)
    exif = {VERSION: Field(UNDEFINED, 4, b"0232"), FLASHPIX: Field(UNDEFINED, 4, b"0100"), **exif}
    if facts.form == "JPEG":
        main = {POSITIONING: tags.short(CENTRED), **main}
        exif = {COMPONENTS: Field(UNDEFINED, 4, b"\1\2\3\0"), **exif}
    if facts.form == "TIFF":  # which has these in its main directory, or by the profile
        exif = without(exif, {COMPONENTS, WIDTH, HEIGHT})
        return replace(tags, main=main, exif=exif, interop={})
    return replace(tags, main=main, exif=exif, interop=interop_fields(tags, facts.color))


def interop_fields(tags: Tags, color: str) -> dict[int, Field]:
    """The interoperability directory: its index says sRGB or Adobe RGB, or there is none."""
    index = {"sRGB": "R98", "Adobe RGB": "R03"}.get(color)
    if INTEROP_INDEX not in tags.interop:
        return dict(tags.interop)
    return {**tags.interop, INTEROP_INDEX: text(index)} if index is not None else {}


def fraction(value: float) -> str:
    """A positive number as XMP has EXIF's fractions."""
    near = near_fraction(value)
    return f"{near.numerator}/{near.denominator}"


def density_fields(tags: Tags, density_ppi: tuple[float, float]) -> dict[int, Field]:
    """Pixels an inch, as TIFF and EXIF both have them."""
    across, down = density_ppi
    return {
        X_RESOLUTION: tags.rational(across),
        Y_RESOLUTION: tags.rational(down),
        RESOLUTION_UNIT: tags.short(INCH),
    }


def without_location(tags: Tags) -> Tags:
    """The fields without those that tell where a picture was taken, nor any bytes of theirs.

    The maker note goes too: several makers write places into it, each in its own way.
    """
    exif = without(tags.exif, {MAKER_NOTE})
    return replace(tags, gps={}, exif=exif, pinned=())


def without(fields: Mapping[int, Field], left_out: frozenset[int] | set[int]) -> dict[int, Field]:
    """The fields but some."""
    return {tag: value for tag, value in fields.items() if tag not in left_out}


def fitted(tags: Tags, most_bytes: int) -> tuple[bytes, tuple[str, ...]]:
    """The structure in no more bytes than its format has room for, and what had to be left out.

    First goes what a maker's note may point to, then the note, then the longest fields.
    """
    blob, lost = lay_out(tags), []
    if len(blob) > most_bytes and len(tags.pinned) > 1:
        tags = replace(tags, pinned=tags.pinned[:1])
        blob, lost = lay_out(tags), ["what the maker note points to"]
    candidates = [MAKER_NOTE, *longest(tags)]
    while len(blob) > most_bytes and candidates:
        tag = candidates.pop(0)
        if tag in tags.main or tag in tags.exif:
            lost.append("the maker note" if tag == MAKER_NOTE else f"field 0x{tag:04x}")
        main, exif = without(tags.main, {tag}), without(tags.exif, {tag})
        tags = replace(tags, main=main, exif=exif, pinned=())
        blob = lay_out(tags)
    words = f"of the EXIF {', '.join(lost)} was left out: it had more bytes than the format holds"
    return blob, (words,) if lost else ()


def longest(tags: Tags) -> list[int]:
    """The fields by the bytes they take, the longest first."""
    sizes = {tag: len(value.data) for tag, value in [*tags.main.items(), *tags.exif.items()]}
    return sorted(sizes, key=lambda tag: (-sizes[tag], tag))
