"""The thread that takes pictures in, and how patiently it does."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.standstill import ONCE_GIVE_UP_S, Furthest
from daemon.intake.decode import Decoder
from daemon.intake.owner import BEAT_S, Ownership
from daemon.intake.round import Intake
from daemon.intake.scan import is_network_mount
from daemon.intake.strays import Holding
from daemon.intake.waits import Wait
from daemon.intake.watch import Watch
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health

BROKEN_WAIT_S = 5.0
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
    """The thread that takes pictures in.

    on_scan: told the seconds of each look that nothing stood in the way of.
    """

    def __init__(
        self,
        config: Config,
        pace: Pace,
        health: Health,
        changed: threading.Event,
        *,
        on_scan: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._on_scan = on_scan
        self._config = config
        self._pace = pace
        self._health = health
        self._changed = changed
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._quiet = threading.Event()
        self._looked = threading.Event()
        self._asked = threading.Event()
        self._intake: Intake | None = None
        self._ownership: Ownership | None = None
        self._began_s: float | None = None
        self._at = ""
        self._furthest = Furthest()
        self.waits: tuple[Wait, ...] = ()
        self.holdings: tuple[Holding, ...] = ()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def change(self, config: Config, pace: Pace) -> None:
        """Goes on with other settings after the round at hand."""
        self._pace, self._config = pace, config
        self._wake.set()

    def stop(self) -> None:
        """Asks the loop to end after the round at hand."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Waits for the end; a round that hangs is left to it."""
        self._thread.join(timeout_s)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def quiet(self) -> bool:
        """Whether the last look found nothing left to claim."""
        return self._quiet.is_set() and not self._asked.is_set()

    def look_again(self) -> None:
        """There is something in the inbox that the last look has not seen."""
        self._asked.set()
        self._wake.set()

    @property
    def looked(self) -> bool:
        """Whether there was a first look, with whatever success."""
        return self._looked.is_set()

    @property
    def restored(self) -> bool:
        """Whether the copies that the state folder had lost were made again."""
        return self._intake is not None and self._intake.restored

    @property
    def patience_s(self) -> float:
        """How long what lies in the inbox may rightly wait before it is claimed."""
        return self._intake.patience_s if self._intake and not self.quiet else 0.0

    @property
    def reached(self) -> int:
        """What was decoded and copied so far: what is slow and gets further is no standstill."""
        return self._furthest.total

    @property
    def left(self) -> list[str]:
        """What lies in the inbox unclaimed, as far as it could be looked at, each with why."""
        return self._intake.left if self._intake else []

    def hangs_s(self) -> float:
        """Seconds that the look or the picture at hand has taken so far; 0 if there is none."""
        began_s = self._began_s
        return time.monotonic() - began_s if began_s is not None else 0.0

    @property
    def at(self) -> str:
        """The picture at hand, or the last one; empty while it is only looked around."""
        return self._at

    def _begin(self, path: Path | None = None) -> None:
        self._at, self._began_s = files.printable(path) if path else "", time.monotonic()
        self._furthest.begin(self._at)

    def _note_piece(self, path: Path) -> None:
        self._began_s = time.monotonic()
        self._furthest.step(files.printable(path))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with contextlib.ExitStack() as opened:
                    self._run_with(self._config, opened)
            except Exception as error:  # a thread that ended would leave pictures unseen
                self._began_s = None
                self._health.bad("inbox", error)
                self._stop.wait(BROKEN_WAIT_S)
        if self._ownership is not None:
            self._ownership.release()

    def _run_with(self, config: Config, opened: contextlib.ExitStack) -> None:
        """Looks again and again, until it is to stop or to go on with other settings."""
        limits = config.limits
        ledger = Ledger(config.ledger_path)
        opened.callback(ledger.close)
        decoder = Decoder(limits.picture_pixels, limits.decode_s)
        opened.callback(decoder.close)
        watch = Watch(config.inbox, self._wake)
        opened.callback(watch.stop)
        self._intake = intake = Intake(
            config,
            ledger,
            decoder,
            settle_s=self._pace.settle_s,
            give_up_s=self._pace.give_up_s,
            on_picture=self._begin,
            on_piece=self._note_piece,
            ownership=self._own(config),
        )
        opened.callback(self._close, intake, config)
        while not self._stop.is_set() and self._config is config:
            self._wake.clear()
            self._begin()
            watch.ensure()
            wait_s = self._round(intake)
            if watch.blind and config.scan_s is None:
                wait_s = min(wait_s, NETWORK_SCAN_S)
            self.waits, self.holdings = intake.waits(time.monotonic()), intake.holdings
            self._began_s = None
            self._looked.set()
            self._rest(intake, wait_s)
            self._stop.wait(LEAST_GAP_S)  # a large file being written wakes us at every write

    def _own(self, config: Config) -> Ownership:
        """Our mark in the inbox, held from one intake to the next: a moment without looks gone."""
        if self._ownership is None:
            self._ownership = Ownership(config.inbox, Spool(config.state))
        return self._ownership

    def _close(self, intake: Intake, config: Config) -> None:
        """Ends an intake; our mark is kept for the next one of the same inbox."""
        goes_on = (self._config.inbox, self._config.state) == (config.inbox, config.state)
        if self._stop.is_set() or not goes_on:
            intake.close()
            self._ownership = None

    def _rest(self, intake: Intake, wait_s: float) -> None:
        """Waits for the next look, with signs of life for the other services meanwhile."""
        while wait_s > BEAT_S:
            if self._wake.wait(BEAT_S):
                return
            wait_s -= BEAT_S
            intake.beat()
        self._wake.wait(wait_s)

    def _round(self, intake: Intake) -> float:
        """One look; returns the seconds until the next at the latest."""
        began_s = time.monotonic()
        if self._asked.is_set():
            self._quiet.clear()
            self._asked.clear()
        try:
            claimed = intake.round(began_s)
        except SurroundingsError as error:
            self._health.bad("inbox", error)
            return PRESETS_WAIT_S if intake.awaits_presets else BROKEN_WAIT_S
        except Exception as error:
            # The loop must outlive a bug: pictures would lie unseen with the service up.
            self._health.bad("inbox", error)
            return BROKEN_WAIT_S
        self._on_scan(time.monotonic() - began_s)
        self._health.good("inbox")
        if claimed or not intake.pending:
            self._changed.set()
        if intake.pending:
            self._quiet.clear()
        else:
            self._quiet.set()
        next_s = intake.next_look_s(time.monotonic())
        return min(self._pace.scan_s, next_s) if next_s is not None else self._pace.scan_s
