"""The shelves of the gallery, and what is on their pages: kept in files, whole or not at all.

Pages are counted from the oldest, so that what comes goes onto the last one and no other changes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.outbox.gallery import places
from daemon.outbox.gallery.entry import GalleryEntry, entries_data, read_entries
from daemon.outbox.gallery.places import ALL, FAILED, PRESET
from daemon.outbox.gallery.reading import mapping, read_json, text, whole

PAGE = 200
"""Pictures of a page, at most."""

FRONT = 100
"""Pictures of a shelf's newest page, at least: those of the page before fill it up."""


@dataclass(frozen=True)
class GalleryShelf:
    """A row of pictures. key: what its files are called.  pages, count: of pages, of pictures."""

    key: str
    title: str
    pages: int = 0
    count: int = 0


@dataclass(frozen=True)
class Catalogue:
    """All shelves by key, and the edition of the templates that wrote their pages."""

    shelves: Mapping[str, GalleryShelf]
    edition: str = ""

    def with_shelf(self, shelf: GalleryShelf) -> "Catalogue":
        """The same, with a shelf as it is now."""
        return replace(self, shelves={**self.shelves, shelf.key: shelf})

    @property
    def presets(self) -> list[GalleryShelf]:
        """The shelves of presets, by their names."""
        found = [one for one in self.shelves.values() if one.key.startswith(PRESET) and one.count]
        return sorted(found, key=lambda one: one.title.casefold())

    def shelf(self, key: str, title: str) -> GalleryShelf:
        """A shelf, which is empty if there was none."""
        return self.shelves.get(key) or GalleryShelf(key, title)


def shelves_of(entry: GalleryEntry) -> dict[str, str]:
    """The shelves that an entry is on, with their titles."""
    if entry.state not in ("done", "sheet"):
        return {FAILED: "Failed"}
    own = {places.shelf_of(entry.preset): entry.preset} if entry.preset else {}
    return {ALL: "Pictures"} | own


def pages_of(entries: Iterable[GalleryEntry]) -> dict[GalleryShelf, list[list[GalleryEntry]]]:
    """Entries on their shelves' pages, from the oldest. Pure, and the same for the same entries."""
    titles: dict[str, str] = {}
    rows: dict[str, list[GalleryEntry]] = {}
    for entry in sorted(entries, key=lambda one: one.order):
        for key, title in shelves_of(entry).items():
            titles.setdefault(key, title)
            rows.setdefault(key, []).append(entry)
    paged = {}
    for key, row in rows.items():
        pages = [row[first : first + PAGE] for first in range(0, len(row), PAGE)]
        paged[GalleryShelf(key, titles[key], len(pages), len(row))] = pages
    return paged


def front_of(pages: Sequence[Sequence[GalleryEntry]]) -> list[GalleryEntry]:
    """What a shelf's newest page shows of its last two: at least FRONT if there are so many."""
    if not pages:
        return []
    last = list(pages[-1])
    if len(pages) > 1 and len(last) < FRONT:
        last = [*pages[-2][len(last) - FRONT :], *last]
    return last


class ShelfFiles:
    """Reads and writes what is on the shelves, in files below the outbox."""

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox
        self._read: dict[str, list[GalleryEntry]] = {}

    def forget(self) -> None:
        """Has everything read again: somebody else may have written since."""
        self._read.clear()

    def catalogue(self) -> Catalogue:
        """The shelves as they were written last; none if none were, or it cannot be understood."""
        data = read_json(self._outbox / places.SHELVES) or {}
        shelves = {}
        for key, one in mapping(data.get("shelves")).items():
            told = mapping(one)
            shelves[key] = GalleryShelf(
                key, text(told.get("title")), whole(told.get("pages")), whole(told.get("count"))
            )
        return Catalogue(shelves, text(data.get("edition")))

    def keep_catalogue(self, catalogue: Catalogue) -> None:
        """Writes the shelves down."""
        shelves = {
            one.key: {"title": one.title, "pages": one.pages, "count": one.count}
            for one in catalogue.shelves.values()
        }
        data = {"schema": 1, "edition": catalogue.edition, "shelves": shelves}
        self.put(places.SHELVES, json.dumps(data, indent=1).encode() + b"\n")

    def page(self, shelf: str, number: int) -> list[GalleryEntry]:
        """What is on a page; nothing where there is none."""
        place = places.shelf_data(shelf, number)
        if place not in self._read:
            self._read[place] = read_entries(content_of(self._outbox / place) or b"")
        return self._read[place]

    def keep_page(self, shelf: str, number: int, entries: Sequence[GalleryEntry]) -> bool:
        """Writes down what is on a page; whether that is something else than before."""
        place = places.shelf_data(shelf, number)
        self._read[place] = list(entries)
        return self.put(place, entries_data(entries))

    def every_page(self) -> Iterator[tuple[str, int, list[GalleryEntry]]]:
        """Every page of every shelf that there is, however it came there."""
        folder = self._outbox / places.PAGES
        for path in sorted(folder.glob("*/*.jsonl")):
            if path.stem.isascii() and path.stem.isdigit():
                shelf, number = path.parent.name, int(path.stem)
                yield shelf, number, self.page(shelf, number)

    def put(self, place: str, content: bytes) -> bool:
        """Writes a file of the gallery, whole, unless it is there already; whether it was written.

        Raises SurroundingsError where a first page lies that is not the gallery's.
        """
        path = self._outbox / place
        before = content_of(path)
        if before == content:
            return False
        if place == places.INDEX and before is not None and b'content="atelierd"' not in before:
            raise SurroundingsError(
                f"{files.printable(path)} is not the gallery's, and is left as it is; move it "
                "away, or set gallery: false"
            )
        files.write_bytes(path, content, replace=True)
        return True

    def drop(self, place: str) -> None:
        """Removes a file of the gallery; gone already is fine."""
        self._read.pop(place, None)
        (self._outbox / place).unlink(missing_ok=True)


def content_of(path: Path) -> bytes | None:
    """What a file holds; None where there is none."""
    try:
        with files.open_ordinary(path) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
