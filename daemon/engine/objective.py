"""The total loss of a picture and its gradient: alpha*content + beta*style + tv*variation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from daemon.engine import losses
from daemon.engine.network import Injection, Network
from daemon.engine.recipe import Recipe

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


def content_targets(network: Network, picture: Tensor, recipe: Recipe) -> dict[str, Tensor]:
    """Feature maps of the content layers.  picture: (1, 3, H, W) RGB in 0..1."""
    found = network.features(picture, recipe.content_layers, recipe.pooling)
    return {layer: features.clone() for layer, features in found}


def gram_targets(network: Network, style: Tensor, recipe: Recipe) -> dict[str, Tensor]:
    """Gram matrices of the style layers.  style: (1, 3, H, W) RGB in 0..1."""
    found = network.features(style, recipe.style_layers, recipe.pooling)
    return {layer: losses.gram_matrix(features) for layer, features in found}


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


class Objective:
    """The total loss as a function of the picture, for fixed network, recipe and targets."""

    def __init__(self, network: Network, recipe: Recipe, targets: Targets) -> None:
        self._network = network
        self._recipe = recipe
        self._targets = targets
        self._factors = coefficients(recipe, targets)
        self._layers = {*recipe.content_layers, *recipe.style_layers}

    def evaluate(self, picture: Tensor) -> Evaluation:
        """Losses and gradient at `picture`, (1, 3, H, W) RGB, meant for 0..1 but not held to it."""
        wide = torch.promote_types(self._network.dtype, torch.float32)
        content = torch.zeros((), device=self._network.device, dtype=wide)
        style = content.clone()
        differences: dict[str, Tensor] = {}

        def read(layer: str, features: Tensor) -> None:
            if layer in self._factors.content:
                loss = losses.content_loss(features, self._targets.content[layer])
                content.add_(loss, alpha=self._factors.content[layer])
            if layer in self._factors.style:
                gram = losses.gram_matrix(features)
                differences[layer] = gram - self._targets.grams[layer]
                loss = losses.mean_square(differences[layer])
                style.add_(loss, alpha=self._factors.style[layer])

        trace = self._network.trace(picture, self._layers, self._recipe.pooling, read)
        gradient = self._network.pull_back(trace, self._injections(differences))
        total = self._factors.alpha * content + self._factors.beta * style
        if self._factors.tv:
            total = total + self._factors.tv * losses.total_variation(picture)
            gradient += self._factors.tv * losses.total_variation_gradient(picture)
        return Evaluation(total, content, style, gradient)

    def _injections(self, differences: Mapping[str, Tensor]) -> dict[str, Injection]:
        """What each layer's losses add to the running gradient."""

        def injection(layer: str) -> Injection:
            def inject(features: Tensor, gradient: Tensor) -> None:
                if layer in self._factors.content:
                    factor = self._factors.alpha * self._factors.content[layer]
                    target = self._targets.content[layer]
                    losses.add_content_gradient(features, gradient, target, factor)
                if layer in self._factors.style:
                    factor = self._factors.beta * self._factors.style[layer]
                    losses.add_style_gradient(features, gradient, differences[layer], factor)

            return inject

        return {layer: injection(layer) for layer in self._layers}
