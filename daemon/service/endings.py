"""What becomes of runs that have ended: transitions of their jobs, and what rests after them."""

from dataclasses import dataclass

from loguru import logger

from daemon.job import Job, State
from daemon.ledger.store import Ledger
from daemon.messages import Cancelled, Done, Failed, Lost, Outcome, OutOfMemory
from daemon.pool import retry
from daemon.service.avoidance import Avoidance
from daemon.service.delivery import CANCELLED_REASON
from daemon.service.run import Run, StopReason
from daemon.service.seating import Seating
from daemon.status.metrics import Metrics

BROKEN_WAIT_S = 5.0
"""How long a seat rests that has no worker, or whose surroundings are broken."""

NODE_LEAVES = "the node leaves"
LATE_REASON = (
    "Painting took more than {:.0f} s (limits: job_s). Choose a smaller `size` or less `effort`, "
    "or raise the limit in config.yaml."
)


@dataclass(frozen=True)
class Endings:
    """Turns outcomes into transitions of the owner's jobs. One thread's."""

    _ledger: Ledger
    _owner: str
    _metrics: Metrics
    _seating: Seating
    _avoidance: Avoidance

    def end(self, run: Run, outcome: Outcome) -> None:
        """Turns how a run ended into a transition.

        What is logged of a job is logged before: once it is publishing its log is taken away.
        """
        self._metrics.rest(run.shown.device)
        if run.node and isinstance(outcome, Lost):
            self._avoidance.note_loss(run.job, run.shown.device)
        else:
            self._avoidance.forget(run.job.id)
        match outcome:
            case Done():
                self._end_done(run, outcome)
            case Failed():
                self._end_failed(run, outcome)
            case Cancelled():
                self._end_stopped(run)
            case Lost() | OutOfMemory():
                self._end_broken(run, outcome)

    def _end_done(self, run: Run, done: Done) -> None:
        """The picture is painted, or its proof."""
        job = run.job
        verdict = State.AWAITING if job.paints_proof else State.DONE
        logger.bind(job=job.id, action="end").info("painted in {:.1f} s", done.seconds)
        self._ledger.finish_job(job.id, self._owner, verdict, outcome=done, warnings=done.warnings)
        self._seating.note_worker(run.shown.device, None)

    def _end_failed(self, run: Run, failed: Failed) -> None:
        """The job has failed; back into the line where the surroundings are at fault."""
        self._metrics.count_error(failed.kind)
        if failed.kind in ("surroundings", "device"):
            self._ledger.release_job(run.job.id, self._owner)
            self._seating.note_worker(run.shown.device, failed.reason)
            self._seating.rest(run.shown.device, BROKEN_WAIT_S)
            return
        self._fail(run.job, failed.reason, failed.painted)
        self._seating.note_worker(run.shown.device, None)

    def _end_stopped(self, run: Run) -> None:
        """Stopped on request: somebody's, or the service's own."""
        job = run.job
        if job.id in self._ledger.cancel_requests():
            logger.bind(job=job.id, action="cancel").info("cancelled while it ran")
            self._ledger.finish_job(job.id, self._owner, State.CANCELLED, reason=CANCELLED_REASON)
        elif run.stop is StopReason.LATE:  # another start would take as long
            self._fail(job, LATE_REASON.format(run.limit_s))
        else:
            why = run.stop or NODE_LEAVES  # nobody asked here
            logger.bind(job=job.id, action="requeue").info("back into the line: {}", why)
            self._ledger.release_job(job.id, self._owner)
            if run.node and run.stop is None:
                self._seating.rest_node(run.node)

    def _end_broken(self, run: Run, outcome: Lost | OutOfMemory) -> None:
        """The worker is gone: again after a rest, again with less memory, or never."""
        job = run.job
        log = logger.bind(job=job.id, action="lost")
        if run.stop is not None or job.id in self._ledger.cancel_requests():
            self._end_stopped(run)
            return
        out_of_memory = isinstance(outcome, OutOfMemory)
        self._metrics.count_error("out_of_memory" if out_of_memory else "worker_lost")
        self._metrics.count_restart(run.shown.device)
        match self._after(run, outcome):
            case retry.Again(wait_s):
                log.warning("the worker {}; the job goes back into the line", outcome.how)
                self._ledger.return_job(job.id, self._owner)
                self._seating.rest(run.shown.device, wait_s)
            case retry.Smaller(memory_bytes, warning, wait_s):
                log.warning("{}; {}", outcome.how, warning)
                self._seating.rest(run.shown.device, wait_s)
                self._ledger.return_out_of_memory(
                    job.id, self._owner, memory_bytes=memory_bytes, warning=warning
                )
            case retry.GiveUp(reason):
                self._avoidance.forget(job.id)
                self._fail(job, reason)

    def _after(
        self, run: Run, outcome: Lost | OutOfMemory
    ) -> retry.Again | retry.Smaller | retry.GiveUp:
        if run.stalled:
            outcome = Lost(f"said nothing for {run.stall_s:.0f} s and was ended")
        if isinstance(outcome, Lost):
            return retry.after_loss(self._ledger.fruitless_starts(run.job.id), outcome.how)
        return retry.after_out_of_memory(*self._ledger.memory_of(run.job.id), outcome.plan)

    def _fail(self, job: Job, reason: str, painted: Done | None = None) -> None:
        """The job has failed. painted: what it came to, where that was refused."""
        logger.bind(job=job.id, action="fail").error("failed: {}", reason)
        warnings = painted.warnings if painted else ()
        self._ledger.finish_job(
            job.id, self._owner, State.FAILED, outcome=painted, reason=reason, warnings=warnings
        )
