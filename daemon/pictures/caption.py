"""What IPTC and PNG's texts say, in XMP's words: for formats that have no place of theirs.

Source: IPTC Photo Metadata Standard 2023.2 (its mapping of IIM to XMP), PNG 11.3.4.2 for keywords.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from daemon.pictures.iptc import APPLICATION, datasets
from daemon.pictures.xmp import DC, EXIF, PHOTOSHOP, XMP_RIGHTS

IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
ENVELOPE, CHARACTER_SET, UTF_8 = 1, 90, b"\x1b%G"
Shape = Literal["text", "Alt", "Seq", "Bag"]


@dataclass(frozen=True)
class Caption:
    """A property of XMP that something else says too. shape: how it holds its values."""

    namespace: str
    name: str
    shape: Shape


OF_IPTC = {
    5: Caption(DC, "title", "Alt"),
    25: Caption(DC, "subject", "Bag"),
    40: Caption(PHOTOSHOP, "Instructions", "text"),
    80: Caption(DC, "creator", "Seq"),
    85: Caption(PHOTOSHOP, "AuthorsPosition", "text"),
    90: Caption(PHOTOSHOP, "City", "text"),
    92: Caption(IPTC_CORE, "Location", "text"),
    95: Caption(PHOTOSHOP, "State", "text"),
    100: Caption(IPTC_CORE, "CountryCode", "text"),
    101: Caption(PHOTOSHOP, "Country", "text"),
    103: Caption(PHOTOSHOP, "TransmissionReference", "text"),
    105: Caption(PHOTOSHOP, "Headline", "text"),
    110: Caption(PHOTOSHOP, "Credit", "text"),
    115: Caption(PHOTOSHOP, "Source", "text"),
    116: Caption(DC, "rights", "Alt"),
    120: Caption(DC, "description", "Alt"),
    122: Caption(PHOTOSHOP, "CaptionWriter", "text"),
}
"""By the number of the dataset in IPTC's application record."""
OF_TEXT = {
    "Title": Caption(DC, "title", "Alt"),
    "Author": Caption(DC, "creator", "Seq"),
    "Description": Caption(DC, "description", "Alt"),
    "Copyright": Caption(DC, "rights", "Alt"),
    "Disclaimer": Caption(XMP_RIGHTS, "UsageTerms", "Alt"),
    "Source": Caption(DC, "source", "text"),
    "Comment": Caption(EXIF, "UserComment", "Alt"),
}
"""By PNG's keyword."""

Captions = dict[Caption, list[str]]


def captions_of_iptc(iptc: bytes) -> Captions:
    """What IPTC records say that XMP has a word for."""
    found: Captions = {}
    encoding = "latin-1"
    for record, number, value in datasets(iptc):
        if (record, number) == (ENVELOPE, CHARACTER_SET) and value == UTF_8:
            encoding = "utf-8"
        if record == APPLICATION and number in OF_IPTC:
            words = value.decode(encoding, "replace").strip("\0")
            found.setdefault(OF_IPTC[number], []).append(words)
    return found


def captions_of_text(text: Mapping[str, str]) -> Captions:
    """What PNG's texts say that XMP has a word for."""
    return {OF_TEXT[key]: [words] for key, words in text.items() if key in OF_TEXT}


def as_properties(captions: Captions) -> dict[tuple[str, str], str]:
    """The captions as elements of XMP by namespace and name."""
    return {
        (caption.namespace, caption.name): element(caption, values)
        for caption, values in captions.items()
    }


def element(caption: Caption, values: list[str]) -> str:
    """A property as an element; `rdf` must be known where it goes."""
    inner = escape(printable(values[0]))
    if caption.shape != "text":
        items = "".join(list_items(caption.shape, values))
        inner = f"<rdf:{caption.shape}>{items}</rdf:{caption.shape}>"
    return f'<c:{caption.name} xmlns:c="{caption.namespace}">{inner}</c:{caption.name}>'


def list_items(shape: Shape, values: list[str]) -> Iterator[str]:
    """The items of a list."""
    language = ' xml:lang="x-default"' if shape == "Alt" else ""
    for words in values[:1] if shape == "Alt" else values:
        yield f"<rdf:li{language}>{escape(printable(words))}</rdf:li>"


def printable(words: str) -> str:
    """Words without the characters that XML cannot hold."""
    return "".join(letter for letter in words if letter.isprintable() or letter in "\t\n\r")
