"""The note in a result: what it was made of, as JSON in the place its format has for words."""

import json
import mmap
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape

from PIL import Image

NOTE_KEY = "atelierd"
IN_PACKET = re.compile(rb'xmlns:a="urn:atelierd:1"><a:note>(.*?)</a:note>', re.DOTALL)
"""As `xmp` writes it. No format compresses its packet, so it is found wherever that lies."""


def read_note(path: Path) -> dict[str, Any] | None:
    """The note embedded in a result, or None if there is none."""
    text = note_in_packet(path) or note_in_text(path)
    note: dict[str, Any] | None = json.loads(text) if text else None
    return note


def note_in_packet(path: Path) -> str | None:
    """The note in a file's XMP."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = IN_PACKET.search(content)
        return unescape(found[1].decode()) if found else None


def note_in_text(path: Path) -> str | None:
    """The note that a GIF has as its comment, and PNGs of earlier versions as a text."""
    with Image.open(path, formats=("PNG", "GIF", "JPEG", "WEBP", "TIFF", "BMP")) as opened:
        text = opened.info.get(NOTE_KEY)
        if text is None and opened.format == "GIF":
            comment = opened.info.get("comment", b"").decode(errors="replace")
            text = comment.removeprefix(f"{NOTE_KEY} ") if comment.startswith(NOTE_KEY) else None
        return text if isinstance(text, str) else None
