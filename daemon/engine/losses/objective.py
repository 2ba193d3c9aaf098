"""The total loss of a picture and its gradient: the terms of a recipe, each times its weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from daemon.engine.fit.tiles import Tile, Tiling
from daemon.engine.losses.term import PICTURE, Materials, Term
from daemon.engine.losses.terms import make_terms
from daemon.engine.vgg.layers import Pooling
from daemon.engine.vgg.network import Injection, Network, Trace


@dataclass(frozen=True)
class Evaluation:
    """Losses of one picture, each (), and the gradient of the total, (1, 3, H, W).

    losses: by the names of the terms, without their weights.
    """

    total: Tensor
    losses: Mapping[str, Tensor]
    gradient: Tensor


def make_objective(materials: Materials) -> "Objective":
    """The total loss of a recipe, its targets made from what the materials hold."""
    recipe = materials.recipe
    return Objective(materials.network, make_terms(materials), recipe.pooling, materials.tiling)


class Objective:
    """The total loss as a function of the picture, for fixed network and terms.

    The picture is gone through tile by tile, twice: first for the statistics that the losses are
    made of, then for each tile's share of the gradient. The first time the last tile leaves its
    trace, so that nothing is computed twice where there is only one.
    """

    def __init__(
        self, network: Network, terms: Sequence[Term], pooling: Pooling, tiling: Tiling
    ) -> None:
        self._network = network
        self._pooling: Pooling = pooling
        self._tiling = tiling
        self._terms = terms
        self._of_picture = [term for term in terms if not term.layers]
        self._of_layer: dict[str, list[Term]] = {
            layer: [term for term in terms if layer in term.layers]
            for layer in sorted({layer for term in terms for layer in term.layers})
        }

    def evaluate(self, picture: Tensor) -> Evaluation:
        """Losses and gradient at `picture`, (1, 3, H, W) RGB, meant for 0..1 but not held to it."""
        for term in self._terms:
            term.begin(self._tiling)
        *others, last = self._tiling.tiles
        for tile in others:
            maps = self._network.features(tile.crop(picture), self._of_layer, self._pooling)
            for layer, features in maps:
                self._read(tile, layer, features)
        trace = self._trace(last, picture, read=True)
        whole = self._tiling.whole
        for term in self._of_picture:
            term.read(whole, PICTURE, picture)
        losses = {term.name: term.value() for term in self._terms}
        gradient = self._pull_back(last, trace)
        if others:
            share, gradient = gradient, torch.zeros_like(picture)
            last.crop(gradient).add_(share)
        for tile in others:
            trace = self._trace(tile, picture, read=False)
            tile.crop(gradient).add_(self._pull_back(tile, trace))
        for term in self._of_picture:
            term.inject(whole, PICTURE, picture, gradient)
        total: Tensor | None = None
        for term in self._terms:
            part = term.weight * losses[term.name]
            total = part if total is None else total + part
        assert total is not None
        return Evaluation(total, losses, gradient)

    def _trace(self, tile: Tile, picture: Tensor, *, read: bool) -> Trace:
        reader = partial(self._read, tile) if read else lambda layer, features: None
        return self._network.trace(tile.crop(picture), self._of_layer, self._pooling, reader)

    def _read(self, tile: Tile, layer: str, features: Tensor) -> None:
        for term in self._of_layer[layer]:
            term.read(tile, layer, features)

    def _pull_back(self, tile: Tile, trace: Trace) -> Tensor:
        """The gradient of what a tile owns, for the pixels of its region."""

        def injection(layer: str) -> Injection:
            def inject(features: Tensor, gradient: Tensor) -> None:
                for term in self._of_layer[layer]:
                    term.inject(tile, layer, features, gradient)

            return inject

        return self._network.pull_back(trace, {layer: injection(layer) for layer in self._of_layer})
