"""Following a painting: its moments are told, checkpoints kept, and it is stopped on request."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.engine import Engine
from daemon.engine.paint import Moment, Painted, Planned, Resting, Stepped
from daemon.engine.pixels import FloatPixels
from daemon.engine.schedule import Pass
from daemon.messages import CheckpointWritten, Event, LogLine, Preview, Progress, RunOrder
from daemon.worker.account import announcement, describe_plan, describe_step
from daemon.worker.checkpoint import PARTS_OF_TIME, write_checkpoint
from daemon.worker.course import LossRecorder
from daemon.worker.preview import Previewer
from daemon.worker.threads import ThreadKeeper
from daemon.worker.timelapse import Timelapse
from daemon.worker.timeshare import TimeShare


class Follower:
    """Follows a painting: tells its moments, keeps checkpoints, and stops it when it is cancelled.

    threads: of the worker; they may change between two steps.  step_s: seconds of each step of the
    pass under way.
    """

    def __init__(
        self,
        order: RunOrder,
        checkpoint_s: float,
        tell: Callable[[Event], None],
        is_cancelled: Callable[[], bool],
        *,
        threads: ThreadKeeper,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._order = order
        self._tell = tell
        self._is_cancelled = is_cancelled
        self._threads = threads
        self._checkpoint_s = checkpoint_s
        self._left_s = math.inf
        self._share = TimeShare(checkpoint_s, PARTS_OF_TIME, clock)
        self._previewer = Previewer(order.preview, self._warn) if order.preview else None
        self._timelapse = Timelapse(order.timelapse, self._warn) if order.timelapse else None
        self._course = LossRecorder(order.course, self._warn) if order.course else None
        self.step_s: list[float] = []

    def go_on(self, resumed: Checkpoint) -> None:
        """Takes in what a checkpoint tells of the steps before those that are followed."""
        self._threads.go_on(resumed)

    def follow(self, moments: Iterator[Moment], engine: Engine) -> Painted | None:
        """Walks over a painting to its end, which it returns; None if it was cancelled before."""
        for moment in moments:
            match moment:
                case Planned(size, plan):
                    self._threads.prepare()
                    self._tell(LogLine("INFO", describe_plan(size, plan)))
                    self._tell(announcement(size, plan, engine))
                case Stepped():
                    self._report(moment)
                case Resting(make_checkpoint):
                    self._keep(make_checkpoint)
                    if changed := self._threads.rest():
                        self._tell(LogLine("INFO", changed))
                case Painted():
                    if self._course:
                        self._course.keep()
                    return moment
            if self._is_cancelled() and not isinstance(moment, Stepped):
                return None
        raise ValueError("a painting without an end")

    def film(self, painted: FloatPixels, size: Pass) -> tuple[str, ...]:
        """Makes the time-lapse if one is asked for; returns what was wrong with it."""
        if self._timelapse is None:
            return ()
        self._timelapse.finish(painted, size)
        return self._timelapse.warnings

    def _report(self, moment: Stepped) -> None:
        """A message for each step, a log line now and then, and the preview when it is time."""
        step, passes = moment.step, moment.passes
        size = passes[moment.pass_number - 1]
        if step.number == 1:
            self.step_s.clear()
        self.step_s.append(step.seconds)
        self._threads.note(moment)
        progress = Progress(
            moment.pass_number, passes, step.number, step.total, step.losses, step.seconds
        )
        self._left_s = progress.left_s
        self._tell(progress)
        if step.number in (1, size.steps) or step.number % max(1, size.steps // 5) == 0:
            self._tell(LogLine("DEBUG", describe_step(moment)))
        previewer, preview = self._previewer, self._order.preview
        if previewer and preview and previewer.offer(moment.picture, moment.palette):
            self._tell(Preview(preview))
        if self._timelapse:
            self._timelapse.offer(moment)
        if self._course:
            self._course.offer(moment)

    def _keep(self, make_checkpoint: Callable[[], Checkpoint]) -> None:
        """Writes a checkpoint if it is time, or the last moment to.

        None shortly before the end: it would be many times what the result is, and soon removed.
        """
        place, stops = self._order.checkpoint, self._is_cancelled()
        if place is None or (self._left_s < self._checkpoint_s and not stops):
            return
        try:
            if self._share.offer(lambda: self._write(place, make_checkpoint()), now=stops):
                self._tell(LogLine("DEBUG", "checkpoint written"))
                self._tell(CheckpointWritten())
        except OSError as error:  # no harm but a longer way back
            self._warn(f"no checkpoint: {error.strerror}: {place}")

    def _write(self, place: Path, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, and the course before it: what is ahead of one is not missed."""
        if self._course:
            self._course.keep()
        write_checkpoint(place, self._threads.told_in(checkpoint))

    def _warn(self, text: str) -> None:
        self._tell(LogLine("WARNING", text))
