"""Files that a node keeps by their hash, so that they travel once; bounded and shared."""

import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.fleet.carrier import CarriageError
from daemon.host import files

Fetch = Callable[[Path], str]
"""Writes a file to a path, and returns the sha256 of what it wrote there (`Carrier.fetch`)."""

HASH = re.compile(r"[0-9a-f]{64}")
CHANGES = ".changes"
"""The lock on which files there are and who holds them; never held while a file is fetched."""

Identity = tuple[int, int, int]


@dataclass
class Hold:
    """An open file of the cache, locked against being dropped, and how often it is held here."""

    handle: int
    times: int = 1


class BlobCache:
    """The files of a folder by their sha256, which several processes of a node share.

    What is held is never dropped; of the rest the least recently used goes where all take more
    than `most_bytes`. A hold is a lock on the file, which ends with its process. A file that was
    there before is hashed before its first use: what a power cut left of it is fetched anew.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Makes the folder, and sweeps away what processes that are gone left half-fetched."""
        self._folder = folder
        self._most_bytes = most_bytes
        self._holds: dict[str, Hold] = {}
        self._verified: dict[str, Identity] = {}
        files.make_folder(folder)
        files.sweep(folder)

    @contextmanager
    def held(self, blobs: Mapping[str, Fetch]) -> Iterator[dict[str, Path]]:
        """Holds files by their hashes, fetching those that are not there; at the end lets go."""
        with ExitStack() as holds:
            paths = {}
            for sha256, fetch in blobs.items():
                paths[sha256] = self.hold(sha256, fetch)
                holds.callback(self.let_go, sha256)
            yield paths

    def hold(self, sha256: str, fetch: Fetch) -> Path:
        """A file by its hash, fetched if it is not there whole, and held until `let_go`.

        Raises what `fetch` raises, CarriageError where that brings another file, and OSError for
        the folder.
        """
        if not HASH.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no sha256")
        with self._locked(f".fetching-{sha256[:2]}"):  # others that want it wait for it
            if not self._hold_here(sha256):
                self._bring(sha256, fetch)
        return self._folder / sha256

    def let_go(self, sha256: str) -> None:
        """Holds a file once less; what nobody holds may be dropped."""
        with self._locked(CHANGES):
            hold = self._holds[sha256]
            hold.times -= 1
            if not hold.times:
                os.close(self._holds.pop(sha256).handle)
                self._drop(self._most_bytes)

    def _hold_here(self, sha256: str) -> bool:
        """Holds a file that is there whole; one that is not is removed."""
        with self._locked(CHANGES):
            try:
                handle = self._lock_in(sha256)
            except FileNotFoundError:
                return False
        if self._verified.get(sha256) == identity(handle) or self._is_whole(sha256, handle):
            return True
        logger.warning("{} of the cache is damaged, and fetched anew", self._folder / sha256)
        with self._locked(CHANGES):
            os.close(self._holds.pop(sha256).handle)
            (self._folder / sha256).unlink()
        return False

    def _is_whole(self, sha256: str, handle: int) -> bool:
        """Whether a file's bytes are what its name says, which is not looked at again."""
        with open(handle, "rb", closefd=False) as file:
            file.seek(0)
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return False
        self._verified[sha256] = identity(handle)
        return True

    def _bring(self, sha256: str, fetch: Fetch) -> None:
        """Fetches a file, and holds it; where the disk is full, with the room of all not held."""
        temporary = files.temporary_beside(self._folder / sha256)
        try:
            try:
                arrived = fetch(temporary)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                with self._locked(CHANGES):
                    self._drop(0)
                arrived = fetch(temporary)
            if arrived != sha256:
                raise CarriageError(f"a file came as {arrived}, which should have been {sha256}")
            with self._locked(CHANGES):
                temporary.replace(self._folder / sha256)
                self._verified[sha256] = identity(self._lock_in(sha256))
                self._drop(self._most_bytes)
        finally:
            temporary.unlink(missing_ok=True)

    def _lock_in(self, sha256: str) -> int:
        """Opens a file and locks it against being dropped, or holds it once more."""
        if hold := self._holds.get(sha256):
            hold.times += 1
            return hold.handle
        handle = os.open(self._folder / sha256, os.O_RDWR)
        fcntl.flock(handle, fcntl.LOCK_SH)  # nobody drops it now: that takes the other lock first
        os.utime(handle)
        self._holds[sha256] = Hold(handle)
        return handle

    def _drop(self, most_bytes: int) -> None:
        """Drops files that nobody holds, the least recently used first, until all fit."""
        found = [
            (path, path.stat()) for path in self._folder.iterdir() if HASH.fullmatch(path.name)
        ]
        total = sum(status.st_size for _, status in found)
        for path, status in sorted(found, key=lambda each: each[1].st_mtime_ns):
            if total <= most_bytes:
                return
            if not is_held(path):
                path.unlink()
                total -= status.st_size

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Waits for a lock of the folder, which threads and processes share."""
        handle = os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def identity(handle: int) -> Identity:
    """What tells an open file from another under its name."""
    status = os.fstat(handle)
    return status.st_dev, status.st_ino, status.st_size


def is_held(path: Path) -> bool:
    """Whether any process holds a file."""
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
