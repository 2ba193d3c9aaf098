"""The note in a result: what it was made of, as JSON in the place its format has for words."""

import json
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, unescape

from PIL import Image

from daemon.pictures.formats import READABLE

NOTE_KEY = "atelierd"
XMP_NAMESPACE = "urn:atelierd:1"


def to_xmp(note: str) -> bytes:
    """An XMP packet with the note as one property."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:a="{XMP_NAMESPACE}">'
        f"<a:note>{escape(note)}</a:note>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def read_note(path: Path) -> dict[str, Any] | None:
    """The note embedded in a result, or None if there is none."""
    with Image.open(path, formats=READABLE) as opened:
        text = opened.info.get(NOTE_KEY)
        if text is None and opened.format == "GIF":
            comment = opened.info.get("comment", b"").decode(errors="replace")
            text = comment.removeprefix(f"{NOTE_KEY} ") if comment.startswith(NOTE_KEY) else None
        if text is None:
            packet = opened.info.get("xmp", b"")
            packet = packet.decode() if isinstance(packet, bytes) else packet
            found = re.search("<a:note>(.*?)</a:note>", packet, re.DOTALL)
            text = unescape(found.group(1)) if found else None
    note: dict[str, Any] | None = json.loads(text) if text else None
    return note
