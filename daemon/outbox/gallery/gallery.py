"""The gallery of an outbox: what comes is added to it, and nothing else is written again."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.outbox.gallery import places
from daemon.outbox.gallery.entry import GalleryEntry
from daemon.outbox.gallery.finder import Finder, listing_cells
from daemon.outbox.gallery.page_writer import PageWriter
from daemon.outbox.gallery.places import ALL, FAILED
from daemon.outbox.gallery.reading import Data, read_json
from daemon.outbox.gallery.render import edition
from daemon.outbox.gallery.shelves import (
    PAGE,
    Catalogue,
    GalleryShelf,
    ShelfFiles,
    shelves_of,
)
from daemon.outbox.gallery.small_files import shrink_file, targets_of

ID_LENGTH = 32


class Gallery:
    """Adds to the gallery of one outbox. For one thread; other processes are kept out by a lock.

    handed: where workers' small versions wait.  zone: whose days pictures lie under.
    Every method may raise OSError, or SurroundingsError; repeating it later is harmless.
    """

    def __init__(self, outbox: Path, handed: Path, zone: tzinfo) -> None:
        self.outbox = outbox
        self.handed = handed
        self.store = ShelfFiles(outbox)
        self.finder = Finder(outbox, handed)
        self.pages = PageWriter(self.store, self.finder, zone)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other services of the same outbox from writing meanwhile, where locks are known."""
        if not self.outbox.is_dir():
            where = files.printable(self.outbox)
            raise SurroundingsError(f"the outbox {where} is unavailable: there is no such folder")
        path = self.outbox / places.LOCK
        files.make_folder(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            self.store.forget()
            yield
        finally:
            os.close(handle)

    def is_current(self) -> bool:
        """Whether the gallery was written by this edition, so that it can be added to."""
        return self.store.catalogue().edition == edition()

    def add(self, record: str) -> GalleryEntry | None:
        """Adds a record, at that path below the outbox; None if there is nothing to show of it."""
        with self.alone():
            found = self.finder.find(record)
            if found is None:
                return None
            _, entry = found
            self._put(entry)
            if entry.state == "done":
                self._write_beside(entry)
            else:
                self.pages.write_picture(*found, self.store.catalogue())
            return entry

    def add_sheet(self, listing: str) -> bool:
        """Adds a sheet, told of by the listing at that path; its cells' pages lead to it then."""
        with self.alone():
            data = read_json(self.outbox / listing)
            if data is None:
                return False
            cells = [found for _, path in listing_cells(data) if (found := self.finder.find(path))]
            entry = self.sheet_entry(listing, [one for _, one in cells])
            if entry is None:
                return False
            self._put(entry)
            catalogue = self.store.catalogue()
            self.pages.write_sheet(entry, [one for _, one in cells], catalogue)
            for _, cell in cells:
                self._put(replace(cell, sheet=entry.id))
                self._write_beside(replace(cell, sheet=entry.id), alone=True)
            return True

    def sheet_entry(self, listing: str, cells: Sequence[GalleryEntry]) -> GalleryEntry | None:
        """The entry of a sheet that lies above its listing; None where it is gone, or empty."""
        path = Path(listing)
        name = path.name.removesuffix(".sheet.json") + ".jpg"
        file = path.parent.parent / name
        if not cells or not os.path.lexists(self.outbox / file):
            return None
        sheet_id = hashlib.sha256(os.fsencode(listing)).hexdigest()[:ID_LENGTH]
        presets = {cell.preset for cell in cells}
        size = shrink_file(self.outbox / file, targets_of(self.outbox, sheet_id))
        return GalleryEntry(
            sheet_id,
            listing,
            str(file),
            name=files.printable(cells[0].name),
            preset=presets.pop() if len(presets) == 1 else "",
            state="sheet",
            finished_at=max(cell.finished_at for cell in cells),
            label=f"{len(cells)} paintings",
            width_px=size[0] if size else 0,
            height_px=size[1] if size else 0,
            views=sheet_id if size else "",
        )

    # What comes

    def _put(self, entry: GalleryEntry) -> None:
        """Puts an entry onto its shelves' last pages, and writes those, the tabs and the front."""
        before = self.store.catalogue()
        placed = [self._shelve(entry, *shelf, before) for shelf in shelves_of(entry).items()]
        tidied = self._tidy_failed(before) if entry.state == "done" else []
        catalogue = replace(before, edition=edition())
        for shelf in (*(one for one, _ in placed), *tidied):
            catalogue = catalogue.with_shelf(shelf)
        self.store.keep_catalogue(catalogue)
        for shelf, number in placed:
            begun = shelf.pages > before.shelf(shelf.key, "").pages
            full = range(max(1, number - 2), number) if begun else range(number, shelf.pages)
            for at in full[:2]:
                self.pages.write_full(shelf, at, catalogue)
        changed = {ALL, *(one.key for one, _ in placed), *(one.key for one in tidied)}
        for key in sorted(changed):
            self.pages.write_front(catalogue.shelf(key, "Pictures"), catalogue)
        self.pages.write_tabs(catalogue)

    def _shelve(
        self, entry: GalleryEntry, key: str, title: str, catalogue: Catalogue
    ) -> tuple[GalleryShelf, int]:
        """The shelf with an entry on its last page, or in its own place, and the page's number."""
        shelf = catalogue.shelf(key, title)
        last = max(1, shelf.pages)
        for number in range(last, max(0, last - 2), -1):  # what is written again is seldom older
            entries = self.store.page(key, number)
            if any(one.id == entry.id for one in entries):
                again = [entry if one.id == entry.id else one for one in entries]
                self.store.keep_page(key, number, again)
                return shelf, number
        entries = self.store.page(key, last)
        if len(entries) >= PAGE:
            last, entries = last + 1, []
        self.store.keep_page(key, last, sorted([*entries, entry], key=lambda one: one.order))
        return replace(shelf, pages=last, count=shelf.count + 1), last

    def _tidy_failed(self, catalogue: Catalogue) -> list[GalleryShelf]:
        """The shelf of failures without those that were tried again: what tells of them is gone."""
        shelf = catalogue.shelf(FAILED, "Failed")
        if not shelf.count:
            return []
        entries = self.store.page(FAILED, shelf.pages)
        left = [one for one in entries if os.path.lexists(self.outbox / one.file)]
        if len(left) == len(entries):
            return []
        self.store.keep_page(FAILED, shelf.pages, left)
        for one in entries:
            if one not in left:
                self.store.drop(places.picture_page(one.id))
        return [replace(shelf, count=shelf.count - len(entries) + len(left))]

    def _write_beside(self, entry: GalleryEntry, *, alone: bool = False) -> None:
        """Writes an entry's page, and those of its neighbours, which lead to it.

        alone: not its neighbours'.
        """
        catalogue = self.store.catalogue()
        pages = catalogue.shelf(ALL, "Pictures").pages
        shown = [self.store.page(ALL, number) for number in range(max(1, pages - 1), pages + 1)]
        row = [one for page in shown for one in page if one.state == "done"]
        place = next((at for at, one in enumerate(row) if one.id == entry.id), None)
        if place is None:
            return
        for at in (place,) if alone else (place - 1, place, place + 1):
            if 0 <= at < len(row):
                self.write_one(row, at, catalogue)

    def write_one(self, row: Sequence[GalleryEntry], at: int, catalogue: Catalogue) -> None:
        """Writes the page of one of a row of pictures, from the oldest."""
        record = self.record_of(row[at])
        if record is not None:
            newer = row[at + 1] if at + 1 < len(row) else None
            older = row[at - 1] if at else None
            self.pages.write_picture(record, row[at], catalogue, newer=newer, older=older)

    def record_of(self, entry: GalleryEntry) -> Data | None:
        """The record of an entry; None where it is gone."""
        return read_json(self.outbox / entry.record)
