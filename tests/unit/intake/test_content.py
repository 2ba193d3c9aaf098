"""Files whose names promise no picture; the clock is a number."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from daemon.intake.content import MOST_LOOKS, SOON_S, ContentLooks, kind_of_file
from daemon.intake.scan import scan

SETTLE_S = 5.0
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def asked() -> list[str]:
    """The files that were looked at, in order."""
    return []


@pytest.fixture
def looks(tmp_path: Path, asked: list[str]) -> ContentLooks:
    return ContentLooks(tmp_path, settle_s=SETTLE_S, on_file=lambda path: asked.append(path.name))


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def put(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return put


@pytest.fixture
def sort(looks: ContentLooks, tmp_path: Path) -> Callable[[float], tuple[list[str], list[str]]]:
    """The pictures and the foreign files of a look at some time."""

    def sort(now_s: float) -> tuple[list[str], list[str]]:
        seen = looks.sort(scan(tmp_path), now_s)
        pictures = [str(one.path) for one in seen.pictures]
        return pictures, sorted(str(one.path) for one in seen.foreign)

    return sort


def test_picture_by_its_content_is_one_once_it_has_settled(looks, put, sort) -> None:
    put("IMG_1.JPG_large", jpeg())
    put("logo.svg", SVG)
    put("photo.jpg", b"whatever it is")
    put("notes.txt", b"The sea was grey that day.\n")
    assert sort(0.0) == (["photo.jpg"], []) and len(looks.undecided) == 3
    assert sort(4.9) == (["photo.jpg"], [])
    assert sort(5.0) == (["IMG_1.JPG_large", "logo.svg", "photo.jpg"], ["notes.txt"])
    assert looks.undecided == []


def test_each_file_is_looked_at_once_while_it_stays_the_same(put, sort, asked) -> None:
    put("a", jpeg())
    put("b.txt", b"text")
    for now_s in range(0, 200, 5):
        sort(float(now_s))
    assert sorted(asked) == ["a", "b.txt"]


def test_file_that_changes_is_looked_at_again_when_it_is_still(put, sort, asked) -> None:
    put("a", b"not yet")
    sort(0.0)
    assert sort(5.0) == ([], ["a"])
    put("a", jpeg())
    assert sort(6.0) == ([], ["a"]) and sort(10.9) == ([], ["a"])
    assert sort(11.0) == (["a"], [])
    assert asked == ["a", "a"]


def test_half_copied_file_is_not_looked_at(put, sort, asked) -> None:
    content = jpeg()
    for number in range(10):
        put("a", content[: 40 * (number + 1)])
        assert sort(4.0 * number) == ([], [])
    assert asked == []


def test_empty_file_is_foreign_until_it_has_content(looks, put, sort, asked) -> None:
    put("a", b"")
    assert sort(0.0) == sort(50.0) == ([], ["a"])
    assert looks.undecided == [] and asked == []


@pytest.mark.parametrize(
    "name", ["a.jpg.bak", "a.jpg_original", "a.PNG.orig", "MVI_1.THM", "b.cr2.cot", "a.jpg.old"]
)
def test_copies_of_editors_and_small_pictures_beside_films_are_nobodys_to_paint(
    looks, put, sort, asked, name: str
) -> None:
    put(name, jpeg())
    assert sort(0.0) == sort(50.0) == ([], [name])
    assert looks.undecided == [] and asked == []


def test_file_that_is_gone_is_forgotten(looks, put, sort, asked) -> None:
    put("a", jpeg()).unlink()
    put("b", jpeg())
    sort(0.0)
    sort(5.0)
    put("b", jpeg()).unlink()
    assert sort(6.0) == ([], [])
    put("b", b"text of another day")
    assert sort(7.0) == ([], []) and sort(12.0) == ([], ["b"])


def test_pictures_come_in_the_order_of_their_paths(put, sort) -> None:
    for name in ("z", "m.jpg", "a", "deep/b.jpg", "deep/a"):
        put(name, jpeg())
    sort(0.0)
    assert sort(5.0) == (["a", "deep/a", "deep/b.jpg", "m.jpg", "z"], [])


def test_file_whose_times_always_change_is_looked_at_by_its_size_and_seldom(
    put, sort, asked
) -> None:
    path = put("a", jpeg())
    for now_s in range(0, 120):
        os.utime(path, ns=(0, 10**18 + now_s))
        sort(float(now_s))
    assert asked == ["a", "a"]  # after three times settle_s, and a minute later
    assert sort(120.0) == (["a"], [])


def test_very_many_files_are_looked_at_one_part_after_the_other(looks, put, sort, asked) -> None:
    for number in range(MOST_LOOKS + 1):
        put(f"{number}.txt", b"text")
    sort(0.0)
    assert list(looks.next_looks_s(1.0)) == [4.0]
    sort(5.0)
    assert len(asked) == MOST_LOOKS and next(looks.next_looks_s(5.0)) == SOON_S
    sort(5.1)
    assert len(set(asked)) == MOST_LOOKS + 1 and list(looks.next_looks_s(5.1)) == []


def test_link_and_what_may_not_be_read_have_no_kind(put, tmp_path: Path) -> None:
    put("real", jpeg())
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    assert kind_of_file(tmp_path / "real") == "JPEG"
    assert [kind_of_file(tmp_path / name) for name in ("link", "pipe", "gone")] == ["", "", ""]
