"""XMP that a JPEG keeps in more than one segment, joined to the packet it was.

Source: XMP specification part 3, section 1.1.3.1 (extended XMP in JPEG).
"""

import re
from collections.abc import Iterable

EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
MOST_BYTES = 16 << 20
OPENING = re.compile(rb"<rdf:RDF\b([^>]*)>")
CLOSING = b"</rdf:RDF>"
POINTER = re.compile(rb"\s*xmpNote:HasExtendedXMP\s*=\s*([\"'])([0-9A-Fa-f]{32})\1")
NAMESPACE = re.compile(rb"xmlns:[\w.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')")


def joined_xmp(packet: bytes, segments: Iterable[tuple[str, bytes]]) -> bytes:
    """A packet with what it says lies in extended segments, as if it had fitted.

    segments: APPn name and content of each.  What is not whole stays away.
    """
    pointer = POINTER.search(packet)
    if pointer is None:
        return packet
    extended = extended_packet(segments, pointer[2].upper())
    opened, closed = OPENING.search(extended), extended.rfind(CLOSING)
    place, own = packet.rfind(CLOSING), OPENING.search(packet)
    if opened is None or closed < opened.end() or place < 0 or own is None:
        return packet
    known = set(NAMESPACE.findall(own[1]))
    new = b"".join(b" " + name for name in NAMESPACE.findall(opened[1]) if name not in known)
    joined = (
        packet[: own.end() - 1]
        + new
        + packet[own.end() - 1 : place]
        + extended[opened.end() : closed]
        + packet[place:]
    )
    return POINTER.sub(b"", joined, count=1)


def extended_packet(segments: Iterable[tuple[str, bytes]], digest: bytes) -> bytes:
    """The extended packet of the given name, its parts by their offsets; b"" if one is missing."""
    head = EXTENSION + digest
    parts: dict[int, bytes] = {}
    length = 0
    for name, content in segments:
        if name == "APP1" and content[: len(head)].upper() == head.upper():
            at = len(head)
            length = int.from_bytes(content[at : at + 4])
            parts[int.from_bytes(content[at + 4 : at + 8])] = content[at + 8 :]
    whole = b"".join(parts[offset] for offset in sorted(parts))
    return whole if 0 < length == len(whole) <= MOST_BYTES else b""
