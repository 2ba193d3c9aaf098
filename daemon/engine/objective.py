"""The total loss of a picture and its gradient: alpha*content + beta*style + tv*variation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from daemon.engine import losses
from daemon.engine.network import Injection, Network, Reader, Trace
from daemon.engine.recipe import Recipe, layers_of
from daemon.engine.scratch import Scratch
from daemon.engine.tiles import Tile, Tiling, cut, scale_of

SMALLEST_MEAN_SQUARE = 1e-12
"""Floor of the divisor for targets that are all but zero, such as a flat picture's."""


@dataclass(frozen=True)
class Targets:
    """What the picture is compared with.

    content: layer -> (1, C, H, W) in the network's dtype.  grams: layer -> (C, C) float32.
    """

    content: Mapping[str, Tensor]
    grams: Mapping[str, Tensor]


@dataclass(frozen=True)
class Coefficients:
    """Plain factors: content loss = sum of content[l] * mean squared difference, style alike."""

    content: Mapping[str, float]
    style: Mapping[str, float]
    alpha: float
    beta: float
    tv: float


@dataclass(frozen=True)
class Evaluation:
    """Losses of one picture, each (), and the gradient of the total, (1, 3, H, W)."""

    total: Tensor
    content: Tensor
    style: Tensor
    gradient: Tensor


def coefficients(recipe: Recipe, targets: Targets) -> Coefficients:
    """The one place that turns a recipe and its targets into factors.

    `relative`: each layer is divided by its target's own mean square, then averaged by weight,
    so that a loss of 1 means "as far off as a black picture", for every style, layer and size.
    `raw`: the weights as they are, on plain means.
    """
    if recipe.normalise == "raw":
        content, style = dict(recipe.content_layers), dict(recipe.style_layers)
    else:
        content = relative(recipe.content_layers, targets.content)
        style = relative(recipe.style_layers, targets.grams)
    return Coefficients(content, style, recipe.alpha, recipe.beta, recipe.tv)


def relative(weights: Mapping[str, float], targets: Mapping[str, Tensor]) -> dict[str, float]:
    """Weights as shares of their sum, each divided by its target's mean square."""
    total = sum(weights.values())
    return {
        layer: weight / total / max(losses.mean_square(targets[layer]).item(), SMALLEST_MEAN_SQUARE)
        for layer, weight in weights.items()
    }


def content_targets(
    network: Network,
    picture: Tensor,
    recipe: Recipe,
    tiling: Tiling | None = None,
    scratch: Scratch | None = None,
) -> dict[str, Tensor]:
    """Feature maps of the content layers, in `scratch`.  picture: (1, 3, H, W) RGB in 0..1."""
    tiling = tiling or whole(picture, recipe)
    scratch = scratch or Scratch(network.device)
    found: dict[str, Tensor] = {}
    for tile in tiling.tiles:
        layers = network.features(tile.crop(picture), recipe.content_layers, recipe.pooling)
        for layer, features in layers:
            if layer not in found:
                scale = scale_of(layer)
                shape = (1, tiling.height_px // scale, tiling.width_px // scale)
                rows = scratch.empty(*shape, features.shape[1], dtype=features.dtype)
                found[layer] = rows.permute(0, 3, 1, 2)  # channels-last
            owned = tile.owned_of_layer(found[layer], layer)
            owned.copy_(tile.owned_of_region(features, layer))
        scratch.release()
    return found


def gram_targets(
    network: Network, style: Tensor, recipe: Recipe, tiling: Tiling | None = None
) -> dict[str, Tensor]:
    """Gram matrices of the style layers.  style: (1, 3, H, W) RGB in 0..1."""
    tiling = tiling or whole(style, recipe)
    products: dict[str, Tensor] = {}
    for tile in tiling.tiles:
        layers = network.features(tile.crop(style), recipe.style_layers, recipe.pooling)
        for layer, features in layers:
            owned = tile.owned_of_region(features, layer)
            products[layer] = losses.add_products(products.get(layer), owned)
    return {layer: one / tiling.positions(layer) for layer, one in products.items()}


def whole(picture: Tensor, recipe: Recipe) -> Tiling:
    """A picture, (1, 3, H, W), as one tile."""
    return cut(picture.shape[2], picture.shape[3], None, layers_of(recipe))


def mix_grams(grams: Iterable[tuple[Mapping[str, Tensor], float]]) -> dict[str, Tensor]:
    """Mean of several styles' Gram matrices by weight; weights need not sum to 1."""
    pairs = list(grams)
    total = sum(weight for _, weight in pairs)
    return {
        layer: sum((one[layer] * (weight / total) for one, weight in pairs), torch.zeros(()))
        if len(pairs) > 1
        else pairs[0][0][layer]
        for layer in pairs[0][0]
    }


class Statistics:
    """What the losses of a picture are made of, summed up tile by tile."""

    def __init__(self) -> None:
        self.squares: dict[str, Tensor] = {}  # content layer -> ()
        self.products: dict[str, Tensor] = {}  # style layer -> (C, C)


class Objective:
    """The total loss as a function of the picture, for fixed network, recipe and targets.

    The picture is gone through tile by tile, twice: first for the statistics that the losses are
    made of, then for each tile's share of the gradient. The first time the last tile leaves its
    trace, so that nothing is computed twice where there is only one.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        targets: Targets,
        tiling: Tiling | None = None,
        scratch: Scratch | None = None,
    ) -> None:
        """scratch: where the targets of the content lie."""
        self._network = network
        self._scratch = scratch or Scratch(network.device)
        self._recipe = recipe
        self._targets = targets
        self._factors = coefficients(recipe, targets)
        self._layers = layers_of(recipe)
        self._tiling = tiling
        self._scratch.release()

    def evaluate(self, picture: Tensor) -> Evaluation:
        """Losses and gradient at `picture`, (1, 3, H, W) RGB, meant for 0..1 but not held to it."""
        tiling = self._tiling or whole(picture, self._recipe)
        statistics = Statistics()
        *others, last = tiling.tiles
        for tile in others:
            found = self._network.features(tile.crop(picture), self._layers, self._recipe.pooling)
            for layer, features in found:
                self._read(tile, statistics, layer, features)
        trace = self._trace(last, picture, partial(self._read, last, statistics))
        content, style, differences = self._losses(tiling, statistics)
        gradient = self._pull_back(last, trace, tiling, differences)
        if others:
            share, gradient = gradient, torch.zeros_like(picture)
            last.crop(gradient).add_(share)
        for tile in others:
            trace = self._trace(tile, picture, lambda layer, features: None)
            tile.crop(gradient).add_(self._pull_back(tile, trace, tiling, differences))
        total = self._factors.alpha * content + self._factors.beta * style
        if self._factors.tv:
            total = total + self._factors.tv * losses.total_variation(picture)
            losses.add_total_variation_gradient(picture, gradient, self._factors.tv)
        return Evaluation(total, content, style, gradient)

    def _trace(self, tile: Tile, picture: Tensor, read: Reader) -> Trace:
        return self._network.trace(tile.crop(picture), self._layers, self._recipe.pooling, read)

    def _read(self, tile: Tile, statistics: Statistics, layer: str, features: Tensor) -> None:
        """Takes in what a tile owns of a layer."""
        owned = tile.owned_of_region(features, layer)
        if layer in self._factors.content:
            target = self._target(tile, layer)
            squares = losses.squared_difference(owned, target)
            statistics.squares[layer] = statistics.squares.get(layer, 0.0) + squares
            self._scratch.release()
        if layer in self._factors.style:
            products = statistics.products.get(layer)
            statistics.products[layer] = losses.add_products(products, owned)

    def _target(self, tile: Tile, layer: str) -> Tensor:
        """What a tile owns of a content layer's target, (1, C, H, W)."""
        return tile.owned_of_layer(self._targets.content[layer], layer).to(self._network.device)

    def _losses(
        self, tiling: Tiling, statistics: Statistics
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Content and style loss, each (), and each Gram matrix less its target."""
        wide = torch.promote_types(self._network.dtype, torch.float32)
        content = torch.zeros((), device=self._network.device, dtype=wide)
        style = content.clone()
        differences: dict[str, Tensor] = {}
        for layer, factor in self._factors.content.items():
            content.add_(
                statistics.squares[layer],
                alpha=factor / self._targets.content[layer].numel(),
            )
        for layer, factor in self._factors.style.items():
            gram = statistics.products[layer] / tiling.positions(layer)
            differences[layer] = gram - self._targets.grams[layer]
            style.add_(losses.mean_square(differences[layer]), alpha=factor)
        return content, style, differences

    def _pull_back(
        self, tile: Tile, trace: Trace, tiling: Tiling, differences: Mapping[str, Tensor]
    ) -> Tensor:
        """The gradient of what a tile owns, for the pixels of its region."""

        def injection(layer: str) -> Injection:
            positions = tiling.positions(layer)

            def inject(features: Tensor, gradient: Tensor) -> None:
                features = tile.owned_of_region(features, layer)
                gradient = tile.owned_of_region(gradient, layer)
                if layer in self._factors.content:
                    factor = self._factors.alpha * self._factors.content[layer]
                    target = self._target(tile, layer)
                    losses.add_content_gradient(features, gradient, target, factor, positions)
                    self._scratch.release()
                if layer in self._factors.style:
                    factor = self._factors.beta * self._factors.style[layer]
                    difference = differences[layer]
                    losses.add_style_gradient(features, gradient, difference, factor, positions)

            return inject

        return self._network.pull_back(trace, {layer: injection(layer) for layer in self._layers})
