"""Content: the photograph's feature maps, kept where they are."""

from collections.abc import Mapping

from torch import Tensor

from daemon.engine.losses.maps import MapLoss, empty_maps, make_map_loss
from daemon.engine.losses.term import Materials
from daemon.engine.recipe import Recipe

NAME = "content"


def layers(recipe: Recipe) -> Mapping[str, float]:
    """The layers whose feature maps are kept, and their weights."""
    return recipe.content_layers


def make(materials: Materials) -> MapLoss:
    """The term for a picture to be kept."""
    recipe, targets = materials.recipe, feature_maps(materials)
    kept = materials.content_weights
    return make_map_loss(NAME, recipe.alpha, layers(recipe), targets, materials, kept)


def feature_maps(materials: Materials) -> dict[str, Tensor]:
    """The feature maps of the picture to be kept, tile by tile into the scratch."""
    network, wanted = materials.network, layers(materials.recipe)
    maps: dict[str, Tensor] = {}
    for tile in materials.tiling.tiles:
        crop = tile.crop(materials.content)
        for layer, features in network.features(crop, wanted, materials.recipe.pooling):
            if layer not in maps:
                maps[layer] = empty_maps(materials, layer, features)
            owned = tile.owned_of_layer(maps[layer], layer)
            owned.copy_(tile.owned_of_region(features, layer))
        materials.scratch.release()
    return maps
