"""Writes the gallery's pages from entries and records."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from daemon.outbox.gallery import places
from daemon.outbox.gallery.amounts import day_in_words, moment, seconds_in_words
from daemon.outbox.gallery.entry import GalleryEntry
from daemon.outbox.gallery.finder import Finder
from daemon.outbox.gallery.links import link
from daemon.outbox.gallery.picture_view import view_of
from daemon.outbox.gallery.places import ALL, FAILED
from daemon.outbox.gallery.reading import Data
from daemon.outbox.gallery.render import assets, render
from daemon.outbox.gallery.shelves import Catalogue, GalleryShelf, ShelfFiles, front_of
from daemon.outbox.gallery.view import Card, Day, NavLink, ShownPicture, shape_of
from daemon.pictures.small import SCREEN, small_size

EMPTY = "Nothing is painted yet"
HINT = (
    "Drop a photograph into a folder of the inbox; the painting appears here by itself. This page "
    "is written anew with each."
)
SHEET_PX = 2000, 1400
"""What a sheet's size is taken for where it is not known."""


class PageWriter:
    """Renders pages and puts them where they belong. zone: whose days pictures lie under."""

    def __init__(self, store: ShelfFiles, finder: Finder, zone: tzinfo) -> None:
        self._store = store
        self._finder = finder
        self._zone = zone

    def write_assets(self) -> None:
        """Writes styles, script and icon."""
        for name, content in assets():
            self._store.put(f"{places.STATIC}/{name}", content)

    # Shelves

    def write_tabs(self, catalogue: Catalogue) -> None:
        """Writes the tabs, which older pages fetch: they do not know what came later."""
        import json

        tabs = [
            {"shelf": one.shelf, "title": one.title, "page": one.url, "count": one.count}
            | ({"kind": one.kind} if one.kind else {})
            for one in tabs_of(catalogue, "", "")
        ]
        self._store.put(places.NAV, f"showTabs({json.dumps(tabs)});\n".encode())

    def write_front(self, shelf: GalleryShelf, catalogue: Catalogue) -> None:
        """Writes a shelf's newest page, filled up from the one before."""
        last = range(max(1, shelf.pages - 1), shelf.pages + 1)
        shown = front_of([self._store.page(shelf.key, number) for number in last])
        older = shelf.pages - 1 if shelf.pages > 1 else 0
        page = places.shelf_front(shelf.key)
        self._write_shelf(page, shelf, shown, catalogue, older=older)

    def write_full(self, shelf: GalleryShelf, number: int, catalogue: Catalogue) -> None:
        """Writes one of a shelf's full pages, which is not its newest."""
        page = places.shelf_page(shelf.key, number)
        shown = self._store.page(shelf.key, number)
        newer = number + 1 if number + 1 < shelf.pages else 0
        self._write_shelf(
            page, shelf, shown, catalogue, number=number, newer=newer, older=number - 1
        )

    def _write_shelf(
        self,
        page: str,
        shelf: GalleryShelf,
        shown: Sequence[GalleryEntry],
        catalogue: Catalogue,
        *,
        number: int = 0,
        newer: int = 0,
        older: int = 0,
    ) -> None:
        """number, newer, older: of full pages; 0 for none, or the newest."""
        front = link(page, places.shelf_front(shelf.key)) if number else ""
        frame = self._frame(page, catalogue, shelf.key)
        if shelf.key != ALL or number:
            frame["nav"] = few_tabs(catalogue, page, shelf.key)
        content = render(
            "shelf.html",
            **frame,
            title=shelf.title,
            number=number,
            count=None if number else shelf.count,
            days=self.days(shown, page, shelf.key),
            failed=shelf.key == FAILED,
            newer=link(page, places.shelf_page(shelf.key, newer)) if newer else front,
            older=link(page, places.shelf_page(shelf.key, older)) if older else "",
            empty=EMPTY if shelf.key == ALL else "Nothing is here any more",
            hint=HINT if shelf.key == ALL else "What was here was deleted, moved or tried again.",
        )
        self._store.put(page, content)

    def _frame(self, page: str, catalogue: Catalogue, shelf: str) -> dict[str, object]:
        """What every page is given."""
        return {
            "assets": link(page, places.STATIC),
            "home": link(page, places.INDEX),
            "root": "../" * page.count("/"),
            "nav": tabs_of(catalogue, page, shelf),
            "nav_script": link(page, places.NAV),
        }

    def days(self, entries: Iterable[GalleryEntry], page: str, shelf: str = ALL) -> list[Day]:
        """Entries as cards, newest first, under the days on which they were finished."""
        days: dict[str, tuple[datetime, list[Card]]] = {}
        for entry in sorted(entries, key=lambda one: one.order, reverse=True):
            at = moment(entry.finished_at, self._zone) or datetime.fromtimestamp(0, UTC)
            day = days.setdefault(f"{at:%Y-%m-%d}", (at, []))
            day[1].append(self.card(entry, page, with_preset=shelf in (ALL, FAILED)))
        return [Day(date, day_in_words(at), cards) for date, (at, cards) in days.items()]

    def card(self, entry: GalleryEntry, page: str, *, with_preset: bool = True) -> Card:
        """An entry as it stands among others."""
        at = moment(entry.finished_at, self._zone)
        told = [
            entry.preset if with_preset else "",
            entry.label,
            f"{at:%H:%M}" if at else "",
            seconds_in_words(entry.seconds) if entry.seconds and not entry.label else "",
        ]
        badge = {"sheet": "sheet", "cancelled": "cancelled"}.get(entry.state, "")
        return Card(
            url=link(page, places.picture_page(entry.id)),
            name=entry.name,
            sub=" · ".join(filter(None, told)),
            state=entry.state,
            shape=shape_of(entry.width_px, entry.height_px),
            small=self._finder.painting(entry, page, thumb=True),
            blank="no small version yet",
            badge=badge or ("time-lapse" if entry.film else ""),
            reason=entry.reason,
        )

    # Pictures and sheets

    def write_picture(
        self,
        record: Data,
        entry: GalleryEntry,
        catalogue: Catalogue,
        *,
        newer: GalleryEntry | None = None,
        older: GalleryEntry | None = None,
    ) -> None:
        """Writes a picture's own page."""
        page = places.picture_page(entry.id)
        links = self._finder.links(page, record, entry, newer=newer, older=older)
        shelf = places.shelf_of(entry.preset) if entry.state == "done" else FAILED
        frame = self._frame(page, Catalogue({}), shelf)
        frame["nav"] = few_tabs(catalogue, page, shelf)
        self._store.put(
            page, render("picture.html", **frame, view=view_of(record, links, self._zone))
        )

    def write_sheet(
        self, entry: GalleryEntry, cells: Sequence[GalleryEntry], catalogue: Catalogue
    ) -> None:
        """Writes the page of a sheet."""
        page = places.picture_page(entry.id)
        size = entry.width_px or SHEET_PX[0], entry.height_px or SHEET_PX[1]
        shown = None
        if entry.views:
            shown = ShownPicture(
                link(page, places.screen_size(entry.views)), *small_size(*size, SCREEN)
            )
        frame = self._frame(page, Catalogue({}), ALL)
        frame["nav"] = few_tabs(catalogue, page, ALL)
        content = render(
            "sheet.html",
            **frame,
            name=Path(entry.name).name,
            about=" · ".join(filter(None, (entry.preset, f"{len(cells)} paintings"))),
            file=link(page, entry.file),
            sheet=shown,
            cards=[self.card(cell, page) for cell in cells],
        )
        self._store.put(page, content)


def tabs_of(catalogue: Catalogue, page: str, current: str) -> list[NavLink]:
    """The tabs of a page. Without a page their URLs are paths below the outbox."""

    def tab(shelf: GalleryShelf, kind: str = "") -> NavLink:
        front = places.shelf_front(shelf.key)
        return NavLink(
            shelf.title,
            link(page, front) if page else front,
            current=shelf.key == current,
            count=shelf.count,
            kind=kind,
            shelf=shelf.key,
        )

    every = catalogue.shelf(ALL, "Pictures")
    failed = catalogue.shelf(FAILED, "Failed")
    tabs = [tab(every), *map(tab, catalogue.presets)]
    return [*tabs, tab(failed, "bad")] if failed.count or current == FAILED else tabs


def few_tabs(catalogue: Catalogue, page: str, current: str) -> list[NavLink]:
    """The tabs of a page that is not written again when others come: all pictures, and its own."""
    tabs = [one for one in tabs_of(catalogue, page, current) if one.shelf == ALL or one.current]
    return [NavLink(one.title, one.url, one.current, None, one.kind, one.shelf) for one in tabs]
