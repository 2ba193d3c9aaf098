"""Whose colours a painting has: what is done to them before and after it is painted."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daemon.engine.losses.places import TOP
from daemon.engine.oklab import from_linear, from_oklab, inside, signed_power, to_oklab
from daemon.engine.pixels import (
    Bounds,
    FloatPixels,
    Pixels,
    bounds_of,
    resize,
    size_of,
    top_of,
)
from daemon.engine.recipe import Colors
from daemon.engine.regions import Mask, Masks, stretch
from daemon.engine.schedule import fit

BAND_PIXELS = 1 << 18
"""Pixels whose colours are converted at a time: some 30 MB of floats."""

SHOWN_PX = 1024
"""Longest side of the photograph that steps are shown with: previews are made of it every time."""

LEAST_DEVIATION = 0.005
"""In OkLab, about two levels of 255: what varies less is grain of a grey or flat picture, and is
not stretched to the colours of another. A heuristic."""


@dataclass(frozen=True)
class ColourMoments:
    """Mean (3,) and covariance (3, 3) of a picture's colours in OkLab, float64."""

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True, eq=False)
class Palette:
    """The colours that `colors` of a recipe asks for, with a photograph.

    `style`: nothing is changed.  `match`: styles get the photograph's mean and covariance of
    colours.  `content`: the same, and the finished painting gets the photograph's chroma.
    `luminance`: photograph and styles are painted as greys of their lightness, and the chroma is
    put back.  masks: of the regions whose styles are matched each to its own part of it.
    """

    photograph: Pixels
    colors: Colors
    masks: Masks = field(default_factory=dict)

    @cached_property
    def bounds(self) -> Bounds:
        """What every colour stays in: sRGB, wider where the photograph is."""
        return bounds_of(self.photograph)

    @cached_property
    def _moments(self) -> dict[str, ColourMoments]:
        """Those of regions that have been asked for."""
        return {}

    def moments(self, region: str = "") -> ColourMoments:
        """The photograph's where a region is, by the mask's weights; all of it without a mask."""
        if region not in self._moments:
            self._moments[region] = moments_of(self.photograph, self.masks.get(region))
        return self._moments[region]

    @cached_property
    def canvas(self) -> Pixels:
        """The picture that is painted."""
        return greys_of(self.photograph) if self.colors == "luminance" else self.photograph

    def style(self, pixels: Pixels, region: str = "") -> Pixels:
        """A style image's pixels as they are painted after in a region."""
        match self.colors:
            case "style":
                return pixels
            case "luminance":
                return greys_of(pixels, self.moments(region), self.bounds)
            case "match" | "content":
                return recoloured(pixels, self.moments(region), self.bounds)

    def show(self, step: FloatPixels) -> FloatPixels:
        """A step's picture, made small, as the result will look; changes it, and returns it.

        The result of a pass is laid over the photograph by its masks and a step is not, since
        losses are of what is optimised.
        """
        small = self.reduced
        width, height = size_of(step)
        if small.masks:
            parts = [stretch(mask, width, height) for mask in small.masks.values()]
            painted = np.minimum(np.sum(parts, axis=0, dtype=np.float32) / TOP, 1)[..., None]
            canvas = resize(small.canvas, width, height)
            step *= painted
            step += (1 - painted) * canvas / np.float32(top_of(canvas))
        return small.finish(step)

    @cached_property
    def reduced(self) -> "Palette":
        """The same with photograph and masks as large as anything that is shown of a step."""
        width, height = size_of(self.photograph)
        if max(width, height) <= SHOWN_PX:
            return self
        size = fit(width, height, SHOWN_PX)
        masks = {region: stretch(mask, *size) for region, mask in self.masks.items()}
        return replace(self, photograph=resize(self.photograph, *size), masks=masks)

    def finish(self, painted: FloatPixels) -> FloatPixels:
        """The painting at any size, in the colours it is to have; changes it, and returns it."""
        if self.colors in ("style", "match"):
            return painted
        photograph = resize(self.photograph, *size_of(painted))
        for rows in bands(painted):
            lab = lab_of(painted[rows])
            lab[..., 1:] = lab_of(photograph[rows])[..., 1:]
            held = inside(lab.view(-1, 3), self.bounds).view(lab.shape)
            painted[rows] = from_oklab(held).numpy()
        return painted


def bands(pixels: Pixels) -> Iterator[slice]:
    """The rows of a picture, so many at a time that their floats take little."""
    width, height = size_of(pixels)
    rows = max(1, BAND_PIXELS // width)
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))


def lab_of(pixels: Pixels) -> Tensor:
    """OkLab of a band, (H, W, 3) float32."""
    values = torch.from_numpy(pixels.astype(np.float32))
    return to_oklab(values.div_(top_of(pixels)))


def moments_of(pixels: Pixels, mask: Mask | None = None) -> ColourMoments:
    """Mean and covariance of a picture's colours.

    mask: how much each place counts, stretched over the picture; one that is white all over, or
    black, counts as none.
    """
    weights = None if mask is None else stretch(mask, *size_of(pixels))
    if weights is not None and (weights.min() == TOP or not weights.any()):
        weights = None
    sums = torch.zeros(3, dtype=torch.float64)
    products = torch.zeros(3, 3, dtype=torch.float64)
    for rows in bands(pixels):
        lab = lab_of(pixels[rows]).view(-1, 3).double()
        part = lab if weights is None else lab * torch.from_numpy(weights[rows].reshape(-1, 1))
        sums += part.sum(0)
        products += lab.T @ part
    count = pixels.shape[0] * pixels.shape[1] if weights is None else int(weights.sum(dtype=int))
    mean = sums / count
    return ColourMoments(mean, products / count - torch.outer(mean, mean))


def recoloured(pixels: Pixels, target: ColourMoments, bounds: Bounds) -> Pixels:
    """The pixels with a target's mean and covariance of colours, inside `bounds`.

    Returns uint16 where `bounds` are sRGB's, so that a large style image stays small.
    """
    source = moments_of(pixels)
    turn = matching_matrix(source.covariance, target.covariance).float()
    mean, aim = source.mean.float(), target.mean.float()
    is_wide = any(ends != (0.0, 1.0) for ends in bounds)
    result = np.empty(pixels.shape, np.float32 if is_wide else np.uint16)
    for rows in bands(pixels):
        lab = (lab_of(pixels[rows]) - mean) @ turn + aim  # symmetric
        rgb = from_oklab(inside(lab.view(-1, 3), bounds).view(lab.shape)).numpy()
        result[rows] = rgb if is_wide else np.rint(np.clip(rgb, 0, 1) * top_of(result))
    return result


def matching_matrix(source: Tensor, target: Tensor) -> Tensor:
    """The symmetric matrix that gives colours of one covariance another's, moving them least.

    source, target: (3, 3) float64.  Directions in which the source hardly varies are not stretched
    beyond what LEAST_DEVIATION would be, so that grey and flat pictures work.
    Source: Pitié & Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping", eq. 9;
    differs: the roots are clamped.
    """
    values, vectors = torch.linalg.eigh(source)
    deviations = values.clamp(min=LEAST_DEVIATION**2).sqrt()
    root = (vectors * deviations) @ vectors.T
    inverse: Tensor = (vectors / deviations) @ vectors.T
    values, vectors = torch.linalg.eigh(root @ target @ root)
    middle = (vectors * values.clamp(min=0.0).sqrt()) @ vectors.T
    turn: Tensor = inverse @ middle @ inverse
    return turn


def greys_of(
    pixels: Pixels, target: ColourMoments | None = None, bounds: Bounds | None = None
) -> FloatPixels:
    """Greys as light as the pixels, (H, W, 3) with one plane for all three channels.

    target: whose mean and deviation of lightness they get, inside `bounds`; None: their own.
    """
    gain, shift = 1.0, 0.0
    if target is not None:
        own = moments_of(pixels)
        spreads = [part.covariance[0, 0].clamp(min=0.0).sqrt() for part in (own, target)]
        gain = float(spreads[1] / spreads[0].clamp(min=LEAST_DEVIATION))
        shift = float(target.mean[0] - gain * own.mean[0])
    greys: NDArray[np.float32] = np.empty(pixels.shape[:2], np.float32)
    for rows in bands(pixels):
        lightness = lab_of(pixels[rows])[..., 0] * gain + shift
        grey = from_linear(signed_power(lightness, 3.0))
        if bounds is not None:
            grey.clamp_(max(least for least, _ in bounds), min(most for _, most in bounds))
        greys[rows] = grey.numpy()
    return np.broadcast_to(greys[..., None], pixels.shape)
