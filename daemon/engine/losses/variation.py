"""Total variation: no noise that neither photograph nor style asked for."""

from collections.abc import Mapping

from torch import Tensor

from daemon.engine.fit.tiles import Tile, Tiling
from daemon.engine.losses.term import Materials
from daemon.engine.recipe import Recipe

NAME = "tv"


def layers(recipe: Recipe) -> Mapping[str, float]:
    """None: it looks at the picture itself."""
    return {}


def make(materials: Materials) -> "TotalVariation | None":
    """The term, unless the recipe does without."""
    weight = materials.recipe.tv
    return TotalVariation(weight) if weight else None


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


def add_total_variation_gradient(picture: Tensor, gradient: Tensor, coefficient: float) -> None:
    """Adds the gradient of `coefficient * total_variation` to `gradient`, in place.

    picture, gradient: (B, C, H, W).
    """
    factor = 2.0 * coefficient / picture.numel()
    for channel, slope in zip(picture.unbind(1), gradient.unbind(1), strict=True):
        down, across = channel.diff(dim=1), channel.diff(dim=2)
        slope[:, 1:].add_(down, alpha=factor)
        slope[:, :-1].sub_(down, alpha=factor)
        slope[:, :, 1:].add_(across, alpha=factor)
        slope[:, :, :-1].sub_(across, alpha=factor)
