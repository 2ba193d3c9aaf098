"""Puts the parts together: what is started, what the main loop does, and the way down.

One thread takes pictures in, one delivers them, and the main one gives them to the workers. Each
has its own connection to the ledger; none calls the other. The main loop touches nothing but the
state folder, so that a share that hangs cannot hold it up.
"""

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from loguru import logger

from daemon.errors import AtelierError, ExitCode, SurroundingsError, in_short
from daemon.host import files
from daemon.host.loop import BROKEN_WAIT_S
from daemon.host.standstill import HANGING_S, ONCE_GIVE_UP_S, Standstill
from daemon.host.zone import UNKNOWN_ZONE, unknown_zone
from daemon.intake.loop import IntakeLoop, Pace, pace_of
from daemon.intake.scan import mount_table
from daemon.job import QUEUES, State
from daemon.ledger.opening import open_sound
from daemon.service.announce import Announcer
from daemon.service.delivery import Delivery
from daemon.service.gallery import GalleryKeeper
from daemon.service.neighbours import Neighbours
from daemon.service.notify import Notifier
from daemon.service.once import are_at_work, why_give_up
from daemon.service.part import Part, start
from daemon.service.permit import Permit, permit
from daemon.service.preparation import prepare_folders
from daemon.service.recovery import LostCopies, recover_jobs, sweep_spool
from daemon.service.runs import Runs
from daemon.service.signals import Signals
from daemon.settings.config import Config
from daemon.state.lock import hold
from daemon.state.pause import paused_since
from daemon.state.spool import Spool
from daemon.status import logs
from daemon.status.health import Health
from daemon.status.http import WebServer
from daemon.status.live import Live
from daemon.status.metrics import Metrics
from daemon.status.report import gather

TICK_S = 0.5
JOIN_S = 1.0
FIRST_LOOK_S = 30.0
"""An inbox that does not answer for so long must not keep the service from being ready."""

FIXED = ("inbox", "outbox", "state")
"""What cannot change while pictures are between these folders."""

Reread = Callable[[], tuple[Config, list[str]]]


class Service:
    """The service on one configuration, in this thread.

    reread: the configuration and its devices anew, for SIGHUP; raises AtelierError.  until: when to
    stop by itself.
    """

    def __init__(
        self,
        config: Config,
        devices: list[str],
        reread: Reread,
        *,
        once: bool = False,
        until: datetime | None = None,
        on_change: Callable[[Live], object] = lambda live: None,
    ) -> None:
        self._config = config
        self._devices = devices
        self._once = once
        self._until = until
        self._reread = reread
        self._spool = Spool(config.state)
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{time.time_ns()}"
        self._health = Health()
        self._signals = Signals()
        self._announcer = Announcer(config.state, devices, self._health, on_change)
        self._wake = threading.Event()
        self._reached: tuple[int, ...] = ()

    def run(self) -> ExitCode:
        """Works until SIGTERM, SIGINT or `until`, or with `once` until nothing is left to do.

        Raises AlreadyRunningError or SurroundingsError if it cannot start.
        """
        lock = hold(self._config.state)
        self._signals.heed()
        logs.keep_job_logs(self._spool)
        self._ledger = open_sound(self._config.ledger_path)
        recover_jobs(self._ledger, self._owner)
        sweep_spool(self._spool, self._ledger)
        self._copies = LostCopies(self._config, self._ledger, self._spool, self._health)
        prepare_folders(self._config)
        self._make_parts()
        for part in self._parts:
            start(part)
        if (zone := unknown_zone()) and self._config.schedule.time_zone is None:
            logger.warning(UNKNOWN_ZONE.format(files.printable(zone)))
        where = [*self._devices, *(["the fleet"] if self._config.fleet else [])]
        logger.info("watching {} on {}", self._config.inbox, ", ".join(where))
        self._work()
        self._shut_down()
        lock.release()
        return self._exit_code()

    # The parts

    def _make_parts(self) -> None:
        """Makes what is started, changed, stopped and joined, in this order."""
        config, health, ledger, spool = self._config, self._health, self._ledger, self._spool
        self._metrics = metrics = Metrics(
            config.ledger_path, self._devices, health, lambda: self._runs.memory()
        )
        self._notifier = Notifier(config, ledger, metrics.count_hook)
        self._intake = IntakeLoop(
            config, self._pace_for, health, self._wake, on_scan=metrics.observe_scan
        )
        self._gallery = GalleryKeeper(config, spool, health)
        self._delivery = Delivery(
            config,
            spool,
            health,
            metrics,
            self._notifier.note_end,
            self._wake.set,
            returned=self._intake.look_again,
            gallery=self._gallery,
        )
        self._runs = Runs(
            config, self._devices, ledger, self._owner, spool, health, metrics, self._wake.set
        )
        self._neighbours = Neighbours(config, self._devices, self._runs.memory)
        self._loops = {
            "inbox": self._intake.loop,
            "outbox": self._delivery.loop,
            "gallery": self._gallery.loop,
        }
        self._parts: tuple[Part, ...] = (
            self._intake,
            self._delivery,
            self._runs,
            WebServer(config, [metrics.route()], health),
            self._neighbours,
            self._notifier,
            self._gallery,
        )

    def _pace_for(self, config: Config) -> Pace:
        return pace_of(config, once=self._once, mounts=mount_table())

    def _look_after(self) -> None:
        """Starts threads again that a bug has ended, and tells of those that hang."""
        for part in (self._intake, self._delivery, self._gallery):
            if not part.loop.alive:  # pictures would lie unseen with the rest up
                logger.error("the {} has ended; starting it again", part.loop.name)
                start(part)
        for name, loop in self._loops.items():
            if loop.hangs_s() > HANGING_S:
                what = loop.at or "a look around"
                slow = f"{what} takes over 2 min there; does its disk or share answer?"
                self._health.bad(name, SurroundingsError(slow))

    # The main loop

    def _work(self) -> None:
        """Ticks until it is to stop, or with `once` until all is over or stuck."""
        self._began_s = time.monotonic()
        self._standstill = Standstill()
        while not self._signals.stop:
            self._wake.clear()
            quiet = self._intake.quiet  # before the tick, which then sees all that was claimed
            busy = self._guarded_tick()
            # Asked again: meanwhile a picture may have gone back to the inbox.
            is_over = quiet and not busy and self._intake.quiet
            if self._once and (self._gives_up() or is_over):
                return
            self._wake.wait(TICK_S)

    def _gives_up(self) -> bool:
        """Whether nothing has got further for so long that it will not now; says so."""
        with contextlib.suppress(SurroundingsError):  # the ledger is away: it is where it was
            self._reached = self._ledger.reached()
        loops = self._loops
        reached = self._reached, self._runs.reached, *(loop.reached for loop in loops.values())
        at_work = are_at_work(loops, self._config.limits.decode_s)
        active = bool(self._runs) or self._notifier.busy or at_work
        idle_s = self._standstill.lasts_s(reached, active=active)
        if idle_s <= ONCE_GIVE_UP_S + self._intake.patience_s:
            return False
        live = self._announcer.live
        why = why_give_up(idle_s, self._health, live.left, loops, live.lacking)
        self._health.bad("once", why)
        return True

    def _guarded_tick(self) -> bool:
        """One tick, whose broken surroundings make the queue wait and never end the service."""
        try:
            busy = self._tick()
            self._health.good("ledger")
            self._health.good("service")
        except SurroundingsError as error:
            self._health.bad("ledger", error)
            busy = True
        except Exception as error:
            self._health.bad("service", error)
            busy = True
            time.sleep(BROKEN_WAIT_S)
        self._announcer.show(self._runs.shown(), self._intake)
        looked = self._intake.looked or time.monotonic() - self._began_s > FIRST_LOOK_S
        self._announcer.tell_manager(self._ledger, looked=looked, warm=self._runs.warm)
        return busy

    def _tick(self) -> bool:
        """Everything there is to do now; returns whether anything is left that may be done."""
        self._obey()
        self._look_after()
        allowed = self._permit()
        self._runs.tick(allowed)
        self._show_seats()
        owed = self._ledger.owed()
        filing = self._delivery.filing  # asked second: it comes true before the ledger's part ends
        if owed or filing:
            self._delivery.loop.wake()
        waiting = allowed.line is not None and self._ledger.first_in(allowed.line) is not None
        busy = bool(waiting or self._runs or owed or filing or self._gallery.busy)
        return self._notifier.tick(busy=busy) or busy

    def _show_seats(self) -> None:
        """Shows others which seats there are now, and what jobs ask for in vain."""
        live = self._announcer.live
        live.devices = [seat.device for seat in self._runs.seats]
        live.lacking = self._runs.lacking
        self._metrics.show_seats(live.devices)

    def _permit(self) -> Permit:
        """What may run now, which others are shown too."""
        paused = paused_since(self._config.state) is not None
        left = self._neighbours.left()
        allowed = permit(self._config.schedule, datetime.now(UTC), paused=paused, left=left)
        self._announcer.live.left = sorted(left)
        self._metrics.show_paused(paused)
        for queue, priority in QUEUES.items():
            self._metrics.show_queue(queue, open_now=allowed.opens(priority))
        if self._copies.awaited(restored=self._intake.restored):
            return dataclasses.replace(allowed, line=None)
        return allowed

    # What is asked of it

    def _obey(self) -> None:
        """Does what signals, and the clock, have asked for."""
        signals = self._signals
        if self._until is not None and datetime.now(UTC) >= self._until and not signals.stop:
            logger.info("it is time to stop")
            signals.stop = True
        if signals.report:
            signals.report = False
            self._log_status()
        if signals.reload:
            signals.reload = False
            with self._announcer.reloading():
                self._reload()

    def _log_status(self) -> None:
        from daemon.status.show import status_text

        for line in status_text(gather(self._config)).splitlines():
            logger.info("status: {}", line)

    def _reload(self) -> None:
        """Goes on with the configuration as it is now; with the old one if that is wrong."""
        try:
            config, devices = self._reread()
        except AtelierError as error:
            logger.error("the configuration is wrong, the old one stays:\n{}", error)
            return
        fixed = [name for name in FIXED if getattr(config, name) != getattr(self._config, name)]
        if fixed:
            names = ", ".join(fixed)
            logger.error("{} cannot change while the service runs; the old ones stay", names)
            config = config.model_copy(update={name: getattr(self._config, name) for name in FIXED})
        self._config, self._devices = config, devices
        logs.start_logging(config)
        logs.keep_job_logs(self._spool)
        for part in self._parts:
            part.change(config, devices)
        prepare_folders(config)  # last: where one cannot be made, the rest is in force
        logger.info("the configuration was read anew")

    # The way down

    def _shut_down(self) -> None:
        """Stops the parts in their order, each for a reason, and then waits for them in it."""
        self._announcer.manager.stopping()
        # No new pictures first: each would become jobs that wait. Then no running jobs, which is
        # waited for: they leave a checkpoint and go back into the line. Hooks have that time too.
        for part in self._parts:
            part.stop()
        # No children, which are killed if they do not end; and it is marked who was told by hooks.
        for part in self._parts:
            part.join(JOIN_S)
        # No connection: until here jobs went back into the line, and who was told was marked.
        try:
            self._say_left()
        except SurroundingsError as error:
            logger.error("what is left cannot be told: {}", error)
        self._ledger.close()
        self._announcer.close()
        logger.info("stopped")

    def _say_left(self) -> None:
        """Says what is not done, with --once by name."""
        if waiting := self._ledger.waiting():
            logger.info("{} jobs are left for later", waiting)
        if proofs := self._ledger.counts()[State.AWAITING]:
            logger.info("proofs that wait for approval: {}; see atelierd status", proofs)
        if not self._once:
            return
        unfinished = self._intake.left
        for state in (State.READY, State.RUNNING, State.PUBLISHING):
            jobs = self._ledger.jobs_in(state)
            unfinished += [f"{files.printable(job.below)} ({state})" for job in jobs]
        if unfinished:
            logger.warning("left: {}", in_short(unfinished, "; "))

    def _exit_code(self) -> ExitCode:
        """What lies in the inbox still is a failure only of what was to empty it, to the end."""
        unfinished = bool(self._intake.left) and not self._signals.stop
        unwell = self._delivery.failed or self._health.essential or unfinished
        return ExitCode.JOB_FAILED if self._once and unwell else ExitCode.FINE
