"""Events of the file system as a hint to look again; correctness never depends on them."""

import contextlib
import os
import threading
from pathlib import Path

from loguru import logger
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from daemon.intake.scan import CLAIMED_FOLDER


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
    """Watches one folder, and notices when it has gone deaf."""

    def __init__(self, folder: Path, wake: threading.Event) -> None:
        self._folder = folder
        self._wake = wake
        self._observer: BaseObserver | None = None
        self._identity: tuple[int, int] | None = None

    def ensure(self) -> None:
        """Starts watching, or starts again if the folder was replaced or a thread has died.

        A folder renamed away and made again leaves watchdog's threads alive and deaf, so its
        device and inode are compared. If watching is impossible the scans alone do the work.
        """
        identity = identity_of(self._folder)
        if self._observer is not None and identity == self._identity and self._healthy():
            return
        self.stop()
        if identity is None:
            return
        observer = Observer()
        try:
            observer.schedule(Hint(self._wake), str(self._folder), recursive=True)
            observer.start()
        except OSError as error:
            logger.warning("{} cannot be watched ({}); scans go on", self._folder, error)
            return
        self._observer, self._identity = observer, identity

    def stop(self) -> None:
        """Ends the threads."""
        if self._observer is not None:
            with contextlib.suppress(RuntimeError):
                self._observer.stop()
                self._observer.join(2.0)
        self._observer = None

    def _healthy(self) -> bool:
        observer = self._observer
        if observer is None or not observer.is_alive():
            return False
        return all(emitter.is_alive() for emitter in observer.emitters)


def identity_of(folder: Path) -> tuple[int, int] | None:
    """Device and inode of a folder, or None if it is not there."""
    try:
        info = folder.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino
