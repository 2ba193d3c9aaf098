"""Style: the style images' statistics, wherever in the picture they come about."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from daemon.engine.device import side_by_side
from daemon.engine.fit.tiles import Tile, Tiling
from daemon.engine.losses.gaussian import Gaussian
from daemon.engine.losses.places import WeightMap, counted_positions, owned_weights
from daemon.engine.losses.statistics import Gram, Pull, Statistic, Sums, add_pull
from daemon.engine.losses.term import Materials, Moments, Region, Term, shares
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.network import Network

NAME = "style"
STATISTICS: Mapping[str, type[Statistic]] = {"gram": Gram, "gaussian": Gaussian}
"""The one table of what styles are compared by."""


def layers(recipe: Recipe) -> Mapping[str, float]:
    """The layers whose statistics are matched, and their weights."""
    return recipe.style_layers


def make(materials: Materials) -> Term | None:
    """The term for the styles of every region; None where no region has a place left."""
    made = [loss_of(region, materials) for region in materials.regions]
    found = [loss for loss in made if loss.layers]
    if len(found) == 1:
        return found[0]
    return RegionsLoss(materials.recipe.beta, found) if found else None


def loss_of(region: Region, materials: Materials) -> "StyleLoss":
    """The loss of a region, each layer's factor times the region's share of its positions."""
    recipe, tiling, statistic = materials.recipe, materials.tiling, statistic_of(materials.recipe)
    targets = {layer: statistic(region.moments[layer]) for layer in layers(recipe)}
    sizes = {layer: target.size() for layer, target in targets.items()}
    counted = {layer: counted_positions(region.weights, tiling, layer) for layer in targets}
    factors = {
        layer: factor * (counted[layer] / tiling.positions(layer))
        for layer, factor in shares(layers(recipe), sizes, recipe).items()
        if counted[layer] > 0  # a region of a few pixels may have none of a deep layer
    }
    return StyleLoss(recipe.beta, factors, targets, counted, region.weights)


def statistic_of(recipe: Recipe) -> type[Statistic]:
    """The statistic a recipe compares styles by."""
    return STATISTICS[recipe.statistics]


def moments_key(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe the moments of a style image depend on, as plain data."""
    key = {"layers": sorted(layers(recipe)), "pooling": recipe.pooling}
    return key | ({"channels": True} if statistic_of(recipe).needs_channels else {})


class StyleLoss:
    """The difference of a statistic from the styles', each layer times its factor.

    targets: layer -> the statistic of the styles' moments.  counted: layer -> what its positions
    add up to, each counted by its weight.  weights: of the places; None: all count 1.
    """

    name = NAME

    def __init__(
        self,
        weight: float,
        factors: Mapping[str, float],
        targets: Mapping[str, Statistic],
        counted: Mapping[str, float],
        weights: WeightMap | None,
    ) -> None:
        self.weight = weight
        self.layers = frozenset(factors)
        self._factors = factors
        self._targets = targets
        self._counted = counted
        self._weights = weights
        self._sums: dict[str, Sums] = {}
        self._pulls: dict[str, Pull] = {}

    def begin(self, tiling: Tiling) -> None:
        self._sums = {
            layer: Sums(channels=target.needs_channels) for layer, target in self._targets.items()
        }

    def read(self, tile: Tile, layer: str, features: Tensor) -> None:
        self._device = features.device
        weights = owned_weights(self._weights, tile, layer)
        self._sums[layer].add(tile.owned_of_region(features, layer), weights)

    def value(self) -> Tensor:
        works = [partial(self._compare, layer) for layer in self._factors]
        total: Tensor | None = None
        for layer, (value, pull) in zip(
            self._factors, side_by_side(works, self._device), strict=True
        ):
            self._pulls[layer] = pull
            total = torch.zeros_like(value) if total is None else total
            total.add_(value, alpha=self._factors[layer])
        assert total is not None
        return total

    def _compare(self, layer: str) -> tuple[Tensor, Pull]:
        """One layer's value and its pull."""
        found = self._sums[layer].moments(self._counted[layer])
        return self._targets[layer].compare(found)

    def inject(self, tile: Tile, layer: str, features: Tensor, gradient: Tensor) -> None:
        pull = self._pulls[layer]
        factor = pull.constant * self.weight * self._factors[layer] / self._counted[layer]
        weights = owned_weights(self._weights, tile, layer)
        owned = tile.owned_of_region(features, layer)
        add_pull(owned, tile.owned_of_region(gradient, layer), pull, factor, weights)


class RegionsLoss:
    """The style losses of several regions of a picture, added up."""

    name = NAME

    def __init__(self, weight: float, losses: Sequence[StyleLoss]) -> None:
        self.weight = weight
        self.layers = frozenset[str]().union(*(loss.layers for loss in losses))
        self._losses = losses

    def begin(self, tiling: Tiling) -> None:
        for loss in self._losses:
            loss.begin(tiling)

    def read(self, tile: Tile, layer: str, features: Tensor) -> None:
        for loss in self._of(layer):
            loss.read(tile, layer, features)

    def value(self) -> Tensor:
        return torch.stack([loss.value() for loss in self._losses]).sum()

    def inject(self, tile: Tile, layer: str, features: Tensor, gradient: Tensor) -> None:
        for loss in self._of(layer):
            loss.inject(tile, layer, features, gradient)

    def _of(self, layer: str) -> list[StyleLoss]:
        return [loss for loss in self._losses if layer in loss.layers]


def moments_of(
    network: Network, crop: Callable[[Tile], Tensor], recipe: Recipe, tiling: Tiling
) -> dict[str, Moments]:
    """The moments of the style layers of one style image.

    crop: makes the region of a tile, (1, 3, h, w).
    """
    wanted = layers(recipe)
    sums = {layer: Sums(channels=statistic_of(recipe).needs_channels) for layer in wanted}
    for tile in tiling.tiles:
        for layer, features in network.features(crop(tile), wanted, recipe.pooling):
            sums[layer].add(tile.owned_of_region(features, layer))
    return {layer: one.moments(tiling.positions(layer)) for layer, one in sums.items()}


def mix(styles: Iterable[tuple[Mapping[str, Moments], float]]) -> Mapping[str, Moments]:
    """Mean of several styles' moments by weight; weights need not sum to 1."""
    pairs = list(styles)
    if len(pairs) == 1:
        return pairs[0][0]
    total = sum(weight for _, weight in pairs)
    return {
        layer: mean([(one[layer], weight / total) for one, weight in pairs])
        for layer in pairs[0][0]
    }


def mean(parts: Iterable[tuple[Moments, float]]) -> Moments:
    """Mean of one layer's moments; the weights sum to 1."""
    pairs = list(parts)
    channels = [one.channels * weight for one, weight in pairs if one.channels is not None]
    return Moments(
        sum((one.products * weight for one, weight in pairs), torch.zeros(())),
        sum(channels, torch.zeros(())) if channels else None,
    )
