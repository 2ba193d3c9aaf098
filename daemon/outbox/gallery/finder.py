"""Finds what belongs to a record: its result, its companions, its small versions."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from daemon.host import files
from daemon.job import JOBS_FOLDER
from daemon.outbox.gallery import places
from daemon.outbox.gallery.entry import ID, SHA256, GalleryEntry, entry_of
from daemon.outbox.gallery.links import link
from daemon.outbox.gallery.picture_view import photograph_px
from daemon.outbox.gallery.reading import Data, Names, mapping, read_json, text
from daemon.outbox.gallery.view import PictureLinks, ShownPicture
from daemon.pictures.small import PAINTING, PHOTOGRAPH, SCREEN, THUMBNAIL, small_size

RECORD_ENDING, LISTING_ENDING = ".json", ".sheet.json"


class Finder:
    """Looks in an outbox for what records tell of.

    handed: the folder where a worker's small versions wait, in one of its own for each job.
    """

    def __init__(self, outbox: Path, handed: Path) -> None:
        self._outbox = outbox
        self._handed = handed
        self._names = Names(outbox)

    def find(self, path: str) -> tuple[Data, GalleryEntry] | None:
        """A record below the outbox and its entry; None where it, or its result, is not there.

        Small versions that wait for it are taken into the gallery.  Raises OSError.
        """
        record = read_json(self._outbox / path)
        if record is None:
            return None
        file, film = path, False
        if record.get("state") == "done":
            result = self._result(record, Path(path))
            if result is None:
                return None
            file = result
            film = bool(self._beside(record, path, "timelapse"))
        entry = entry_of(record, path, file, film=film)
        return (record, self.with_views(record, entry)) if entry else None

    def _result(self, record: Data, path: Path) -> str | None:
        """Where a record's result lies: with the record's own name first, wherever it was moved."""
        folder = path.parent.parent
        name = path.name.removesuffix(RECORD_ENDING)
        if os.path.lexists(self._outbox / folder / name):
            return str(folder / name)
        told = Path(text(mapping(record.get("outputs")).get("result"))).name
        found = self._names.name_in(folder, told) if told else None
        return str(folder / found) if found else None

    def _beside(self, record: Data, path: str, kind: str) -> str:
        """A file that lies beside the record, as its outputs tell; empty if it does not."""
        told = Path(text(mapping(record.get("outputs")).get(kind))).name
        found = self._names.name_in(Path(path).parent, told) if told else None
        return str(Path(path).with_name(found)) if found else ""

    # Small versions

    def with_views(self, record: Data, entry: GalleryEntry) -> GalleryEntry:
        """The entry with the small versions that there are, those that waited for it taken in."""
        sha256, same_as = mapping(record.get("picture")).get("sha256"), record.get("same_as")
        photograph = sha256 if isinstance(sha256, str) and SHA256.fullmatch(sha256) else ""
        self._take_in(entry.id, photograph)
        keys = [entry.id]
        if isinstance(same_as, str) and ID.fullmatch(same_as):
            keys.append(same_as)
        return replace(
            entry,
            views=next(filter(self.is_shown, keys), ""),
            photograph=photograph,
            pictured=bool(photograph) and self.is_shown(photograph),
        )

    def is_shown(self, key: str) -> bool:
        """Whether there are small versions of a painting or photograph."""
        return (self._outbox / places.thumbnail(key)).exists()

    def _take_in(self, job: str, photograph: str) -> None:
        """Brings what a worker made into the gallery; what is not whole is left out."""
        folder = self._handed / job
        if not folder.is_dir():
            return
        for name, key in ((PAINTING, job), (PHOTOGRAPH, photograph)):
            if not key or self.is_shown(key):
                continue
            for ending, place in ((SCREEN, places.screen_size), (THUMBNAIL, places.thumbnail)):
                source = folder / (name + ending)
                if source.exists():
                    files.copy_whole(source, self._outbox / place(key), replace=True)
        files.remove_tree(folder)

    def painting(
        self, entry: GalleryEntry, page: str, *, thumb: bool = False
    ) -> ShownPicture | None:
        """The small version of a painting, as a page shows it."""
        return self._shown(entry.views, (entry.width_px, entry.height_px), page, thumb=thumb)

    def _shown(
        self, key: str, size: tuple[int, int], page: str, *, thumb: bool = False
    ) -> ShownPicture | None:
        if not key or not all(size):
            return None
        place = places.thumbnail(key) if thumb else places.screen_size(key)
        return ShownPicture(link(page, place), *small_size(*size, THUMBNAIL if thumb else SCREEN))

    # Links

    def original(self, record: Data) -> str:
        """Where a record's photograph lies; empty where it does not."""
        told = text(mapping(record.get("outputs")).get("original"))
        return self._names.locate(told) or ""

    def links(
        self,
        page: str,
        record: Data,
        entry: GalleryEntry,
        *,
        newer: GalleryEntry | None = None,
        older: GalleryEntry | None = None,
    ) -> PictureLinks:
        """Everything that a picture's page leads to, and is there."""
        done = entry.state == "done"

        def to(path: str) -> str:
            return link(page, path) if path else ""

        def page_of(other: GalleryEntry | None) -> str:
            return to(places.picture_page(other.id)) if other else ""

        return PictureLinks(
            preset=to(places.shelf_front(places.shelf_of(entry.preset))) if done else "",
            result=to(entry.file) if done else "",
            original=to(self.original(record)),
            record=to(entry.record),
            log=to(self._beside(record, entry.record, "log")),
            sheet=to(places.picture_page(entry.sheet)) if entry.sheet else "",
            timelapse=to(self._beside(record, entry.record, "timelapse")),
            newer=page_of(newer),
            older=page_of(older),
            photograph=self._shown(
                entry.photograph if entry.pictured else "", photograph_px(record), page
            ),
            painting=self.painting(entry, page) if done else None,
        )


def listing_cells(listing: Data) -> Sequence[tuple[str, str]]:
    """The job and the record's path of each cell of a sheet that has a result."""
    cells = []
    for cell in mapping(listing.get("cells")).values():
        told = mapping(cell)
        job, result = told.get("job"), told.get("result")
        if isinstance(job, str) and isinstance(result, str) and result:
            name = files.with_ending(Path(result).name, RECORD_ENDING)
            cells.append((job, str(Path(result).parent / JOBS_FOLDER / name)))
    return cells
