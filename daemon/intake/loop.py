"""The thread that takes pictures in, and how patiently it does."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.loop import BROKEN_WAIT_S, Loop, Round
from daemon.host.standstill import ONCE_GIVE_UP_S
from daemon.intake.decode import Decoder
from daemon.intake.owner import BEAT_S, Ownership
from daemon.intake.reports import Wait
from daemon.intake.round import Intake
from daemon.intake.scan import is_network_mount
from daemon.intake.strays import Holding
from daemon.intake.watch import Watch
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health

PRESETS_WAIT_S = 2.0
"""Presets are away for moments: while a folder is replaced, or an editor saves."""

LEAST_GAP_S = 0.1
NETWORK_SCAN_S = 5.0
"""Between looks where nothing tells of changes: on shares, and where watching is impossible."""


@dataclass(frozen=True)
class Pace:
    """The waiting times that depend on where the inbox lies, in seconds."""

    settle_s: float
    scan_s: float
    give_up_s: float


def pace_of(config: Config, *, once: bool, mounts: str) -> Pace:
    """The configured waiting times, or the usual ones for the inbox's file system.

    With --once nobody is still copying: a file that does not decode gets less time.
    """
    network = is_network_mount(config.inbox, mounts)
    settle_s = config.settle_s if config.settle_s is not None else (15.0 if network else 5.0)
    scan_s = config.scan_s if config.scan_s is not None else (NETWORK_SCAN_S if network else 60.0)
    give_up_s = config.settle_give_up_s
    return Pace(settle_s, scan_s, min(give_up_s, ONCE_GIVE_UP_S) if once else give_up_s)


class IntakeLoop:
    """Takes pictures in, in a thread of its own.

    pace_for: how patiently, with given settings.  changed: set when there may be something to do.
    on_scan: told the seconds of each look that nothing stood in the way of.
    """

    def __init__(
        self,
        config: Config,
        pace_for: Callable[[Config], Pace],
        health: Health,
        changed: threading.Event,
        *,
        on_scan: Callable[[float], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._pace_for = pace_for
        self._health = health
        self._changed = changed
        self._on_scan = on_scan
        self._clock = clock
        self._is_quiet = self._is_asked = False
        self.looked = False
        """Whether there was a first look, with whatever success."""
        self._intake: Intake | None = None
        self._ownership = Ownership(config.inbox, Spool(config.state))
        """Held from one intake to the next: a moment without looks gone."""
        self.waits: tuple[Wait, ...] = ()
        self.foreign: tuple[Path, ...] = ()
        self.holdings: tuple[Holding, ...] = ()
        self.loop = Loop(
            "intake",
            self._set_up,
            lambda error: self._health.bad("inbox", error),
            on_end=self._ownership.release,
            clock=clock,
        )
        self.start, self.stop, self.join = self.loop.start, self.loop.stop, self.loop.join

    def change(self, config: Config, devices: Sequence[str] = ()) -> None:
        """Goes on with other settings after the round at hand."""
        self._config = config
        self.loop.renew()

    @property
    def quiet(self) -> bool:
        """Whether the last look found nothing left to claim."""
        # In this order: a look clears them in the other.
        return not self._is_asked and self._is_quiet

    def look_again(self) -> None:
        """There is something in the inbox that the last look has not seen."""
        self._is_asked = True
        self.loop.wake()

    @property
    def restored(self) -> bool:
        """Whether the copies that the state folder had lost were made again."""
        return self._intake is not None and self._intake.restored

    @property
    def patience_s(self) -> float:
        """How long what lies in the inbox may rightly wait before it is claimed."""
        return self._intake.patience_s if self._intake and not self.quiet else 0.0

    @property
    def left(self) -> list[str]:
        """What lies in the inbox unclaimed, as far as it could be looked at, each with why."""
        return self._intake.left if self._intake else []

    def _set_up(self, opened: contextlib.ExitStack) -> Round:
        """What the rounds need with the settings of now."""
        config, pace = self._config, self._pace_for(self._config)
        ledger = Ledger(config.ledger_path)
        opened.callback(ledger.close)
        decoder = Decoder(config.limits.picture_pixels, config.limits.decode_s)
        opened.callback(decoder.close)
        watch = Watch(config.inbox, self.loop.woken)
        opened.callback(watch.stop)
        shelf_watch = Watch(config.presets, self.loop.woken)
        opened.callback(shelf_watch.stop)
        self._intake = intake = Intake(
            config,
            ledger,
            decoder,
            settle_s=pace.settle_s,
            give_up_s=pace.give_up_s,
            on_picture=lambda path: self.loop.begin(files.printable(path)),
            on_piece=lambda path: self.loop.step(files.printable(path)),
            ownership=self._ownership,
        )
        opened.callback(self._close, intake)
        return lambda: self._look(intake, watch, shelf_watch, pace)

    def _close(self, intake: Intake) -> None:
        """Ends an intake; our mark is kept for the next one, unless there is none."""
        if self.loop.stopping:
            intake.strays.close()

    def _look(self, intake: Intake, watch: Watch, shelf_watch: Watch, pace: Pace) -> None:
        """One look, and the rest until the next."""
        self.loop.begin()
        watch.ensure()
        shelf_watch.ensure()
        wait_s = self._round(intake, pace)
        if watch.blind and self._config.scan_s is None:
            wait_s = min(wait_s, NETWORK_SCAN_S)
        self.waits = intake.reports.due(self._clock())
        self.foreign = intake.reports.foreign
        self.holdings = intake.strays.holdings
        self.loop.end()
        self.looked = True
        self._rest(intake, wait_s)
        self.loop.pause(LEAST_GAP_S)  # a large file being written wakes us at every write

    def _rest(self, intake: Intake, wait_s: float) -> None:
        """Waits for the next look, with signs of life for the other services meanwhile."""
        while wait_s > BEAT_S:
            if self.loop.rest(BEAT_S):
                return
            wait_s -= BEAT_S
            intake.strays.beat()
        self.loop.rest(wait_s)

    def _round(self, intake: Intake, pace: Pace) -> float:
        """One look; returns the seconds until the next at the latest."""
        began_s = self._clock()
        if self._is_asked:
            self._is_quiet = self._is_asked = False
        try:
            claimed = intake.round(began_s)
        except Exception as error:
            # The intake must outlive a bug, with all it has seen of files that settle.
            self._health.bad("inbox", error)
            waits_for_presets = isinstance(error, SurroundingsError) and intake.awaits_presets
            return PRESETS_WAIT_S if waits_for_presets else BROKEN_WAIT_S
        self._on_scan(self._clock() - began_s)
        self._health.good("inbox")
        if claimed or not intake.pending:
            self._changed.set()
        self._is_quiet = not intake.pending
        next_s = intake.next_look_s(self._clock())
        return min(pace.scan_s, next_s) if next_s is not None else pace.scan_s
