"""The jobs that run: given to the devices, watched, stopped, and what became of each."""

import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from loguru import logger

from daemon.errors import StaleJobError, SurroundingsError
from daemon.host import files
from daemon.host.standstill import Furthest
from daemon.job import BULK, ClaimedPicture, Job, State
from daemon.ledger.store import EVERY, Ledger, Line
from daemon.messages import (
    Cancelled,
    CheckpointWritten,
    Done,
    Event,
    Failed,
    LogLine,
    Lost,
    Outcome,
    OutOfMemory,
    Preview,
    Progress,
    WorkerSettings,
)
from daemon.pool import retry
from daemon.pool.face import OnEvent, WorkerPool
from daemon.pool.local import LocalPool
from daemon.pool.memory import DeviceMemory
from daemon.service.delivery import CANCELLED_REASON
from daemon.service.permit import Permit
from daemon.service.run import Run, StopReason, coming_bytes, make_order, make_run
from daemon.service.supervision import Instruction, Kill, Rest, Start, Stop, decide, giving_way
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health
from daemon.status.live import RunningJob, follow
from daemon.status.metrics import Metrics

BROKEN_WAIT_S = 5.0
STOP_GRACE_S = 5.0
CHANGE_S = 15.0
"""How long the main loop, and with it the watchdog, may wait for the workers to stop."""

DRAIN_LOOK_S = 0.05
NO_WORKER = "no worker can be started: {}"
LATE_REASON = (
    "Painting took more than {:.0f} s (limits: job_s). Choose a smaller `size` or fewer `steps`, "
    "or raise the limit in config.yaml."
)


MakePool = Callable[[Sequence[WorkerSettings], OnEvent], WorkerPool]


class Runs:
    """Dispatches, and turns what becomes of runs into transitions. One thread's but for `_hear`."""

    def __init__(
        self,
        config: Config,
        devices: list[str],
        ledger: Ledger,
        owner: str,
        spool: Spool,
        health: Health,
        metrics: Metrics,
        wake: Callable[[], None],
        make_pool: MakePool = LocalPool,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._owner = owner
        self._spool = spool
        self._health = health
        self._metrics = metrics
        self._wake = wake
        self._make_pool = make_pool
        self._runs: dict[str, Run] = {}
        self._ended: queue.SimpleQueue[tuple[Job, Future[Outcome]]] = queue.SimpleQueue()
        self._further: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._resting_until_s = 0.0
        self._furthest = Furthest()
        self._broken: dict[str, SurroundingsError] = {}  # by device
        self._warm_again_s = 0.0
        self._workers = [config.worker(device) for device in devices]

    def start(self) -> None:
        """Makes the pool; a worker starts with its first job, or with `warm`."""
        self._pool = self._make_pool(self._workers, self._hear)

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def reached(self) -> int:
        """Steps that jobs have got to; those taken again after a loss count once."""
        return self._furthest.total

    def shown(self) -> list[RunningJob]:
        """The runs as `status` shows them."""
        return [run.shown for run in self._runs.values()]

    def memory(self) -> list[DeviceMemory]:
        """The memory of the devices."""
        return self._pool.memory()

    def warm(self) -> bool:
        """Starts every worker that has not answered yet; whether all have."""
        seats = self._pool.seats()
        if time.monotonic() >= self._warm_again_s:  # one that ends at once is not started at once
            self._warm_again_s = time.monotonic() + BROKEN_WAIT_S
            for seat in seats:
                if seat.answered:
                    continue
                try:
                    self._pool.warm(seat.device)
                    self._note_worker(seat.device, None)
                except OSError as error:
                    self._note_worker(seat.device, NO_WORKER.format(error))
        return all(seat.answered for seat in seats)

    # What is asked of it, every tick

    def tick(self, permit: Permit) -> None:
        """Ends, stops and starts what is to be."""
        self._note_progress()
        self._end_all()
        cancelled = self._ledger.cancel_requests()
        now_s, seats = time.monotonic(), self._pool.seats()
        instructions = decide(self._runs.values(), seats, cancelled, permit, now_s)
        for instruction in instructions:
            self._obey(instruction)
        self._dispatch([one.device for one in instructions if isinstance(one, Start)], permit)

    def stop_all(self, why: str, grace_s: float) -> None:
        """Stops every run; their jobs go back into the line."""
        for job_id, run in self._runs.items():
            run.stop = run.stop or why
            self._pool.cancel(job_id, grace_s=grace_s)

    def drain(self, seconds: float) -> None:
        """Waits for stopped runs to end, at most so long."""
        deadline_s, trouble = time.monotonic() + seconds, None
        while self._runs and time.monotonic() < deadline_s:
            try:
                self._end_all()
            except (StaleJobError, SurroundingsError) as error:
                trouble = error
            time.sleep(DRAIN_LOOK_S)
        if trouble is not None:
            logger.error("a job could not be put back at once: {}", trouble)

    def stop(self) -> None:
        """Stops every run for good, and waits until their jobs are back in the line."""
        self.stop_all("the service stops", STOP_GRACE_S)
        self.drain(STOP_GRACE_S + 1.0)

    def join(self, timeout_s: float) -> None:
        """Ends the workers."""
        self._pool.close(grace_s=timeout_s)

    def change(self, config: Config, devices: list[str]) -> None:
        """Goes on with other settings; where they are the workers', with other workers."""
        workers = [config.worker(device) for device in devices]
        if workers != self._workers:
            self.stop_all("the settings of the workers change", CHANGE_S)
            self.drain(CHANGE_S + 1.0)
            self.join(1.0)
            self._workers = workers
            self.start()
            self._broken.clear()
        self._config = config

    # Starting

    def _dispatch(self, free: Sequence[str], permit: Permit) -> None:
        """Gives every free device a job, unless the devices are resting after trouble."""
        if permit.line is None or time.monotonic() < self._resting_until_s:
            return
        coming = coming_bytes(self._ledger, permit.line) if free else 0
        try:
            files.ensure_room(self._config.state, coming, self._config.limits.free_bytes)
        except SurroundingsError as error:
            self._health.bad("disk", error)
            return
        self._health.good("disk")
        for device in free:
            claimed = self._claim(permit.line)
            if claimed is None:
                return
            self._start(device, *claimed)
        way = None if free or permit.line[1] <= BULK else giving_way(self._runs.values())
        if way and self._ledger.first_in((BULK + 1, EVERY[1])):
            self._obey(way)

    def _claim(self, line: Line) -> tuple[Job, ClaimedPicture, int | None] | None:
        """The next job with its picture and the memory it may take; all of it, or no claim."""
        with self._ledger.together():
            job = self._ledger.claim_job(self._owner, line)
            if job is None:
                return None
            _, memory_bytes = self._ledger.memory_of(job.id)
            return job, self._ledger.picture(job.picture_id), memory_bytes

    def _start(
        self, device: str, job: Job, picture: ClaimedPicture, memory_bytes: int | None
    ) -> None:
        """Gives a claimed job to a worker; one that gets none ends as if it had been stopped."""
        run = make_run(self._config, device, job, picture, time.monotonic())
        self._runs[job.id] = run
        logger.bind(job=job.id, action="start").info(  # first: the worker's own lines follow
            "start {} of {} after {} on {}", job.starts, run.shown.picture, job.preset, device
        )
        order = make_order(self._config, self._spool, job, picture, memory_bytes)
        future: Future[Outcome]
        try:
            future = self._pool.submit(device, job.id, order)
        except OSError as error:
            run.stop = NO_WORKER.format(error)
            self._note_worker(device, run.stop)
            self._rest(BROKEN_WAIT_S)
            future = Future()
            future.set_result(Cancelled())

        def end(done: Future[Outcome]) -> None:
            self._ended.put((job, done))
            self._wake()

        future.add_done_callback(end)

    def _note_worker(self, device: str, trouble: str | None) -> None:
        """Notes what is wrong with a device's worker, None: nothing; the others keep theirs."""
        self._broken.pop(device, None)
        if trouble is not None:
            self._broken[device] = SurroundingsError(f"{device}: {trouble}")
        if self._broken:
            self._health.bad("worker", *self._broken.values())
        else:
            self._health.good("worker")

    def _rest(self, seconds: float) -> None:
        self._resting_until_s = time.monotonic() + seconds

    # Watching

    def _hear(self, run_id: str, event: Event) -> None:
        """Takes in what a worker says during a run. Called from the pool's threads."""
        run = self._runs.get(run_id)
        if run is not None:
            run.heard_s = time.monotonic()
        match event:
            case LogLine(level, text):
                logger.bind(job=run_id, action="paint").log(level, text)
            case CheckpointWritten():
                self._further.put(run_id)
            case Progress() if run is not None:
                follow(run.shown, event)
                self._furthest.reach(run_id, run.shown.step)
                self._metrics.observe_progress(run.shown.device, event, run.shown.eta_s)
            case Preview(path) if run is not None:
                run.shown.preview = str(path)

    def _note_progress(self) -> None:
        """Starts that left a checkpoint are not charged."""
        while not self._further.empty():
            job_id = self._further.get()
            try:
                if job_id in self._runs:
                    self._ledger.note_progress(job_id, self._owner)
            except SurroundingsError:
                self._further.put(job_id)
                raise

    def _obey(self, instruction: Instruction) -> None:
        """Stops a run, ends one, or ends an idle worker; a start needs a job first."""
        match instruction:
            case Stop(run, why, grace_s):
                run.stop = why
                if isinstance(why, str):
                    logger.bind(job=run.job.id, action="stop").info("stops: {}", why)
                self._pool.cancel(run.job.id, grace_s=grace_s)
            case Kill(run):
                run.stalled = True
                logger.bind(job=run.job.id, action="stall").warning(
                    "the worker on {} has said nothing for {:.0f} s (limits: stall_s); it is ended",
                    run.shown.device,
                    run.stall_s,
                )
                self._pool.kill(run.job.id)
            case Rest(device):
                self._pool.rest(device)

    # Ending

    def _end_all(self) -> None:
        while not self._ended.empty():
            job, future = self._ended.get()
            try:
                self._note_progress()  # what was said before the end counts
                self._end_run(job, future.result())
            except SurroundingsError:
                self._ended.put((job, future))  # the ledger could not be told yet
                raise
            except StaleJobError:
                del self._runs[job.id]  # it is somebody else's
                raise

    def _end_run(self, job: Job, outcome: Outcome) -> None:
        """Turns how a run ended into a transition.

        What is logged of a job is logged before: once it is publishing its log is taken away.
        """
        run = self._runs[job.id]
        self._metrics.rest(run.shown.device)
        match outcome:
            case Done():
                self._end_done(run, outcome)
            case Failed():
                self._end_failed(run, outcome)
            case Cancelled():
                self._end_stopped(run)
            case Lost() | OutOfMemory():
                self._end_broken(run, outcome)
        del self._runs[job.id]

    def _end_done(self, run: Run, done: Done) -> None:
        """The picture is painted, or its proof."""
        job = run.job
        verdict = State.AWAITING if job.paints_proof else State.DONE
        logger.bind(job=job.id, action="end").info("painted in {:.1f} s", done.seconds)
        self._ledger.finish_job(job.id, self._owner, verdict, outcome=done, warnings=done.warnings)
        self._note_worker(run.shown.device, None)

    def _end_failed(self, run: Run, failed: Failed) -> None:
        """The job has failed; back into the line where the surroundings are at fault."""
        self._metrics.count_error(failed.kind)
        if failed.kind == "surroundings":
            self._ledger.release_job(run.job.id, self._owner)
            self._rest(BROKEN_WAIT_S)
            self._note_worker(run.shown.device, failed.reason)
            return
        self._fail(run.job, failed.reason, failed.painted)
        self._note_worker(run.shown.device, None)

    def _end_stopped(self, run: Run) -> None:
        """Stopped on request: somebody's, or the service's own."""
        job = run.job
        if job.id in self._ledger.cancel_requests():
            logger.bind(job=job.id, action="cancel").info("cancelled while it ran")
            self._ledger.finish_job(job.id, self._owner, State.CANCELLED, reason=CANCELLED_REASON)
        elif run.stop is StopReason.LATE:  # another start would take as long
            self._fail(job, LATE_REASON.format(run.limit_s))
        else:
            logger.bind(job=job.id, action="requeue").info("back into the line: {}", run.stop)
            self._ledger.release_job(job.id, self._owner)

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
                self._rest(wait_s)
            case retry.Smaller(memory_bytes, warning, wait_s):
                log.warning("{}; {}", outcome.how, warning)
                self._rest(wait_s)
                self._ledger.return_out_of_memory(
                    job.id, self._owner, memory_bytes=memory_bytes, warning=warning
                )
            case retry.GiveUp(reason):
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
