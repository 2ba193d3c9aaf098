"""The jobs that run: given to the devices, watched, stopped, and what became of each."""

import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from loguru import logger

from daemon.errors import StaleJobError, SurroundingsError
from daemon.host import files
from daemon.host.standstill import Furthest
from daemon.job import BULK, ClaimedPicture, Job
from daemon.ledger.store import EVERY, Ledger, Line
from daemon.messages import (
    Cancelled,
    CheckpointWritten,
    Event,
    LogLine,
    Outcome,
    Preview,
    Progress,
    RunOrder,
)
from daemon.pool.face import Seat, offers_of
from daemon.pool.memory import DeviceMemory
from daemon.service.avoidance import Avoidance
from daemon.service.endings import BROKEN_WAIT_S, Endings
from daemon.service.permit import Permit
from daemon.service.pools import MakePool, make_pool, workers_of
from daemon.service.run import Run, coming_bytes, make_order, make_run, result_size
from daemon.service.seating import Seating
from daemon.service.sharing import Sharing
from daemon.service.supervision import (
    Instruction,
    Kill,
    Rest,
    Start,
    Stop,
    decide,
    giving_way,
    seat_for,
)
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health
from daemon.status.live import RunningJob, follow
from daemon.status.metrics import Metrics

STOP_GRACE_S = 5.0
CHANGE_S = 15.0
"""How long the main loop, and with it the watchdog, may wait for the workers to stop."""

DRAIN_LOOK_S = 0.05
MOST_STARTS = 50
"""How many jobs a tick gives to seats; each is a commit, and the watchdog waits meanwhile."""

NO_WORKER = "no worker can be started: {}"


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
        make_pool: MakePool = make_pool,
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
        self._furthest = Furthest()
        self._seating = Seating(health)
        self._sharing = Sharing()
        self._avoidance = Avoidance()
        self._endings = Endings(ledger, owner, metrics, self._seating, self._avoidance)
        self._lacking: list[str] = []
        self._warm_again_s = 0.0
        self._devices = devices

    def start(self) -> None:
        """Makes the pool; a worker starts with its first job, or with `warm`."""
        self._pool = self._make_pool(self._config, self._devices, self._hear)

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def reached(self) -> int:
        """Steps that jobs have got to; those taken again after a loss count once."""
        return self._furthest.total

    def shown(self) -> list[RunningJob]:
        """The runs as `status` shows them."""
        return [run.shown for run in self._runs.values()]

    @property
    def seats(self) -> list[Seat]:
        """The seats as they were at the last tick, without those that are not used."""
        seats, spare = self._seating.seats, self._sharing.spare
        return [seat for seat in seats if seat.run_id is not None or not spare(seat)]

    @property
    def lacking(self) -> list[str]:
        """What waiting jobs ask for that no seat offered at the last tick."""
        return self._lacking

    def memory(self) -> list[DeviceMemory]:
        """The memory of the devices."""
        return self._pool.memory()

    def warm(self) -> bool:
        """Starts every worker here that has not answered yet; whether all have.

        Nodes come when they come, and start theirs with their first job.
        """
        self._look()
        seats = [seat for seat in self.seats if not seat.node]
        if time.monotonic() >= self._warm_again_s:  # one that ends at once is not started at once
            self._warm_again_s = time.monotonic() + BROKEN_WAIT_S
            for seat in seats:
                if seat.answered:
                    continue
                try:
                    self._pool.warm(seat.device)
                    self._seating.note_worker(seat.device, None)
                except OSError as error:
                    self._seating.note_worker(seat.device, NO_WORKER.format(error))
        return all(seat.answered for seat in seats)

    # What is asked of it, every tick

    def tick(self, permit: Permit) -> None:
        """Ends, stops and starts what is to be."""
        self._note_progress()
        self._end_all()
        cancelled = self._ledger.cancel_requests()
        self._look()
        seats = self._seating.seats
        instructions = decide(self._runs.values(), seats, cancelled, permit, time.monotonic())
        for instruction in instructions:
            self._obey(instruction)
        free = [one.seat for one in instructions if isinstance(one, Start)]
        self._dispatch(free, permit)
        for seat in filter(self._sharing.spare, free):
            self._obey(Rest(seat.device))
        self._lacking = sorted({*self._ledger.asked_for()} - {"", *offers_of(self.seats)})

    def _look(self) -> None:
        seats = self._pool.seats()
        self._seating.look(seats, self._pool.trouble)
        self._sharing.look(seats)

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
        before, self._config = self._config, config
        if workers_of(config, devices) == workers_of(before, self._devices):
            return
        self.stop_all("the settings of the workers change", CHANGE_S)
        self.drain(CHANGE_S + 1.0)
        self.join(1.0)
        self._devices = devices
        self.start()
        self._seating.forget()
        self._sharing.forget()

    # Starting

    def _dispatch(self, free: Sequence[Seat], permit: Permit) -> None:
        """Gives every free seat a job that it will do for, unless it is resting after trouble."""
        ready = self._seating.rested(free)
        if permit.line is None or (free and not ready):
            return
        first = self._ledger.first_in(permit.line, offers_of(ready))
        coming = coming_bytes(self._ledger, first)
        try:
            files.ensure_room(self._config.state, coming, self._config.limits.free_bytes)
        except SurroundingsError as error:
            self._health.bad("disk", error)
            return
        self._health.good("disk")
        if first is not None:
            self._give(ready, permit.line)
        if permit.line[1] > BULK:
            self._make_way(free)

    def _give(self, ready: list[Seat], line: Line) -> None:
        """Gives jobs to seats until either is used up, or enough were given for a tick.

        All are taken before the first is submitted, so that each is told of its neighbours.
        """
        begun: list[tuple[Seat, Run, RunOrder]] = []
        try:
            while len(begun) < MOST_STARTS:
                open_seats = self._open(ready, line)
                if not open_seats:
                    return
                asked = self._ledger.asked_for()  # nothing of the ledger may fail once one is ours
                claimed = self._claim(line, open_seats)
                if claimed is None:
                    return
                free_for = self._avoidance.better(claimed[0].id, open_seats)
                seat = seat_for(claimed[0].runs_on, free_for, asked)
                ready.remove(seat)
                begun.append((seat, *self._begin(seat, *claimed)))
        finally:
            for seat, run, order in begun:
                self._submit(seat, run, order)
        self._wake()  # the others get theirs at the next tick, which comes at once

    def _open(self, free: Sequence[Seat], line: Line) -> Sequence[Seat]:
        """Those of some free seats on which the next job of the line may begin now."""
        if not free or not self._sharing.is_needed:
            return free
        first = self._ledger.first_in(line, offers_of(free))
        if first is None:
            return ()
        job = self._ledger.job(first)
        width, height = result_size(job, self._ledger.picture(job.picture_id))
        return self._sharing.open_to(width * height, free)

    def _make_way(self, free: Sequence[Seat]) -> None:
        """Stops a bulk run where an ordinary job waits for its seat, and for none that was free."""
        bulk = {run.shown.device: run for run in self._runs.values() if run.job.priority <= BULK}
        if not bulk:
            return
        seats, line = self._seating.seats_of([*bulk]), (BULK + 1, EVERY[1])
        first = self._ledger.first_in(line, offers_of(seats) - offers_of(self._open(free, line)))
        if first is None:
            return
        runs_on = self._ledger.job(first).runs_on
        if way := giving_way([bulk[seat.device] for seat in seats if seat.will_do(runs_on)]):
            self._obey(way)

    def _claim(
        self, line: Line, ready: Sequence[Seat]
    ) -> tuple[Job, ClaimedPicture, int | None] | None:
        """The next job for any of some seats, with its picture and the memory it may take; all of
        it, or no claim.
        """
        put_off = self._avoidance.put_off(ready, self.seats)
        with self._ledger.together():
            job = self._ledger.claim_job(self._owner, line, offers_of(ready), put_off)
            if job is None:
                return None
            _, memory_bytes = self._ledger.memory_of(job.id)
            return job, self._ledger.picture(job.picture_id), memory_bytes

    def _begin(
        self, seat: Seat, job: Job, picture: ClaimedPicture, memory_bytes: int | None
    ) -> tuple[Run, RunOrder]:
        """Makes a run of a claimed job."""
        run = make_run(self._config, seat.device, job, picture, time.monotonic())
        run.node = seat.node
        order = make_order(self._config, self._spool, job, picture, memory_bytes)
        self._runs[job.id] = run
        self._sharing.begin(run)
        return run, order

    def _submit(self, seat: Seat, run: Run, order: RunOrder) -> None:
        """Gives a run to a worker; one that gets none ends as if it had been stopped."""
        job, device = run.job, seat.device
        logger.bind(job=job.id, action="start").info(  # first: the worker's own lines follow
            "start {} of {} after {} on {}", job.starts, run.shown.picture, job.preset, device
        )
        sharers, beside = self._sharing.sharers(seat, run.pixels), self._sharing.beside(seat)
        order = replace(order, sharers=sharers, beside=beside)
        future: Future[Outcome]
        try:
            future = self._pool.submit(device, job.id, order)
        except OSError as error:
            run.stop = NO_WORKER.format(error)
            self._seating.note_worker(device, run.stop)
            self._seating.rest(device, BROKEN_WAIT_S)
            future = Future()
            future.set_result(Cancelled())

        def end(done: Future[Outcome]) -> None:
            self._ended.put((job, done))
            self._wake()

        future.add_done_callback(end)

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
            case Rest(device) if self._seating.is_to_rest(device):
                self._pool.rest(device)

    # Ending

    def _end_all(self) -> None:
        while not self._ended.empty():
            job, future = self._ended.get()
            try:
                self._note_progress()  # what was said before the end counts
                self._endings.end(self._runs[job.id], future.result())
                self._leave(job.id, future.result())
            except SurroundingsError:
                self._ended.put((job, future))  # the ledger could not be told yet
                raise
            except StaleJobError:
                self._leave(job.id, future.result())  # it is somebody else's
                raise

    def _leave(self, job_id: str, outcome: Outcome) -> None:
        run = self._runs.pop(job_id)
        self._sharing.end(run, outcome)
