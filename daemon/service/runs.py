"""The jobs that run: given to the devices, watched, stopped, and what became of each."""

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum, auto

from loguru import logger

from daemon.errors import StaleJobError, SurroundingsError
from daemon.host import files
from daemon.host.process import Message
from daemon.host.standstill import Furthest
from daemon.job import BULK, ClaimedPicture, Job, State
from daemon.ledger.store import EVERY, Ledger, Line
from daemon.pool import retry
from daemon.pool.local import Cancelled, MemoryRanOut, Pool, Slot, WorkerLost
from daemon.service.delivery import CANCELLED_REASON
from daemon.service.permit import Permit
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health
from daemon.status.live import RunningJob, follow
from daemon.status.metrics import Metrics

BROKEN_WAIT_S = 5.0
STOP_GRACE_S = 5.0
STALL_PX = 4_000_000
CHANGE_S = 15.0
"""How long the main loop, and with it the watchdog, may wait for the workers to stop."""

DRAIN_LOOK_S = 0.05
PATIENCE_S = 60.0
"""How long a worker may take to its next step and checkpoint where nobody waits for it to stop."""

NO_WORKER = "no worker can be started: {}"
LATE_REASON = (
    "Painting took more than {:.0f} s (limits: job_s). Choose a smaller `size` or fewer `steps`, "
    "or raise the limit in config.yaml."
)


class Stop(Enum):
    """What a run was stopped for that does not put its job back into the line."""

    CANCELLED = auto()
    LATE = auto()


@dataclass
class Run:
    """A job that runs: what is shown of it, until when it may, and what it was stopped for.

    stop: a text says why it goes back into the line.
    """

    job: Job
    shown: RunningJob
    limit_s: float
    deadline_s: float
    stall_s: float
    heard_s: float
    stop: Stop | str | None = None
    stalled: bool = False


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
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._owner = owner
        self._spool = spool
        self._health = health
        self._metrics = metrics
        self._wake = wake
        self._runs: dict[str, Run] = {}
        self._ended: queue.SimpleQueue[tuple[Job, Future[Message]]] = queue.SimpleQueue()
        self._further: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._resting_until_s = 0.0
        self._furthest = Furthest()
        self._broken: dict[str, SurroundingsError] = {}  # by device
        self._warm_again_s = 0.0
        self._devices = devices

    def start(self) -> None:
        """Makes the pool; a worker starts with its first job, or with `warm`."""
        self._pool = self._make_pool(self._config, self._devices)

    def _make_pool(self, config: Config, devices: list[str]) -> Pool:
        arguments, threads = config.worker_arguments, config.worker_threads
        return Pool(devices, arguments, self._hear, threads=threads, waiting=config.worker_waiting)

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def reached(self) -> int:
        """Steps that jobs have got to; those taken again after a loss count once."""
        return self._furthest.total

    def shown(self) -> list[RunningJob]:
        """The runs as `status` shows them."""
        return [run.shown for run in self._runs.values()]

    def slots(self) -> list[Slot]:
        """Every device's slot."""
        return self._pool.slots()

    def pids(self) -> dict[str, int]:
        """The worker's process of each device that has one."""
        return {slot.device: slot.pid for slot in self._pool.slots() if slot.pid is not None}

    def warm(self) -> bool:
        """Starts every worker that has not answered yet; whether all have."""
        if time.monotonic() >= self._warm_again_s:  # one that ends at once is not started at once
            self._warm_again_s = time.monotonic() + BROKEN_WAIT_S
            for slot in self._pool.slots():
                if slot.answered:
                    continue
                try:
                    slot.warm()
                    self._note_worker(slot.device, None)
                except OSError as error:
                    self._note_worker(slot.device, NO_WORKER.format(error))
        return all(slot.answered for slot in self._pool.slots())

    # What is asked of it, every tick

    def tick(self, permit: Permit) -> None:
        """Ends, stops and starts what is to be."""
        self._note_progress()
        self._end_all()
        for job_id in self._ledger.cancel_requests():
            self._stop(job_id, Stop.CANCELLED)
        self._stop_the_late_and_the_stalled()
        self._stop_what_may_not(permit)
        self._dispatch(permit)

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
        former = [slot.device for slot in self._pool.slots()]
        if (former, workers_of(self._config)) != (devices, workers_of(config)):
            self.stop_all("the settings of the workers change", CHANGE_S)
            self.drain(CHANGE_S + 1.0)
            self.join(1.0)
            self._pool = self._make_pool(config, devices)
            self._broken.clear()
        self._config = config

    # Starting

    def _dispatch(self, permit: Permit) -> None:
        """Gives every free device a job, unless the devices are resting after trouble."""
        free = [slot for slot in self._pool.free() if slot.device not in permit.left]
        if permit.line is None or time.monotonic() < self._resting_until_s:
            return
        try:
            files.ensure_room(self._config.state, 0, self._config.limits.free_bytes)
        except SurroundingsError as error:
            self._health.bad("disk", error)
            return
        self._health.good("disk")
        for slot in free:
            claimed = self._claim(permit.line)
            if claimed is None:
                return
            self._start(slot, *claimed)
        if not free:
            self._give_way(permit)

    def _give_way(self, permit: Permit) -> None:
        """Lets a bulk job wait for an ordinary one, at most one at a time."""
        bulk = [run for run in self._runs.values() if run.job.priority <= BULK]
        if not bulk or any(run.stop for run in bulk):
            return
        if self._ledger.first_in((BULK + 1, EVERY[1])) and permit.line and permit.line[1] > BULK:
            self._stop(bulk[-1].job.id, "an ordinary job goes first", PATIENCE_S)

    def _claim(self, line: Line) -> tuple[Job, ClaimedPicture, int | None] | None:
        """The next job with its picture and the memory it may take; all of it, or no claim."""
        with self._ledger.together():
            job = self._ledger.claim_job(self._owner, line)
            if job is None:
                return None
            _, memory_bytes = self._ledger.memory_of(job.id)
            return job, self._ledger.picture(job.picture_id), memory_bytes

    def _start(
        self, slot: Slot, job: Job, picture: ClaimedPicture, memory_bytes: int | None
    ) -> None:
        """Gives a claimed job to a worker; one that gets none ends as if it had been stopped."""
        run = self._make_run(slot, job, picture)
        self._runs[job.id] = run
        logger.bind(job=job.id, action="start").info(  # first: the worker's own lines follow
            "start {} of {} after {} on {}",
            job.starts,
            run.shown.picture,
            job.preset,
            slot.device,
        )
        try:
            future = slot.submit(job.id, self._payload(job, memory_bytes))
        except OSError as error:
            run.stop = NO_WORKER.format(error)
            self._note_worker(slot.device, run.stop)
            self._rest(BROKEN_WAIT_S)
            future = Future()
            future.set_exception(Cancelled(job.id))

        def ended(done: Future[Message]) -> None:
            self._ended.put((job, done))
            self._wake()

        future.add_done_callback(ended)

    def _make_run(self, slot: Slot, job: Job, picture: ClaimedPicture) -> Run:
        """What is known of a run before it begins; a large picture may be silent for longer."""
        pixels = picture.width_px * picture.height_px
        if (size := job.recipe["size"]) != "original":
            pixels *= (size / max(picture.width_px, picture.height_px, 1)) ** 2
        now_s, limits = time.monotonic(), self._config.limits
        shown = RunningJob(job.id, files.printable(picture.path), job.preset, slot.device)
        stall_s = limits.stall_s * (1 + pixels / STALL_PX)
        return Run(job, shown, limits.job_s, now_s + limits.job_s, stall_s, now_s)

    def _payload(self, job: Job, memory_bytes: int | None) -> Message:
        """Everything a worker needs to know, as plain data."""
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

    def _hear(self, run_id: str, message: Message) -> None:
        """What a worker says during a run. Called from the pool's threads."""
        run = self._runs.get(run_id)
        if run is not None:
            run.heard_s = time.monotonic()
        match message.get("event"):
            case "log":
                logger.bind(job=run_id, action="paint").log(message["level"], message["text"])
            case "checkpoint":
                self._further.put(run_id)
            case "progress" if run is not None:
                follow(run.shown, message)
                self._furthest.reach(run_id, run.shown.step)
                self._metrics.observe_progress(run.shown.device, message, run.shown.eta_s)
            case "preview" if run is not None:
                run.shown.preview = message["path"]

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

    def _stop(self, job_id: str, why: Stop | str, grace_s: float = 8.0) -> None:
        """Asks a run to end after its step, and ends its worker if it takes too long."""
        run = self._runs.get(job_id)
        if run is None or run.stop is not None:
            return
        run.stop = why
        if isinstance(why, str):
            logger.bind(job=job_id, action="stop").info("stops: {}", why)
        self._pool.cancel(job_id, grace_s=grace_s)

    def _stop_the_late_and_the_stalled(self) -> None:
        now_s = time.monotonic()
        for run in self._runs.values():
            if now_s > run.deadline_s:
                self._stop(run.job.id, Stop.LATE)
            elif now_s - run.heard_s > run.stall_s and not run.stalled:
                run.stalled = True
                logger.bind(job=run.job.id, action="stall").warning(
                    "the worker on {} has said nothing for {:.0f} s (limits: stall_s); it is ended",
                    run.shown.device,
                    run.stall_s,
                )
                self._pool.kill(run.job.id)

    def _stop_what_may_not(self, permit: Permit) -> None:
        """Stops runs that may not go on, and ends idle workers, whose memory others may need."""
        for run in self._runs.values():
            if why := permit.forbids(run.job.priority, run.shown.device):
                self._stop(run.job.id, why, PATIENCE_S)
        for slot in self._pool.free():
            unwanted = permit.line is None or slot.device in permit.left
            if unwanted and slot.pid is not None and slot.answered:  # else it is just starting
                slot.close(1.0)

    # Ending

    def _end_all(self) -> None:
        while not self._ended.empty():
            job, future = self._ended.get()
            try:
                self._note_progress()  # what was said before the end counts
                self._end_run(job, future)
            except SurroundingsError:
                self._ended.put((job, future))  # the ledger could not be told yet
                raise
            except StaleJobError:
                del self._runs[job.id]  # it is somebody else's
                raise

    def _end_run(self, job: Job, future: Future[Message]) -> None:
        """Turns how a run ended into a transition.

        What is logged of a job is logged before: once it is publishing its log is taken away.
        """
        run = self._runs[job.id]
        self._metrics.rest(run.shown.device)
        try:
            result = future.result()
        except Cancelled:
            self._end_stopped(run)
        except (WorkerLost, MemoryRanOut) as error:
            self._end_broken(run, error)
        else:
            self._end_by_itself(job, run.shown.device, result)
        del self._runs[job.id]

    def _end_by_itself(self, job: Job, device: str, result: Message) -> None:
        """The worker says how it went."""
        if result["ok"]:
            logger.bind(job=job.id, action="end").info("painted in {:.1f} s", result["seconds"])
            self._ledger.finish_job(
                job.id, self._owner, State.DONE, outcome=result, warnings=result["warnings"]
            )
        else:
            self._metrics.count_error(result["kind"])
            if result["kind"] == "surroundings":
                self._ledger.release_job(job.id, self._owner)
                self._rest(BROKEN_WAIT_S)
                self._note_worker(device, result["reason"])
                return
            self._fail(job, result["reason"])
        self._note_worker(device, None)

    def _end_stopped(self, run: Run) -> None:
        """Stopped on request: somebody's, or the service's own."""
        job = run.job
        if job.id in self._ledger.cancel_requests():
            logger.bind(job=job.id, action="cancel").info("cancelled while it ran")
            self._ledger.finish_job(
                job.id, self._owner, State.CANCELLED, outcome={}, reason=CANCELLED_REASON
            )
        elif run.stop is Stop.LATE:  # another start would take as long
            self._fail(job, LATE_REASON.format(run.limit_s))
        else:
            logger.bind(job=job.id, action="requeue").info("back into the line: {}", run.stop)
            self._ledger.release_job(job.id, self._owner)

    def _end_broken(self, run: Run, error: WorkerLost | MemoryRanOut) -> None:
        """The worker is gone: again after a rest, again with less memory, or never."""
        job = run.job
        log = logger.bind(job=job.id, action="lost")
        if run.stop is not None or job.id in self._ledger.cancel_requests():
            self._end_stopped(run)
            return
        lost = isinstance(error, WorkerLost)
        self._metrics.count_error("worker_lost" if lost else "out_of_memory")
        self._metrics.count_restart(run.shown.device)
        match self._after(run, error):
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
        self, run: Run, error: WorkerLost | MemoryRanOut
    ) -> retry.Again | retry.Smaller | retry.GiveUp:
        if run.stalled:
            error = WorkerLost(f"said nothing for {run.stall_s:.0f} s and was ended")
        if isinstance(error, WorkerLost):
            return retry.after_loss(self._ledger.fruitless_starts(run.job.id), str(error))
        return retry.after_shortage(*self._ledger.memory_of(run.job.id), error.plan)

    def _fail(self, job: Job, reason: str) -> None:
        logger.bind(job=job.id, action="fail").error("failed: {}", reason)
        self._ledger.finish_job(job.id, self._owner, State.FAILED, outcome={}, reason=reason)


def workers_of(config: Config) -> tuple[list[str], int | None]:
    """The settings that workers are started with: others take other workers."""
    return config.worker_arguments, config.worker_threads
