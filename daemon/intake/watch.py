"""Events of the file system as a hint to look again; correctness never depends on them."""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer, inotify_c
from watchdog.observers.api import BaseObserver, ObservedWatch

from daemon.host import files
from daemon.pictures.ignored import is_ignored
from daemon.state.claimed import CLAIMED_FOLDER

MOST_WATCHED = 48
"""Each folder takes one of the system's inotify instances, often 128 a user; scans see the rest."""


FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
"""Between two tries to watch, where that is impossible or does not last."""


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
    """Watches a folder and those in it, and notices when it has gone deaf. Nothing here raises.

    Not the claimed folder, nor others that are ignored: every claim makes folders there, and each
    would be watched. Where watching is impossible the scans alone do the work: that is said once
    for each cause, and tried again after a pause that doubles.
    """

    def __init__(
        self, folder: Path, wake: threading.Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._wake = wake
        self._clock = clock
        self._observer: BaseObserver | None = None
        self._identity: tuple[int, int] | None = None
        self._inner: dict[Path, ObservedWatch] = {}
        self._fault = ""
        self._pause_s = 0.0
        self._began_s = self._again_s = -math.inf
        self.blind = False
        """Whether something is not watched that should be, so that only scans see it."""

    def ensure(self) -> None:
        """Starts watching, or starts again if the folder was replaced or a thread has died.

        A folder renamed away and made again leaves watchdog's threads alive and deaf, so its
        device and inode are compared. Some file systems give others at each look: those are seen
        by scans, and watched anew ever more seldom.
        """
        identity = identity_of(self._folder)
        if identity is None:  # it is away, which others tell of
            self.stop()
            return
        try:
            self.blind = not self._look_after(identity)
        except Exception as error:  # whatever it is: it must not take the intake along
            self.blind = True
            self._note(error)

    def _look_after(self, identity: tuple[int, int]) -> bool:
        """Does what is to be done now; whether all is watched then."""
        due = self._clock() >= self._again_s
        if self._observer is not None and identity == self._identity:
            if not self._fault or due:
                self._follow(self._observer)
            if self._healthy(self._observer):
                if self._clock() - self._began_s > LONGEST_PAUSE_S:
                    self._pause_s = 0.0
                return not self._fault
        if due:
            self._begin(identity)
        return due

    def _begin(self, identity: tuple[int, int]) -> None:
        """Watches anew; however that ends, the next time comes after a longer pause."""
        self.stop()
        self._began_s = self._clock()
        self._put_off()
        revive_reader()
        observer = Observer()
        try:
            observer.schedule(Hint(self._wake), str(self._folder))
            observer.start()
        except Exception:
            end(observer)
            raise
        self._observer, self._identity = observer, identity
        self._follow(observer)

    def _follow(self, observer: BaseObserver) -> None:
        """Watches the folders that are there now, the first of them if there are very many."""
        folders = inner_folders(self._folder)[:MOST_WATCHED]
        for folder in self._inner.keys() - set(folders):
            with contextlib.suppress(Exception):
                observer.unschedule(self._inner[folder])
            del self._inner[folder]
        for folder in folders:
            if folder not in self._inner:
                watch = observer.schedule(Hint(self._wake), str(folder), recursive=True)
                self._inner[folder] = watch
                self._wake.set()  # what came before it was watched
        if self._fault:
            self._fault = ""
            logger.info("{} is watched again", files.printable(self._folder))

    def _note(self, error: Exception) -> None:
        """Says once what keeps it from watching."""
        if self._clock() >= self._again_s:
            self._put_off()
        if self._fault != (fault := f"{type(error).__name__}: {error}"):
            self._fault = fault
            logger.warning(
                "{} cannot be watched ({}): what is new is found by looking there now and then; "
                "see atelierd doctor",
                files.printable(self._folder),
                error,
            )

    def _put_off(self) -> None:
        """Sets when it may be tried again: the first time at once."""
        self._again_s = self._clock() + self._pause_s
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)

    def stop(self) -> None:
        """Ends the threads."""
        observer, self._observer = self._observer, None
        self._inner.clear()
        if observer is not None:
            end(observer)

    def _healthy(self, observer: BaseObserver) -> bool:
        threads = [observer, *observer.emitters, *readers()]
        return all(thread.is_alive() for thread in threads)


def end(observer: BaseObserver) -> None:
    """Ends an observer's threads; one that never began, or has died, has none."""
    with contextlib.suppress(Exception):
        observer.stop()
        observer.join(2.0)


def readers() -> list[threading.Thread]:
    """The thread that watchdog from version 7 has for all its observers, if it has made one."""
    reader = getattr(getattr(inotify_c, "InotifyFD", None), "_instance", None)
    return [] if reader is None else [reader]


def revive_reader() -> None:
    """Replaces that thread if it has ended: watchdog itself would go on with it, and be deaf."""
    for reader in readers():
        if reader.is_alive():
            continue
        if reader.ident is None:  # it could not be started, and holds its files
            reader.start()
        else:
            inotify_c.InotifyFD._instance = None


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
