"""The note in a result: what it was made of, as JSON in the place its format has for words.

Anybody may have written the file: it is read in pieces, once, and a note has a largest size.
"""

import json
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import unescape

from daemon.host import files
from daemon.pictures.header import open_by_pillow
from daemon.pictures.kinds import HEAD_BYTES, kind_of_content

NOTE_KEY = "atelierd"
HEAD, TAIL = b'xmlns:a="urn:atelierd:1"><a:note>', b"</a:note>"
"""As `xmp` writes it. No format compresses its packet, so it is found wherever that lies."""

MOST_NOTE_BYTES = 1 << 20
PIECE_BYTES = 1 << 20


def read_note(path: Path) -> dict[str, Any] | None:
    """The note embedded in a result, or None if there is none.

    Raises OSError, ValueError, or what Pillow stumbles over.
    """
    with files.open_ordinary(path) as file:
        text = note_in_packet(file) or note_in_text(file)
    note: dict[str, Any] | None = json.loads(text) if text else None
    return note


def note_in_packet(file: BinaryIO) -> str | None:
    """The note in a file's XMP.

    Nothing is mapped: where a file is cut or its share goes away meanwhile, that ends the process.
    """
    part = b""
    while piece := file.read(PIECE_BYTES):
        part = part[1 - len(HEAD) :] + piece
        _, head, rest = part.partition(HEAD)
        if head:
            rest += file.read(max(0, MOST_NOTE_BYTES - len(rest)))
            content, tail, _ = rest[:MOST_NOTE_BYTES].partition(TAIL)
            return unescape(content.decode()) if tail else None
    return None


def note_in_text(file: BinaryIO) -> str | None:
    """The note that a GIF has as its comment, and PNGs of earlier versions as a text."""
    file.seek(0)
    form = kind_of_content(file.read(HEAD_BYTES))
    if form not in ("PNG", "GIF"):
        return None
    with open_by_pillow(file, form) as opened:
        text = opened.info.get(NOTE_KEY)
        if text is None and form == "GIF":
            comment = opened.info.get("comment", b"").decode(errors="replace")
            text = comment.removeprefix(f"{NOTE_KEY} ") if comment.startswith(NOTE_KEY) else None
        return text if isinstance(text, str) and len(text) <= MOST_NOTE_BYTES else None
