"""Where the gallery's own files lie, below the outbox. Pure.

Their names are plain everywhere: made of ids and of what presets may be called.
"""

import hashlib
import re

from daemon.job import GALLERY_FOLDER, GALLERY_INDEX

INDEX = GALLERY_INDEX
STATIC = f"{GALLERY_FOLDER}/static"
PAGES = f"{GALLERY_FOLDER}/pages"
PICTURES = f"{GALLERY_FOLDER}/pictures"
SMALL = f"{GALLERY_FOLDER}/small"
SHELVES = f"{GALLERY_FOLDER}/shelves.json"
NAV = f"{GALLERY_FOLDER}/nav.js"
LOCK = f"{GALLERY_FOLDER}/lock"

ALL, FAILED, PRESET = "all", "failed", "preset-"
PLAIN = re.compile(r"[a-z0-9_][a-z0-9_-]{0,60}")


def shelf_of(preset: str) -> str:
    """The shelf of a preset: its name where that is plain, else made so, with a hash.

    Shares tell no capitals apart, and some refuse names that end in a dot.
    """
    if PLAIN.fullmatch(preset):
        return PRESET + preset
    marked = re.sub(r"[^a-z0-9_-]", "-", preset.lower())[:40]
    return f"{PRESET}{marked}-{hashlib.sha256(preset.encode()).hexdigest()[:8]}"


def shelf_folder(shelf: str) -> str:
    """The folder of a shelf's pages."""
    return f"{PAGES}/{shelf}"


def shelf_data(shelf: str, number: int) -> str:
    """What is on a page of a shelf, as data."""
    return f"{shelf_folder(shelf)}/{number:04}.jsonl"


def shelf_page(shelf: str, number: int) -> str:
    """A page of a shelf, from 1, the oldest."""
    return f"{shelf_folder(shelf)}/{number:04}.html"


def shelf_front(shelf: str) -> str:
    """The page of a shelf's newest."""
    return INDEX if shelf == ALL else f"{shelf_folder(shelf)}/index.html"


def picture_page(entry_id: str) -> str:
    """The page of one picture, or sheet."""
    return f"{PICTURES}/{entry_id[:2]}/{entry_id}.html"


def thumbnail(key: str) -> str:
    """The small version that stands among others; key: a job's id, a hash, or a photograph's."""
    return f"{SMALL}/{key[:2]}/{key}.thumb.jpg"


def screen_size(key: str) -> str:
    """The version that fills a screen."""
    return f"{SMALL}/{key[:2]}/{key}.jpg"
