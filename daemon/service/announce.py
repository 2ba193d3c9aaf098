"""Lets others see what the service does: a terminal, the live file, the service manager."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loguru import logger

from daemon.errors import SurroundingsError
from daemon.intake import reports
from daemon.intake.loop import IntakeLoop
from daemon.ledger.store import Ledger, utc_now
from daemon.service.manager import Manager
from daemon.state.pause import paused_since
from daemon.status.health import Health
from daemon.status.live import LIVE_FILE, Live, RunningJob, write_live
from daemon.status.report import in_words

LIVE_S = 1.0
"""Who follows what goes on looks once a second (`page/watch.py`)."""

UNCHANGED_S = 10.0
"""How often the live file is written while nothing is new: each time a disk has to turn."""

STATUS_S = 5.0


class Announcer:
    """Shows what goes on, not more often than others could use; at each tick to `on_change`."""

    def __init__(
        self,
        state: Path,
        devices: Sequence[str],
        health: Health,
        on_change: Callable[[Live], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.live = Live(os.getpid(), utc_now(), devices=list(devices))
        self.manager = Manager()
        self._state = state
        self._health = health
        self._on_change = on_change
        self._clock = clock
        self._written_s = self._told_s = 0.0
        self._written: dict[str, Any] = {}
        self._ready = False

    def show(self, running: list[RunningJob], intake: IntakeLoop) -> None:
        """Shows the runs, the troubles, and what lies in the inbox and does not get on."""
        now_s, live = self._clock(), self.live
        live.running = running
        live.health = dict(self._health.troubles)
        live.waits = reports.as_data(intake.waits, now_s, datetime.now(UTC))
        live.waits_more = max(0, len(intake.waits) - reports.MOST_NAMED)
        live.foreign = len(intake.foreign)
        live.others = [holding.words for holding in intake.holdings]
        live.written_at = utc_now()
        try:
            self._on_change(live)
        except Exception as error:  # a terminal that is gone: nobody looks, the painting goes on
            logger.warning("progress is shown no more: {!r}", error)
            self._on_change = lambda live: None
        self._write(now_s)

    def _write(self, now_s: float) -> None:
        """Writes the live file if something is new, or nothing was for long."""
        news = {**self.live.as_data(), "written_at": ""}
        if now_s - self._written_s < (UNCHANGED_S if news == self._written else LIVE_S):
            return
        self._written_s, self._written = now_s, news
        try:
            write_live(self._state, self.live)
        except OSError as error:
            self._written = {}
            self._health.bad("state folder", error)
        else:
            self._health.good("state folder")

    def tell_manager(self, ledger: Ledger, *, looked: bool, warm: Callable[[], bool]) -> None:
        """Tells a service manager that it is ready, that it lives, and what it does.

        looked: whether the inbox had its first look, or has had time for it.  warm: starts the
        workers; whether all have answered.
        """
        if not self.manager.listens:
            return
        with contextlib.suppress(SurroundingsError):  # is in health
            if self._clock() - self._told_s >= STATUS_S:
                self._told_s = self._clock()
                self.manager.status(self._status_line(ledger.waiting()))
            if not self._ready and looked and warm():
                self._ready = True
                self.manager.ready()
            if self.manager.ping_due() and ledger.writable():
                self.manager.ping()

    def _status_line(self, waiting: int) -> str:
        """Queue, running jobs and troubles in a line."""
        parts = [f"{waiting} waiting"]
        for job in self.live.running:
            eta = f", ETA {in_words(job.eta_s)}" if job.eta_s is not None else ""
            parts.append(f"{job.picture} step {job.step}/{job.steps}{eta}")
        if since := paused_since(self._state):
            parts.append(f"paused since {since}")
        parts += [f"trouble: {part}: {what}" for part, what in self.live.health.items()]
        return "; ".join(parts) if self._ready else "starting; " + "; ".join(parts)

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Tells the manager that settings are read anew, and when that is over, however it ends.

        While the service starts it is not told: READY would come before it is.
        """
        ready = self._ready
        if ready:
            self.manager.reloading()
        try:
            yield
        finally:
            if ready:
                self.manager.ready()

    def close(self) -> None:
        """Removes the live file, which is true no more."""
        with contextlib.suppress(OSError):  # it is of no use to anybody, and does no harm
            (self._state / LIVE_FILE).unlink(missing_ok=True)
