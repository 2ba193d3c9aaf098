"""What goes into a result's file beside its pixels: what the picture said, and our note."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from daemon.pictures import exif, iptc, xmp
from daemon.pictures.caption import (
    OF_TEXT,
    as_properties,
    captions_of_iptc,
    captions_of_text,
)
from daemon.pictures.exif import ResultFacts
from daemon.pictures.ifd import ExifError, Tags, parse
from daemon.pictures.note import NOTE_KEY
from daemon.pictures.picture import Metadata

Kept = Literal["keep", "no-location", "none"]

WITHOUT_WORDS = ("BMP", "GIF")
STALE_TEXT = ("raw profile type", "xml:com", "thumb::", "exif:", "icc:", "png:", "tiff:", "xmp:")
"""What keywords of texts begin with that other programs keep whole profiles or old sizes under."""
PHOTOSHOP_MODE = {"rgb": "3", "cmyk": "4", "grey": "1"}
MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff"}


@dataclass(frozen=True)
class Embedded:
    """What a result's file says beside its pixels.

    profile: the ICC profile its numbers are in.  tags: EXIF, None for none.  xmp: a packet with
    our note in it.  iptc: IIM records.  text: PNG's words by keyword; `Comment` is a JPEG's too.
    density_ppi: None where nobody knows.  note: ours, as JSON.
    """

    profile: bytes
    note: str
    xmp: bytes
    tags: Tags | None = None
    iptc: bytes = b""
    text: Mapping[str, str] = field(default_factory=dict)
    density_ppi: tuple[float, float] | None = None


def embed(
    metadata: Metadata, facts: ResultFacts, profile: bytes, note: str, kept: Kept
) -> tuple[Embedded, tuple[str, ...]]:
    """What goes beside the pixels, and what of the picture's could not.

    kept: what of the picture's notes goes along, as a preset says.
    """
    if kept == "none":
        metadata = Metadata(density_ppi=metadata.density_ppi)
    no_location = kept == "no-location"
    if facts.form in WITHOUT_WORDS and metadata != Metadata(density_ppi=metadata.density_ppi):
        words = f"EXIF, XMP, IPTC and texts of the picture were left out: {facts.form} holds none"
        return Embedded(profile, note, b"", density_ppi=facts.density_ppi), (words,)
    text = result_text(metadata.text, facts.software, no_location=no_location)
    records = iptc.without_places(metadata.iptc) if no_location else metadata.iptc
    tags, exif_lost = result_tags(metadata.exif, facts, no_location=no_location)
    revision = xmp.Revision(
        described(facts), facts.software, note, no_location, translated(facts.form, records, text)
    )
    packet, xmp_lost = result_packet(metadata.xmp, revision)
    embedded = Embedded(
        profile=profile,
        note=note,
        xmp=packet,
        tags=tags,
        iptc=records,
        text=text,
        density_ppi=facts.density_ppi,
    )
    return embedded, (*exif_lost, *xmp_lost)


def result_tags(
    blob: bytes, facts: ResultFacts, *, no_location: bool
) -> tuple[Tags | None, tuple[str, ...]]:
    """The result's EXIF: the picture's, or a new one where the format has its resolution there."""
    warnings: tuple[str, ...] = ()
    tags = None
    try:
        tags = parse(blob) if blob else None
    except ExifError as error:
        warnings = (f"the picture's EXIF is damaged and was left out: {error}",)
    is_needed = facts.form == "WEBP" or facts.mode == "cmyk"
    if tags is None and facts.density_ppi is not None and is_needed:
        tags = Tags()
    if tags is None:
        return None, warnings
    tags = exif.without_location(tags) if no_location else tags
    return exif.describe_result(tags, facts), warnings


def translated(form: str, records: bytes, text: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """What a result's format has no place for but in XMP: PNG's texts, and IPTC in WebP."""
    captions = captions_of_text(text) if form in ("TIFF", "WEBP", "JPEG") else {}
    if form == "JPEG":
        captions.pop(OF_TEXT["Comment"], None)  # it has one
    if form == "WEBP":
        captions |= captions_of_iptc(records)
    return as_properties(captions)


def result_packet(packet: bytes, revision: xmp.Revision) -> tuple[bytes, tuple[str, ...]]:
    """The result's XMP with our note in it."""
    try:
        return xmp.revised(packet, revision), ()
    except xmp.XmpError as error:
        words = f"the picture's XMP is damaged and was left out: {error}"
        return xmp.fresh(revision), (words,)


def described(facts: ResultFacts) -> dict[tuple[str, str], str]:
    """What XMP says of pixels, wherever the photographer's packet says it."""
    is_srgb = facts.color == "sRGB"
    values = {
        (xmp.TIFF, "Orientation"): "1",
        (xmp.TIFF, "ImageWidth"): str(facts.width_px),
        (xmp.TIFF, "ImageLength"): str(facts.height_px),
        (xmp.EXIF, "PixelXDimension"): str(facts.width_px),
        (xmp.EXIF, "PixelYDimension"): str(facts.height_px),
        (xmp.EXIF, "ColorSpace"): "1" if is_srgb else "65535",
        (xmp.PHOTOSHOP, "ICCProfile"): "sRGB IEC61966-2.1" if is_srgb else facts.color,
        (xmp.PHOTOSHOP, "ColorMode"): PHOTOSHOP_MODE[facts.mode],
        (xmp.TIFF, "Software"): facts.software,
        (xmp.XMP, "CreatorTool"): facts.software,
        (xmp.DC, "format"): MIME.get(facts.form, ""),
        (xmp.TIFF, "ResolutionUnit"): "2",
    }
    if facts.density_ppi is not None:
        across, down = (exif.fraction(value) for value in facts.density_ppi)
        values[xmp.TIFF, "XResolution"], values[xmp.TIFF, "YResolution"] = across, down
    return values


def clean(words: str) -> str:
    """Words without what ends a text early, or is no letter."""
    return words.replace("\0", "").encode("utf-8", "replace").decode()


def result_text(text: Mapping[str, str], software: str, *, no_location: bool) -> dict[str, str]:
    """The picture's texts without what is carried elsewhere, or described its pixels."""
    kept = {
        key: clean(words)
        for key, words in text.items()
        if 0 < len(key) < 80
        and key.isascii()
        and key.isprintable()
        and key != NOTE_KEY
        and not key.lower().startswith(STALE_TEXT)
        and not (no_location and xmp.PLACE_NAME.search(key))
    }
    return kept | ({"Software": software} if "Software" in kept else {})
