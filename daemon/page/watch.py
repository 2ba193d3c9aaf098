"""One look at the service for all who watch: what has changed is told to every open view.

Views ask for what they show themselves; only that something is new goes through here, so that a
thousand open views cost one look a second, and one that is closed costs nothing.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daemon.errors import SurroundingsError
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.state.lock import is_held
from daemon.state.pause import PAUSE_FILE
from daemon.status.live import LIVE_FILE, read_live

WATCHED_S, PAINTING_S, IDLE_S = 1.0, 2.0, 6.0
"""Between looks: while somebody watches, while something is painted, whose losses are kept for who
comes later, and else."""

HEARTBEAT_S = 15.0
MOST_WATCHERS = 200
MOST_POINTS = 240


@dataclass(frozen=True)
class Seen:
    """What a look at the service found.

    now: what is painted at the moment, told by everything that the first view shows.  ledger:
    how often it has changed.  running: whether a service holds the state folder.
    """

    running: bool = False
    now: int = 0
    ledger: int = 0

    def told(self) -> str:
        """The same as JSON, for the views."""
        return json.dumps({"running": self.running, "now": self.now, "ledger": self.ledger})


@dataclass
class LossCourse:
    """The losses of one running job as far as they were seen. columns: as a record's `course`."""

    columns: dict[str, list[float]] = field(default_factory=dict)

    def add(self, number: int, step: int, losses: Mapping[str, float]) -> None:
        """Adds the losses of a step of a pass; thins them out when they are many."""
        point = {"pass": number, "step": step, **losses}
        seen = self.columns.get("step", [])
        if seen and (step <= seen[-1] or point.keys() != self.columns.keys()):
            return
        for name, value in point.items():
            self.columns.setdefault(name, []).append(value)
        if len(seen) > MOST_POINTS:
            self.columns = {name: values[::2] for name, values in self.columns.items()}


class LedgerClock:
    """Counts how often the ledger has changed, whoever did it. Used in one thread only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ledger: Ledger | None = None
        self._inode = 0
        self._version = -1
        self.ticks = 0

    def look(self) -> int:
        """How often it has changed since this process began; a ledger put aside counts too."""
        try:
            inode = self._path.stat().st_ino
        except OSError:
            inode = 0
        if inode != self._inode:
            self.close()
            self._inode, self._version = inode, -1
        with suppress(SurroundingsError):
            version = self._read()
            if version != self._version:
                self.ticks += 1
            self._version = version
        return self.ticks

    def _read(self) -> int:
        if not self._inode:
            return 0
        if self._ledger is None:
            self._ledger = Ledger(self._path, read_only=True)
        return self._ledger.views.version()

    def close(self) -> None:
        """Lets go of the ledger's file."""
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = None


class Watcher:
    """Looks again and again while it runs, and wakes who waits for news.

    courses: the losses of running jobs, by their ids.  Belongs to the event loop.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = LedgerClock(config.ledger_path)
        self._stamp: tuple[object, ...] = ()
        self._said: tuple[object, ...] = ()
        self._news = asyncio.Condition()
        self._watchers = 0
        self._wake = asyncio.Event()
        self.seen = Seen()
        self.courses: dict[str, LossCourse] = {}

    async def run(self) -> None:
        """Looks until it is cancelled."""
        try:
            while True:
                await self.look()
                self._wake.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._pause_s())
        finally:
            self._clock.close()

    def _pause_s(self) -> float:
        if self._watchers:
            return WATCHED_S
        return PAINTING_S if self.courses else IDLE_S

    async def look(self) -> None:
        """One look; who waits is woken if something is new."""
        before = self.seen
        self.seen = replace(before, now=before.now + self._now_changed(), ledger=self._clock.look())
        with suppress(SurroundingsError):  # who may not look is told by the views
            self.seen = replace(self.seen, running=is_held(self._config.state))
        if self.seen != before:
            async with self._news:
                self._news.notify_all()

    def _now_changed(self) -> bool:
        """Whether what is painted, waits or ails is not as it was; keeps the courses up."""
        state = self._config.state
        stamp = tuple(map(stamp_of, (state / LIVE_FILE, state / PAUSE_FILE)))
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        live = read_live(state) or {}
        self._follow(live.get("running", []))
        said = (stamp[1], json.dumps({**live, "written_at": ""}))
        changed = said != self._said
        self._said = said
        return changed

    def _follow(self, running: list[dict[str, Any]]) -> None:
        """Notes the losses of what runs, and forgets what does not any more."""
        ids = {job["id"] for job in running}
        self.courses = {job: course for job, course in self.courses.items() if job in ids}
        for job in running:
            if job["total"] is not None:
                losses = {"total": job["total"], **job["losses"]}
                course = self.courses.setdefault(job["id"], LossCourse())
                course.add(job["pass_number"], job["step"], losses)

    @property
    def full(self) -> bool:
        """Whether so many watch that nobody else may."""
        return self._watchers >= MOST_WATCHERS

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Looks more often while somebody watches."""
        self._watchers += 1
        self._wake.set()
        try:
            yield
        finally:
            self._watchers -= 1

    async def events(self) -> AsyncIterator[str]:
        """The events of one view for as long as it is open: first how things are, then news."""
        async with self.watched():
            told: Seen | None = None
            while True:
                if self.seen != told:
                    told = self.seen
                    yield f"data: {told.told()}\n\n"
                else:
                    yield ": still here\n\n"
                await self._wait(told)

    async def _wait(self, told: Seen) -> None:
        """Returns when something is new, or it is time for a sign of life."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_S), self._news:
                await self._news.wait_for(lambda: self.seen != told)


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of a file from the next; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # twice a second
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
