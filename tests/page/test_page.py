"""The page in a real browser, with a real service, as somebody uses it who has never seen it."""

import contextlib
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

from daemon.job import Job, State
from tests.page.conftest import PHONE, WIDE
from tests.support.atelier import Studio, encoded, environment, photograph, wait_for

VIEWS = ("/", "/queue", "/drop", "/try", "/proofs", "/presets", "/done", "/failed")
SECONDS = 60_000
"""Milliseconds that a view has to show what it is waited for."""

pytestmark = pytest.mark.usefixtures("browser")


class Page:
    """A running `atelierd page` beside the test."""

    def __init__(self, studio: Studio, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._studio, self._port = studio, port
        self.start()

    def start(self) -> None:
        log = (self._studio.root / "page.log").open("a")
        self.process = subprocess.Popen(
            self._studio.command("page"), stdout=log, stderr=log, env=environment()
        )
        log.close()
        wait_for("the page to listen", self.listens, seen=self.said)

    def said(self) -> str:
        return (self._studio.root / "page.log").read_text()

    def listens(self) -> bool:
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self._port)) == 0

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Folders with two presets, whose workers are puppets."""
    studio = Studio(tmp_path_factory.mktemp("page") / "atelier", paints=False)
    studio.add_preset("slow", size=512, steps=30)
    return studio


@contextlib.contextmanager
def serving(studio: Studio, **settings: Any) -> Iterator[Page]:
    """The page of a studio with settings of its own, at a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    studio.configure(page={"address": f"127.0.0.1:{port}", **settings})
    page = Page(studio, port)
    yield page
    page.process.kill()
    page.process.wait()


@pytest.fixture(scope="module")
def page(studio: Studio) -> Iterator[Page]:
    """The page of a studio."""
    with serving(studio, presets=True) as page:
        yield page


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph on somebody's disk."""
    path = tmp_path_factory.mktemp("mine") / 'my <b>cat & "co".jpg'
    path.write_bytes(encoded(photograph((320, 240))))
    return path


@pytest.fixture(scope="module")
def over(studio: Studio) -> dict[State, Job]:
    """A job that is done and one that failed, whichever tests have run before."""
    studio.drop("quick/done.jpg")
    studio.drop("quick/faulty.jpg", b"\xff\xd8\xff\xe0 not a picture at all")
    answer = studio.run("run", "--once")
    assert answer.returncode == 1, answer.stderr
    jobs = {job.state: job for name in ("done", "faulty") if (job := studio.job_of(f"{name}.jpg"))}
    assert set(jobs) == {State.DONE, State.FAILED}
    return jobs


def test_stranger_finds_the_way(
    studio: Studio, page: Page, photo: Path, open_page: Callable[..., Any]
) -> None:
    """Opens, drops, watches, slides, approves and tries again; each is seen to be done."""
    shown = open_page(page.url)
    shown.get_by_text("The service is not running").wait_for(timeout=SECONDS)
    with studio.service() as service:
        shown.get_by_text("All is well").wait_for(timeout=SECONDS)

        shown.get_by_role("link", name="Drop", exact=True).click()
        shown.get_by_role("checkbox", name="slow").check()
        shown.get_by_label("Beta, the style's strength").fill("44")
        shown.locator("[data-files]").set_input_files(photo)
        shown.get_by_text("lies in the inbox").wait_for(timeout=SECONDS)

        shown.get_by_role("link", name="Now", exact=True).click()
        shown.locator("progress").wait_for(timeout=SECONDS)
        first = shown.locator("progress").get_attribute("value")
        shown.wait_for_function(
            "was => document.querySelector('progress')?.value > Number(was)", arg=first
        )

        shown.locator("a.card").first.wait_for(timeout=SECONDS)
        shown.locator("a.card").first.click()
        shown.wait_for_url("**/job/*")
        assert shown.get_by_role("heading", level=1).inner_text() == photo.name
        slider = shown.get_by_role("slider")
        slider.focus()
        for _ in range(3):
            slider.press("ArrowRight")
        cut = shown.locator("[data-compare]").evaluate("e => e.style.getPropertyValue('--cut')")
        assert cut == "53%"
        job = studio.job_of(photo.name)
        assert job is not None and job.recipe["beta"] == 44.0 and job.preset == "slow"

        approve(studio, page, shown, photo)
        retry(studio, page, shown)
        service.stop()
    shown.get_by_text("service away").wait_for(timeout=SECONDS)


def approve(studio: Studio, page: Page, shown: Any, photo: Path) -> None:
    """Has a proof painted, and then the full picture with another beta."""
    shown.goto(f"{page.url}/drop?preset=slow")
    shown.get_by_label("When").select_option("proof")
    shown.get_by_label("Longest side, px").fill("600")
    shown.locator("[data-files]").set_input_files(photo)
    shown.get_by_text("lies in the inbox").wait_for(timeout=SECONDS)
    shown.get_by_role("link", name="Proofs").click()
    shown.get_by_role("button", name="Paint it in full").wait_for(timeout=SECONDS)
    shown.get_by_label("Beta, the style's strength").fill("77")
    shown.get_by_role("button", name="Paint it in full").click()
    shown.get_by_text("approved").wait_for(timeout=SECONDS)
    shown.get_by_text("No proof waits").wait_for(timeout=SECONDS)
    done = lambda: [job for job in studio.jobs(State.DONE) if job.preset == "slow"]  # noqa: E731
    wait_for("the full picture", lambda: len(done()) == 2, seen=studio.seen)
    assert sorted(job.recipe["beta"] for job in done()) == [44.0, 77.0]


def retry(studio: Studio, page: Page, shown: Any) -> None:
    """Sees a picture that failed, and has it tried again."""
    studio.drop("quick/broken.jpg", b"\xff\xd8\xff\xe0 not a picture at all")
    shown.goto(f"{page.url}/failed")
    shown.get_by_role("heading", name="broken.jpg").wait_for(timeout=SECONDS)
    shown.get_by_role("button", name="Try broken.jpg again").click()
    shown.get_by_text("back in the inbox").wait_for(timeout=SECONDS)
    wait_for("it to fail again", lambda: studio.jobs(State.RETRIED) and studio.jobs(State.FAILED))


def test_page_that_is_killed_is_missed_and_found_again(
    page: Page, open_page: Callable[..., Any]
) -> None:
    shown = open_page(f"{page.url}/queue")
    away = shown.get_by_text("This page's server does not answer")
    assert not away.is_visible()
    page.process.kill()
    page.process.wait()
    away.wait_for(timeout=SECONDS)
    page.start()
    away.wait_for(state="hidden", timeout=SECONDS)
    assert page.stop() == 0
    page.start()


def test_outbox_that_is_away_keeps_no_view_from_being_shown(
    studio: Studio, over: dict[State, Job], page: Page, open_page: Callable[..., Any]
) -> None:
    hidden = studio.outbox.with_name("outbox-away")
    studio.outbox.rename(hidden)
    try:
        shown = open_page(f"{page.url}/done")
        shown.locator("a.card").first.wait_for(timeout=SECONDS)
        shown.locator("a.card").first.click()
        shown.wait_for_url("**/job/*")
        answer = shown.request.get(f"{shown.url}/result")
        assert answer.status == 404 and "not there any more" in answer.text()
    finally:
        hidden.rename(studio.outbox)
    assert shown.request.get(f"{shown.url}/result").status == 200


def test_zoom_shows_both_pictures_pixel_by_pixel(
    over: dict[State, Job], page: Page, open_page: Callable[..., Any]
) -> None:
    job = over[State.DONE]
    shown = open_page(f"{page.url}/job/{job.id}/zoom")
    zoomer = shown.locator("[data-zoomer]")
    loaded = (
        "() => [...document.querySelectorAll('.layer img')].filter(i => i.naturalWidth).length >= 2"
    )
    shown.wait_for_function(loaded, timeout=SECONDS)
    image = shown.locator("[data-pane$=painting] img").first
    assert image.evaluate("i => Math.round(i.clientWidth)") == image.evaluate("i => i.naturalWidth")
    before = image.evaluate("i => i.style.left")
    zoomer.focus()
    zoomer.press("+")
    shown.get_by_text("150 %").wait_for(timeout=SECONDS)
    assert image.evaluate("i => i.style.left") != before


def test_tile_that_could_not_be_made_at_first_is_asked_for_again(
    over: dict[State, Job], page: Page, open_page: Callable[..., Any]
) -> None:
    job = over[State.DONE]
    refused: list[str] = []

    def refuse_first(route: Any) -> None:
        if len(refused) < 2:
            refused.append(route.request.url)
            route.fulfill(status=503)
        else:
            route.continue_()

    shown = open_page(page.url)
    shown.route("**/tile/**", refuse_first)
    shown.goto(f"{page.url}/job/{job.id}/zoom")
    all_shown = (
        "() => (all => all.length && all.every(i => i.naturalWidth && !i.hidden))"
        "([...document.querySelectorAll('.layer img')])"
    )
    shown.wait_for_function(all_shown, timeout=SECONDS)
    assert len(refused) == 2


def test_trial_fills_by_itself(studio: Studio, page: Page, open_page: Callable[..., Any]) -> None:
    with studio.service():
        shown = open_page(f"{page.url}/try")
        shown.locator("[data-files]").set_input_files(
            {
                "name": "cat.jpg",
                "mimeType": "image/jpeg",
                "buffer": encoded(Image.fromarray(skimage.data.chelsea()).resize((160, 120))),
            }
        )
        shown.wait_for_url("**/try/*", timeout=SECONDS)
        shown.get_by_text("2 of 2 painted").wait_for(timeout=SECONDS)
        assert sorted(shown.locator("a.card .name").all_inner_texts()) == ["quick", "slow"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_keeps_anybody_out(
    over: dict[State, Job], page: Page, open_page: Callable[..., Any], theme: str
) -> None:
    """Axe has nothing to find, and no view is wider than a phone."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    job, failed = over[State.DONE], over[State.FAILED]
    shown = open_page(page.url, theme=theme)
    views = (*VIEWS, f"/job/{job.id}", f"/job/{failed.id}", f"/job/{job.id}/zoom", "/nowhere")
    for view in views:
        shown.goto(f"{page.url}{view}")
        for width, height in (WIDE, PHONE):
            shown.set_viewport_size({"width": width, "height": height})
            assert shown.evaluate("document.documentElement.scrollWidth") <= width, view
        found = axe.run(shown)
        assert found.violations_count == 0, f"{view}: {found.generate_report()}"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of another studio, with a password."""
    studio = Studio(tmp_path_factory.mktemp("locked") / "atelier", paints=False)
    secret = studio.root / "password"
    secret.write_text("an open sesame that nobody guesses\n")
    secret.chmod(0o600)
    with serving(studio, password_file=str(secret)) as page:
        yield page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_way_in_keeps_out_nobody_but_who_has_no_password(
    locked: Page, open_page: Callable[..., Any], theme: str
) -> None:
    """Axe has nothing to find in it, fresh and after a wrong password; by keyboard it lets in."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    shown = open_page(f"{locked.url}/queue", theme=theme)

    def check(what: str) -> None:
        assert shown.url == f"{locked.url}/login"
        for width, height in (WIDE, PHONE):
            shown.set_viewport_size({"width": width, "height": height})
            assert shown.evaluate("document.documentElement.scrollWidth") <= width, what
        found = axe.run(shown)
        assert found.violations_count == 0, f"{what}: {found.generate_report()}"

    check("fresh")
    shown.keyboard.type("not this one")
    shown.keyboard.press("Enter")
    shown.get_by_role("alert").get_by_text("not the password").wait_for(timeout=SECONDS)
    check("refused")
    shown.keyboard.type("an open sesame that nobody guesses")
    shown.keyboard.press("Enter")
    shown.get_by_role("button", name="Log out").wait_for(timeout=SECONDS)
