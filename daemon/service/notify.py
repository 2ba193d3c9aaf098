"""Notifies hooks of jobs that are over: between the ledger, which knows, and the hooks' thread.

At least once: a job is `untold` from the moment it is over until its hooks have ended, whatever
happens to the service in between. That the queue ran empty is told once and not kept.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from daemon.errors import StaleJobError, SurroundingsError
from daemon.hooks.runner import MOST_IN_FLIGHT, HookRunner
from daemon.job import Job, PictureState, State
from daemon.ledger.store import Ledger
from daemon.outbox.record import make_record
from daemon.settings.config import Config
from daemon.settings.hooks import Event

EVENTS: Mapping[State | None, Event] = {
    State.DONE: Event.DONE,
    State.FAILED: Event.FAILED,
    State.AWAITING: Event.PROOF,
}
"""What is told by verdict; that a job was cancelled nobody is told."""


class Notifier:
    """Has hooks told of jobs that are over. Never waits but in `join`.

    Each call is the service loop's, but `note_end`, which is the delivery's.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        count: Callable[[str, str], object] = lambda event, outcome: None,
    ) -> None:
        self._hooks = config.hooks
        self._outbox = config.outbox
        self._ledger = ledger
        self._runner = HookRunner(config.hooks, count)
        self._worked = False
        self.start, self.stop = self._runner.start, self._runner.stop

    def change(self, config: Config, devices: Sequence[str] = ()) -> None:
        """Has these hooks told from now on."""
        self._hooks = config.hooks
        self._runner.change(config.hooks)

    def note_end(self, verdict: State | None) -> bool:
        """Notes that a job is over; whether anybody is to be told of it."""
        self._worked = True
        event = EVENTS.get(verdict)
        return event is not None and bool(self._hooks.of(event))

    def tick(self, *, busy: bool) -> bool:
        """Marks who was told, and hands on what is untold; whether anything remains of that.

        busy: whether the queue has something left. Once it has not, after work, that is told too.
        """
        self._mark_told()
        remains = self._hand_on()
        if self._worked and not busy and not remains:
            self._tell_idle()
        return remains or self._runner.busy

    @property
    def busy(self) -> bool:
        """Whether a hook runs, or is about to; each has a time of its own."""
        return self._runner.busy

    def join(self, timeout_s: float) -> None:
        """Lets the hook at hand end within that time, or ends it, and marks who was told."""
        self._runner.join(timeout_s)
        try:
            self._mark_told()
        except SurroundingsError as error:
            logger.warning("hooks that have run will run again at the next start: {}", error)

    def _mark_told(self) -> None:
        for notice in self._runner.finished():
            if notice.event is not Event.IDLE:
                mark_told(self._ledger, notice.id)
            self._runner.forget(notice.id)

    def _hand_on(self) -> bool:
        """Offers untold jobs while there is room; whether some found none."""
        for job in self._ledger.untold(MOST_IN_FLIGHT + 1):
            if self._runner.holds(job.id):
                continue
            event = EVENTS.get(job.verdict)
            if event is None or not self._hooks.of(event):
                mark_told(self._ledger, job.id)  # its hook was taken out of config.yaml meanwhile
                continue
            picture = self._ledger.picture(job.picture_id)
            record = make_record(job, picture, job.outputs)
            filed = picture.state is PictureState.FILED
            environment = environment_of(event, job, self._outbox, filed=filed)
            if not self._runner.offer(event, job.id, record, environment):
                return True
        return False

    def _tell_idle(self) -> None:
        self._worked = False
        if not self._hooks.of(Event.IDLE):
            return
        record: dict[str, Any] = {"event": Event.IDLE, "jobs": self._ledger.counts()}
        environment = {"ATELIERD_EVENT": str(Event.IDLE)}
        if not self._runner.offer(Event.IDLE, uuid.uuid4().hex, record, environment):
            self._worked = True  # no room now


def mark_told(ledger: Ledger, job_id: str) -> None:
    """Marks a job as told; one that is no longer to be told needs no mark."""
    try:
        ledger.mark_told(job_id)
    except StaleJobError as error:
        logger.bind(action="hook").warning("was told, and need not have been: {}", error)


def environment_of(event: Event, job: Job, outbox: Path, *, filed: bool) -> dict[str, str | Path]:
    """What a command is told by variables: names as dropped, byte for byte, below the outbox.

    filed: whether the original lies there too.
    """
    about: dict[str, str | Path] = {
        "ATELIERD_EVENT": str(event),
        "ATELIERD_JOB": job.id,
        "ATELIERD_STATE": str(job.verdict),
        "ATELIERD_PRESET": job.preset,
    }
    files = {
        f"ATELIERD_{kind.upper()}": outbox / path
        for kind, path in job.outputs.by_kind().items()
        if filed or kind != "original"
    }
    return about | files
