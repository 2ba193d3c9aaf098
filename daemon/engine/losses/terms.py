"""The one table from a recipe to the terms of its total loss.

A new loss is a module like its neighbours and a line in `KINDS`; nothing else knows losses by
name.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from daemon.engine.losses import content, edges, match, style, variation
from daemon.engine.losses.term import Materials, Term
from daemon.engine.recipe import Recipe


@dataclass(frozen=True)
class Kind:
    """A kind of loss.

    layers: those that a recipe's loss looks at.  make: the term, None if a recipe does without.
    keeps_features: whether its targets are feature maps as large as its layers.  vectors: what it
    takes beside, counted in vectors as large as the picture.
    """

    layers: Callable[[Recipe], Mapping[str, float]]
    make: Callable[[Materials], Term | None]
    keeps_features: bool = False
    vectors: Callable[[Recipe], float] = lambda recipe: 0.0


KINDS = (
    Kind(content.layers, content.make, keeps_features=True),
    Kind(style.layers, style.make),
    Kind(match.layers, match.make, keeps_features=True),
    Kind(variation.layers, variation.make),
    Kind(edges.layers, edges.make, vectors=edges.vectors),
)


def make_terms(materials: Materials) -> list[Term]:
    """The terms of a recipe's total loss, in the order of the table."""
    made = (kind.make(materials) for kind in KINDS)
    return [term for term in made if term is not None]


def layers_of(recipe: Recipe) -> set[str]:
    """The layers that a recipe's losses look at."""
    return {layer for kind in KINDS for layer in kind.layers(recipe)}


def kept_layers(recipe: Recipe) -> Collection[str]:
    """The layers whose feature maps are kept as targets, once for each loss that does."""
    return [layer for kind in KINDS if kind.keeps_features for layer in kind.layers(recipe)]


def vectors_of(recipe: Recipe) -> float:
    """What the losses take beside their layers, counted in vectors as large as the picture."""
    return sum(kind.vectors(recipe) for kind in KINDS)
