"""Finds a Chromium: Debian's, another one on the path, or Playwright's own.

As a program it prints where one is, and ends with 1 if there is none.
"""

import os
import shutil
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """The path of a Chromium; None if there is none."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache/ms-playwright"))
    downloaded = sorted(cache.glob("chromium-*/chrome-linux*/chrome"))
    return str(downloaded[-1]) if downloaded else None


if __name__ == "__main__":
    path = find_browser()
    print(path or "there is no Chromium; `make browser` installs one")
    sys.exit(path is None)
