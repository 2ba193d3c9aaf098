"""What the gallery keeps of each picture and sheet, so that a page is written without reading all
records again. Plain data; paths are below the outbox, and may hold any byte.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from daemon.job import OVER
from daemon.outbox.gallery.picture_view import photograph_px, result_px
from daemon.outbox.gallery.reading import Data, mapping, number, text

ID = re.compile(r"[0-9a-f]{8,64}")
SHA256 = re.compile(r"[0-9a-f]{2,64}")
MOST_REASON = 400


@dataclass(frozen=True)
class GalleryEntry:
    """A picture's or a sheet's place in the gallery.

    id: of the job; of a sheet, a hash.  file: whose going makes the entry go: the result, or of
    what failed the record.  sheet: the id of the sheet it is on.  views: the name of its small
    versions; empty while there are none.  photograph: its hash; pictured: whether there are small
    versions of that.  width_px, height_px: the painting's own.
    """

    id: str
    record: str
    file: str
    name: str
    preset: str
    state: str
    finished_at: str
    label: str = ""
    seconds: float = 0.0
    width_px: int = 0
    height_px: int = 0
    views: str = ""
    photograph: str = ""
    pictured: bool = False
    reason: str = ""
    sheet: str = ""
    film: bool = False

    @property
    def is_unseen(self) -> bool:
        """Whether it is a result without small versions."""
        return self.state == "done" and not self.views

    @property
    def order(self) -> tuple[str, str]:
        """What entries are sorted by, the oldest first."""
        return self.finished_at, self.id


def entry_of(record: Data, path: str, file: str, *, film: bool = False) -> GalleryEntry | None:
    """The entry of a record that lies at `path`; None where it is none of ours.

    file: as of `GalleryEntry`.  film: whether there is a time-lapse.
    """
    job, state = record.get("id"), record.get("state")
    if not isinstance(job, str) or not ID.fullmatch(job) or state not in OVER:
        return None
    picture, seconds = mapping(record.get("picture")), number(record.get("seconds"))
    width_px, height_px = result_px(record) if state == "done" else photograph_px(record)
    return GalleryEntry(
        job,
        path,
        file,
        name=text(picture.get("name")) or "a picture",
        preset=text(record.get("preset")),
        state=text(state),
        finished_at=text(record.get("finished_at")),
        label=text(record.get("label")),
        seconds=seconds or 0.0,
        width_px=width_px,
        height_px=height_px,
        reason=text(record.get("reason"))[:MOST_REASON],
        film=film,
    )


def entries_data(entries: Sequence[GalleryEntry]) -> bytes:
    """Entries as a file has them: a JSON line each, which holds any name."""
    return b"".join(json.dumps(plain_entry(one)).encode() + b"\n" for one in entries)


def plain_entry(entry: GalleryEntry) -> Mapping[str, Any]:
    """An entry as plain data, without what says nothing."""
    return {name: value for name, value in asdict(entry).items() if value or name in NEEDED}


def read_entries(content: bytes) -> list[GalleryEntry]:
    """The entries of `entries_data`; a line that is none is left out, and found again later."""
    found = []
    for line in content.splitlines():
        try:
            data = json.loads(line)
            known = {name: data[name] for name in KINDS if name in data}
            if all(isinstance(value, KINDS[name]) for name, value in known.items()):
                found.append(GalleryEntry(**known))
        except (ValueError, TypeError):
            continue
    return found


TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "float": (int, float),
    "int": int,
    "bool": bool,
}
KINDS = {
    one.name: TYPES[one.type if isinstance(one.type, str) else one.type.__name__]
    for one in fields(GalleryEntry)
}
NEEDED = ("id", "record", "file", "name", "preset", "state", "finished_at")
