"""Notes that a JPEG has in several segments, and a PNG as another program's text, put together."""

import binascii
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from daemon.pictures.xmp_extended import digest_of, joined

XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_MARK = b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP_MARK = b"Photoshop 3.0\0"
EXTENDED_HEAD = struct.Struct(">32sII")
MOST_BYTES = 32 << 20
LINK = re.compile(rb"HasExtendedXMP\s*(?:=\s*[\"']|>)\s*([0-9A-Fa-f]{32})")
RAW_PROFILE = re.compile(r"\n?[^\n]*\n\s*(\d+)\s+([0-9A-Fa-f\s]*)")
"""What it is called in a line, how many bytes there are, and their digits."""


def joined_notes(segments: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """What Pillow's `info` says of XMP, Photoshop's resources and the comment, from all segments.

    segments: name (`APP1`, `COM`) and content of each, as Pillow lists them; only what is split is
    in the answer.
    """
    known = tuple(segments)
    found: dict[str, Any] = {}
    standard = [part for name, part in known if name == "APP1" and part.startswith(XMP_MARK)]
    if standard and (link := LINK.search(standard[0])):
        extended = extended_packet(known, link[1].upper())
        found["xmp"] = joined(standard[0].removeprefix(XMP_MARK), extended)
    framed = [part for name, part in known if name == "APP13" and part.startswith(PHOTOSHOP_MARK)]
    if len(framed) > 1:
        found["photoshop_block"] = b"".join(part.removeprefix(PHOTOSHOP_MARK) for part in framed)
    comments = [part for name, part in known if name == "COM"]
    if len(comments) > 1:
        found["comment"] = b"".join(comments)
    return found


def extended_packet(segments: Iterable[tuple[str, bytes]], digest: bytes) -> bytes:
    """The extended packet of that digest; b"" if a part is missing or of something else.

    Source: XMP specification part 3, section 1.1.3.1.
    """
    parts: dict[int, bytes] = {}
    whole = 0
    head = len(EXTENDED_MARK) + EXTENDED_HEAD.size
    for name, part in segments:
        if name != "APP1" or not part.startswith(EXTENDED_MARK) or len(part) < head:
            continue
        found, size, offset = EXTENDED_HEAD.unpack_from(part, len(EXTENDED_MARK))
        if found.upper() == digest and size <= MOST_BYTES:
            parts[offset], whole = part[head:], size
    packet = b"".join(parts[offset] for offset in sorted(parts))
    return packet if len(packet) == whole and digest_of(packet).encode() == digest else b""


def raw_profile(info: Mapping[Any, Any], kind: str) -> bytes:
    """A profile of hexadecimal digits that ImageMagick and ExifTool keep in PNG; b"" if none."""
    text = info.get(f"Raw profile type {kind}")
    found = RAW_PROFILE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return b""
    try:
        content = bytes.fromhex(found[2])
    except (ValueError, binascii.Error):
        return b""
    return content if len(content) == int(found[1]) else b""
