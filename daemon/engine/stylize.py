"""The way in: a picture, style images and a recipe become a painted picture."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from daemon.engine import memory, objective
from daemon.engine.errors import (
    CheckpointError,
    DeviceError,
    DivergedError,
    EngineError,
    OutOfMemoryError,
)
from daemon.engine.grams import Grams, GramStore
from daemon.engine.kernels import load_kernels
from daemon.engine.network import Network
from daemon.engine.objective import Objective, Targets
from daemon.engine.optimise import (
    LEAST_PROGRESS,
    Course,
    Minimum,
    Step,
    make_optimiser,
    minimise,
)
from daemon.engine.plan import Plan, make_plan
from daemon.engine.recipe import MIN_SIDE_PX, Recipe, layers_of
from daemon.engine.recorded import recorded
from daemon.engine.schedule import Pass, fit, plan_passes
from daemon.engine.scratch import Scratch
from daemon.engine.tiles import aligned, cut
from daemon.engine.trial import Precision, choose_arithmetic

COARSE_PROGRESS = 0.05
"""Measured: what a smaller pass gains below this, the next one gains in a few steps anyway."""

CHECKPOINT_FORMAT = 2

SHORTAGE = "this size needs about"

CUDA_BURST = 10
"""Steps between two looks at the losses."""


@dataclass(frozen=True)
class Style:
    """A style image (upright, RGB), its weight among the styles, the hash of its file."""

    image: Image.Image
    weight: float
    sha256: str


@dataclass(frozen=True)
class Progress:
    """One step, and where it stands in the schedule; passes count from 1.

    picture: (1, 3, H, W), what the step's losses are of; only lent, so copy what is to be kept.
    """

    pass_number: int
    passes: tuple[Pass, ...]
    step: Step
    picture: Tensor


@dataclass(frozen=True)
class PassReport:
    """What one pass came to; `converged` if it ended before its last step."""

    size: Pass
    plan: Plan
    seconds: float
    first: Step
    last: Step
    converged: bool


@dataclass(frozen=True)
class Painting:
    """A painted picture, RGB in 8 bits, and how it came about."""

    image: Image.Image
    passes: tuple[PassReport, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A painting on its way, to go on from in another process: tensors and plain data.

    facts: the `identity` of the painting, the pass's `plan` and the `seconds` spent in it,
    `reports` of the passes before it, `warnings`, and the `course` of the optimisation.
    release: to be called after reading a tensor, which may be large and lie in a file.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    release: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Stage:
    """One pass as it is to be computed, from the result of the pass before or from a checkpoint."""

    size: Pass
    plan: Plan
    is_last: bool
    before: Tensor | None
    resumed: Checkpoint | None


class Engine:
    """A network on one device that stays warm from picture to picture.

    device: a torch device such as `cpu` or `cuda:0`.  weights: `classic` or `torchvision`.
    folder: what the engine keeps: fetched weights, timings, Gram matrices.  precision: `auto`
    takes the fastest arithmetic of this machine.  memory_bytes: what the process (on CUDA: on the
    device) may take; None: what it has and four fifths of what is free when a pass begins.
    Raises WeightsError or DeviceError when made.
    """

    def __init__(
        self,
        device: str,
        weights: str,
        folder: Path,
        precision: Precision = "auto",
        memory_bytes: int | None = None,
    ) -> None:
        self._memory_bytes = memory_bytes
        self.device = usable_device(device)
        self.arithmetic = choose_arithmetic(self.device, precision, folder)
        self.dtype = self.arithmetic.dtype
        self._way = f"{self.device.type} {self.arithmetic}"
        loaded = load_kernels(weights, folder)
        self.weights_name = loaded.name
        self.weights_sha256 = loaded.sha256
        self._network = Network(loaded, self.device, self.dtype, self.arithmetic.method)
        self._folder = folder
        self._grams = GramStore(folder / "grams")

    def stylize(
        self,
        picture: Image.Image,
        styles: Sequence[Style],
        recipe: Recipe,
        *,
        passes: Sequence[Pass] = (),
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_plan: Callable[[Pass, Plan], None] = lambda size, plan: None,
        on_burst: Callable[[Callable[[], Checkpoint]], None] = lambda make: None,
        should_stop: Callable[[], bool] = lambda: False,
        resumed: Checkpoint | None = None,
        memory_bytes: int | None = None,
    ) -> Painting:
        """Paints `picture` (RGB) after `styles` as `recipe` says.

        The same arguments and plans give the same pixels on the same CPU, whether it was resumed
        or not. passes: in place of the recipe's own, such as a proof's.  on_burst: called between
        steps with what makes a checkpoint, valid in the call only.  resumed: a checkpoint of the
        same arguments; raises CheckpointError if it is not.  memory_bytes: what this painting may
        take, where that is less than the engine's own. Raises PictureError if the picture is too
        narrow to be painted, OutOfMemoryError, or Stopped.
        """
        passes = tuple(passes or plan_passes(recipe, *picture.size))
        identity = self._identity(picture, styles, recipe, passes)
        reports, warnings, earlier = standing(resumed, identity)
        current: Tensor | None = None
        for number, size in enumerate(passes[len(reports) :], start=len(reports) + 1):

            def report(step: Step, picture: Tensor, number: int = number) -> None:
                on_progress(Progress(number, passes, step, picture))

            began = time.perf_counter()
            brought = earlier.plan.history if earlier else None
            plan = self._plan(recipe, size, memory_bytes, brought)
            if earlier:
                plan = earlier.still_good(plan)
                began -= earlier.seconds
                earlier = None
            on_plan(size, plan)
            begins = f"pass {number}: {SHORTAGE}"
            if not plan.fits and not any(one.startswith(begins) for one in warnings):
                warnings.append(f"pass {number}: {shortage(plan)}")  # a checkpoint brings its own
            stage = Stage(size, plan, size == passes[-1], current, resumed)
            resumed = None

            def keep(course: Course, plan: Plan = plan, began: float = began) -> None:
                on_burst(partial(checkpoint_of, identity, course, plan, began, reports, warnings))

            with in_our_words(size):
                found = self._paint(picture, styles, recipe, stage, report, keep, should_stop)
            if not math.isfinite(found.best.total):
                raise DivergedError(
                    "the loss was not a finite number at any step; alpha, beta, tv and the "
                    "layers' weights are too large, or too far apart"
                )
            current = found.picture
            warnings.extend(f"pass {number}: {text}" for text in found.warnings)
            seconds = time.perf_counter() - began
            reports.append(
                PassReport(size, plan, seconds, found.first, found.last, found.converged)
            )
        if current is None:
            raise ValueError("a schedule has at least one pass")
        with in_our_words(passes[-1]):
            return Painting(to_image(current), tuple(reports), tuple(warnings))

    def _paint(
        self,
        picture: Image.Image,
        styles: Sequence[Style],
        recipe: Recipe,
        stage: Stage,
        on_step: Callable[[Step, Tensor], None],
        on_burst: Callable[[Course], None],
        should_stop: Callable[[], bool],
    ) -> Minimum:
        """One pass."""
        size, plan = stage.size, stage.plan
        scratch = Scratch(self.device, self._folder if plan.aside else None)
        grams = objective.mix_grams(
            [(self._style_grams(style, recipe, size, plan), style.weight) for style in styles]
        )
        tiling = cut(size.height_px, size.width_px, plan.tile_px, layers_of(recipe))
        content = self._tensor(resize(picture, size.width_px, size.height_px))
        kept = objective.content_targets(self._network, content, recipe, tiling, scratch)
        if stage.before is None:
            start = self._start(content, styles, recipe)
        else:
            smaller = resize(picture, stage.before.shape[3], stage.before.shape[2])
            start = refine(stage.before, self._tensor(smaller), content)
        del content
        memory.give_back()  # what making all that took, Pillow's large pictures among it
        aim = Objective(self._network, recipe, Targets(kept, grams), tiling, scratch)
        evaluate, warning = (
            recorded(aim.evaluate, start) if not plan.aside else (aim.evaluate, None)
        )
        optimiser = make_optimiser(recipe.optimizer, start.shape, scratch, plan.history)
        course = Course(start, optimiser, scratch)
        if stage.resumed:
            try:
                course.resume(stage.resumed.tensors, stage.resumed.facts["course"])
            except (KeyError, TypeError, RuntimeError) as error:
                if memory.ran_out(error):
                    raise
                raise CheckpointError(f"it belongs to another painting ({error})") from error
        found = minimise(
            evaluate,
            course,
            steps=size.steps,
            on_step=on_step,
            should_stop=should_stop,
            on_burst=lambda: on_burst(course),
            burst=CUDA_BURST if self.device.type == "cuda" else 1,
            least_progress=LEAST_PROGRESS if stage.is_last else COARSE_PROGRESS,
        )
        return replace(found, warnings=(warning, *found.warnings)) if warning else found

    def _identity(
        self,
        picture: Image.Image,
        styles: Sequence[Style],
        recipe: Recipe,
        passes: Sequence[Pass],
    ) -> dict[str, Any]:
        """What a checkpoint's painting must have been made of to go on with it."""
        return {
            "format": CHECKPOINT_FORMAT,
            "arithmetic": self._way,
            "weights": self.weights_sha256,
            "size": list(picture.size),
            "styles": [[style.sha256, style.weight] for style in styles],
            "recipe": recipe.model_dump(mode="json"),
            "passes": [asdict(one) for one in passes],
        }

    def foresee(self, recipe: Recipe, width_px: int, height_px: int) -> list[tuple[Pass, Plan]]:
        """The passes of a picture of that size, and how each would fit into today's memory."""
        passes = plan_passes(recipe, width_px, height_px)
        return [(size, self._plan(recipe, size)) for size in passes]

    def _plan(
        self,
        recipe: Recipe,
        size: Pass,
        memory_bytes: int | None = None,
        history: int | None = None,
    ) -> Plan:
        """How a pass fits into the memory there is now; history: the pairs it brings already."""
        memory.give_back()
        coming = self._network.coming_bytes(layers_of(recipe))
        budget = memory.budget_bytes(self.device, self._memory_bytes)
        return make_plan(
            size.height_px,
            size.width_px,
            recipe,
            value_bytes=self.dtype.itemsize,
            held_bytes=memory.held_bytes(self.device) + coming,
            budget_bytes=budget if memory_bytes is None else min(budget, memory_bytes),
            aside_bytes=memory.aside_bytes(self.device, self._folder),
            history=history,
            recorded=self.device.type == "cuda",
        )

    def _start(self, content: Tensor, styles: Sequence[Style], recipe: Recipe) -> Tensor:
        """What the first pass starts from, (1, 3, H, W); may be `content` itself."""
        match recipe.init:
            case "content":
                return content
            case "noise":
                generator = torch.Generator().manual_seed(recipe.seed)
                return torch.rand(content.shape, generator=generator).to(self.device)
            case "style":
                height, width = content.shape[-2:]
                cover = ImageOps.fit(styles[0].image, (width, height), Image.Resampling.LANCZOS)
                return self._tensor(cover)

    def _style_grams(self, style: Style, recipe: Recipe, size: Pass, plan: Plan) -> Grams:
        """Gram matrices of a style image at the scale of this pass, computed once."""
        longest = round(max(size.width_px, size.height_px) * recipe.style_scale)
        width, height = fit(*style.image.size, longest)
        width, height = max(width, MIN_SIDE_PX), max(height, MIN_SIDE_PX)
        # Not more at once than the plan, which is for the picture, has room for.
        room = plan.tile_px or aligned(math.isqrt(2 * size.width_px * size.height_px))
        side = room if max(width, height) > room else None
        key = {
            "weights": self.weights_sha256,
            "style": style.sha256,
            "size": [width, height],
            "layers": sorted(recipe.style_layers),
            "pooling": recipe.pooling,
            "arithmetic": self._way,
            "tile_px": side,  # sums in another order are other numbers
        }

        def compute() -> Grams:
            tensor = self._tensor(resize(style.image, width, height))
            tiling = cut(height, width, side, recipe.style_layers)
            return objective.gram_targets(self._network, tensor, recipe, tiling)

        found = self._grams.get(key, compute)
        return {layer: gram.to(self.device) for layer, gram in found.items()}

    def _tensor(self, image: Image.Image) -> Tensor:
        """(1, 3, H, W) float32 in 0..1 on the engine's device."""
        values = torch.from_numpy(np.array(image))  # (H, W, 3)
        if self.device.type == "cuda":
            values = values.pin_memory()
        values = values.to(self.device, non_blocking=True)
        picture = torch.empty(1, *values.permute(2, 0, 1).shape, device=self.device)
        return picture.copy_(values.permute(2, 0, 1)).div_(255.0)


def usable_device(name: str) -> torch.device:
    """The torch device of that name; raises DeviceError if it is not there."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"there is no kind of device called {name!r}: use cpu, cuda or cuda:N"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name} is not there: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA device(s); check nvidia-smi and the driver"
        )
    return device


@contextlib.contextmanager
def in_our_words(size: Pass) -> Iterator[None]:
    """Raises what the libraries say of memory or device as the engine's own errors."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        translation = translated(error, size)
        if translation is None:
            raise
        raise translation from error


def translated(error: Exception, size: Pass) -> EngineError | None:
    """A memory or device error of a library in the engine's words; None for any other."""
    said = (str(error) or type(error).__name__).splitlines()[0]
    if memory.ran_out(error):
        return OutOfMemoryError(
            f"not enough memory for {size.width_px}x{size.height_px} px; use a smaller size. "
            f"({said})"
        )
    return device_error(error)


def device_error(error: Exception) -> DeviceError | None:
    """The error of a device that was lost, in the engine's words; None for any other."""
    if not isinstance(error, torch.AcceleratorError):
        return None
    said = str(error).partition("\n")[0]
    return DeviceError(f"the device failed: {said}; see nvidia-smi and dmesg")


def resize(image: Image.Image, width_px: int, height_px: int) -> Image.Image:
    """The image at another size, with an antialiasing filter."""
    return image.resize((width_px, height_px), Image.Resampling.LANCZOS)


def refine(painted: Tensor, content: Tensor, finer_content: Tensor) -> Tensor:
    """The start of a pass from the result of a smaller one.

    The painted picture enlarged, and added to it what of the content the smaller size could not
    hold: without that, edges would have to be found again, and the first steps are lost on it.
    painted, content: (1, 3, h, w), the smaller pass; `content` is used up.
    finer_content: (1, 3, H, W), which becomes the start.  Returns (1, 3, H, W).
    """
    shape = finer_content.shape[2:]
    change = content.neg_().add_(painted.to(content.device))
    for place, part in zip(finer_content.unbind(1), change.unbind(1), strict=True):
        finer = F.interpolate(part[None], size=shape, mode="bicubic", align_corners=False)
        place.add_(finer[0])
    return finer_content


@dataclass(frozen=True)
class Earlier:
    """How the pass of a checkpoint was computed before."""

    plan: Plan
    seconds: float

    def still_good(self, now: Plan) -> Plan:
        """Its plan, unless there is less memory now: then today's, which has its history."""
        return self.plan if self.plan.predicted_bytes <= now.budget_bytes else now


def standing(
    resumed: Checkpoint | None, identity: Mapping[str, Any]
) -> tuple[list[PassReport], list[str], Earlier | None]:
    """The finished passes, the warnings so far, and the pass under way.

    Raises CheckpointError if the checkpoint is of another painting, or not to be understood.
    """
    if resumed is None:
        return [], [], None
    try:
        facts = resumed.facts
        if facts["identity"] != identity:
            raise CheckpointError("it belongs to another painting, or another way of computing it")
        reports = [
            PassReport(
                Pass(**one["size"]),
                Plan(**one["plan"]),
                one["seconds"],
                Step(**one["first"]),
                Step(**one["last"]),
                one["converged"],
            )
            for one in facts["reports"]
        ]
        return reports, list(facts["warnings"]), Earlier(Plan(**facts["plan"]), facts["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"it is not understood ({error!r})") from error


def checkpoint_of(
    identity: Mapping[str, Any],
    course: Course,
    plan: Plan,
    began: float,
    reports: Sequence[PassReport],
    warnings: Sequence[str],
) -> Checkpoint:
    """Where a painting stands."""
    tensors, course_facts = course.state()
    facts = {
        "identity": identity,
        "plan": asdict(plan),
        "seconds": time.perf_counter() - began,
        "reports": [asdict(report) for report in reports],
        "warnings": list(warnings),
        "course": course_facts,
    }
    return Checkpoint(tensors, facts, course.scratch.release)


def shortage(plan: Plan) -> str:
    """What to tell when even the smallest plan does not fit."""
    return (
        f"{SHORTAGE} {plan.predicted_bytes / 1e9:.1f} GB, more than the "
        f"{plan.budget_bytes / 1e9:.1f} GB it may take; it was tried with the smallest tiles"
    )


def to_image(picture: Tensor) -> Image.Image:
    """picture: (1, 3, H, W), clipped to 0..1.  Returns RGB in 8 bits."""
    values = torch.empty(*picture.shape[2:], 3, dtype=torch.uint8)
    for source, target in zip(picture[0], values.unbind(2), strict=True):
        target.copy_(source.clamp(0.0, 1.0).mul_(255.0).round_())
    return Image.fromarray(values.numpy())
