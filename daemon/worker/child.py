"""The worker: a process of its own that keeps the engine warm and paints one job at a time.

Speaks JSON lines. To it: {do: run, run, payload} and {do: cancel, run}. From it: {event:
progress | checkpoint | log, run, ...} and at the end {event: ended, run, result} or {event:
cancelled, run}.
A closed input ends it, so that it never outlives its service.
"""

import argparse
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
from daemon.engine.stylize import Checkpoint, Engine, Painting, Progress, Style
from daemon.engine.trial import Precision
from daemon.process import Message, claim_stdout, say
from daemon.worker.checkpoint import Keeper, read_checkpoint

KINDS: list[tuple[type[EngineError], str]] = [
    (PictureError, "input"),
    (DivergedError, "input"),
    (OutOfMemoryError, "memory"),
    (DeviceError, "surroundings"),
    (WeightsError, "surroundings"),
]
"""What an engine's error means to the service: whose fault it is."""


DEVICE_LOST = 3
"""Exit code of a child whose device failed."""


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
        try:
            result = self._paint(run_id, payload)
        except Stopped:
            say(self._out, {"event": "cancelled", "run": run_id})
            return
        except EngineError as error:
            kind = next((kind for cls, kind in KINDS if isinstance(error, cls)), "bug")
            lost = isinstance(error, DeviceError)
            result = {"ok": False, "kind": kind, "reason": str(error), "device_lost": lost}
        except FileNotFoundError as error:
            reason = (
                f"{files.printable(str(error.filename))} is gone from the state folder. Drop the "
                "picture again"
            )
            result = {"ok": False, "kind": "input", "reason": reason}
        except OSError as error:
            reason = f"{error.strerror}: {files.printable(str(error.filename or ''))}"
            result = {"ok": False, "kind": "surroundings", "reason": reason}
        except Exception as error:
            self._log(run_id, "ERROR", traceback.format_exc())
            reason = f"{type(error).__name__}: {error}. This is a fault of atelierd; the log beside"
            result = {"ok": False, "kind": "bug", "reason": f"{reason} this file says where"}
        finally:
            self._cancelled.discard(run_id)
            memory.give_back()
        say(self._out, {"event": "ended", "run": run_id, "result": result})
        if result.get("device_lost"):
            os._exit(DEVICE_LOST)  # what is left of it is of no use; the next run starts afresh

    def _paint(self, run_id: str, payload: Message) -> Message:
        began = time.perf_counter()
        engine = self._warm_engine(run_id)
        memory.reset_peak(engine.device)
        recipe = Recipe(**payload["recipe"])
        with Path(payload["picture"]).open("rb") as file:
            picture = read_picture(file, payload["name"], payload["max_pixels"])
        styles = [self._style(entry, payload["max_pixels"]) for entry in payload["styles"]]
        self._log(run_id, "INFO", describe(engine, picture, recipe))
        is_proof = payload.get("proof", False)
        passes = (plan_proof if is_proof else plan_passes)(recipe, *picture.image.size)
        reporter = Reporter(self, run_id)
        place = Path(payload["checkpoint"]) if payload["checkpoint"] else None
        keeper = Keeper(place, self._checkpoint_s) if place else None

        def keep(make: Callable[[], Checkpoint]) -> None:
            try:
                if keeper and keeper.offer(make, now=run_id in self._cancelled):
                    self._log(run_id, "DEBUG", "checkpoint written")
                    self.tell({"event": "checkpoint", "run": run_id})
            except OSError as error:  # no harm but a longer way back
                self._log(run_id, "WARNING", f"no checkpoint: {error.strerror}: {place}")

        def paint(resumed: Checkpoint | None) -> Painting:
            return engine.stylize(
                picture.image,
                styles,
                recipe,
                passes=passes,
                on_progress=reporter.report,
                on_plan=lambda size, plan: self._log(run_id, "INFO", describe_plan(size, plan)),
                on_burst=keep,
                should_stop=lambda: run_id in self._cancelled,
                resumed=resumed,
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
        files.write_whole(
            target,
            lambda file: write_picture(
                file, painting.image, name=payload["name"], like=picture, note=note
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
    """Where a run goes on, in words."""
    passes, taken = len(checkpoint.facts["reports"]), checkpoint.facts["course"]["taken"]
    return f"after step {taken} of pass {passes + 1}"


def describe_plan(size: Pass, plan: Plan) -> str:
    """How a pass will be computed, in a line."""
    tiles = f"tiles of {plan.tile_px} px" if plan.tile_px else "one tile"
    return (
        f"{size.width_px}x{size.height_px} px: {tiles}, history {plan.history}, "
        f"{plan.predicted_bytes / 1e9:.2f} GB expected of {plan.budget_bytes / 1e9:.2f} GB"
    )


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
    options = parser.parse_args()
    worker = Worker(
        options.device,
        options.weights,
        options.engine_folder,
        options.precision,
        options.memory_bytes,
        options.checkpoint_s,
        claim_stdout(),
    )
    runs: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(worker, runs), daemon=True).start()
    while True:
        request = runs.get()
        worker.run(request["run"], request["payload"])


if __name__ == "__main__":
    main()
