"""The worker: a process of its own that keeps the engine warm and paints one job at a time.

Speaks JSON lines. To it: {do: run, run, payload} and {do: cancel, run}. From it: {event: hello}
once it is there, {event: plan | progress | preview | checkpoint | log, run, ...} and at the end
{event: ended, run, result}, {event: cancelled, run}, or {event: short, run, reason} if memory ran
out; with `spent` if the process ends itself then, since it is of no more use.
A closed input ends it, so that it never outlives its service.
"""

import argparse
import contextlib
import json
import os
import queue
import statistics
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import torch

from daemon import __version__
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
    WeightsError,
)
from daemon.engine.estimate import estimate_s
from daemon.engine.fit import memory
from daemon.engine.fit.plan import Plan
from daemon.engine.optimise.steps import Step
from daemon.engine.paint import Moment, Painted, Planned, Resting, Stepped
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass, plan_passes, plan_proof
from daemon.engine.vgg.arithmetic import Precision
from daemon.host import files
from daemon.host.process import Message, claim_stdout, say
from daemon.pictures.read import Picture, read_picture
from daemon.pictures.write import write_picture
from daemon.worker.checkpoint import PARTS_OF_TIME, read_checkpoint, write_checkpoint
from daemon.worker.preview import Previewer
from daemon.worker.timeshare import TimeShare

KINDS: list[tuple[type[EngineError], str]] = [
    (PictureError, "input"),
    (DivergedError, "input"),
    (DeviceError, "surroundings"),
    (WeightsError, "surroundings"),
]
"""What an engine's error means to the service: whose fault it is."""


SPENT = 3
"""Exit code of a child that is of no more use: its device failed, or its memory ran out."""


class Worker:
    """Paints what it is told to, one run after the other."""

    def __init__(
        self,
        device: str,
        weights: str,
        engine_folder: Path,
        precision: Precision,
        memory_bytes: int | None,
        checkpoint_s: float,
        out: TextIO,
    ) -> None:
        self._checkpoint_s = checkpoint_s
        self._memory_bytes = memory_bytes
        self._device = device
        self._weights = weights
        self._engine_folder = engine_folder
        self._precision: Precision = precision
        self._out = out
        self._engine: Engine | None = None
        self._styles: dict[str, Style] = {}
        self._cancelled: set[str] = set()

    def cancel(self, run_id: str) -> None:
        """Makes a run stop at its next step. Called from the listening thread."""
        self._cancelled.add(run_id)

    def is_cancelled(self, run_id: str) -> bool:
        """Whether a run is to stop."""
        return run_id in self._cancelled

    def run(self, run_id: str, payload: Message) -> None:
        """One run, whatever comes of it: everything ends as a message."""
        spent = False
        try:
            result = self._paint(run_id, payload)
            said: Message = {"event": "cancelled"}
            if result is not None:
                said = {"event": "ended", "result": result}
        except Exception as failure:
            error = device_error(failure) or failure
            short = isinstance(error, OutOfMemoryError) or memory.is_out_of_memory(error)
            spent = short or isinstance(error, DeviceError)
            if short:
                said = {"event": "short", "reason": str(error) or type(error).__name__}
            else:
                said = {"event": "ended", "result": self._blame(run_id, error)}
        finally:
            self._cancelled.discard(run_id)
            with contextlib.suppress(torch.AcceleratorError):  # it is lost, which was said
                memory.give_back()
        say(self._out, {"run": run_id, "spent": spent, **said})
        if spent:
            os._exit(SPENT)  # the next run starts afresh

    def _blame(self, run_id: str, error: Exception) -> Message:
        """The result of a run that failed: whose fault it is, and why."""
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
                self._log(run_id, "ERROR", "".join(traceback.format_exception(error)))
                kind, what = "bug", f"{type(error).__name__}: {error}"
                reason = f"{what}. This is a fault of atelierd; the log beside this file says where"
        return {"ok": False, "kind": kind, "reason": reason}

    def _paint(self, run_id: str, payload: Message) -> Message | None:
        """The account of a run that went well; None if it was cancelled."""
        began = time.perf_counter()
        engine = self._warm_engine(run_id)
        memory.reset_peak(engine.device)
        recipe = Recipe(**payload["recipe"])
        with Path(payload["picture"]).open("rb") as file:
            name = files.printable(payload["name"])  # it goes into messages, and these into JSON
            picture = read_picture(file, name, payload["max_pixels"])
        styles = [self._style(entry, payload["max_pixels"]) for entry in payload["styles"]]
        self._log(run_id, "INFO", describe(engine, picture, recipe))
        is_proof = payload.get("proof", False)
        begin = partial(
            engine.paint,
            picture.pixels,
            styles,
            recipe,
            passes=(plan_proof if is_proof else plan_passes)(recipe, *picture.size),
            memory_bytes=payload["memory_bytes"],
        )
        follower = Follower(self, run_id, payload, self._checkpoint_s)
        try:
            resumed = read_checkpoint(follower.place) if follower.place else None
            if resumed:
                self._log(run_id, "INFO", f"goes on {describe_checkpoint(resumed)}")
            painted = follower.follow(begin(resumed=resumed), engine)
        except CheckpointError as error:
            self._log(run_id, "WARNING", f"the checkpoint cannot be used: {error}; begins anew")
            painted = follower.follow(begin(), engine)
        if painted is None:
            return None
        target = self._write(payload, painted, picture, recipe)
        seconds = time.perf_counter() - began
        result = {"ok": True, **account(engine, picture, painted, seconds), **fingerprint(target)}
        if is_proof:
            result["full"] = foretell(engine, picture, recipe, painted, follower.step_s)
        return result

    def _write(self, payload: Message, painted: Painted, picture: Picture, recipe: Recipe) -> Path:
        """Writes the result, and what it was made of within it."""
        engine, target = self._engine, Path(payload["result"])
        assert engine is not None
        note = payload["note"] | {
            "recipe": recipe.model_dump(),
            "weights": {"name": engine.weights_name, "sha256": engine.weights_sha256},
            "version": __version__,
        }
        result_name = str(payload.get("result_name", payload["name"]))
        write = partial(
            write_picture, pixels=painted.pixels, name=result_name, like=picture, note=note
        )
        files.write_whole(target, write, replace=True)
        return target

    def _warm_engine(self, run_id: str) -> Engine:
        if self._engine is None:
            began = time.perf_counter()
            self._engine = Engine(
                self._device,
                self._weights,
                self._engine_folder,
                self._precision,
                self._memory_bytes,
            )
            seconds = time.perf_counter() - began
            self._log(run_id, "INFO", f"network ready on {self._device} after {seconds:.1f} s")
        return self._engine

    def _style(self, entry: Message, max_pixels: int) -> Style:
        """A style image by its hash, decoded once."""
        sha256 = entry["sha256"]
        if sha256 not in self._styles:
            with Path(entry["path"]).open("rb") as file:
                pixels = read_picture(file, entry["name"], max_pixels).pixels
            self._styles = {
                **dict(list(self._styles.items())[-15:]),
                sha256: Style(pixels, 1.0, sha256),
            }
        return Style(self._styles[sha256].pixels, entry["weight"], sha256)

    def _log(self, run_id: str, level: str, text: str) -> None:
        say(self._out, {"event": "log", "run": run_id, "level": level, "text": text})

    def tell(self, message: Message) -> None:
        """Sends an event of a run."""
        say(self._out, message)


class Follower:
    """Follows a painting: tells its moments, keeps checkpoints, and stops it when it is cancelled.

    place: where its checkpoints go, None for none.  step_s: seconds of each step of the pass under
    way.
    """

    def __init__(self, worker: Worker, run_id: str, payload: Message, checkpoint_s: float) -> None:
        self._worker = worker
        self._run_id = run_id
        self.place = Path(payload["checkpoint"]) if payload["checkpoint"] else None
        self._share = TimeShare(checkpoint_s, PARTS_OF_TIME)
        self._preview = Path(payload["preview"]) if payload["preview"] else None
        self._previewer = (
            Previewer(self._preview, lambda text: self._log("WARNING", text))
            if self._preview
            else None
        )
        self.step_s: list[float] = []

    def follow(self, moments: Iterator[Moment], engine: Engine) -> Painted | None:
        """Walks over a painting to its end, which it returns; None if it was cancelled before."""
        for moment in moments:
            match moment:
                case Planned(size, plan):
                    self._announce(size, plan, engine)
                case Stepped():
                    self._report(moment)
                case Resting(make_checkpoint):
                    self._keep(make_checkpoint)
                case Painted():
                    return moment
            if self._cancelled and not isinstance(moment, Stepped):
                return None
        raise ValueError("a painting without an end")

    @property
    def _cancelled(self) -> bool:
        return self._worker.is_cancelled(self._run_id)

    def _announce(self, size: Pass, plan: Plan, engine: Engine) -> None:
        self._log("INFO", describe_plan(size, plan))
        told = {
            "size": f"{size.width_px}x{size.height_px} px",
            "tiles": tiles_of(plan),
            "predicted_bytes": plan.predicted_bytes,
            "held_bytes": memory.held_bytes(engine.device),
            "budget_bytes": plan.budget_bytes,
        }
        self._tell({"event": "plan", "run": self._run_id, "plan": told})

    def _report(self, moment: Stepped) -> None:
        """A message for each step, a log line now and then, and the preview when it is time."""
        step, size = moment.step, moment.passes[moment.pass_number - 1]
        if step.number == 1:
            self.step_s.clear()
        self.step_s.append(step.seconds)
        self._tell(
            {
                "event": "progress",
                "run": self._run_id,
                "pass": moment.pass_number,
                "passes": [asdict(one) for one in moment.passes],
                **step.as_data(),
            }
        )
        if step.number in (1, size.steps) or step.number % max(1, size.steps // 5) == 0:
            self._log("DEBUG", describe_step(moment))
        if self._previewer and self._previewer.offer(moment.picture):
            self._tell({"event": "preview", "run": self._run_id, "path": str(self._preview)})

    def _keep(self, make_checkpoint: Callable[[], Checkpoint]) -> None:
        """Writes a checkpoint if it is time, or the last moment to."""
        if (place := self.place) is None:
            return
        try:
            if self._share.offer(
                lambda: write_checkpoint(place, make_checkpoint()), now=self._cancelled
            ):
                self._log("DEBUG", "checkpoint written")
                self._tell({"event": "checkpoint", "run": self._run_id})
        except OSError as error:  # no harm but a longer way back
            self._log("WARNING", f"no checkpoint: {error.strerror}: {place}")

    def _log(self, level: str, text: str) -> None:
        self._tell({"event": "log", "run": self._run_id, "level": level, "text": text})

    def _tell(self, message: Message) -> None:
        self._worker.tell(message)


def describe_step(moment: Stepped) -> str:
    """A step and its losses, in a line."""
    step, size = moment.step, moment.passes[moment.pass_number - 1]
    losses = " ".join(f"{name} {loss:.5g}" for name, loss in losses_of(step).items())
    return (
        f"pass {moment.pass_number}/{len(moment.passes)} ({size.width_px}x{size.height_px}) "
        f"step {step.number}/{size.steps}: {losses} ({step.seconds:.2f} s)"
    )


def describe(engine: Engine, picture: Picture, recipe: Recipe) -> str:
    """What is about to be done, in a line."""
    width, height = picture.size
    return (
        f"painting {width}x{height} px {picture.format} to size {recipe.size} on {engine.device} "
        f"in {str(engine.dtype).removeprefix('torch.')} ({engine.arithmetic.method}) "
        f"with weights {engine.weights_name}"
    )


def describe_checkpoint(checkpoint: Checkpoint) -> str:
    """Where a run goes on, in words; raises CheckpointError if that is not to be understood."""
    try:
        passes, taken = len(checkpoint.facts["reports"]), checkpoint.facts["course"]["taken"]
    except (KeyError, TypeError) as error:  # written by another version
        raise CheckpointError(f"it is not understood ({error!r})") from error
    return f"after step {taken} of pass {passes + 1}"


def describe_plan(size: Pass, plan: Plan) -> str:
    """How a pass will be computed, in a line."""
    return (
        f"{size.width_px}x{size.height_px} px: {tiles_of(plan)}, history {plan.history}"
        f"{', vectors aside' if plan.aside else ''}, "
        f"{plan.predicted_bytes / 1e9:.2f} GB expected of {plan.budget_bytes / 1e9:.2f} GB"
    )


def tiles_of(plan: Plan) -> str:
    """The tiles of a plan in words."""
    return f"tiles of {plan.tile_px} px" if plan.tile_px else "one tile"


def account(engine: Engine, picture: Picture, painting: Painted, seconds: float) -> Message:
    """What the record says of a run."""
    width, height = picture.size
    passes: list[dict[str, Any]] = [
        {
            "width_px": report.size.width_px,
            "height_px": report.size.height_px,
            "steps": report.last.number,
            "seconds": round(report.seconds, 3),
            "converged": report.converged,
            "plan": asdict(report.plan),
            "loss": losses_of(report.last),
        }
        for report in painting.passes
    ]
    return {
        "width_px": width,
        "height_px": height,
        "weights": {"name": engine.weights_name, "sha256": engine.weights_sha256},
        "device": str(engine.device),
        "dtype": str(engine.dtype).removeprefix("torch."),
        "passes": passes,
        "first_loss": losses_of(painting.passes[0].first),
        "last_loss": losses_of(painting.passes[-1].last),
        "seconds": round(seconds, 3),
        "peak_memory_bytes": memory.peak_bytes(engine.device),
        "warnings": list(painting.warnings),
    }


def foretell(
    engine: Engine, picture: Picture, recipe: Recipe, proof: Painted, step_s: Sequence[float]
) -> Message:
    """The size of a proof's full picture, and its seconds; None if the proof is the full picture.

    step_s: of the steps of the proof's last pass.
    """
    full = engine.foresee(recipe, *picture.size)
    painted = [(report.size, report.last.number) for report in proof.passes]
    is_full = [size for size, _ in full] == [size for size, _ in painted]
    size = full[-1][0]
    seconds = estimate_s(full, recipe, painted, statistics.median(step_s))
    return {
        "width_px": size.width_px,
        "height_px": size.height_px,
        "seconds": None if is_full else round(seconds),
    }


def losses_of(step: Step) -> dict[str, float]:
    """The losses of a step: the total, and each term's by name, without its weight."""
    return {"total": step.total, **step.losses}


def fingerprint(path: Path) -> Message:
    """Hash and size of the result."""
    return {"result_sha256": files.sha256_of(path), "result_bytes": path.stat().st_size}


def listen(worker: Worker, runs: "queue.SimpleQueue[Message]") -> None:
    """Reads requests; the end of the input ends the process, even in the middle of a step."""
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "cancel":
            worker.cancel(request["run"])
        else:
            runs.put(request)
    os._exit(0)


def main() -> None:
    """Runs until the input is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--engine-folder", required=True, type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--memory-bytes", type=int)
    parser.add_argument("--checkpoint-s", type=float, default=60.0)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
        torch.set_num_interop_threads(options.threads)
    out = claim_stdout()
    worker = Worker(
        options.device,
        options.weights,
        options.engine_folder,
        options.precision,
        options.memory_bytes,
        options.checkpoint_s,
        out,
    )
    say(out, {"event": "hello"})
    runs: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(worker, runs), daemon=True).start()
    while True:
        request = runs.get()
        worker.run(request["run"], request["payload"])


if __name__ == "__main__":
    main()
