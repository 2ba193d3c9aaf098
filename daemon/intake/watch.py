"""Events of the file system as a hint to look again; correctness never depends on them."""

import contextlib
import os
import threading
from pathlib import Path

from loguru import logger
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from daemon.ignored import is_ignored
from daemon.intake.scan import CLAIMED_FOLDER

MOST_WATCHED = 48
"""Each folder takes one of the system's inotify instances, often 128 a user; scans see the rest."""


class Hint(FileSystemEventHandler):
    """Sets an event whenever something below the inbox changes, our own claims apart."""

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        # An exception here would end watchdog's thread, so nothing here can raise.
        own = CLAIMED_FOLDER in os.fsdecode(event.src_path)
        if not own and event.event_type not in ("opened", "closed_no_write"):
            self._wake.set()


class Watch:
    """Watches a folder and those in it, and notices when it has gone deaf.

    Not the claimed folder, nor others that are ignored: every claim makes folders there, and each
    would be watched.
    """

    def __init__(self, folder: Path, wake: threading.Event) -> None:
        self._folder = folder
        self._wake = wake
        self._observer: BaseObserver | None = None
        self._identity: tuple[int, int] | None = None
        self._inner: dict[Path, ObservedWatch] = {}

    def ensure(self) -> None:
        """Starts watching, or starts again if the folder was replaced or a thread has died.

        A folder renamed away and made again leaves watchdog's threads alive and deaf, so its
        device and inode are compared. If watching is impossible the scans alone do the work.
        """
        identity = identity_of(self._folder)
        if self._observer is None or identity != self._identity or not self._healthy():
            self.stop()
            if identity is None:
                return
            observer = Observer()
            try:
                observer.schedule(Hint(self._wake), str(self._folder))
                observer.start()
            except OSError as error:
                logger.warning("{} cannot be watched ({}); scans go on", self._folder, error)
                return
            self._observer, self._identity = observer, identity
        self._follow(self._observer)

    def _follow(self, observer: BaseObserver) -> None:
        """Watches the folders that are there now, the first of them if there are very many."""
        found = inner_folders(self._folder)[:MOST_WATCHED]
        for folder in self._inner.keys() - set(found):
            with contextlib.suppress(KeyError, OSError):
                observer.unschedule(self._inner[folder])
            del self._inner[folder]
        for folder in found:
            if folder in self._inner:
                continue
            try:
                watch = observer.schedule(Hint(self._wake), str(folder), recursive=True)
            except OSError as error:
                logger.debug("{} cannot be watched ({}); scans go on", folder, error)
                return
            self._inner[folder] = watch
            self._wake.set()  # what came before it was watched

    def stop(self) -> None:
        """Ends the threads."""
        if self._observer is not None:
            with contextlib.suppress(RuntimeError):
                self._observer.stop()
                self._observer.join(2.0)
        self._observer = None
        self._inner.clear()

    def _healthy(self) -> bool:
        observer = self._observer
        if observer is None or not observer.is_alive():
            return False
        return all(emitter.is_alive() for emitter in observer.emitters)


def inner_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without those that are ignored."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not is_ignored(entry.name)
            )
    except OSError:
        return []


def identity_of(folder: Path) -> tuple[int, int] | None:
    """Device and inode of a folder, or None if it is not there."""
    try:
        info = folder.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino
