"""The way in: a network that stays warm from picture to picture."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from daemon.engine.checkpoint import CHECKPOINT_FORMAT, Checkpoint
from daemon.engine.device import usable_device
from daemon.engine.faces import Face
from daemon.engine.fit import memory
from daemon.engine.fit.plan import Plan, make_plan
from daemon.engine.fit.tiles import aligned, cut
from daemon.engine.losses import style as style_loss
from daemon.engine.losses.moments import MomentStore, StyleMoments
from daemon.engine.losses.places import WeightMap
from daemon.engine.losses.term import StyleImage
from daemon.engine.losses.terms import layers_of
from daemon.engine.paint import Commission, Moment, paint_passes
from daemon.engine.palette import Palette
from daemon.engine.pixels import Pixels, check_pixels, cover, size_of
from daemon.engine.recipe import Recipe
from daemon.engine.regions import Masks, check_masks, laid_over, mask_sha256
from daemon.engine.schedule import Pass, check_style_size, plan_passes, style_size
from daemon.engine.tensors import crop_pixels, to_tensor
from daemon.engine.vgg.arithmetic import Arithmetic, choose_arithmetic, describe_arithmetic
from daemon.engine.vgg.kernels import load_kernels
from daemon.engine.vgg.network import Network
from daemon.engine.vgg.timings import Precision


@dataclass(frozen=True, eq=False)
class Style:
    """A style image, its weight among the styles, and the hash of its file.

    sha256: what a checkpoint knows it by; where it is not given the pixels' own is taken.
    region: what it is for, by the name of a mask; empty for the whole picture, or its only mask.
    """

    pixels: Pixels
    weight: float = 1.0
    sha256: str = ""
    region: str = ""

    @cached_property
    def key(self) -> str:
        """What a checkpoint knows the image by."""
        return self.sha256 or self.pixels_sha256

    @cached_property
    def pixels_sha256(self) -> str:
        """The hash of the pixels: equal ones have equal moments, however they were read."""
        shape = str(self.pixels.shape)  # turned by a right angle it is another image
        found = hashlib.sha256(f"{shape} {self.pixels.dtype}".encode())
        for row in self.pixels:  # a copy of all would be as large
            found.update(np.ascontiguousarray(row).data)
        return found.hexdigest()


class Engine:
    """A network on one device that stays warm from picture to picture.

    device: a torch device such as `cpu` or `cuda:0`.  weights: `classic` or `torchvision`.
    folder: what the engine keeps: fetched weights, timings, moments of styles.  precision: `auto`
    takes the fastest arithmetic of this machine.  arithmetic: in place of that, such as a
    checkpoint's.  memory_bytes: what the process (on CUDA: on the device) may take; None: what it
    has and four fifths of what is free when a pass begins.  Raises WeightsError or DeviceError when
    made.
    """

    def __init__(
        self,
        device: str,
        weights: str,
        folder: Path,
        precision: Precision = "auto",
        memory_bytes: int | None = None,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.memory_bytes = memory_bytes
        self.device = usable_device(device)
        self.arithmetic = arithmetic or choose_arithmetic(self.device, precision, folder)
        self.dtype = self.arithmetic.dtype
        self._way = describe_arithmetic(self.device, self.arithmetic)
        loaded = load_kernels(weights, folder)
        self.weights_name = loaded.name
        self.weights_sha256 = loaded.sha256
        self.network = Network(loaded, self.device, self.dtype, self.arithmetic.winograd)
        self.folder = folder
        self._moments = MomentStore(folder / "grams")

    def paint(
        self,
        picture: Pixels,
        styles: Sequence[Style],
        recipe: Recipe,
        *,
        passes: Sequence[Pass] = (),
        faces: Sequence[Face] = (),
        resumed: Checkpoint | None = None,
        memory_bytes: int | None = None,
        masks: Masks | None = None,
    ) -> Iterator[Moment]:
        """Yields the moments of painting `picture` after `styles` as `recipe` says.

        Each pass is Planned, then Stepped and Resting in turns; Painted is the last. The same
        arguments and plans give the same pixels on the same CPU with the same number of threads,
        whether it was resumed or not.
        passes: in place of the recipe's own, such as a proof's.  faces: of `picture`, for a recipe
        with `faces`.  resumed: a checkpoint of the same arguments; raises CheckpointError if it is
        not.  memory_bytes: what this painting may take, where that is less than the engine's own,
        as after a want of memory.  masks: how much each place belongs to the regions that styles
        name; places of none are not painted. Raises PictureError if the picture is too narrow to be
        painted or something else than pixels, or masks and styles do not fit each other,
        TooLargeError before anything is painted that needs far more memory than the engine may
        take, unless it goes on or is held to less, OutOfMemoryError, DeviceError, or DivergedError.
        """
        masks = masks or {}
        check_masks(styles, masks)
        for pixels in (picture, *(style.pixels for style in styles)):
            check_pixels(pixels)
        chosen = tuple(passes or plan_passes(recipe, *size_of(picture)))
        for style in styles:
            check_style_size(chosen[-1], size_of(style.pixels), max(recipe.style_scales))
        palette = Palette(picture, recipe.colors, masks)
        if palette.colors != "style":
            styles = [
                replace(style, pixels=palette.style(style.pixels, style.region)) for style in styles
            ]
        kept = tuple(faces) if recipe.faces else ()
        commission = Commission(palette.canvas, styles, recipe, chosen, palette, masks, kept)
        yield from paint_passes(self, commission, self._identity(commission), resumed, memory_bytes)

    def _identity(self, commission: Commission) -> dict[str, Any]:
        """What a checkpoint's painting must have been made of to go on with it."""
        masks = {name: mask_sha256(mask) for name, mask in sorted(commission.masks.items())}
        regions = [style.region for style in commission.styles]
        in_regions = {"regions": regions, "masks": masks} if masks else {}
        return in_regions | {
            "format": CHECKPOINT_FORMAT,
            "arithmetic": self._way,
            "weights": self.weights_sha256,
            "size": list(size_of(commission.picture)),
            "styles": [[style.key, style.weight] for style in commission.styles],
            "recipe": commission.recipe.model_dump(mode="json"),
            "passes": [asdict(size) for size in commission.passes],
            **({"faces": [asdict(one) for one in commission.faces]} if commission.faces else {}),
        }

    def foresee(
        self, recipe: Recipe, width_px: int, height_px: int, *, maps: int = 0
    ) -> list[tuple[Pass, Plan]]:
        """The passes of a picture of that size, and how each would fit into today's memory.

        maps: how many maps of weights it has.
        """
        passes = plan_passes(recipe, width_px, height_px)
        return [(size, self.plan(recipe, size, maps=maps)) for size in passes]

    def plan(
        self,
        recipe: Recipe,
        size: Pass,
        memory_bytes: int | None = None,
        history: int | None = None,
        maps: int = 0,
        aside_bytes: int | None = None,
    ) -> Plan:
        """How a pass fits into the memory there is now; history: the pairs it brings already.

        maps: how many maps of weights it has.  aside_bytes: what may lie aside; None: what there is
        room for.
        """
        if aside_bytes is None:
            aside_bytes = memory.aside_bytes(self.device, self.folder)
        memory.give_back()
        coming = self.network.coming_bytes(layers_of(recipe))
        budget = memory.budget_bytes(self.device, self.memory_bytes)
        return make_plan(
            size.height_px,
            size.width_px,
            recipe,
            value_bytes=self.dtype.itemsize,
            held_bytes=memory.held_bytes(self.device) + coming,
            budget_bytes=budget if memory_bytes is None else min(budget, memory_bytes),
            aside_bytes=aside_bytes,
            history=history,
            recorded=self.device.type == "cuda",
            maps=maps,
        )

    def start(
        self,
        content: Tensor,
        styles: Sequence[Style],
        recipe: Recipe,
        parts: Sequence[WeightMap | None] = (None,),
    ) -> Tensor:
        """What the first pass starts from, (1, 3, H, W); may be `content` itself.

        styles: the first of each region.  parts: how much each place belongs to those regions.
        """
        match recipe.init:
            case "content":
                return content
            case "noise":
                generator = torch.Generator().manual_seed(recipe.seed)
                noise = torch.rand(content.shape, generator=generator).to(self.device)
                starts = [noise] * len(parts)
            case "style":
                height, width = content.shape[-2:]
                covers = [cover(style.pixels, width, height) for style in styles]
                starts = [to_tensor(one, self.device) for one in covers]
        return laid_over(content, starts, parts)

    def style_images(
        self, style: Style, recipe: Recipe, size: Pass, plan: Plan
    ) -> list[StyleImage]:
        """A style image at each of its scales in a pass, which share its weight.

        Each has the tiles that the plan has room for.
        """
        # Not more at once than the plan, which is for the picture, has room for.
        room = plan.tile_px or aligned(math.isqrt(2 * size.width_px * size.height_px))
        weight, images = style.weight / len(recipe.style_scales), []
        for scale in recipe.style_scales:
            width, height = style_size(size, size_of(style.pixels), scale)
            side = room if max(width, height) > room else None
            images.append(StyleImage(style.pixels, width, height, weight, side))
        return images

    def moments(self, style: Style, recipe: Recipe, size: Pass, plan: Plan) -> StyleMoments:
        """Moments of a style image at the scales of a pass, mixed; on the device."""
        images = self.style_images(style, recipe, size, plan)
        return style_loss.mix(
            [(self._moments_at(image, style, recipe), image.weight) for image in images]
        )

    def _moments_at(self, image: StyleImage, style: Style, recipe: Recipe) -> StyleMoments:
        """Moments of a style image at one of its scales, computed once; on the device."""
        width, height, side = image.width_px, image.height_px, image.tile_px
        key = {
            "weights": self.weights_sha256,
            "style": style.pixels_sha256,
            "size": [width, height],
            **style_loss.moments_key(recipe),
            "arithmetic": self._way,
            # Sums in another order are other numbers.
            "tile_px": side,
            "threads": torch.get_num_threads() if self.device.type == "cpu" else None,
        }

        def compute() -> StyleMoments:
            pixels = image.resized()
            tiling = cut(height, width, side, recipe.style_layers, recipe.pooling)
            crop = partial(crop_pixels, pixels, self.device)
            return style_loss.moments_of(self.network, crop, recipe, tiling)

        moments = self._moments.get(key, compute)
        return {layer: part.to(self.device) for layer, part in moments.items()}
