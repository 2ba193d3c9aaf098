"""The part that has the gallery written, in a thread of its own: what hangs or fails there keeps no
picture from being published, and what was missed is found at the next start.
"""

import contextlib
import queue
from collections.abc import Callable, Sequence
from functools import partial
from os import fspath
from pathlib import Path

from loguru import logger

from daemon.errors import AtelierError
from daemon.host import files
from daemon.host.loop import Loop, Round
from daemon.outbox.gallery.writer import GalleryError, GalleryPlace, GalleryWriter
from daemon.settings.config import Config
from daemon.state.mounts import Mounts
from daemon.state.spool import Spool
from daemon.status.health import Health

IDLE_S = 20.0
"""How long the process that writes stays when there is nothing to write."""

RETRY_S = 30.0
MOST_SHRUNK = 200
"""Results without small versions that get some by themselves: a page of the newest."""

NICENESS = 10
"""Of the process that writes: painting goes first."""

MakeWriter = Callable[[GalleryPlace, Callable[[], object]], GalleryWriter]

make_writer = partial(GalleryWriter, niceness=NICENESS)


class GalleryKeeper:
    """Keeps the gallery in line with the outbox. The delivery calls `add` and `add_sheet`."""

    def __init__(
        self, config: Config, spool: Spool, health: Health, make_writer: MakeWriter = make_writer
    ) -> None:
        self._config = config
        self._spool = spool
        self._health = health
        self._mounts = Mounts(config.state)
        self._make_writer = make_writer
        self._writer: GalleryWriter | None = None
        self._coming: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._stale = True  # until it was brought in line
        self._at_work = False
        self._failing = False
        self._unseen: list[str] = []
        self.loop = Loop("gallery", self._set_up, self._note_fault, retry_s=RETRY_S)
        self.start, self.stop = self.loop.start, self.loop.stop

    def add(self, record: str) -> None:
        """Has the picture shown whose record lies at that path below the outbox."""
        self._coming.put(("add", record))
        self.loop.wake()

    def add_sheet(self, listing: Path) -> None:
        """Has the sheet shown whose listing lies at that path below the outbox."""
        self._coming.put(("add_sheet", fspath(listing)))
        self.loop.wake()

    @property
    def busy(self) -> bool:
        """Whether something is to be shown that can be; what fails is waited for by nobody."""
        waits = self._stale or not self._coming.empty() or self._at_work
        return self._config.gallery and waits and not self._failing

    def change(self, config: Config, devices: Sequence[str] = ()) -> None:
        """Goes on with other settings."""
        self._stale = self._stale or config.gallery != self._config.gallery
        self._config = config
        self.loop.renew()

    def join(self, timeout_s: float) -> None:
        """Waits for the thread; what its process has begun it ends, and begins nothing more."""
        self.loop.join(timeout_s)

    # The thread's own

    def _set_up(self, opened: contextlib.ExitStack) -> Round:
        config = self._config
        place = GalleryPlace(config.outbox, self._spool.handed, config.schedule.time_zone)
        self._writer = self._make_writer(place, lambda: self.loop.step(self.loop.at))
        opened.callback(self._writer.close)
        return self._round_and_rest

    def _round_and_rest(self) -> None:
        if not self._config.gallery:
            self._forget_coming()
            self._health.good("gallery")
            self.loop.rest()
            return
        try:
            self._round()
        except AtelierError as error:
            self._note_fault(error)
            self.loop.pause(RETRY_S)
            return
        self._failing = False
        self._health.good("gallery")
        if self._unseen or self.loop.rest(IDLE_S):
            return
        self._writer_there.close()
        self.loop.rest()

    def _round(self) -> None:
        """Everything there is to show now, and one result's small versions if nothing else is."""
        self._at_work = True
        try:
            self._mounts.check(self._config.outbox)
            files.ensure_room(self._config.outbox, 0, self._config.limits.free_bytes)
            if self._stale:
                self.loop.begin("the gallery")
                self._bring_in_line()
            self._add_all()
        finally:
            self._at_work = False
        if self._unseen and not self.loop.stopping:
            self._shrink_one()

    def _bring_in_line(self) -> None:
        self._forget_coming()  # first: what comes meanwhile is added after it
        done = self._writer_there.reconcile()
        self._stale = False
        self._unseen = list(done.unseen[:MOST_SHRUNK])[::-1]
        if done.added or done.removed:
            logger.info(
                "the gallery shows {} pictures: {} came, {} went",
                done.pictures,
                done.added,
                done.removed,
            )
        if len(done.unseen) > MOST_SHRUNK:
            left = len(done.unseen) - MOST_SHRUNK
            logger.info(
                "{} older pictures have no small versions; atelierd gallery --rebuild makes them",
                left,
            )

    def _add_all(self) -> None:
        while not self._coming.empty() and not self.loop.stopping:
            kind, path = self._coming.get()
            self.loop.begin(path)
            if kind == "add":
                self._unseen += [path] if self._writer_there.add(path) else []
            else:
                self._writer_there.add_sheet(path)

    def _shrink_one(self) -> None:
        """Makes small versions of the newest result without; once all are made, they are shown.

        One that the process did not survive is left as it is.
        """
        try:
            self._writer_there.shrink(self._unseen.pop())
        except GalleryError as error:
            if not error.lost:
                raise
        if not self._unseen:
            self._writer_there.reconcile()

    def _forget_coming(self) -> None:
        while not self._coming.empty():
            self._coming.get()

    def _note_fault(self, error: Exception) -> None:
        """Notes that the gallery cannot be written: all is looked through once it can."""
        self._stale = self._failing = True
        self._health.bad("gallery", error)

    @property
    def _writer_there(self) -> GalleryWriter:
        assert self._writer is not None  # set up before every round
        return self._writer
