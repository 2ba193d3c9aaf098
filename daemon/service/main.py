"""Puts the rooms together: three loops that meet in the ledger, signals, and the way down.

One thread takes pictures in, one delivers them, and the main one gives them to the workers. Each
has its own connection to the ledger; none calls the other. The main loop touches nothing but the
state folder, so that a share that hangs cannot hold it up.
"""

import contextlib
import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from loguru import logger

from daemon.errors import AtelierError, ExitCode, SurroundingsError, in_short
from daemon.host import files
from daemon.host.standstill import ONCE_GIVE_UP_S, Standstill
from daemon.host.zone import UNKNOWN_ZONE, unknown_zone
from daemon.intake import waits
from daemon.intake.copies import lacking
from daemon.intake.loop import IntakeLoop, pace_of
from daemon.intake.scan import mount_table
from daemon.job import QUEUES, State
from daemon.ledger.opening import open_sound
from daemon.ledger.store import utc_now
from daemon.pool import retry
from daemon.pool.memory import device_memory, used_by_others
from daemon.service.delivery import Delivery
from daemon.service.manager import Manager
from daemon.service.neighbours import Neighbours
from daemon.service.notify import Telling
from daemon.service.permit import Permit, permit
from daemon.service.preparation import prepare_folders
from daemon.service.runs import Runs
from daemon.settings.config import Config
from daemon.state.lock import hold
from daemon.state.pause import paused_since
from daemon.state.spool import Spool
from daemon.status import logs
from daemon.status.health import Health
from daemon.status.http import WebServer
from daemon.status.live import LIVE_FILE, Live, write_live
from daemon.status.metrics import Metrics
from daemon.status.report import gather, in_words

TICK_S = 0.5
LIVE_S = 0.5
STATUS_S = 5.0
BROKEN_WAIT_S = 5.0
STOP_GRACE_S = 5.0
HOOK_GRACE_S = 1.0
FIRST_LOOK_S = 30.0
"""An inbox that does not answer for so long must not keep the service from being ready."""

HANGING_S = 120.0
FIXED = ("inbox", "outbox", "state")
"""What cannot change while pictures are between these folders."""

Reread = Callable[[], tuple[Config, list[str]]]


class Service:
    """The service on one configuration. `run` returns when it has been stopped.

    reread: the configuration and its devices anew, for SIGHUP; raises AtelierError.  until: when to
    stop by itself.
    """

    def __init__(
        self,
        config: Config,
        devices: list[str],
        *,
        once: bool,
        until: datetime | None,
        reread: Reread,
        on_change: Callable[[Live], None],
    ) -> None:
        self._config = config
        self._devices = devices
        self._once = once
        self._until = until
        self._reread = reread
        self._on_change = on_change
        self._manager = Manager()
        self._spool = Spool(config.state)
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{time.time_ns()}"
        self._health = Health()
        self._metrics = Metrics(
            config.ledger_path, devices, self._health, lambda: device_memory(self._runs.slots())
        )
        self._wake = threading.Event()
        self._live = Live(os.getpid(), utc_now(), devices=devices)
        self._live_written_s = self._status_told_s = 0.0
        self._reached: tuple[int, ...] = ()
        self._lacking = 0
        self._ready = False
        self._stop_asked = self._reload_asked = self._report_asked = False

    def run(self) -> ExitCode:
        """Works until stopped, or with `once` until nothing is left that may run.

        Raises AlreadyRunningError or SurroundingsError if it cannot start.
        """
        lock = hold(self._config.state)
        self._heed_signals()
        logs.keep_job_logs(self._spool)
        self._ledger = open_sound(self._config.ledger_path)
        self._recover()
        self._sweep()
        self._lacking = len(lacking(self._ledger, self._spool))
        prepare_folders(self._config)
        self._runs = Runs(
            self._config,
            self._devices,
            self._ledger,
            self._owner,
            self._spool,
            self._health,
            self._metrics,
            self._wake.set,
        )
        self._telling = Telling(self._config.hooks, self._config.outbox, self._metrics.count_hook)
        self._intake = self._start_intake()
        self._delivery = self._start_delivery()
        self._neighbours = self._watch_neighbours()
        self._server = WebServer(self._config, [self._metrics.route()], self._health)
        self._server.start()
        self._began_s = time.monotonic()
        self._standstill = Standstill()
        if (zone := unknown_zone()) and self._config.schedule.time_zone is None:
            logger.warning(UNKNOWN_ZONE.format(files.printable(zone)))
        logger.info("watching {} on {}", self._config.inbox, ", ".join(self._devices))
        while not self._stop_asked:
            self._wake.clear()
            quiet = self._intake.quiet  # before the tick, which then sees all that was claimed
            busy = self._guarded_tick()
            # Asked again: meanwhile a picture may have gone back to the inbox.
            is_over = quiet and not busy and self._intake.quiet
            if self._once and (self._is_stuck() or is_over):
                break
            self._wake.wait(TICK_S)
        self._shut_down()
        lock.release()
        return self._exit_code()

    def _exit_code(self) -> ExitCode:
        """What lies in the inbox still is a failure only of what was to empty it, to the end."""
        unfinished = bool(self._intake.left) and not self._stop_asked
        unwell = self._delivery.failed or self._health.essential or unfinished
        return ExitCode.JOB_FAILED if self._once and unwell else ExitCode.FINE

    def _is_stuck(self) -> bool:
        """Whether nothing has got further for so long that it will not now; says so."""
        with contextlib.suppress(SurroundingsError):  # the ledger is away: it is where it was
            self._reached = self._ledger.reached()
        rooms = self._runs.reached, self._delivery.reached, self._intake.reached
        reached = self._reached, rooms
        active = bool(self._runs) or self._telling.busy or self._is_at_work()
        idle_s = self._standstill.lasts_s(reached, active=active)
        if idle_s <= ONCE_GIVE_UP_S + self._intake.patience_s:
            return False
        why = [f"{part}: {what}" for part, what in self._health.essential.items()]
        why += [f"{device} is left to others (yield_gpu_when)" for device in self._live.left]
        for part, room in (("inbox", self._intake), ("outbox", self._delivery)):
            if room.hangs_s() > ONCE_GIVE_UP_S:
                why.append(f"{part}: {room.at or 'a look around'} takes {room.hangs_s():.0f} s")
        text = "; ".join(why) or "no reason is known"
        gave_up = f"it ends, since nothing has got further for {idle_s:.0f} s: {text}"
        self._health.bad("once", SurroundingsError(gave_up))
        return True

    def _is_at_work(self) -> bool:
        """Whether a room has something at hand, and not for longer than that may take."""
        decoding_s = 2 * self._config.limits.decode_s  # what took too long is tried once more
        return 0 < self._delivery.hangs_s() < HANGING_S or 0 < self._intake.hangs_s() < max(
            HANGING_S, decoding_s
        )

    # Signals

    def _heed_signals(self) -> None:
        """SIGTERM and SIGINT stop, SIGHUP reads the configuration anew, SIGUSR1 logs the status.

        Handlers only set flags: an Event's lock might be held by the very code they interrupt.
        """

        def stop(*_: object) -> None:
            self._stop_asked = True
            for number in (signal.SIGTERM, signal.SIGINT):  # the second one ends at once; children
                signal.signal(number, signal.SIG_DFL)  # end with their input, the next start mends

        def reload(*_: object) -> None:
            self._reload_asked = True

        def report(*_: object) -> None:
            self._report_asked = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGHUP, reload)
        signal.signal(signal.SIGUSR1, report)

    def _obey(self) -> None:
        """Does what signals, and the clock, have asked for."""
        if self._until is not None and datetime.now(UTC) >= self._until and not self._stop_asked:
            logger.info("it is time to stop")
            self._stop_asked = True
        if self._report_asked:
            self._report_asked = False
            self._log_status()
        if self._reload_asked:
            self._reload_asked = False
            if self._ready:  # else it is starting still, and not ready before it is
                self._manager.reloading()
            try:
                self._reload()
            finally:
                if self._ready:
                    self._manager.ready()

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
        self._live.devices = devices
        logs.start_logging(config)
        logs.keep_job_logs(self._spool)
        self._runs.change(config, devices)
        self._delivery.change(config)
        self._intake.change(config, self._pace())
        self._telling.obey(config.hooks)
        self._neighbours.stop()
        self._neighbours = self._watch_neighbours()
        self._server.change(config)
        prepare_folders(config)  # last: where one cannot be made, the rest is in force
        logger.info("the configuration was read anew")

    # Starting

    def _pace(self) -> Any:
        return pace_of(self._config, once=self._once, mounts=mount_table())

    def _start_intake(self) -> IntakeLoop:
        intake = IntakeLoop(
            self._config,
            self._pace(),
            self._health,
            self._wake,
            on_scan=self._metrics.observe_scan,
        )
        begin(intake)
        return intake

    def _start_delivery(self) -> Delivery:
        delivery = Delivery(
            self._config,
            self._spool,
            self._health,
            self._metrics,
            self._telling.note_end,
            self._wake.set,
            returned=lambda: self._intake.look_again(),
        )
        begin(delivery)
        return delivery

    def _watch_neighbours(self) -> Neighbours:
        wanted = self._config.yield_gpu_when
        devices = self._devices if wanted is not None else []
        limit = wanted.memory_used_by_others_over if wanted is not None else 0
        neighbours = Neighbours(devices, limit, self._runs.pids, used_by_others)
        neighbours.start()
        return neighbours

    def _sweep(self) -> None:
        """Removes what a service that was killed left half-written, or had no more use for."""
        try:
            self._spool.sweep(self._ledger.open_jobs(), self._ledger.open_pictures())
        except OSError as error:  # no harm but lost room
            logger.warning("leftovers cannot be removed: {}: {}", error.strerror, error.filename)

    def _recover(self) -> None:
        """Puts the jobs of a service that is gone back into the line."""
        for job, fruitless in self._ledger.recover(self._owner):
            log = logger.bind(job=job.id, action="recover")
            match retry.after_loss(fruitless, "ended with the service"):
                case retry.Again():
                    log.info("back into the line: the service ended while it ran")
                    self._ledger.return_job(job.id, self._owner)
                case retry.GiveUp(reason):
                    log.error("failed: {}", reason)
                    self._ledger.finish_job(
                        job.id, self._owner, State.FAILED, outcome={}, reason=reason
                    )

    # The loop

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
        self._show()
        self._tell_manager()
        return busy

    def _tick(self) -> bool:
        """Everything there is to do now; returns whether anything is left that may be done."""
        self._obey()
        self._revive()
        allowed = self._permit()
        self._runs.tick(allowed)
        owed = self._ledger.owed()
        filing = self._delivery.filing  # asked second: it comes true before the ledger's part ends
        if owed or filing:
            self._delivery.wake()
        waiting = allowed.line is not None and self._ledger.first_in(allowed.line) is not None
        busy = bool(waiting or self._runs or owed or filing)
        return self._telling.go_on(self._ledger, busy=busy) or busy

    def _permit(self) -> Permit:
        paused = paused_since(self._config.state) is not None
        left = self._neighbours.left()
        found = permit(self._config.schedule, datetime.now(UTC), paused=paused, left=left)
        self._live.left = sorted(left)
        self._metrics.show_paused(paused)
        for queue, priority in QUEUES.items():
            self._metrics.show_queue(queue, open_now=found.opens(priority))
        return dataclasses.replace(found, line=None) if self._awaits_copies() else found

    def _awaits_copies(self) -> bool:
        """Whether copies that were gone at the start are still being made again."""
        if self._lacking and self._intake.restored:
            self._lacking = 0
            self._health.good("copies")
        if self._lacking:
            self._health.bad("copies", SurroundingsError(self._words_on_copies()))
        return bool(self._lacking)

    def _words_on_copies(self) -> str:
        return (
            f"what {self._lacking} pictures wait for is gone from {self._config.state}; it is made "
            f"again from {self._config.inbox}/.claimed, and nothing is painted until then: "
            "that folder must be there"
        )

    def _revive(self) -> None:
        """Starts threads again that a bug has ended: pictures would lie unseen with the rest up."""
        if not self._intake.alive:
            logger.error("the intake has ended; starting it again")
            self._intake = self._start_intake()
        if not self._delivery.alive:
            logger.error("the delivery has ended; starting it again")
            failed = self._delivery.failed
            self._delivery = self._start_delivery()
            self._delivery.failed += failed
        for part, room in (("inbox", self._intake), ("outbox", self._delivery)):
            if room.hangs_s() > HANGING_S:
                what = room.at or "a look around"
                slow = f"{what} takes over 2 min there; does its disk or share answer?"
                self._health.bad(part, SurroundingsError(slow))

    # Showing

    def _show(self) -> None:
        """Lets others see what is going on, not more often than they could use."""
        self._live.running = self._runs.shown()
        self._live.health = dict(self._health.troubles)
        self._show_inbox()
        self._live.written_at = utc_now()
        try:
            self._on_change(self._live)
        except Exception as error:  # a terminal that is gone: nobody looks, the painting goes on
            logger.warning("progress is shown no more: {!r}", error)
            self._on_change = lambda live: None
        now_s = time.monotonic()
        if now_s - self._live_written_s >= LIVE_S:
            self._live_written_s = now_s
            try:
                write_live(self._config.state, self._live)
            except OSError as error:
                self._health.bad("state folder", error)
            else:
                self._health.good("state folder")

    def _show_inbox(self) -> None:
        """What lies in the inbox and does not get on, and what others have claimed there."""
        found = self._intake.waits
        self._live.waits = waits.as_data(found, time.monotonic(), datetime.now(UTC))
        self._live.waits_more = max(0, len(found) - waits.MOST_NAMED)
        self._live.others = [holding.words for holding in self._intake.holdings]

    def _tell_manager(self) -> None:
        """Tells a service manager that it is ready, that it lives, and what it does."""
        if not self._manager.listens:
            return
        with contextlib.suppress(SurroundingsError):  # is in health
            now_s = time.monotonic()
            if now_s - self._status_told_s >= STATUS_S:
                self._status_told_s = now_s
                self._manager.status(self._status_line(self._ledger.waiting()))
            looked = self._intake.looked or now_s - self._began_s > FIRST_LOOK_S
            if not self._ready and looked and self._runs.warm():
                self._ready = True
                self._manager.ready()
            if self._manager.ping_due() and self._ledger.writable():
                self._manager.ping()

    def _status_line(self, waiting: int) -> str:
        """Queue, running jobs and troubles in a line."""
        parts = [f"{waiting} waiting"]
        for job in self._live.running:
            eta = f", ETA {in_words(job.eta_s)}" if job.eta_s is not None else ""
            parts.append(f"{job.picture} step {job.step}/{job.steps}{eta}")
        if since := paused_since(self._config.state):
            parts.append(f"paused since {since}")
        parts += [f"trouble: {part}: {what}" for part, what in self._live.health.items()]
        return "; ".join(parts) if self._ready else "starting; " + "; ".join(parts)

    # The way down

    def _shut_down(self) -> None:
        """In this order: no new pictures, no running jobs, no children, no connection."""
        self._manager.stopping()
        self._intake.stop()
        self._delivery.stop()
        self._runs.stop_all("the service stops", STOP_GRACE_S)
        self._runs.drain(STOP_GRACE_S + 1.0)
        self._runs.close()
        self._server.stop()
        self._server.join(1.0)
        self._neighbours.stop()
        self._intake.join(1.0)
        self._delivery.join(1.0)
        self._telling.stop(self._ledger, HOOK_GRACE_S)
        try:
            self._say_left()
        except SurroundingsError as error:
            logger.error("what is left cannot be told: {}", error)
        self._ledger.close()
        with contextlib.suppress(OSError):  # it is of no use to anybody, and does no harm
            (self._config.state / LIVE_FILE).unlink(missing_ok=True)
        logger.info("stopped")

    def _say_left(self) -> None:
        """Says what is not done, with --once by name."""
        if waiting := self._ledger.waiting():
            logger.info("{} jobs are left for later", waiting)
        if not self._once:
            return
        left = self._intake.left
        for state in (State.READY, State.RUNNING, State.PUBLISHING):
            jobs = self._ledger.jobs_in(state)
            left += [f"{files.printable(job.below)} ({state})" for job in jobs]
        if left:
            logger.warning("left: {}", in_short(left, "; "))


def begin(room: IntakeLoop | Delivery) -> None:
    """Starts the thread of a room without which there is no service; raises SurroundingsError."""
    try:
        room.start()
    except RuntimeError as error:
        raise SurroundingsError(
            f"no thread can be started ({error}): let this user have more (ulimit -u, TasksMax= "
            "of the unit, pids of the container)"
        ) from error


def run_service(
    config: Config,
    devices: list[str],
    reread: Reread,
    *,
    once: bool = False,
    until: datetime | None = None,
    on_change: Callable[[Live], Any] = lambda _: None,
) -> ExitCode:
    """Runs the service in this thread until SIGTERM, SIGINT, `until`, or with `once` the end."""
    service = Service(config, devices, once=once, until=until, reread=reread, on_change=on_change)
    return service.run()
