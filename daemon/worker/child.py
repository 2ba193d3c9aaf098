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
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import torch

from daemon import __version__, files
from daemon.engine import memory
from daemon.engine.errors import (
    CheckpointError,
    DeviceError,
    DivergedError,
    EngineError,
    OutOfMemoryError,
    PictureError,
    Stopped,
    WeightsError,
)
from daemon.engine.estimate import estimate_s
from daemon.engine.picture import Picture, read_picture, write_picture
from daemon.engine.plan import Plan
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass, plan_passes, plan_proof
from daemon.engine.stylize import Checkpoint, Engine, Painting, Progress, Style, device_error
from daemon.engine.trial import Precision
from daemon.process import Message, claim_stdout, say
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

    def run(self, run_id: str, payload: Message) -> None:
        """One run, whatever comes of it: everything ends as a message."""
        spent = False
        try:
            said: Message = {"event": "ended", "result": self._paint(run_id, payload)}
        except Stopped:
            said = {"event": "cancelled"}
        except Exception as failure:
            error = device_error(failure) or failure
            short = isinstance(error, OutOfMemoryError) or memory.ran_out(error)
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

    def _paint(self, run_id: str, payload: Message) -> Message:
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
        passes = (plan_proof if is_proof else plan_passes)(recipe, *picture.image.size)
        reporter = Reporter(self, run_id)
        previewer = (
            Previewer(Path(payload["preview"]), lambda text: self._log(run_id, "WARNING", text))
            if payload["preview"]
            else None
        )

        def report(progress: Progress) -> None:
            reporter.report(progress)
            if previewer and previewer.offer(progress.picture):
                self.tell({"event": "preview", "run": run_id, "path": payload["preview"]})

        place = Path(payload["checkpoint"]) if payload["checkpoint"] else None
        share = TimeShare(self._checkpoint_s, PARTS_OF_TIME)

        def keep(make: Callable[[], Checkpoint]) -> None:
            if place is None:
                return
            try:
                if share.offer(
                    lambda: write_checkpoint(place, make()), now=run_id in self._cancelled
                ):
                    self._log(run_id, "DEBUG", "checkpoint written")
                    self.tell({"event": "checkpoint", "run": run_id})
            except OSError as error:  # no harm but a longer way back
                self._log(run_id, "WARNING", f"no checkpoint: {error.strerror}: {place}")

        def announce(size: Pass, plan: Plan) -> None:
            self._log(run_id, "INFO", describe_plan(size, plan))
            told = {
                "size": f"{size.width_px}x{size.height_px} px",
                "tiles": tiles_of(plan),
                "predicted_bytes": plan.predicted_bytes,
                "held_bytes": memory.held_bytes(engine.device),
                "budget_bytes": plan.budget_bytes,
            }
            self.tell({"event": "plan", "run": run_id, "plan": told})

        def paint(resumed: Checkpoint | None) -> Painting:
            return engine.stylize(
                picture.image,
                styles,
                recipe,
                passes=passes,
                on_progress=report,
                on_plan=announce,
                on_burst=keep,
                should_stop=lambda: run_id in self._cancelled,
                resumed=resumed,
                memory_bytes=payload["memory_bytes"],
            )

        try:
            resumed = read_checkpoint(place) if place else None
            if resumed:
                self._log(run_id, "INFO", f"goes on {describe_checkpoint(resumed)}")
            painting = paint(resumed)
        except CheckpointError as error:
            self._log(run_id, "WARNING", f"the checkpoint cannot be used: {error}; begins anew")
            painting = paint(None)
        note = payload["note"] | {
            "recipe": recipe.model_dump(),
            "weights": {"name": engine.weights_name, "sha256": engine.weights_sha256},
            "version": __version__,
        }
        target = Path(payload["result"])
        result_name = str(payload.get("result_name", payload["name"]))
        files.write_whole(
            target,
            lambda file: write_picture(
                file, painting.image, name=result_name, like=picture, note=note
            ),
            replace=True,
        )
        seconds = time.perf_counter() - began
        result = {"ok": True, **account(engine, picture, painting, seconds), **fingerprint(target)}
        if is_proof:
            result["full"] = foretell(engine, picture, recipe, painting, reporter.step_s)
        return result

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
                image = read_picture(file, entry["name"], max_pixels).image
            self._styles = {
                **dict(list(self._styles.items())[-15:]),
                sha256: Style(image, 1.0, sha256),
            }
        return Style(self._styles[sha256].image, entry["weight"], sha256)

    def _log(self, run_id: str, level: str, text: str) -> None:
        say(self._out, {"event": "log", "run": run_id, "level": level, "text": text})

    def tell(self, message: Message) -> None:
        """Sends an event of a run."""
        say(self._out, message)


class Reporter:
    """Turns the engine's records into messages: a log line now and then, progress always."""

    def __init__(self, worker: Worker, run_id: str) -> None:
        self._worker = worker
        self._run_id = run_id
        self.step_s: list[float] = []  # of the pass under way

    def report(self, progress: Progress) -> None:
        step, size = progress.step, progress.passes[progress.pass_number - 1]
        if step.number == 1:
            self.step_s.clear()
        self.step_s.append(step.seconds)
        message: Message = {
            "event": "progress",
            "run": self._run_id,
            "pass": progress.pass_number,
            "passes": [asdict(one) for one in progress.passes],
            **asdict(step),
        }
        self._worker.tell(message)
        if step.number in (1, size.steps) or step.number % max(1, size.steps // 5) == 0:
            text = (
                f"pass {progress.pass_number}/{len(progress.passes)} "
                f"({size.width_px}x{size.height_px}) step {step.number}/{size.steps}: "
                f"total {step.total:.5g} content {step.content:.5g} style {step.style:.5g} "
                f"({step.seconds:.2f} s)"
            )
            self._worker.tell({"event": "log", "run": self._run_id, "level": "DEBUG", "text": text})


def describe(engine: Engine, picture: Picture, recipe: Recipe) -> str:
    """What is about to be done, in a line."""
    width, height = picture.image.size
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


def account(engine: Engine, picture: Picture, painting: Painting, seconds: float) -> Message:
    """What the record says of a run."""
    width, height = picture.image.size
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
    engine: Engine, picture: Picture, recipe: Recipe, proof: Painting, step_s: Sequence[float]
) -> Message:
    """The size of a proof's full picture, and its seconds; None if the proof is the full picture.

    step_s: of the steps of the proof's last pass.
    """
    full = engine.foresee(recipe, *picture.image.size)
    painted = [(report.size, report.last.number) for report in proof.passes]
    is_full = [size for size, _ in full] == [size for size, _ in painted]
    size = full[-1][0]
    seconds = estimate_s(full, recipe, painted, statistics.median(step_s))
    return {
        "width_px": size.width_px,
        "height_px": size.height_px,
        "seconds": None if is_full else round(seconds),
    }


def losses_of(step: Any) -> dict[str, float]:
    """The three losses of a step."""
    return {"total": step.total, "content": step.content, "style": step.style}


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
