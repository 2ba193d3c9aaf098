"""The worker: a process of its own that keeps the engine warm and paints one job at a time.

Speaks JSON lines (`messages`). To it: {do: run, run, payload} and {do: cancel, run}. From it:
{event: hello} once it is there, then the events of its runs, each of which ends with one.
A closed input ends it, so that it never outlives its service.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TextIO

import torch

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.device import device_error
from daemon.engine.engine import Engine, Style
from daemon.engine.errors import (
    CheckpointError,
    DeviceError,
    DivergedError,
    EngineError,
    OutOfMemoryError,
    PictureError,
    TooLargeError,
    WeightsError,
)
from daemon.engine.fit import memory
from daemon.engine.paint import Moment, Painted
from daemon.engine.vgg.arithmetic import Arithmetic
from daemon.host import files
from daemon.host.process import claim_stdout, say
from daemon.messages import (
    Cancelled,
    Done,
    Ended,
    Event,
    Failed,
    FailureKind,
    Hello,
    LogLine,
    OrderedStyle,
    OutOfMemory,
    RunOrder,
    WorkerSettings,
    event_data,
    known,
    to_order,
)
from daemon.pictures.small import PAINTING, PHOTOGRAPH
from daemon.worker.account import (
    account,
    describe,
    describe_checkpoint,
    foresee_shortage,
    foretell,
    noted,
)
from daemon.worker.checkpoint import read_checkpoint
from daemon.worker.engines import arithmetic_of, choose, make_engine
from daemon.worker.follower import Follower
from daemon.worker.frames import draw_frames
from daemon.worker.gate import refusal
from daemon.worker.proof import ProofProfile
from daemon.worker.regions import shares_of
from daemon.worker.requests import serve
from daemon.worker.result import keep_small, without_pixels, write_result
from daemon.worker.task import Task, read_file, read_task
from daemon.worker.threads import ThreadKeeper

KINDS: list[tuple[type[EngineError], FailureKind]] = [
    (PictureError, "input"),
    (TooLargeError, "input"),
    (DivergedError, "input"),
    (DeviceError, "device"),
    (WeightsError, "surroundings"),
]
"""What an engine's error means to the service: whose fault it is."""

STYLES_KEPT = 16
SHARED_BYTES = 1 << 27
"""Of a painting that is kept for the next job: eleven megapixels. A larger one is painted again."""

UNUSABLE = "the checkpoint cannot be used: {}; begins anew"

SPENT = 3
"""Exit code of a child that is of no more use: its device failed, or its memory ran out."""


class Worker:
    """Paints what it is told to, one run after the other."""

    def __init__(self, settings: WorkerSettings, out: TextIO) -> None:
        self._settings = settings
        self._out = out
        self._engine: Engine | None = None
        self._chosen: Arithmetic | None = None
        self._styles: dict[str, Style] = {}
        self._shared: dict[str, Painted] = {}
        self._cancelled: set[str] = set()
        self._threads = ThreadKeeper(
            settings.threads or torch.get_num_threads(),
            on_cpu=settings.device == "cpu",
            is_adaptive=settings.adaptive_threads,
        )

    def cancel(self, run_id: str) -> None:
        """Makes a run stop at its next step. Called from the listening thread."""
        self._cancelled.add(run_id)

    def run(self, run_id: str, order: RunOrder) -> None:
        """One run, whatever comes of it: everything ends as a message."""
        tell = partial(self.tell, run_id)
        try:
            ended = Ended(self._paint(run_id, order, tell) or Cancelled())
        except Exception as failure:
            ended = blame(failure, tell)
        finally:
            self._cancelled.discard(run_id)
            with contextlib.suppress(torch.AcceleratorError):  # it is lost, which was said
                memory.give_back()
                if self._engine and self._settings.sharers > 1:
                    memory.give_back_device(self._engine.device)
        tell(ended)
        if ended.spent:
            os._exit(SPENT)  # the next run starts afresh

    def tell(self, run_id: str, event: Event) -> None:
        """Sends an event of a run."""
        say(self._out, event_data(run_id, event))

    def _paint(
        self, run_id: str, order: RunOrder, tell: Callable[[Event], None]
    ) -> Done | Failed | None:
        """The outcome of a run that was painted to its end; None if it was cancelled."""
        began = time.perf_counter()
        resumed = read_resumed(order, tell)
        engine = self._warm_engine(tell, resumed)
        memory.reset_peak(engine.device)
        task = read_task(order, tell)
        keep_small(order, PHOTOGRAPH, task.picture.pixels, task.picture, tell)
        begin = self._beginning(engine, order, task)
        task = replace(task, picture=without_pixels(task.picture))
        tell(LogLine("INFO", describe(engine, task.picture, task.painting)))
        follower = self._follower(run_id, order, tell)
        painted = self._painting(order, tell) or paint(begin, resumed, follower, engine, tell)
        del begin  # and with it the picture
        if painted is None:
            return None
        if not task.proof:  # by which the painting itself is changed
            self._share(order, painted)
        done = account(engine, task.picture, painted, time.perf_counter() - began)
        regions = shares_of(task.masks)
        done = replace(done, regions=regions, faces=task.faces, threads=self._threads.counts)
        done = replace(done, warnings=(*done.warnings, *task.masks.warnings))
        share = sum(regions.values()) if regions else 1.0
        if reason := refusal(painted, task.recipe, share=share):
            return Failed("input", reason, done)
        warnings = finish(order, task, painted, noted(engine, painted), follower, tell)
        done = replace(
            done,
            seconds=round(time.perf_counter() - began, 3),
            peak_memory_bytes=memory.peak_bytes(engine.device),
            warnings=(*done.warnings, *warnings),
            result_sha256=files.sha256_of(order.result),
            result_bytes=order.result.stat().st_size,
        )
        if order.proof:
            full = foretell(
                engine, task.picture, task.painting, painted, follower.step_s, maps=task.maps
            )
            refused = foresee_shortage(engine, task.picture, task.painting, maps=task.maps)
            done = replace(done, full=full, warnings=(*done.warnings, *refused))
        return done

    def _follower(self, run_id: str, order: RunOrder, tell: Callable[[Event], None]) -> Follower:
        """Who tells of a run, keeps its checkpoints and sets its threads."""
        self._threads.divide(1 + order.beside)
        return Follower(
            order,
            self._settings.checkpoint_s,
            tell,
            lambda: run_id in self._cancelled,
            threads=self._threads,
        )

    def _beginning(
        self, engine: Engine, order: RunOrder, task: Task
    ) -> Callable[..., Iterator[Moment]]:
        """What begins or goes on with a painting; it holds the picture's pixels."""
        pixels = task.picture.pixels
        return partial(
            engine.paint,
            task.proof.applied(pixels) if task.proof else pixels,
            [self._style(style, order.max_pixels, task.proof) for style in order.styles],
            task.painting,
            passes=task.passes,
            faces=task.faces or (),
            memory_bytes=self._held_to(order, engine),
            masks=task.masks.levels,
        )

    def _held_to(self, order: RunOrder, engine: Engine) -> int | None:
        """What a run may take: what its order says, and no more than its share of the device."""
        sharers = order.sharers or self._settings.sharers
        share = memory.share_bytes(engine.device, sharers, self._settings.memory_bytes)
        return min((one for one in (order.memory_bytes, share) if one is not None), default=None)

    def _painting(self, order: RunOrder, tell: Callable[[Event], None]) -> Painted | None:
        """The last painting, if an order only wants it in another form; else that is forgotten."""
        painted = self._shared.get(order.shared)
        if painted is None:
            self._shared.clear()
        else:
            tell(LogLine("INFO", "painted with the job before: only the result's form is another"))
        return painted

    def _share(self, order: RunOrder, painted: Painted) -> None:
        """Keeps a painting for orders that differ from its own in the result's form alone."""
        if order.shared and painted.pixels.nbytes <= SHARED_BYTES:
            self._shared = {order.shared: painted}

    def _warm_engine(self, tell: Callable[[Event], None], resumed: Checkpoint | None) -> Engine:
        """The engine, computing as a run's checkpoint was made, or else in what a trial chose."""
        if self._engine is None:
            self._chosen = choose(self._settings, tell)
        wanted = arithmetic_of(resumed, self._settings) or self._chosen
        if self._engine is None or (wanted is not None and wanted != self._engine.arithmetic):
            self._engine = None  # what it takes is given back before the next one takes as much
            self._engine = make_engine(self._settings, wanted, tell)
        return self._engine

    def _style(self, ordered: OrderedStyle, max_pixels: int, proof: ProofProfile | None) -> Style:
        """A style image by its hash, and the profile it is seen through; decoded once."""
        sha256 = ordered.file.sha256
        if proof:
            sha256 = hashlib.sha256(f"{sha256} {proof.sha256}".encode()).hexdigest()
        if sha256 not in self._styles:
            pixels = read_file(ordered.file.path, ordered.name, max_pixels).pixels
            style = Style(proof.applied(pixels) if proof else pixels, 1.0, sha256)
            latest = list(self._styles.items())[1 - STYLES_KEPT :]
            self._styles = {**dict(latest), sha256: style}
        return replace(self._styles[sha256], weight=ordered.weight, region=ordered.region)


def finish(
    order: RunOrder,
    task: Task,
    painted: Painted,
    told: Mapping[str, Any],
    follower: Follower,
    tell: Callable[[Event], None],
) -> Sequence[str]:
    """Writes the result and what else is asked for; returns warnings. Changes the painting.

    told: what the result's note says of the painting.
    """
    memory.give_back()  # what painting took and writing takes are not to add up
    if task.proof:
        task.proof.applied(painted.pixels, out=painted.pixels)
    filmed = follower.film(painted.pixels, task.passes[-1])
    keep_small(order, PAINTING, painted.pixels, task.picture, tell)
    if order.proof and task.faces:
        draw_frames(painted.pixels, task.faces, task.picture.size)
    return (*write_result(order, painted.pixels, task.picture, task.recipe, told), *filmed)


def read_resumed(order: RunOrder, tell: Callable[[Event], None]) -> Checkpoint | None:
    """The checkpoint that a run is to go on from; None if it begins."""
    try:
        return read_checkpoint(order.checkpoint) if order.checkpoint else None
    except CheckpointError as error:
        tell(LogLine("WARNING", UNUSABLE.format(error)))
        return None


def paint(
    begin: Callable[..., Iterator[Moment]],
    resumed: Checkpoint | None,
    follower: Follower,
    engine: Engine,
    tell: Callable[[Event], None],
) -> Painted | None:
    """Paints from a checkpoint, or from the beginning; None if it was cancelled."""
    try:
        if resumed:
            tell(LogLine("INFO", f"goes on {describe_checkpoint(resumed)}"))
            follower.go_on(resumed)
        return follower.follow(begin(resumed=resumed), engine)
    except CheckpointError as error:
        tell(LogLine("WARNING", UNUSABLE.format(error)))
        return follower.follow(begin(), engine)


def blame(failure: Exception, tell: Callable[[Event], None]) -> Ended:
    """How a run ended that failed: for want of memory, or whose fault it is, and why."""
    error = device_error(failure) or failure
    if isinstance(error, OutOfMemoryError) or memory.is_out_of_memory(error):
        return Ended(OutOfMemory(str(error) or type(error).__name__), spent=True)
    kind: FailureKind = "bug"
    match error:
        case EngineError():
            kind = next((kind for cls, kind in KINDS if isinstance(error, cls)), "bug")
            reason = str(error)
        case FileNotFoundError():
            kind, lost = "input", files.printable(str(error.filename))
            reason = f"{lost} is gone from the state folder. Drop the picture again"
        case OSError():
            kind = "surroundings"
            reason = f"{error.strerror}: {files.printable(str(error.filename or ''))}"
        case _:
            tell(LogLine("ERROR", "".join(traceback.format_exception(error))))
            what = f"{type(error).__name__}: {error}"
            reason = f"{what}. This is a fault of atelierd; the log beside this file says where"
    return Ended(Failed(kind, reason), spent=isinstance(error, DeviceError))


def main() -> None:
    """Runs until the input is closed, with the settings that its one argument has as JSON."""
    settings = known(WorkerSettings, json.loads(sys.argv[1]))
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
        torch.set_num_interop_threads(settings.threads)
    worker = Worker(settings, claim_stdout())
    worker.tell("", Hello())
    serve(lambda run_id, order: worker.run(run_id, to_order(order)), worker.cancel)


if __name__ == "__main__":
    main()
