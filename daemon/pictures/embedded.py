"""What goes into a result's file beside its pixels, made ready for any format."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.pictures.ifd import Tags


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
