"""The gallery in a real browser, opened from the disk as it is opened from a share."""

import os
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from daemon.outbox.gallery import places
from daemon.outbox.gallery.gallery import Gallery
from daemon.outbox.gallery.reconcile import reconcile
from tests.support.shown import hand_over, publish_failure, publish_result

NAMES = [
    "plain.jpg",
    "a\"quote' & <b>bold.jpg",
    "one\ntwo.jpg",
    "katze 🐈 50% #1?.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
]
BROKEN = len(NAMES)
WIDE, PHONE = (1440, 900), (390, 844)

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of all names, each with its small versions, and one that failed; in an odd folder."""
    base = tmp_path_factory.mktemp("gallery")
    folder, handed = base / "out box #2", base / "handed"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        course = {"pass": [1] * 4, "step": [1, 2, 3, 4], "total": [8.0, 4.0, 2.0, 1.5]}
        publish_result(folder, number, name, course=course)
        hand_over(handed, number)
    publish_failure(folder, BROKEN)
    reconcile(Gallery(folder, handed, UTC))
    return folder


def url(outbox: Path, place: str = places.INDEX) -> str:
    return f"file://{quote(os.fsencode(outbox / place))}"


def broken_pictures(page: Any) -> list[str]:
    """What is shown as a picture and is none, once all were fetched."""
    page.evaluate(
        "Promise.all([...document.images].map(one => { one.loading = 'eager';"
        " return one.decode().catch(() => null); }))"
    )
    found: list[str] = page.evaluate(
        "[...document.images].filter(one => !one.naturalWidth).map(one => one.src)"
    )
    return found


def test_stranger_finds_a_picture_compares_it_and_goes_on_to_the_next(
    outbox: Path, open_page: Open
) -> None:
    page = open_page(url(outbox))
    assert page.locator(".card").count() == len(NAMES)
    assert broken_pictures(page) == []
    page.locator(".card", has_text="plain.jpg").click()
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    figure = page.locator("[data-compare]")
    assert figure.evaluate("one => one.style.getPropertyValue('--cut')") == "100%"
    assert broken_pictures(page) == []
    box = figure.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    assert abs(int(slider.input_value()) - 25) <= 3
    page.locator("h1").click()
    slider.evaluate("one => one.blur()")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/*1.html")
    assert page.locator("h1").inner_text() == NAMES[1]


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_links_lead_to_the_files_whatever_they_are_called(
    outbox: Path, open_page: Open, number: int
) -> None:
    page = open_page(url(outbox, places.picture_page(f"{number:032x}")))
    for title in ("Open the painting", "Open the photograph"):
        page.get_by_role("link", name=title).click()
        page.wait_for_function("document.images.length && document.images[0].naturalWidth == 64")
        page.go_back()
    assert page.locator("b", has_text="bold").count() == 0
    page.get_by_role("link", name="record").click()
    page.wait_for_function("document.body.innerText.includes('\"schema\"')")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_has_a_fault_that_axe_finds_or_is_wider_than_a_phone(
    outbox: Path, open_page: Open, theme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(url(outbox), theme=theme)
    for place in (
        places.INDEX,
        places.shelf_front("preset-starry"),
        places.shelf_front(places.FAILED),
        places.picture_page(f"{0:032x}"),
        places.picture_page(f"{BROKEN:032x}"),
    ):
        for width, height in (WIDE, PHONE):
            page.set_viewport_size({"width": width, "height": height})
            page.goto(url(outbox, place))
            assert page.evaluate("document.documentElement.scrollWidth") <= width, place
        found = axe.run(page)
        assert found.violations_count == 0, f"{place}: {found.generate_report()}"


def test_nothing_is_fetched_but_files_of_the_outbox(outbox: Path, open_page: Open) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url(outbox, places.picture_page(f"{0:032x}")))
    page.goto(url(outbox))
    root = url(outbox, "").rstrip("/.")
    assert asked and [one for one in asked if not one.startswith(root)] == []
