"""The thread that brings what is finished to the outbox, and files the originals.

A thread of its own, since an outbox that hangs must keep the service neither from painting nor
from telling that it lives.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from loguru import logger

from daemon.errors import StaleJobError, SurroundingsError
from daemon.host import files
from daemon.host.loop import BROKEN_WAIT_S, Loop, Round
from daemon.intake.claim import drop_claim, give_back_all
from daemon.intake.originals import Originals
from daemon.intake.strays import is_anothers, let_go
from daemon.job import OVER, ClaimedPicture, Job, Outputs, State
from daemon.ledger.store import Ledger, utc_now
from daemon.messages import Done
from daemon.outbox.filing import file_original
from daemon.outbox.finishers import FinishedPicture, Finisher, Finishers
from daemon.outbox.publish import amend_record, keep_course, painted, publish, take_back
from daemon.outbox.sheets import lay_sheets
from daemon.settings.config import Config
from daemon.state.claimed import CLAIMED_FOLDER
from daemon.state.mounts import Mounts
from daemon.state.spool import Spool
from daemon.status.health import Health
from daemon.status.metrics import Metrics

LOOK_S = 60.0
ANSWERS_A_ROUND = 50

FINISHERS: tuple[Finisher, ...] = (lay_sheets, file_original)
"""What is done with every picture whose jobs are all over, in this order."""

CANCELLED_REASON = "Cancelled on request before it was finished."
REWRITTEN_WARNING = (
    "The picture was still being written when it was claimed: this was made from an earlier state "
    "of the file, which went back to the inbox to be painted again."
)


class Shown(Protocol):
    """What is told of records and sheets that are there to be shown. Neither waits nor fails."""

    def add(self, record: str) -> None: ...

    def add_sheet(self, listing: Path) -> None: ...


class NotShown:
    """Shows nothing."""

    def add(self, record: str) -> None: ...

    def add_sheet(self, listing: Path) -> None: ...


class Delivery:
    """Publishes, answers with results that are there already, and files.

    tells: whether anybody is to be told of a verdict.  changed: called when something has left the
    queue.  returned: called when a picture has been given back to the inbox.  gallery: told of what
    is there to be shown.
    """

    def __init__(
        self,
        config: Config,
        spool: Spool,
        health: Health,
        metrics: Metrics,
        tells: Callable[[State | None], bool],
        changed: Callable[[], None],
        returned: Callable[[], None] = lambda: None,
        gallery: Shown | None = None,
    ) -> None:
        self._config = config
        self._spool = spool
        self._mounts = Mounts(config.state)
        self._health = health
        self._metrics = metrics
        self._tells = tells
        self._changed = changed
        self._returned = returned
        self._gallery = gallery or NotShown()
        self._unfiled = True  # as long as it is not known
        self._troubles: list[Exception] = []  # of the round at hand
        self._originals = Originals(config.inbox)
        self._finishers = Finishers(FINISHERS)
        self._unreturned: list[ClaimedPicture] = []
        self.failed = 0
        self.loop = Loop("delivery", self._set_up, lambda error: health.bad("outbox", error))
        self.start, self.stop, self.join = self.loop.start, self.loop.stop, self.loop.join

    def change(self, config: Config, devices: Sequence[str] = ()) -> None:
        """Goes on with other settings."""
        self._config = config

    @property
    def filing(self) -> bool:
        """Whether originals may still have to be moved, or given back to the inbox."""
        return self._unfiled or bool(self._unreturned)

    def _set_up(self, opened: contextlib.ExitStack) -> Round:
        """A connection to the ledger, and an outbox that a killed service has left tidy."""
        self._ledger = opened.enter_context(contextlib.closing(Ledger(self._config.ledger_path)))
        self._sweep()
        return self._round_and_rest

    def _round_and_rest(self) -> None:
        self._round()
        self.loop.pause(BROKEN_WAIT_S if self._troubles else 0.0)
        self.loop.rest(LOOK_S)

    def _sweep(self) -> None:
        """Removes what a service that was killed left half-written in the outbox."""
        self.loop.begin("sweeping the outbox")
        try:
            files.sweep(self._config.outbox, self._note_piece)
        except OSError as error:  # no harm but lost room
            logger.warning("leftovers cannot be removed: {}: {}", error.strerror, error.filename)
        finally:
            self.loop.end()

    def _note_piece(self) -> None:
        self.loop.step(self.loop.at)

    def _round(self) -> None:
        """Everything there is to deliver now; one bad path holds up no others."""
        self._troubles.clear()
        try:
            for job in self._ledger.cancel_waiting(CANCELLED_REASON):
                logger.bind(job=job.id, action="cancel").info("cancelled while it waited")
            self._return_rewritten()
            if self._config.outbox.is_dir():  # what is out of sight is not gone
                twinned = self._ledger.twinned(limit=ANSWERS_A_ROUND)
                self._each((job.below, partial(self._answer, job, twin)) for job, twin in twinned)
            ended = self._ledger.jobs_in(State.PUBLISHING)
            self._each((job.below, partial(self._publish, job)) for job in ended)
            if self._unfiled:
                over = self._ledger.unfiled()
                self._each((picture.path, partial(self._finish, picture)) for picture in over)
                self._unfiled = bool(self._ledger.unfiled())
        except Exception as error:  # the ledger, or a bug: the rest of the round must wait
            self._troubles.append(error)
        finally:
            self.loop.end()
        if self._troubles:
            self._health.bad("outbox", *self._troubles)
        elif not self.loop.stopping:
            self._health.good("outbox")

    def _each(self, turns: Iterable[tuple[Path, Callable[[], None]]]) -> None:
        """Each picture's turn: what goes wrong with one is noted, and holds up no others."""
        for path, deliver in turns:
            if self.loop.stopping:
                return
            self.loop.begin(files.printable(path))
            try:
                self._mounts.check(self._config.outbox)
                deliver()
            except OSError as error:
                what = f"{self.loop.at}: {error.strerror or error}"
                where = f": {files.printable(error.filename)}" if error.filename else ""
                self._troubles.append(SurroundingsError(what + where))
            except Exception as error:
                self._troubles.append(error)

    def _publish(self, job: Job) -> None:
        """Publishing -> done, failed or cancelled; the outbox first, the ledger after it."""
        began_s = time.monotonic()
        picture = self._ledger.picture(job.picture_id)
        if self._ledger.job(job.id).state is not State.PUBLISHING:
            return  # its picture has gone back to the inbox with another job of it
        if self._is_not_to_be_published(picture):
            return
        result = painted(self._spool, job)
        coming = result.stat().st_size if result.exists() else 0
        files.ensure_room(self._config.outbox, coming, self._config.limits.free_bytes)
        plan = partial(self._ledger.plan_outputs, job.id)
        outputs = publish(self._config.outbox, self._spool, job, picture, plan, self._note_piece)
        self._unfiled = True
        self._ledger.publish_job(job.id, tell=self._tells(job.verdict))
        self.failed += job.verdict is State.FAILED
        self._metrics.observe_job(job)
        seen = files.printable(outputs.main)
        # Not bound to the job: its log has been published, and is not to begin anew.
        logger.info("[{}] {}: {}", job.id[:8], job.verdict, seen)
        if job.verdict is State.AWAITING:
            self._spool.drop_run(job.id)
        else:
            self._show(job, outputs)
            self._spool.drop_job(job.id)
        self._metrics.observe_publish(time.monotonic() - began_s)
        self._changed()

    def _show(self, job: Job, outputs: Outputs) -> None:
        """Has the gallery show what was published; what is wrong with that harms nobody else."""
        if job.verdict not in OVER:
            return
        try:
            self._spool.hand_small(job.id)
        except OSError as error:
            logger.warning("no small versions of {}: {}", files.printable(job.below), error)
        self._gallery.add(outputs.record)

    def _is_not_to_be_published(self, picture: ClaimedPicture) -> bool:
        """Whether a picture is painted by somebody else by now, or is to be painted again."""
        self._check_claims_are_seen(picture)
        if is_anothers(self._config.inbox, self._spool.known_mark() or "", picture.id):
            for job in self._ledger.jobs_of_picture(picture.id):
                take_back(self._config.outbox, job)
            if let_go(self._ledger, self._spool, picture):
                logger.warning(
                    "{} is painted by another service now: nothing is published here",
                    files.printable(picture.path),
                )
            return True
        return self._returned_if_rewritten(picture)

    def _check_claims_are_seen(self, picture: ClaimedPicture) -> None:
        """Raises SurroundingsError where another service may have taken a picture over unseen."""
        if not self._spool.shares_inbox.exists() or self._sees_claims():
            return
        raise SurroundingsError(
            f"{files.printable(picture.path)} is held back: {self._config.inbox}/{CLAIMED_FOLDER} "
            "cannot be seen, and another service may paint it by now; mount the inbox, or delete "
            f"{self._spool.shares_inbox} if no other service uses it"
        )

    def _sees_claims(self) -> bool:
        try:
            self._mounts.check(self._config.inbox)
            return (self._config.inbox / CLAIMED_FOLDER).is_dir()
        except (OSError, SurroundingsError):
            return False

    def _returned_if_rewritten(self, picture: ClaimedPicture) -> bool:
        """Gives a picture back that somebody went on writing after its claim, to be painted whole.

        Not one whose painting was cancelled. What still runs of it is stopped first.
        """
        if not self._originals.is_rewritten(picture):
            return False
        jobs = self._ledger.jobs_of_picture(picture.id)
        running = [job for job in jobs if job.state is State.RUNNING]
        if all(job.verdict is State.CANCELLED for job in jobs if job not in running):
            return False
        if running:
            self._stop_runs(running)
        else:
            self._give_back_rewritten(picture, jobs)
        return True

    def _stop_runs(self, jobs: list[Job]) -> None:
        """Stops runs that paint what is not the whole picture."""
        for job in jobs:
            if job.cancel_requested:
                continue
            with contextlib.suppress(StaleJobError):  # it has just ended
                self._ledger.request_cancel(job.id)
                logger.bind(job=job.id, action="cancel").warning(
                    "{} was written to after it was claimed: this run of it is stopped, and the "
                    "picture goes back to the inbox to be painted again",
                    files.printable(job.below),
                )
                self._changed()

    def _give_back_rewritten(self, picture: ClaimedPicture, jobs: list[Job]) -> None:
        """The ledger goes first: what a crash leaves in the claimed folder goes back at the start.

        What lies in the outbox already says that it was made too early.
        """
        for job in jobs:
            if not take_back(self._config.outbox, job):
                amend_record(self._config.outbox, job, REWRITTEN_WARNING)
        self._unfiled = True  # from before the ledger's part ends until it lies in the inbox
        if let_go(self._ledger, self._spool, picture):
            logger.warning(
                "{} was written to after it was claimed; what was painted is not all of it, and it "
                "goes back to the inbox to be painted again",
                files.printable(picture.path),
            )
            self._unreturned.append(picture)
            self._return_rewritten()

    def _return_rewritten(self) -> None:
        """Gives back what is to be painted again, as soon as the inbox takes it."""
        for picture in tuple(self._unreturned):
            try:
                give_back_all(self._config.inbox, picture.id)
            except OSError as error:
                self._troubles.append(
                    SurroundingsError(
                        f"{files.printable(picture.path)} cannot be given back to the inbox: "
                        f"{error.strerror}; it is repeated, and lies in "
                        f"{CLAIMED_FOLDER}/{picture.id}"
                    )
                )
                continue
            self._returned()  # first: in between it would be nowhere
            self._unreturned.remove(picture)
            self._originals.forget(picture.id)
            self._changed()

    def _finish(self, picture: ClaimedPicture) -> None:
        """Claimed -> filed, once every finisher has done its part."""
        if self._returned_if_rewritten(picture):
            return
        jobs = self._ledger.jobs_of_picture(picture.id)
        inbox, outbox = self._config.inbox, self._config.outbox
        copy = self._spool.picture(picture.id)
        finished = FinishedPicture(
            picture,
            jobs,
            inbox,
            outbox,
            copy,
            self._note_piece,
            style=self._spool.style,
            inbox_folders=self._config.inbox_folders,
            keep_bytes=self._config.limits.free_bytes,
            on_sheet=self._gallery.add_sheet,
        )
        self._finishers.finish(finished)
        self._ledger.file_picture(picture.id)
        drop_claim(self._config.inbox, picture.id)
        self._spool.drop_picture(picture.id)
        self._originals.forget(picture.id)
        self._changed()

    def _answer(self, job: Job, twin: Job) -> None:
        """Ready -> publishing with the twin's result, or to be painted if that is gone."""
        began, now_s = utc_now(), time.monotonic()
        log = logger.bind(job=job.id, action="answer")
        found, done = self._config.outbox / twin.outputs.result, twin.outcome or Done()
        if not self._spool.keep_result(job.id, found, done.result_sha256):
            log.info("was painted before as job {}, but that result is gone", twin.id[:8])
            self._ledger.forget_twin(job.id)
            return
        if twin.outputs.timelapse:
            try:
                self._spool.keep_timelapse(job.id, self._config.outbox / twin.outputs.timelapse)
            except OSError as error:
                log.warning("its time-lapse cannot be used: {}", error.strerror)
        with contextlib.suppress(OSError):  # a record without its curves is a record
            keep_course(self._config.outbox / twin.outputs.record, self._spool.course(job.id))
        log.info("the same was painted before as job {}: its result is used", twin.id[:8])
        seconds = round(time.monotonic() - now_s, 3)
        painted_as = done.same_as or twin.id
        outcome = replace(done, seconds=seconds, peak_memory_bytes=0, same_as=painted_as)
        self._ledger.answer_job(job.id, outcome, began)
