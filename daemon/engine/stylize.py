"""The way in: a picture, style images and a recipe become a painted picture."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from daemon.engine import objective
from daemon.engine.errors import DeviceError, DivergedError, OutOfMemoryError
from daemon.engine.grams import Grams, GramStore
from daemon.engine.kernels import load_kernels
from daemon.engine.network import Network
from daemon.engine.objective import Objective, Targets
from daemon.engine.optimise import Minimum, Step, make_optimiser, minimise
from daemon.engine.recipe import MIN_SIDE_PX, Recipe
from daemon.engine.schedule import Pass, fit, plan_passes
from daemon.engine.trial import Precision, choose_arithmetic

LBFGS_HISTORY = 20


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


class Engine:
    """A network on one device that stays warm from picture to picture.

    device: a torch device such as `cpu` or `cuda:0`.  weights: `classic` or `torchvision`.
    folder: what the engine keeps: fetched weights, timings, Gram matrices.  precision: `auto`
    takes the fastest arithmetic of this machine.  Raises WeightsError or DeviceError when made.
    """

    def __init__(
        self, device: str, weights: str, folder: Path, precision: Precision = "auto"
    ) -> None:
        self.device = usable_device(device)
        self.arithmetic = choose_arithmetic(self.device, precision, folder)
        self.dtype = self.arithmetic.dtype
        loaded = load_kernels(weights, folder)
        self.weights_name = loaded.name
        self.weights_sha256 = loaded.sha256
        self._network = Network(loaded, self.device, self.dtype, self.arithmetic.method)
        self._grams = GramStore(folder / "grams")

    def stylize(
        self,
        picture: Image.Image,
        styles: Sequence[Style],
        recipe: Recipe,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Painting:
        """Paints `picture` (RGB) after `styles` as `recipe` says.

        The same arguments give the same pixels on the same CPU. Raises PictureError if the
        picture is too narrow to be painted, OutOfMemoryError, or Stopped.
        """
        passes = tuple(plan_passes(recipe, *picture.size))
        reports: list[PassReport] = []
        warnings: list[str] = []
        current: Tensor | None = None
        for number, size in enumerate(passes, start=1):

            def report(step: Step, picture: Tensor, number: int = number) -> None:
                on_progress(Progress(number, passes, step, picture))

            began = time.perf_counter()
            try:
                found = self._paint(picture, current, styles, recipe, size, report, should_stop)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                raise translated(error, size) from error
            if not math.isfinite(found.best.total):
                raise DivergedError(
                    "the loss was not a finite number at any step; alpha, beta, tv and the "
                    "layers' weights are too large, or too far apart"
                )
            current = found.picture
            warnings += [f"pass {number}: {text}" for text in found.warnings]
            seconds = time.perf_counter() - began
            reports.append(PassReport(size, seconds, found.first, found.last, found.converged))
        if current is None:
            raise ValueError("a schedule has at least one pass")
        return Painting(to_image(current), tuple(reports), tuple(warnings))

    def _paint(
        self,
        picture: Image.Image,
        before: Tensor | None,
        styles: Sequence[Style],
        recipe: Recipe,
        size: Pass,
        on_step: Callable[[Step, Tensor], None],
        should_stop: Callable[[], bool],
    ) -> Minimum:
        """One pass, from the result of the pass before."""
        content = self._tensor(resize(picture, size.width_px, size.height_px))
        grams = objective.mix_grams(
            [(self._style_grams(style, recipe, size), style.weight) for style in styles]
        )
        targets = Targets(objective.content_targets(self._network, content, recipe), grams)
        start = (
            enlarge(before, size) if before is not None else self._start(content, styles, recipe)
        )
        optimiser = make_optimiser(recipe.optimizer, start.shape, self.device, LBFGS_HISTORY)
        return minimise(
            Objective(self._network, recipe, targets).evaluate,
            start,
            optimiser,
            steps=size.steps,
            on_step=on_step,
            should_stop=should_stop,
        )

    def _start(self, content: Tensor, styles: Sequence[Style], recipe: Recipe) -> Tensor:
        """What the first pass starts from, (1, 3, H, W)."""
        match recipe.init:
            case "content":
                return content.clone()
            case "noise":
                generator = torch.Generator().manual_seed(recipe.seed)
                return torch.rand(content.shape, generator=generator).to(self.device)
            case "style":
                height, width = content.shape[-2:]
                cover = ImageOps.fit(styles[0].image, (width, height), Image.Resampling.LANCZOS)
                return self._tensor(cover)

    def _style_grams(self, style: Style, recipe: Recipe, size: Pass) -> Grams:
        """Gram matrices of a style image at the scale of this pass, computed once."""
        longest = round(max(size.width_px, size.height_px) * recipe.style_scale)
        width, height = fit(*style.image.size, longest)
        width, height = max(width, MIN_SIDE_PX), max(height, MIN_SIDE_PX)
        key = {
            "weights": self.weights_sha256,
            "style": style.sha256,
            "size": [width, height],
            "layers": sorted(recipe.style_layers),
            "pooling": recipe.pooling,
            "arithmetic": str(self.arithmetic),
        }

        def compute() -> Grams:
            tensor = self._tensor(resize(style.image, width, height))
            return objective.gram_targets(self._network, tensor, recipe)

        found = self._grams.get(key, compute)
        return {layer: gram.to(self.device) for layer, gram in found.items()}

    def _tensor(self, image: Image.Image) -> Tensor:
        """(1, 3, H, W) float32 in 0..1 on the engine's device."""
        values = torch.from_numpy(np.array(image))  # (H, W, 3)
        return (values.to(self.device).float() / 255.0).permute(2, 0, 1)[None].contiguous()


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


def translated(error: RuntimeError, size: Pass) -> Exception:
    """A memory or device error of torch in the engine's words; any other error as it is."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        return OutOfMemoryError(
            f"not enough memory for {size.width_px}x{size.height_px} px; use a smaller size. "
            f"({text.splitlines()[0]})"
        )
    if isinstance(error, torch.AcceleratorError):
        return DeviceError(f"the device failed: {text.splitlines()[0]}; see nvidia-smi and dmesg")
    return error


def resize(image: Image.Image, width_px: int, height_px: int) -> Image.Image:
    """The image at another size, with an antialiasing filter."""
    return image.resize((width_px, height_px), Image.Resampling.LANCZOS)


def enlarge(picture: Tensor, size: Pass) -> Tensor:
    """The picture of one pass as the start of the next, (1, 3, H, W)."""
    shape = (size.height_px, size.width_px)
    return F.interpolate(picture, size=shape, mode="bicubic", align_corners=False).contiguous()


def to_image(picture: Tensor) -> Image.Image:
    """picture: (1, 3, H, W), clipped to 0..1.  Returns RGB in 8 bits."""
    values = picture[0].clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).cpu().numpy())
