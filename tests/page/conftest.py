"""One real Chromium for the tests of a module; skipped, with that reason, where there is none.

Not for a whole run: as long as Playwright is there, its thread has an event loop that runs, and no
test beside it may run one of its own.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.page.browser import find_browser

WIDE, PHONE = (1440, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    path = find_browser()
    if path is None:
        told = "there is no Chromium here: `make test-page` installs one"
        if os.environ.get("ATELIERD_BROWSER") == "required":
            pytest.fail(told)
        pytest.skip(told)
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page in a window of its own; what its console says of errors fails the test."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_(url: str, *, theme: str = "light", size: tuple[int, int] = WIDE) -> Any:
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(color_scheme=theme, viewport=viewport)
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
