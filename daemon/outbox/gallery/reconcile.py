"""Brings a gallery in line with what lies in the outbox: what is new comes, what is gone goes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from daemon.host import files
from daemon.outbox.gallery import places
from daemon.outbox.gallery.entry import GalleryEntry
from daemon.outbox.gallery.finder import listing_cells
from daemon.outbox.gallery.gallery import Gallery
from daemon.outbox.gallery.places import ALL
from daemon.outbox.gallery.reading import read_json
from daemon.outbox.gallery.reconciled import Reconciled
from daemon.outbox.gallery.render import edition
from daemon.outbox.gallery.shelves import Catalogue, GalleryShelf, pages_of
from daemon.outbox.gallery.walk import Lying, look_around
from daemon.pictures.small import THUMBNAIL

NEWEST = 3
"""Pages of pictures that are always written again: a crash may have come between them."""

OnPiece = Callable[[], object]


def reconcile(
    gallery: Gallery, on_piece: OnPiece = lambda: None, *, anew: bool = False
) -> Reconciled:
    """Adds what the gallery lacks, and removes what is not in the outbox any more.

    anew: every record is read, and every page is written again.  on_piece: called again and again.
    Raises OSError or SurroundingsError; nothing is removed where the outbox cannot be seen.
    """
    with gallery.alone():
        waiting = sorted(gallery.handed.iterdir()) if gallery.handed.is_dir() else []
        lying = look_around(gallery.outbox, on_piece)
        anew = anew or not gallery.is_current()
        known = {} if anew else known_entries(gallery)
        kept = {path: one for path, one in known.items() if lying.has(one.file) and lying.has(path)}
        pictures = kept | read_new(gallery, lying, kept, on_piece)
        pictures = {path: one for path, one in pictures.items() if one.state != "sheet"}
        shown = without_doubles(seen(gallery, pictures))
        sheets = sheets_of(gallery, lying, shown, known, on_piece)
        entries = with_sheets(shown, sheets)
        write_shelves(gallery, entries, anew=anew, on_piece=on_piece)
        write_pictures(gallery, entries, known, anew=anew, on_piece=on_piece)
        write_sheets(gallery, sheets, entries, known, anew=anew)
        remove_unused(gallery, entries)
        for folder in waiting:  # of results that are gone already
            files.remove_tree(folder)
    unseen = [one for one in entries if one.is_unseen]
    return Reconciled(
        sum(one.state == "done" for one in entries),
        added=len({one.record for one in entries} - set(known)),
        removed=len(set(known) - {one.record for one in entries}),
        unseen=[one.record for one in sorted(unseen, key=lambda one: one.order, reverse=True)],
    )


def known_entries(gallery: Gallery) -> dict[str, GalleryEntry]:
    """What is on the shelves, by record."""
    return {one.record: one for _, _, page in gallery.store.every_page() for one in page}


def read_new(
    gallery: Gallery, lying: Lying, kept: Mapping[str, GalleryEntry], on_piece: OnPiece
) -> dict[str, GalleryEntry]:
    """The entries of records that are not on the shelves yet."""
    new = {}
    for path in lying.records:
        if path in kept:
            continue
        on_piece()
        try:
            found = gallery.finder.find(path)
        except OSError:  # closed, or on a bad spot of its disk: the others are shown
            continue
        if found is not None:
            new[path] = found[1]
    return new


def seen(gallery: Gallery, pictures: Mapping[str, GalleryEntry]) -> dict[str, GalleryEntry]:
    """The entries with the small versions that are there now."""
    folder = gallery.outbox / places.SMALL
    there = {path.name.removesuffix(THUMBNAIL) for path in folder.glob(f"*/*{THUMBNAIL}")}
    shown = {}
    for path, one in pictures.items():
        views = one.views if one.views in there else one.id if one.id in there else ""
        shown[path] = replace(one, views=views, pictured=one.photograph in there)
    return shown


def without_doubles(pictures: Mapping[str, GalleryEntry]) -> list[GalleryEntry]:
    """One entry for each job: a folder of results that somebody copied shows them once."""
    by_id: dict[str, GalleryEntry] = {}
    for path in sorted(pictures):
        by_id.setdefault(pictures[path].id, pictures[path])
    return list(by_id.values())


def sheets_of(
    gallery: Gallery,
    lying: Lying,
    pictures: Iterable[GalleryEntry],
    known: Mapping[str, GalleryEntry],
    on_piece: OnPiece,
) -> dict[GalleryEntry, list[str]]:
    """The sheets there are, and the jobs on each."""
    by_id = {one.id: one for one in pictures}
    sheets = {}
    for path in lying.listings:
        on_piece()
        cells = [
            by_id[job]
            for job, _ in listing_cells(read_json(gallery.outbox / path) or {})
            if job in by_id
        ]
        entry = known.get(path) if path in known else gallery.sheet_entry(path, cells)
        if entry is not None and cells and lying.has(entry.file):
            sheets[entry] = [cell.id for cell in cells]
    return sheets


def with_sheets(
    pictures: Iterable[GalleryEntry], sheets: Mapping[GalleryEntry, Sequence[str]]
) -> list[GalleryEntry]:
    """All entries, oldest first, each picture with the sheet it is on."""
    on = {job: sheet.id for sheet, jobs in sheets.items() for job in jobs}
    shown = [replace(one, sheet=on.get(one.id, "")) for one in pictures]
    return sorted([*shown, *sheets], key=lambda one: one.order)


def write_shelves(
    gallery: Gallery, entries: Sequence[GalleryEntry], *, anew: bool, on_piece: OnPiece
) -> None:
    """Writes the pages of all shelves that are not as they should be, and removes what is over."""
    store, pages = gallery.store, gallery.pages
    paged = pages_of(entries)
    paged = paged or {GalleryShelf(ALL, "Pictures"): []}
    catalogue = Catalogue({shelf.key: shelf for shelf in paged}, edition())
    pages.write_assets()
    there = {(shelf, number) for shelf, number, _ in store.every_page()}
    wanted = {(shelf.key, at) for shelf in paged for at in range(1, shelf.pages + 1)}
    before = store.catalogue()
    for shelf, rows in paged.items():
        grown = before.shelf(shelf.key, "").pages != shelf.pages
        for number, row in enumerate(rows, start=1):
            on_piece()
            changed = store.keep_page(shelf.key, number, row)
            written = (gallery.outbox / places.shelf_page(shelf.key, number)).exists()
            if number < shelf.pages and (changed or anew or grown or not written):
                pages.write_full(shelf, number, catalogue)
    for key, number in there - wanted:
        store.drop(places.shelf_data(key, number))
        store.drop(places.shelf_page(key, number))
    store.keep_catalogue(catalogue)
    for shelf in paged:
        pages.write_front(shelf, catalogue)
    for gone in {key for key, _ in there} - {shelf.key for shelf in paged}:
        files.remove_tree(gallery.outbox / places.shelf_folder(gone))
    pages.write_tabs(catalogue)


def write_pictures(
    gallery: Gallery,
    entries: Sequence[GalleryEntry],
    known: Mapping[str, GalleryEntry],
    *,
    anew: bool,
    on_piece: OnPiece,
) -> None:
    """Writes the pages of pictures that are new, or have other neighbours than before."""
    catalogue = gallery.store.catalogue()
    row = [one for one in entries if one.state == "done"]
    former = sorted(
        (one for one in known.values() if one.state == "done"), key=lambda one: one.order
    )
    before = {one: beside for one, beside in zip(former, neighbours(former), strict=True)}
    there = written_pages(gallery)
    for at, (one, beside) in enumerate(zip(row, neighbours(row), strict=True)):
        stale = anew or one.id not in there or at >= len(row) - NEWEST
        if stale or before.get(one) != beside:
            on_piece()
            gallery.write_one(row, at, catalogue)
    for one in entries:
        if one.state not in ("done", "sheet") and (anew or one.id not in there):
            record = gallery.record_of(one)
            if record is not None:
                on_piece()
                gallery.pages.write_picture(record, one, catalogue)


def neighbours(row: Sequence[GalleryEntry]) -> list[tuple[str, str]]:
    """The ids before and after each."""
    ids = ["", *(one.id for one in row), ""]
    return [(ids[at], ids[at + 2]) for at in range(len(row))]


def written_pages(gallery: Gallery) -> set[str]:
    """The ids of which there is a page."""
    return {path.stem for path in (gallery.outbox / places.PICTURES).glob("*/*.html")}


def write_sheets(
    gallery: Gallery,
    sheets: Mapping[GalleryEntry, Sequence[str]],
    entries: Sequence[GalleryEntry],
    known: Mapping[str, GalleryEntry],
    *,
    anew: bool,
) -> None:
    """Writes the pages of sheets that are new, or were not written."""
    by_id = {one.id: one for one in entries}
    there = written_pages(gallery)
    for sheet, jobs in sheets.items():
        if anew or sheet.id not in there or known.get(sheet.record) != sheet:
            cells = [by_id[job] for job in jobs if job in by_id]
            gallery.pages.write_sheet(sheet, cells, gallery.store.catalogue())


def remove_unused(gallery: Gallery, entries: Sequence[GalleryEntry]) -> None:
    """Removes pages and small versions of what is gone."""
    ids = {one.id for one in entries}
    used = {key for one in entries for key in (one.views, one.photograph)}
    drop_others(gallery.outbox / places.PICTURES, ids)
    drop_others(gallery.outbox / places.SMALL, used)


def drop_others(folder: Path, kept: set[str]) -> None:
    """Removes files, two folders down, whose names do not begin with one of these and a dot."""
    for path in folder.glob("*/*"):
        if path.name.split(".", 1)[0] not in kept:
            path.unlink(missing_ok=True)
