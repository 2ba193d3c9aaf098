"""A worker without torch: process, wire and files of `daemon.worker.child`, and no painting.

It reads the picture for real, takes steps in a pass or two, and writes a changed picture. Each pass
takes the memory that its plan tells of, so that it can really run out of it. It is loaded in a
quarter of a second, without all that the schedule and the recipe would bring along.
What else is to go wrong is named by files in the folder `$PUPPET_FAULTS`, while they are there:
NO_START, DEVICE_LOST.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL import Image

from daemon import __version__
from daemon.engine.errors import OutOfMemoryError, PictureError
from daemon.engine.pixels import to_levels
from daemon.host import files
from daemon.host.process import Message, claim_stdout, say
from daemon.pictures.read import Picture, read_picture
from daemon.pictures.write import write_picture
from daemon.worker.requests import serve
from daemon.worker.timeshare import TimeShare

STEP_S = 0.05
"""A small picture's step in the real worker, about."""
PREVIEW_S = 0.5
FIRST_PX, TWO_PASSES_PX, PROOF_PX, PROOF_STEPS = 128, 182, 512, 30
EFFORT_STEPS = 40
BYTES_PER_PIXEL = 2048
SPENT = 3
NO_START, DEVICE_LOST = "no start", "device lost"


def is_faulty(fault: str) -> bool:
    """Whether a test wants this to go wrong now."""
    folder = os.environ.get("PUPPET_FAULTS")
    return folder is not None and (Path(folder) / fault).exists()


JUDGE = {
    "change": 0.2,
    "noise": 0.5,
    "colour_noise": 0.5,
    "photo_noise": 0.5,
    "photo_colour_noise": 0.5,
    "deviation": 0.2,
    "least_deviation": 0.2,
    "fall": 0.5,
    "finite": True,
}
"""The figures of every painting."""


@dataclass(frozen=True)
class Pass:
    """One size of the schedule and the steps taken there."""

    width_px: int
    height_px: int
    steps: int


class DeviceLostError(Exception):
    """The device failed, as a test has asked for."""


class PuppetWorker:
    """Answers one run after the other as the real worker does. `cancel` comes from its listener."""

    def __init__(self, device: str, weights: str, checkpoint_s: float, out: TextIO) -> None:
        self._device = device
        self._weights = {"name": weights, "sha256": "0" * 64}
        self._checkpoint_s = checkpoint_s
        self._out = out
        self._is_warm = False
        self._cancelled: set[str] = set()

    def cancel(self, run_id: str) -> None:
        """Makes a run stop after its step."""
        self._cancelled.add(run_id)

    def run(self, run_id: str, payload: Message) -> None:
        """One run, whatever comes of it; ends the process if that is of no more use."""
        spent = False
        try:
            answer = self._paint(run_id, payload)
        except (MemoryError, OutOfMemoryError) as error:
            spent, answer = True, {"event": "short", "reason": str(error) or "not enough memory"}
        except DeviceLostError as error:
            spent, answer = True, refusal("device", str(error))
        except PictureError as error:
            answer = refusal("input", str(error))
        except OSError as error:
            answer = refusal("surroundings", f"{error.strerror}: {error.filename}")
        self._cancelled.discard(run_id)
        say(self._out, {"run": run_id, "spent": spent, **answer})
        if spent:
            os._exit(SPENT)

    def _paint(self, run_id: str, payload: Message) -> Message:
        began_s = time.perf_counter()
        if not self._is_warm:
            self._is_warm = True
            self._log(run_id, "INFO", f"network ready on {self._device} after 0.0 s")
        if is_faulty(DEVICE_LOST):
            raise DeviceLostError("the device failed: CUDA error: unspecified launch failure")
        recipe = payload["recipe"]
        picture = self._read(payload["picture"], payload["name"], payload)
        styles = [self._read(one["path"], one["name"], payload) for one in payload["styles"]]
        width, height = picture.size
        self._log(
            run_id,
            "INFO",
            f"painting {width}x{height} px {picture.format} to size {recipe['size']} on "
            f"{self._device} in float32 (direct) with weights {self._weights['name']}",
        )
        is_proof = payload.get("proof", False)
        full = plan_passes(recipe["size"], recipe["steps"] or EFFORT_STEPS, width, height)
        passes = proof_of(full, width, height) if is_proof else full
        painting = Painting(self, run_id, payload, passes, self._checkpoint_s)
        if not painting.finish(lambda: run_id in self._cancelled):
            return {"event": "cancelled"}
        result = self._account(painting, picture, time.perf_counter() - began_s)
        result |= self._write(payload, picture, styles, passes[-1])
        if is_proof:
            result["full"] = foretell(full, passes)
        return {"event": "ended", "result": result}

    def _read(self, path: str, name: str, payload: Message) -> Picture:
        with Path(path).open("rb") as file:
            return read_picture(file, files.printable(name), payload["max_pixels"])

    def _write(
        self, payload: Message, picture: Picture, styles: list[Picture], last: Pass
    ) -> Message:
        """Writes the picture under the style images; hash and size of the file."""
        size = last.width_px, last.height_px
        image = Image.fromarray(to_levels(picture.pixels)).resize(size)
        for style in styles:
            image = Image.blend(image, Image.fromarray(to_levels(style.pixels)).resize(size), 0.5)
        name = str(payload.get("result_name", payload["name"]))
        note = payload["note"] | {
            "recipe": payload["recipe"],
            "weights": self._weights,
            "version": __version__,
        }
        target, pixels = Path(payload["result"]), np.asarray(image)
        files.write_whole(
            target,
            partial(write_picture, pixels=pixels, name=name, like=picture, note=note),
            replace=True,
        )
        return {"result_sha256": files.sha256_of(target), "result_bytes": target.stat().st_size}

    def _account(self, painting: "Painting", picture: Picture, seconds: float) -> Message:
        return {
            "ok": True,
            "width_px": picture.size[0],
            "height_px": picture.size[1],
            "weights": self._weights,
            "device": self._device,
            "dtype": "float32",
            "passes": [painting.report(number) for number in range(len(painting.passes))],
            "first_loss": losses(1),
            "last_loss": losses(painting.passes[-1].steps),
            "seconds": round(seconds, 3),
            "peak_memory_bytes": painting.plan(painting.passes[-1])["predicted_bytes"],
            "warnings": [],
            "judge": JUDGE,
            "threads": [{"threads": 1, "from_pass": 1, "from_step": 1}],
        }

    def _log(self, run_id: str, level: str, text: str) -> None:
        self.tell({"event": "log", "run": run_id, "level": level, "text": text})

    def tell(self, message: Message) -> None:
        """Sends an event of a run."""
        say(self._out, message)


class Painting:
    """The passes and steps of one run, and what it leaves behind when it is stopped."""

    def __init__(
        self,
        worker: PuppetWorker,
        run_id: str,
        payload: Message,
        passes: list[Pass],
        checkpoint_s: float,
    ) -> None:
        self._worker = worker
        self._run_id = run_id
        self._checkpoint = Path(payload["checkpoint"]) if payload["checkpoint"] else None
        self._preview = Path(payload["preview"]) if payload["preview"] else None
        self._budget_bytes = payload["memory_bytes"] or 1 << 30
        self._checkpoints = TimeShare(checkpoint_s, 20)
        self._previews = TimeShare(PREVIEW_S, 100)
        self._held: list[bytearray] = []
        self.passes = passes

    def finish(self, is_cancelled: Callable[[], bool]) -> bool:
        """Takes the steps that are left to be taken; False if it was cancelled before the last."""
        for number, step in self._steps_left():
            if step == 1 or not self._held:
                self._begin_pass(self.passes[number])
            time.sleep(STEP_S)
            self._report_step(number, step)
            self._keep(number, step, now=is_cancelled())
            if is_cancelled():
                return False
        return True

    def _steps_left(self) -> Iterator[tuple[int, int]]:
        """Each step to be taken: the number of its pass from 0, its own from 1."""
        first, taken = self._where_it_stands()
        for number in range(first, len(self.passes)):
            for step in range(taken + 1 if number == first else 1, self.passes[number].steps + 1):
                yield number, step

    def _where_it_stands(self) -> tuple[int, int]:
        """The pass that its checkpoint is of, from 0, and the steps taken there."""
        sizes = [[size.width_px, size.height_px, size.steps] for size in self.passes]
        try:
            if self._checkpoint is None or not self._checkpoint.exists():
                return 0, 0
            kept = json.loads(self._checkpoint.read_bytes())
            if kept["sizes"] != sizes:
                raise ValueError("it is of another painting")
        except (ValueError, KeyError, TypeError) as error:
            text = f"the checkpoint cannot be used: {error}; begins anew"
            self._log("WARNING", text)
            return 0, 0
        number, taken = kept["pass"], kept["taken"]
        self._log("INFO", f"goes on after step {taken} of pass {number + 1}")
        return number, taken

    def _begin_pass(self, size: Pass) -> None:
        """Tells the plan, and takes the memory that it says."""
        plan = self.plan(size)
        width, height = size.width_px, size.height_px
        expected, budget = plan["predicted_bytes"] / 1e9, plan["budget_bytes"] / 1e9
        self._log(
            "INFO",
            f"{width}x{height} px: one tile, history 20, {expected:.2f} GB expected of "
            f"{budget:.2f} GB",
        )
        told = {"size": f"{width}x{height} px", "tiles": "one tile", "held_bytes": 0, **plan}
        self._tell(event="plan", plan=told)
        # Not zeros, which cost nothing before they are written to.
        self._held.append(bytearray(b"\1") * plan["predicted_bytes"])

    def plan(self, size: Pass) -> dict[str, int]:
        """What a pass is going to take, and might."""
        wanted = size.width_px * size.height_px * BYTES_PER_PIXEL
        return {
            "predicted_bytes": min(wanted, self._budget_bytes),
            "budget_bytes": self._budget_bytes,
        }

    def report(self, number: int) -> dict[str, Any]:
        """A pass as records tell of it."""
        size = self.passes[number]
        return {
            "width_px": size.width_px,
            "height_px": size.height_px,
            "steps": size.steps,
            "seconds": round(size.steps * STEP_S, 3),
            "converged": False,
            "plan": {"tile_px": None, "history": 20, "aside": False, **self.plan(size)},
            "loss": losses(size.steps),
        }

    def _report_step(self, number: int, step: int) -> None:
        """A message for each step, a line of the log now and then, a preview when it is time."""
        size, shown = self.passes[number], losses(step)
        passes = [asdict(one) for one in self.passes]
        where = {"pass": number + 1, "passes": passes, "number": step, "seconds": STEP_S}
        self._tell(event="progress", **where, **shown)
        if step in (1, size.steps) or step % max(1, size.steps // 5) == 0:
            told = " ".join(f"{name} {loss:.5g}" for name, loss in shown.items())
            self._log(
                "DEBUG",
                f"pass {number + 1}/{len(passes)} ({size.width_px}x{size.height_px}) "
                f"step {step}/{size.steps}: {told} ({STEP_S:.2f} s)",
            )
        if self._preview is not None:
            preview, image = self._preview, Image.new("RGB", (size.width_px, size.height_px))
            if self._previews.offer(
                lambda: files.write_whole(
                    preview, lambda file: image.save(file, "JPEG"), replace=True
                )
            ):
                self._tell(event="preview", path=str(preview))

    def _keep(self, number: int, step: int, *, now: bool) -> None:
        """Writes a checkpoint if it is time, or the last moment to."""
        if (place := self._checkpoint) is None:
            return
        sizes = [[size.width_px, size.height_px, size.steps] for size in self.passes]
        kept = json.dumps({"sizes": sizes, "pass": number, "taken": step}).encode()
        try:
            if self._checkpoints.offer(
                lambda: files.write_whole(place, lambda file: file.write(kept), replace=True),
                now=now,
            ):
                self._log("DEBUG", "checkpoint written")
                self._tell(event="checkpoint")
        except OSError as error:
            self._log("WARNING", f"no checkpoint: {error.strerror}: {place}")

    def _log(self, level: str, text: str) -> None:
        self._tell(event="log", level=level, text=text)

    def _tell(self, **message: Any) -> None:
        self._worker.tell({"run": self._run_id, **message})


def losses(step: int) -> dict[str, float]:
    """Losses that fall from step to step."""
    content, style = 1.0 - 1.0 / (step + 1), 100.0 / step
    return {"total": content + style, "content": content, "style": style}


def plan_passes(size: int | str, steps: int, width: int, height: int) -> list[Pass]:
    """One pass, or a small one before it where the picture is larger."""
    longest = max(width, height) if size == "original" else int(size)
    sizes = [FIRST_PX, longest] if longest >= TWO_PASSES_PX else [longest]
    return [
        Pass(*(max(1, round(side * px / max(width, height))) for side in (width, height)), steps)
        for px in sizes
    ]


def proof_of(full: list[Pass], width: int, height: int) -> list[Pass]:
    """The passes of a proof, which are the full picture's if that is no larger."""
    if max(full[-1].width_px, full[-1].height_px) < PROOF_PX:
        return full
    return plan_passes(PROOF_PX, min(full[-1].steps, PROOF_STEPS), width, height)


def foretell(full: list[Pass], proof: list[Pass]) -> Message:
    """The size of a proof's full picture, and its seconds; None if it is the full picture."""
    seconds = None if full == proof else round(STEP_S * sum(size.steps for size in full))
    return {"width_px": full[-1].width_px, "height_px": full[-1].height_px, "seconds": seconds}


def refusal(kind: str, reason: str) -> Message:
    """The end of a run that failed."""
    return {"event": "ended", "result": {"ok": False, "kind": kind, "reason": reason}}


def main() -> None:
    """Runs until the input is closed."""
    settings = json.loads(sys.argv[-1])
    if is_faulty(NO_START):
        sys.exit("no start, as a test has asked for")
    out = claim_stdout()
    worker = PuppetWorker(settings["device"], settings["weights"], settings["checkpoint_s"], out)
    say(out, {"event": "hello"})
    serve(worker.run, worker.cancel)


if __name__ == "__main__":
    main()
