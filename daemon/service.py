"""Puts the rooms together: two loops that meet in the ledger, signals, and the way down.

One thread takes pictures in, the other (the main one) dispatches, publishes and files. Each has
its own connection to the ledger; neither calls the other.
"""

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger

from daemon import files, logs, presets
from daemon.config import Config
from daemon.errors import ExitCode, StaleJobError, SurroundingsError
from daemon.health import Health
from daemon.intake.admit import make_folders
from daemon.intake.claim import claimed_folder, drop_claim
from daemon.intake.loop import IntakeLoop, pace_of
from daemon.job import Job, State
from daemon.ledger.opening import open_sound
from daemon.ledger.store import utc_now
from daemon.lock import hold
from daemon.mounts import Mounts
from daemon.outbox.publish import file_original, publish
from daemon.process import Message
from daemon.spool import Spool
from daemon.status.live import LIVE_FILE, Live, RunningJob, follow, write_live
from daemon.telling import Telling
from daemon.worker import retry
from daemon.worker.pool import Cancelled, MemoryRanOut, Pool, WorkerLost

TICK_S = 0.5
LIVE_S = 0.5
BROKEN_WAIT_S = 5.0
STOP_GRACE_S = 5.0
HOOK_GRACE_S = 3.0
ANSWERS_A_TICK = 50

CANCELLED_REASON = "Cancelled on request before it was finished."
LATE_REASON = (
    "Painting took more than {:.0f} s (limits: job_s). Choose a smaller `size` or fewer `steps`, "
    "or raise the limit in config.yaml."
)


@dataclass
class Run:
    """A job that runs: what is shown of it, and until when it may."""

    shown: RunningJob
    deadline_s: float
    late: bool = False


class Service:
    """The service on one configuration. `run` returns when it has been stopped."""

    def __init__(
        self, config: Config, devices: list[str], *, once: bool, on_change: Callable[[Live], None]
    ) -> None:
        self._config = config
        self._devices = devices
        self._once = once
        self._on_change = on_change
        self._spool = Spool(config.state)
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{time.time_ns()}"
        self._health = Health()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ended: queue.SimpleQueue[tuple[Job, Future[Message]]] = queue.SimpleQueue()
        self._mounts = Mounts(config.state)
        self._running: dict[str, Run] = {}
        self._further: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._resting_until_s = 0.0
        self._live = Live(os.getpid(), utc_now(), devices=devices)
        self._live_written_s = 0.0
        self._failed = 0
        self._stop_asked = False

    def stop(self) -> None:
        """Asks the service to stop; running jobs go back into the line.

        Safe in a signal handler: an Event's lock might be held by the very code it interrupts.
        """
        self._stop_asked = True

    def run(self) -> ExitCode:
        """Works until stopped, or with `once` until nothing is left.

        Raises AlreadyRunningError or SurroundingsError if it cannot start.
        """
        lock = hold(self._config.state)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        logs.keep_job_logs(self._spool)
        self._ledger = open_sound(self._config.ledger_path)
        self._telling = Telling(self._config.hooks, self._config.outbox)
        self._recover()
        self._sweep()
        self._prepare_folders()
        intake = self._start_intake()
        self._pool = Pool(self._devices, self._config.worker_arguments, self._hear)
        logger.info("watching {} on {}", self._config.inbox, ", ".join(self._devices))
        while not self._stop_asked:
            self._wake.clear()
            quiet = intake.quiet  # before the tick, which then sees all that was claimed
            busy = self._guarded_tick()
            if self._once and quiet and not busy:
                break
            if not intake.alive:
                logger.error("the intake has ended; starting it again")
                intake = self._start_intake()
            self._wake.wait(TICK_S)
        self._stopping.set()
        self._shut_down(intake)
        lock.release()
        unwell = self._failed or self._health.troubles
        return ExitCode.JOB_FAILED if self._once and unwell else ExitCode.FINE

    def _start_intake(self) -> IntakeLoop:
        mounts = Path("/proc/self/mountinfo")
        text = mounts.read_text() if mounts.exists() else ""
        pace = pace_of(self._config, once=self._once, mounts=text)
        intake = IntakeLoop(self._config, pace, self._health, self._wake)
        intake.start()
        return intake

    def _prepare_folders(self) -> None:
        """Makes inbox and outbox, and shows the presets as folders of the inbox."""
        shelf = presets.load_presets(self._config.presets)
        for name, faults in shelf.faulty.items():
            for fault in faults:
                logger.error("preset {} cannot be used: {}", name, fault)
        for folder, names in ((self._config.outbox, []), (self._config.inbox, shelf.good)):
            try:
                self._mounts.check(folder)
            except SurroundingsError as error:  # what needs it waits, the rest goes on
                logger.error("{}", error)
                continue
            try:
                make_folders(folder, names)
            except OSError as error:
                raise SurroundingsError(
                    f"{error.filename} cannot be made: {error.strerror}; make it, or change "
                    "config.yaml"
                ) from error
            self._mounts.remember(folder)

    def _sweep(self) -> None:
        """Removes what a service that was killed left half-written, or had no more use for."""
        try:
            self._spool.sweep(self._ledger.open_jobs(), self._ledger.open_pictures())
            files.sweep(self._config.outbox)
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

    def _guarded_tick(self) -> bool:
        """One tick, whose broken surroundings make the queue wait and never end the service."""
        try:
            busy = self._tick()
            self._health.good("ledger")
        except SurroundingsError as error:
            self._health.bad("ledger", error)
            busy = True
        except Exception:
            logger.exception("the service stumbled; it goes on")
            busy = True
            self._stopping.wait(BROKEN_WAIT_S)
        self._show()
        return busy

    def _tick(self) -> bool:
        """Everything there is to do now; returns whether anything is left for later."""
        self._note_progress()
        while not self._ended.empty():
            job, future = self._ended.get()
            try:
                self._note_progress()  # what was said before the end counts
                self._end_run(job, future)
            except SurroundingsError:
                self._ended.put((job, future))  # the ledger could not be told yet
                raise
        for job in self._ledger.cancel_waiting(CANCELLED_REASON):
            logger.bind(job=job.id, action="cancel").info("cancelled while it waited")
        for job_id in self._ledger.cancel_requests():
            self._pool.cancel(job_id)
        self._stop_the_late()
        self._answer_twins()
        published = self._publish_all()
        filed = self._file_all()
        if published and filed:
            self._health.good("outbox")
        self._dispatch()
        waiting = self._ledger.jobs_in(State.READY, limit=1)
        busy = bool(waiting or self._running or not published or not filed)
        return self._telling.go_on(self._ledger, busy=busy) or busy

    # Running

    def _dispatch(self) -> None:
        """Gives every free device a job, unless the devices are resting after trouble."""
        if time.monotonic() < self._resting_until_s:
            return
        try:
            files.ensure_room(self._config.state, 0, self._config.limits.free_bytes)
        except SurroundingsError as error:
            self._health.bad("disk", error)
            return
        self._health.good("disk")
        for _ in self._pool.free():
            job = self._ledger.claim_job(self._owner)
            if job is None:
                return
            self._start_run(job)

    def _start_run(self, job: Job) -> None:
        picture = self._ledger.picture(job.picture_id)
        name = files.printable(picture.path)
        device = self._pool.free()[0].device  # asked first: the run may be lost at once
        shown = RunningJob(job.id, name, job.preset, device)
        self._running[job.id] = Run(shown, time.monotonic() + self._config.limits.job_s)
        try:
            future = self._pool.submit(job.id, self._payload(job))
        except OSError as error:
            del self._running[job.id]
            self._ledger.release_job(job.id, self._owner)
            self._rest(BROKEN_WAIT_S)
            raise SurroundingsError(f"no worker can be started: {error}") from error
        logger.bind(job=job.id, action="start").info(
            "start {} of {} after {} on {}", job.starts, name, job.preset, device
        )

        def ended(done: Future[Message]) -> None:
            self._ended.put((job, done))
            self._wake.set()

        future.add_done_callback(ended)

    def _payload(self, job: Job) -> Message:
        """Everything a worker needs to know, as plain data."""
        _, memory_bytes = self._ledger.memory_of(job.id)
        return {
            "name": job.below.name,
            "picture": str(self._spool.picture(job.picture_id)),
            "max_pixels": self._config.limits.picture_pixels,
            "recipe": dict(job.recipe),
            "styles": [
                {**vars(style), "path": str(self._spool.style(style.sha256))}
                for style in job.styles
            ],
            "result": str(self._spool.result(job.id)),
            "checkpoint": str(self._spool.checkpoint(job.id)),
            "preview": str(self._spool.preview(job.id)),
            "memory_bytes": memory_bytes,
            "note": {"id": job.id, "preset": job.preset, "seed": job.recipe["seed"]},
        }

    def _hear(self, run_id: str, message: Message) -> None:
        """What a worker says during a run. Called from the pool's threads."""
        if message.get("event") == "log":
            logger.bind(job=run_id, action="paint").log(message["level"], message["text"])
        elif message.get("event") == "checkpoint":
            self._further.put(run_id)
        elif message.get("event") == "progress" and run_id in self._running:
            follow(self._running[run_id].shown, message)
        elif message.get("event") == "preview" and run_id in self._running:
            self._running[run_id].shown.preview = message["path"]

    def _note_progress(self) -> None:
        """Starts that left a checkpoint are not charged."""
        while not self._further.empty():
            job_id = self._further.get()
            try:
                if job_id in self._running:
                    self._ledger.note_progress(job_id, self._owner)
            except SurroundingsError:
                self._further.put(job_id)
                raise

    def _end_run(self, job: Job, future: Future[Message]) -> None:
        """Turns how a run ended into a transition."""
        run = self._running.pop(job.id, None)
        late = run is not None and run.late
        log = logger.bind(job=job.id, action="end")
        try:
            result = future.result()
        except Cancelled:
            self._end_cancelled(job, late=late)
        except (WorkerLost, MemoryRanOut) as error:
            self._end_broken(job, error, late=late)
        else:
            if result["ok"]:
                self._ledger.finish_job(
                    job.id, self._owner, State.DONE,
                    outcome=result, warnings=result["warnings"],
                )  # fmt: skip
                log.info("painted in {:.1f} s", result["seconds"])
            elif result["kind"] == "surroundings":
                self._ledger.release_job(job.id, self._owner)
                self._rest(BROKEN_WAIT_S)
                self._health.bad("worker", SurroundingsError(result["reason"]))
                return
            else:
                self._fail(job, result["reason"])
            self._health.good("worker")

    def _end_cancelled(self, job: Job, *, late: bool) -> None:
        """Stopped on request: somebody's, or the service's own, on its way down or for lateness."""
        if job.id in self._ledger.cancel_requests():
            logger.bind(job=job.id, action="cancel").info("cancelled while it ran")
            self._ledger.finish_job(
                job.id, self._owner, State.CANCELLED, outcome={}, reason=CANCELLED_REASON
            )
            return
        if late:  # another start would take as long
            self._fail(job, LATE_REASON.format(self._config.limits.job_s))
            return
        logger.bind(job=job.id, action="requeue").info("back into the line: the service stops")
        self._ledger.release_job(job.id, self._owner)

    def _end_broken(self, job: Job, error: WorkerLost | MemoryRanOut, *, late: bool) -> None:
        """The worker is gone: again after a rest, again with less memory, or never."""
        log = logger.bind(job=job.id, action="lost")
        if self._stopping.is_set():
            self._ledger.release_job(job.id, self._owner)
            return
        if late or job.id in self._ledger.cancel_requests():
            self._end_cancelled(job, late=late)
            return
        match self._after(job, error):
            case retry.Again(wait_s):
                log.warning("the worker {}; the job goes back into the line", error)
                self._ledger.return_job(job.id, self._owner)
                self._rest(wait_s)
            case retry.Smaller(memory_bytes, warning, wait_s):
                log.warning("{}; {}", error, warning)
                self._rest(wait_s)
                self._ledger.return_short(
                    job.id, self._owner, memory_bytes=memory_bytes, warning=warning
                )
            case retry.GiveUp(reason):
                self._fail(job, reason)

    def _after(
        self, job: Job, error: WorkerLost | MemoryRanOut
    ) -> retry.Again | retry.Smaller | retry.GiveUp:
        if isinstance(error, WorkerLost):
            return retry.after_loss(self._ledger.fruitless_starts(job.id), str(error))
        return retry.after_shortage(*self._ledger.memory_of(job.id), error.plan)

    def _fail(self, job: Job, reason: str) -> None:
        logger.bind(job=job.id, action="fail").error("failed: {}", reason)
        self._ledger.finish_job(job.id, self._owner, State.FAILED, outcome={}, reason=reason)

    def _rest(self, seconds: float) -> None:
        self._resting_until_s = time.monotonic() + seconds

    def _stop_the_late(self) -> None:
        """Stops what has run for longer than a job may."""
        for job_id, run in self._running.items():
            if not run.late and time.monotonic() > run.deadline_s:
                run.late = True
                self._pool.cancel(job_id)

    # The same again

    def _answer_twins(self) -> None:
        """Gives jobs the result that a job like them has, while it lies unchanged in the outbox."""
        if not self._config.outbox.is_dir():
            return  # what is out of sight is not gone
        for job, twin in self._ledger.twinned(limit=ANSWERS_A_TICK):
            began, now_s = utc_now(), time.monotonic()
            log = logger.bind(job=job.id, action="answer")
            painted = self._config.outbox / twin.outputs["result"]
            try:
                self._mounts.check(self._config.outbox)
                kept = self._spool.keep_result(job.id, painted, twin.outcome["result_sha256"])
            except SurroundingsError as error:
                return self._health.bad("disk", error)
            if not kept:
                log.info("was painted before as job {}, but that result is gone", twin.id[:8])
                self._ledger.forget_twin(job.id)
                continue
            log.info("the same was painted before as job {}: its result is used", twin.id[:8])
            seconds = round(time.monotonic() - now_s, 3)
            outcome = {**twin.outcome, "seconds": seconds, "peak_memory_bytes": 0}
            self._ledger.answer_job(job.id, {"same_as": twin.id} | outcome, began)

    # Publishing

    def _publish_all(self) -> bool:
        """Publishes what is painted or failed; False if the outbox did not take all of it."""
        published = True
        for job in self._ledger.jobs_in(State.PUBLISHING):
            try:
                self._mounts.check(self._config.outbox)
                self._publish(job)
            except SurroundingsError as error:  # one bad path must not hold up the others
                self._health.bad("outbox", error)
                published = False
        return published

    def _publish(self, job: Job) -> None:
        """Publishing -> done, failed or cancelled; the outbox first, the ledger after it."""

        def plan(outputs: Mapping[str, str]) -> None:
            self._ledger.plan_outputs(job.id, outputs)

        picture = self._ledger.picture(job.picture_id)
        result = self._spool.result(job.id)
        coming = result.stat().st_size if result.exists() else 0
        files.ensure_room(self._config.outbox, coming, self._config.limits.free_bytes)
        outputs = publish(self._config.outbox, self._spool, job, picture, plan)
        self._ledger.publish_job(job.id, tell=self._telling.note_end(job.verdict))
        self._failed += job.verdict is State.FAILED
        seen = files.printable(outputs.get("result") or outputs["reason"])
        # Not bound to the job: its log has been published, and is not to begin anew.
        logger.info("[{}] {}: {}", job.id[:8], job.verdict, seen)
        self._spool.drop_job(job.id)

    def _file_all(self) -> bool:
        """Moves the originals of finished jobs out of the claimed folder."""
        filed = True
        for picture in self._ledger.unfiled():
            claimed = claimed_folder(self._config.inbox, picture.id)
            jobs = self._ledger.jobs_of_picture(picture.id)
            try:
                self._mounts.check(self._config.outbox)
                file_original(
                    self._config.outbox, claimed, self._spool.picture(picture.id), picture, jobs
                )
                self._ledger.file_picture(picture.id)
                drop_claim(self._config.inbox, picture.id)
            except SurroundingsError as error:
                self._health.bad("outbox", error)
                filed = False
            else:
                self._spool.drop_picture(picture.id)
        return filed

    # Showing, and the way down

    def _show(self) -> None:
        """Lets others see what is going on, not more often than they could use."""
        self._live.running = [run.shown for run in self._running.values()]
        self._live.health = dict(self._health.troubles)
        self._live.written_at = utc_now()
        self._on_change(self._live)
        now_s = time.monotonic()
        if now_s - self._live_written_s >= LIVE_S:
            self._live_written_s = now_s
            try:
                write_live(self._config.state, self._live)
            except OSError as error:
                self._health.bad("state folder", error)
            else:
                self._health.good("state folder")

    def _shut_down(self, intake: IntakeLoop) -> None:
        """In this order: no new pictures, no running jobs, no children, no connection."""
        intake.stop()
        for job_id in list(self._running):
            self._pool.cancel(job_id, grace_s=STOP_GRACE_S)
        deadline_s = time.monotonic() + STOP_GRACE_S + 1.0
        while self._running and time.monotonic() < deadline_s:
            try:
                self._end_run(*self._ended.get(timeout=0.2))
            except queue.Empty:
                continue
            except (StaleJobError, SurroundingsError) as error:
                logger.error("a job could not be put back now; the next start does it: {}", error)
        self._pool.close(grace_s=1.0)
        self._telling.stop(self._ledger, HOOK_GRACE_S)
        self._ledger.close()
        (self._config.state / LIVE_FILE).unlink(missing_ok=True)
        logger.info("stopped")


def run_service(
    config: Config, devices: list[str], *, once: bool = False,
    on_change: Callable[[Live], Any] = lambda _: None,
) -> ExitCode:  # fmt: skip
    """Runs the service in this thread until SIGTERM, SIGINT, or with `once` until all is done."""
    return Service(config, devices, once=once, on_change=on_change).run()
