import html
import json
import os
import re
from datetime import UTC
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from daemon.errors import SurroundingsError
from daemon.outbox.gallery import places
from daemon.outbox.gallery.gallery import Gallery
from daemon.outbox.gallery.reconcile import reconcile
from tests.support.shown import (
    hand_over,
    make_record,
    publish_failure,
    publish_result,
    write_json,
)
from tests.support.tree import tree

ID = "{:032x}".format
PAGE = 4


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    folder = tmp_path / "outbox"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of few pictures, so that few fill them, on a disk that need not be waited for."""
    for module in ("shelves", "gallery"):
        monkeypatch.setattr(f"daemon.outbox.gallery.{module}.PAGE", PAGE)
    monkeypatch.setattr("daemon.outbox.gallery.shelves.FRONT", 2)
    monkeypatch.setattr("daemon.host.files.sync", lambda handle: None)


@pytest.fixture
def gallery(outbox: Path, tmp_path: Path) -> Gallery:
    return Gallery(outbox, tmp_path / "handed", UTC)


def index(outbox: Path) -> str:
    return (outbox / places.INDEX).read_text()


def page(outbox: Path, number: int) -> str:
    return (outbox / places.picture_page(ID(number))).read_text()


def fill(outbox: Path, count: int) -> None:
    for number in range(count):
        publish_result(outbox, number, f"{number:04}.jpg")


def test_result_that_came_is_shown_newest_first_under_its_day(
    gallery: Gallery, outbox: Path
) -> None:
    for number in (1, 2):
        assert gallery.add(publish_result(outbox, number, f"{number}.jpg"))
    shown = index(outbox)
    assert shown.index("2.jpg") < shown.index("1.jpg")
    assert "Sunday, 1 November 2026" in shown
    assert (outbox / places.shelf_front("preset-starry")).exists()


def test_one_more_result_writes_only_its_own_and_the_newest_pages(
    gallery: Gallery, outbox: Path, tmp_path: Path
) -> None:
    fill(outbox, 2 * PAGE + 2)
    reconcile(gallery)
    before = tree(outbox / ".gallery")
    number = 2 * PAGE + 2
    path = publish_result(outbox, number, "new.jpg")
    hand_over(tmp_path / "handed", number)
    gallery.add(path)
    after = tree(outbox / ".gallery")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {
        "nav.js",
        "shelves.json",
        "pages/all/0003.jsonl",
        "pages/preset-starry/0003.jsonl",
        "pages/preset-starry/index.html",
        *(name for name in after if ID(number) in name or f"{number:064x}" in name),
        places.picture_page(ID(number - 1)).removeprefix(".gallery/"),
    }


def test_page_that_is_full_begins_another_and_both_lead_to_each_other(
    gallery: Gallery, outbox: Path
) -> None:
    fill(outbox, 2 * PAGE)
    reconcile(gallery)
    gallery.add(publish_result(outbox, 2 * PAGE, "new.jpg"))
    for shelf in ("all", "preset-starry"):
        first, second = (
            (outbox / places.shelf_page(shelf, number)).read_text() for number in (1, 2)
        )
        assert 'rel="prev" href="0002.html"' in first
        assert 'rel="next" href="0001.html"' in second
        assert second.count('class="card') == PAGE
    assert 'rel="next" href=".gallery/pages/all/0002.html"' in index(outbox)


def test_adding_one_by_one_and_bringing_in_line_write_the_same(
    gallery: Gallery, outbox: Path, tmp_path: Path
) -> None:
    for number in range(PAGE + 3):
        gallery.add(publish_result(outbox, number, f"{number:04}.jpg"))
    gallery.add(publish_failure(outbox, 999))
    added = tree(outbox / ".gallery") | {"index": (outbox / places.INDEX).read_bytes()}
    reconcile(gallery, anew=True)
    written = tree(outbox / ".gallery") | {"index": (outbox / places.INDEX).read_bytes()}
    static = {name for name in written if name.startswith("static/")}
    assert {name: written[name] for name in written.keys() - static} == added


def test_deleted_and_moved_results_vanish_and_their_neighbours_meet(
    gallery: Gallery, outbox: Path
) -> None:
    fill(outbox, 4)
    reconcile(gallery)
    (outbox / "starry" / "0001.jpg").unlink()
    (outbox / "starry" / "0003.jpg").rename(outbox / "elsewhere.jpg")
    done = reconcile(gallery)
    assert (done.pictures, done.added, done.removed) == (2, 0, 2)
    assert "0001.jpg" not in index(outbox) and "0003.jpg" not in index(outbox)
    assert not (outbox / places.picture_page(ID(1))).exists()
    assert f'rel="next" href="{ID(0)}.html"' in page(outbox, 2)


def test_folder_of_results_that_was_renamed_is_shown_from_its_new_place(
    gallery: Gallery, outbox: Path
) -> None:
    fill(outbox, 1)
    reconcile(gallery)
    (outbox / "starry").rename(outbox / "client & co")
    reconcile(gallery)
    assert "../../../client%20%26%20co/0000.jpg" in page(outbox, 0)


def test_small_versions_of_what_is_gone_are_removed_and_others_kept(
    gallery: Gallery, outbox: Path, tmp_path: Path
) -> None:
    for number in (1, 2):
        path = publish_result(outbox, number, f"{number}.jpg")
        hand_over(tmp_path / "handed", number)
        gallery.add(path)
    (outbox / "starry" / "1.jpg").unlink()
    reconcile(gallery)
    kept = {path.name for path in (outbox / places.SMALL).glob("*/*")}
    assert kept == {f"{key}{end}" for key in (ID(2), f"{2:064x}") for end in (".jpg", ".thumb.jpg")}


def test_same_result_for_another_job_is_shown_by_the_small_version_of_the_first(
    gallery: Gallery, outbox: Path, tmp_path: Path
) -> None:
    first = publish_result(outbox, 1, "one.jpg")
    hand_over(tmp_path / "handed", 1)
    gallery.add(first)
    gallery.add(publish_result(outbox, 2, "again.jpg", same_as=ID(1)))
    assert f"../../small/00/{ID(1)}.jpg" in page(outbox, 2)


def test_crash_between_the_pages_is_mended_by_the_next_look(gallery: Gallery, outbox: Path) -> None:
    fill(outbox, 3)
    reconcile(gallery)
    whole = tree(outbox / ".gallery")
    for lost in (places.shelf_data("all", 1), places.picture_page(ID(1)), places.SHELVES):
        (outbox / lost).unlink()
        reconcile(gallery)
        assert tree(outbox / ".gallery") == whole


def test_torn_data_of_a_page_is_found_again_from_the_records(
    gallery: Gallery, outbox: Path
) -> None:
    fill(outbox, 3)
    reconcile(gallery)
    whole = tree(outbox / ".gallery")
    for shelf in ("all", "preset-starry"):
        data = outbox / places.shelf_data(shelf, 1)
        data.write_bytes(data.read_bytes()[:-40])
    reconcile(gallery)
    assert tree(outbox / ".gallery") == whole


def test_nothing_new_writes_nothing(gallery: Gallery, outbox: Path) -> None:
    fill(outbox, 3)
    reconcile(gallery)
    inodes = {path: path.stat().st_ino for path in (outbox / ".gallery").rglob("*")}
    reconcile(gallery)
    assert {path: path.stat().st_ino for path in (outbox / ".gallery").rglob("*")} == inodes


def test_outbox_that_is_away_loses_nothing(gallery: Gallery, outbox: Path) -> None:
    fill(outbox, 2)
    reconcile(gallery)
    outbox.rename(outbox.with_name("away"))
    with pytest.raises((SurroundingsError, OSError)):
        reconcile(gallery)
    outbox.with_name("away").rename(outbox)
    assert reconcile(gallery).pictures == 2


def test_folder_of_results_that_is_a_link_is_shown_and_one_to_itself_is_not_followed_for_ever(
    gallery: Gallery, outbox: Path, tmp_path: Path
) -> None:
    publish_result(outbox, 1)
    (outbox / "starry").rename(tmp_path / "another disk")
    (outbox / "starry").symlink_to(tmp_path / "another disk")
    (outbox / "starry" / "up").symlink_to(outbox)
    assert reconcile(gallery).pictures == 1


def test_first_page_of_somebody_else_is_left_as_it_is(gallery: Gallery, outbox: Path) -> None:
    (outbox / places.INDEX).write_text("<h1>our web site</h1>")
    with pytest.raises(SurroundingsError, match=r"index\.html is not the gallery's"):
        gallery.add(publish_result(outbox, 1))
    assert index(outbox) == "<h1>our web site</h1>"


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_failed_is_told_with_its_reason_and_what_to_do(
    gallery: Gallery, outbox: Path, state: str
) -> None:
    gallery.add(publish_failure(outbox, 5, state=state))
    assert "It is no picture." in (outbox / places.shelf_front(places.FAILED)).read_text()
    assert f"atelierd retry {ID(5)[:8]}" in page(outbox, 5)
    assert "broken.jpg" not in index(outbox)


def test_failure_that_was_tried_again_is_gone_with_the_next_result(
    gallery: Gallery, outbox: Path
) -> None:
    path = publish_failure(outbox, 5)
    gallery.add(path)
    (outbox / path).unlink()
    gallery.add(publish_result(outbox, 6))
    assert "Failed" not in index(outbox)
    assert not (outbox / places.picture_page(ID(5))).exists()


def test_proof_that_waits_for_approval_is_not_shown(gallery: Gallery, outbox: Path) -> None:
    path = publish_result(outbox, 5, preset="proof", state="awaiting")
    assert not gallery.add(path)
    assert reconcile(gallery).pictures == 0


def test_sheet_is_shown_and_its_paintings_lead_to_it(gallery: Gallery, outbox: Path) -> None:
    cells = {}
    for number, beta in enumerate((5, 60)):
        name = f"photo.sweep/photo.beta={beta}.jpg"
        record = make_record(number, label=f"beta {beta}", outputs={"result": f"starry/{name}"})
        result = outbox / "starry" / name
        write_json(result.parent / ".jobs" / f"{result.name}.json", record)
        result.write_bytes(b"painted")
        gallery.add(f"starry/photo.sweep/.jobs/{result.name}.json")
        cells[f"beta {beta}"] = {"job": ID(number), "result": f"starry/{name}"}
    listing = "starry/.jobs/photo.sweep.sheet.json"
    write_json(outbox / listing, {"subject": "s", "cells": cells, "sheets": []})
    publish_result(outbox, 9, "photo.sweep.jpg")
    (outbox / "starry" / ".jobs" / "photo.sweep.jpg.json").unlink()
    assert gallery.add_sheet(listing)
    pages = (outbox / places.PICTURES).glob("*/*.html")
    sheet = next(path for path in pages if path.stem not in (ID(0), ID(1)))
    for number in (0, 1):
        assert sheet.name in page(outbox, number)
        assert ID(number) in sheet.read_text()
    before = tree(outbox / ".gallery")
    reconcile(gallery)
    after = tree(outbox / ".gallery")
    assert {name: after[name] for name in before} == before


NAMES = {
    "markup": "<img src=x onerror=alert(1)>.jpg",
    "quotes": "a\"b'c & d.jpg",
    "newline": "one\ntwo.jpg",
    "emoji": "katze 🐈.jpg",
    "url": "50% #1?.jpg",
    "no UTF-8": b"caf\xe9.jpg",
    "a colon": "c:d.jpg",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_are_text_and_links_lead_to_the_byte(
    gallery: Gallery, outbox: Path, name: str | bytes
) -> None:
    told = os.fsdecode(name)
    gallery.add(publish_result(outbox, 3, told))
    reconcile(gallery)
    shown = page(outbox, 3)
    assert "<img src=x" not in shown + index(outbox)
    urls = [html.unescape(found) for found in re.findall(r'href="([^"]*)"', shown)]
    assert all(re.fullmatch(r"[\x21-\x7e]*", url) for url in urls)
    paths = (b".gallery/pictures/00/" + unquote_to_bytes(url) for url in urls)
    targets = {os.path.normpath(path) for path in paths}
    assert {os.fsencode(f"starry/{told}"), os.fsencode(f"originals/starry/{told}")} <= targets


@pytest.mark.parametrize(
    "record",
    [
        [], {}, {"id": "../../etc"}, {"id": "a" * 32, "state": "done"},
        {"id": "a" * 32, "state": "failed", "picture": 3, "passes": {"x": 1}, "recipe": [1]},
        make_record(1, outputs={"result": "../../etc/passwd", "original": "/etc/passwd"}),
        make_record(1, finished_at="yesterday", passes=[None], course={"pass": "x"}, warnings=[3]),
        make_record(1, seconds=1e400, picture={"width_px": -3, "height_px": "many"}),
    ],
)  # fmt: skip
def test_record_that_somebody_wrote_harms_nothing(
    gallery: Gallery, outbox: Path, record: object
) -> None:
    for path in ("starry/.jobs/x.jpg.json", "failed/starry/x.jpg.json"):
        write_json(outbox / path, record)
    (outbox / "starry" / "x.jpg").write_bytes(b"")
    reconcile(gallery)
    gallery.add("starry/.jobs/x.jpg.json")
    everything = b"".join(tree(outbox / ".gallery").values())
    assert b"etc/passwd" not in everything


def test_pages_of_another_edition_are_all_written_again(gallery: Gallery, outbox: Path) -> None:
    fill(outbox, 5)
    reconcile(gallery)
    data = json.loads((outbox / places.SHELVES).read_text())
    write_json(outbox / places.SHELVES, {**data, "edition": "older"})
    (outbox / places.picture_page(ID(0))).write_text("old")
    reconcile(gallery)
    assert page(outbox, 0) != "old"
