"""Feature maps as targets: what a picture has at each place is compared with what it should have.

They are as large as their layers, and lie in the scratch.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from daemon.engine.fit.scratch import Scratch
from daemon.engine.fit.tiles import Tile, Tiling
from daemon.engine.losses.places import WeightMap, owned_weights
from daemon.engine.losses.term import Materials, shares
from daemon.engine.losses.wide import wide
from daemon.engine.vgg.layers import scale_of


def make_map_loss(
    name: str,
    weight: float,
    layers: Mapping[str, float],
    targets: Mapping[str, Tensor],
    materials: Materials,
    weights: WeightMap | None = None,
) -> "MapLoss":
    """The term that draws the picture to `targets`, layer -> (1, C, H, W), in the scratch.

    weights: how much each place is drawn; None: everywhere alike.
    """
    factors = shares(layers, targets, materials.recipe)
    materials.scratch.release()
    return MapLoss(name, weight, factors, targets, materials.scratch, weights)


def empty_maps(materials: Materials, layer: str, like: Tensor) -> Tensor:
    """A feature map of any content for a whole layer, (1, C, H, W) channels-last, in the scratch.

    like: (1, C, h, w), some of the layer's features.  Raises OSError where the disk is full.
    """
    tiling, scale = materials.tiling, scale_of(layer)
    shape = (1, tiling.height_px // scale, tiling.width_px // scale, like.shape[1])
    return materials.scratch.empty(*shape, dtype=like.dtype).permute(0, 3, 1, 2)


class MapLoss:
    """Mean squared difference of feature maps, each layer times its factor.

    targets: layer -> (1, C, H, W), in the network's dtype, in `scratch`.  weights: what a place's
    difference counts for; None: all count 1.
    Source: Gatys 2016 eq. 1 and 2; differs: a mean where the paper has half a sum.
    """

    def __init__(
        self,
        name: str,
        weight: float,
        factors: Mapping[str, float],
        targets: Mapping[str, Tensor],
        scratch: Scratch,
        weights: WeightMap | None = None,
    ) -> None:
        self.name = name
        self.weight = weight
        self.layers = frozenset(factors)
        self._factors = factors
        self._targets = targets
        self._scratch = scratch
        self._weights = weights
        self._squares: dict[str, Tensor] = {}  # layer -> ()

    def begin(self, tiling: Tiling) -> None:
        self._tiling = tiling
        self._squares = {}

    def read(self, tile: Tile, layer: str, features: Tensor) -> None:
        owned = tile.owned_of_region(features, layer)
        weights = owned_weights(self._weights, tile, layer)
        squares = squared_difference(owned, self._target(tile, layer, owned), weights)
        self._squares[layer] = self._squares.get(layer, 0.0) + squares
        self._scratch.release()

    def value(self) -> Tensor:
        total = torch.zeros_like(next(iter(self._squares.values())))
        for layer, factor in self._factors.items():
            total.add_(self._squares[layer], alpha=factor / self._targets[layer].numel())
        return total

    def inject(self, tile: Tile, layer: str, features: Tensor, gradient: Tensor) -> None:
        owned = tile.owned_of_region(features, layer)
        add_map_gradient(
            owned,
            tile.owned_of_region(gradient, layer),
            self._target(tile, layer, owned),
            self.weight * self._factors[layer],
            self._tiling.positions(layer),
            owned_weights(self._weights, tile, layer),
        )
        self._scratch.release()

    def _target(self, tile: Tile, layer: str, owned: Tensor) -> Tensor:
        """What a tile owns of a layer's target, (1, C, h, w)."""
        return tile.owned_of_layer(self._targets[layer], layer).to(owned.device)


def squared_difference(features: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum of the squared differences of feature maps.  Both (1, C, H, W).  Returns ().

    weights: (H, W), what each position's counts for; None: all 1.
    """
    squares = (wide(features) - target).square_()
    return (squares if weights is None else squares.mul_(weights)).sum()


def add_map_gradient(
    features: Tensor,
    gradient: Tensor,
    target: Tensor,
    coefficient: float,
    positions: int,
    weights: Tensor | None = None,
) -> None:
    """Adds the gradient of `coefficient` times the mean squared difference to `gradient`, in place.

    features, gradient, target: (1, C, H, W), of a layer or a part of it.  positions: of the whole
    layer.  weights: as of `squared_difference`.  Source: Gatys 2016 eq. 2, before any ReLU mask.
    """
    difference = wide(features) - target
    if weights is not None:
        difference.mul_(weights)
    gradient.add_(difference, alpha=2.0 * coefficient / (features.shape[1] * positions))
