"""Everything that lies in an outbox, by names alone: no file is opened."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.job import GALLERY_FOLDER, JOBS_FOLDER
from daemon.outbox.gallery.finder import LISTING_ENDING, RECORD_ENDING

FAILED_FOLDER, ORIGINALS_FOLDER = "failed", "originals"


@dataclass
class Lying:
    """What was found, as paths below the outbox.

    closed: folders that could not be looked into: what lies there is not gone.
    """

    files: set[str] = field(default_factory=set)
    records: list[str] = field(default_factory=list)
    listings: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def has(self, path: str) -> bool:
        """Whether a file lies there, or may."""
        return path in self.files or any(path.startswith(f"{folder}/") for folder in self.closed)


def look_around(outbox: Path, on_piece: Callable[[], object]) -> Lying:
    """What lies in the outbox; originals are left out.

    on_piece: called with each folder.  Raises SurroundingsError if the outbox cannot be seen, or is
    another folder at the end than it was at the beginning: a share that went away meanwhile.
    """
    lying = Lying()
    try:
        before = os.stat(outbox)  # noqa: PTH116
        for folder, names in folders_below(outbox, lying):
            on_piece()
            for name in names:
                sort_in(lying, folder, name)
        after = os.stat(outbox)  # noqa: PTH116
    except OSError as error:
        raise SurroundingsError(
            f"the outbox {files.printable(outbox)} is unavailable: {error.strerror}"
        ) from error
    if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
        raise SurroundingsError(f"the outbox {files.printable(outbox)} went away meanwhile")
    return lying


def folders_below(outbox: Path, lying: Lying) -> Iterator[tuple[str, list[str]]]:
    """Yields each folder below the outbox, and the names of the files in it."""
    waiting = [""]
    visited: set[tuple[int, int]] = set()
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(outbox / folder) as found:
                entries = list(found)
        except OSError:
            if not folder:
                raise
            lying.closed.append(folder)
            continue
        names = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not entry.is_dir():
                names.append(entry.name)
            elif path not in (GALLERY_FOLDER, ORIGINALS_FOLDER) and is_first_visit(entry, visited):
                waiting.append(path)
        yield folder, names


def is_first_visit(folder: "os.DirEntry[str]", visited: set[tuple[int, int]]) -> bool:
    """Whether a folder was not looked into yet; a link to one that is above it leads nowhere new.

    visited: those links lead to; folders themselves are met with once.
    """
    if not folder.is_symlink():
        return True
    found = folder.stat()
    place = (found.st_dev, found.st_ino)
    if place in visited:
        return False
    visited.add(place)
    return True


def sort_in(lying: Lying, folder: str, name: str) -> None:
    """Notes a file as what its place and name say."""
    path = f"{folder}/{name}" if folder else name
    lying.files.add(path)
    beside = folder.rsplit("/", 1)[-1] == JOBS_FOLDER
    failed = folder == FAILED_FOLDER or folder.startswith(f"{FAILED_FOLDER}/")
    if beside and name.endswith(LISTING_ENDING):
        lying.listings.append(path)
    elif (beside or failed) and name.endswith(RECORD_ENDING):
        lying.records.append(path)
