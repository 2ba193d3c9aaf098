"""Total variation: no noise that neither photograph nor style asked for."""

from collections.abc import Mapping

import torch
from torch import Tensor

from daemon.engine.fit.tiles import Tile, Tiling
from daemon.engine.losses.term import Materials
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_tensor

NAME = "tv"
LEAST_ALLOWED = 1e-6
"""Total variation that is always allowed: neighbours a quarter of a level apart in 255."""


def layers(recipe: Recipe) -> Mapping[str, float]:
    """None: it looks at the picture itself."""
    return {}


def make(materials: Materials) -> "TotalVariation | None":
    """The term, unless the recipe does without."""
    weight = materials.recipe.tv
    if weight == "auto":
        return Roughness(allowed_variation(materials))
    return TotalVariation(weight) if weight else None


def allowed_variation(materials: Materials) -> Tensor:
    """The total variation, (), of the content or the mean of the styles, whichever is more."""
    device = materials.content.device
    total, weights = materials.content.new_zeros(()), sum(one.weight for one in materials.images)
    for image in materials.images:
        variation = total_variation(to_tensor(image.resized(), device))
        total += variation * (image.weight / weights)
    return torch.maximum(total, total_variation(materials.content)).clamp_min_(LEAST_ALLOWED)


class TotalVariation:
    """Mean squared difference of neighbouring pixels, down and across."""

    name = NAME
    layers: frozenset[str] = frozenset()

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def begin(self, tiling: Tiling) -> None:
        pass

    def read(self, tile: Tile, layer: str, features: Tensor) -> None:
        self._value = total_variation(features)

    def value(self) -> Tensor:
        return self._value

    def inject(self, tile: Tile, layer: str, features: Tensor, gradient: Tensor) -> None:
        add_total_variation_gradient(features, gradient, self.weight)


class Roughness(TotalVariation):
    """How far the total variation is above what is allowed, in shares of that, squared."""

    def __init__(self, allowed: Tensor) -> None:
        super().__init__(1.0)
        self._allowed = allowed

    def value(self) -> Tensor:
        return self._excess().square()

    def inject(self, tile: Tile, layer: str, features: Tensor, gradient: Tensor) -> None:
        add_total_variation_gradient(features, gradient, 2.0 * self._excess() / self._allowed)

    def _excess(self) -> Tensor:
        return (self._value / self._allowed - 1.0).clamp_min(0.0)


def total_variation(picture: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, down and across.

    picture: (B, C, H, W).  Returns ().  Source: Mahendran & Vedaldi 2015 eq. 4 with beta = 2;
    differs: a mean, so that the weight means the same for every size.
    """
    total = picture.new_zeros(())
    for channel in picture.unbind(1):  # one by one: a difference takes as much as its channel
        for dim in (1, 2):
            total += channel.diff(dim=dim).square_().sum()
    return total / picture.numel()


def add_total_variation_gradient(
    picture: Tensor, gradient: Tensor, coefficient: float | Tensor
) -> None:
    """Adds the gradient of `coefficient * total_variation` to `gradient`, in place.

    picture, gradient: (B, C, H, W).  coefficient: a number, or ().
    """
    factor = 2.0 * coefficient / picture.numel()
    for channel, slope in zip(picture.unbind(1), gradient.unbind(1), strict=True):
        down, across = channel.diff(dim=1).mul_(factor), channel.diff(dim=2).mul_(factor)
        slope[:, 1:].add_(down)
        slope[:, :-1].sub_(down)
        slope[:, :, 1:].add_(across)
        slope[:, :, :-1].sub_(across)
