"""VGG-19 by the names of its layers: blocks, scales, channels, what each sees, what a trace keeps.

Torch-free. Source: Simonyan & Zisserman 2014, table 1, column E.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Pooling = Literal["max", "average", "blurred"]
"""How the network halves its maps."""

CONVOLUTIONS_PER_BLOCK = (2, 2, 4, 4, 4)
CHANNELS_PER_BLOCK = (64, 128, 256, 512, 512)
MIN_SIDE_PX = 16
"""The shortest side the network can judge: block 5 sees one value per 16 px."""

RECOMPUTED = ("conv1_1", "relu1_1")
"""Their maps are the largest of all and cost a fiftieth of a pass to make again."""


@dataclass(frozen=True)
class Layer:
    """One operation: `convB_I` before its ReLU, `reluB_I` after it, or `poolB` after a block."""

    name: str
    kind: str
    block: int
    index: int

    @property
    def scale(self) -> int:
        """How many times smaller than the picture its input is, along each side."""
        return 1 << (self.block - 1)

    @property
    def channels(self) -> int:
        """How many feature maps it has."""
        return CHANNELS_PER_BLOCK[self.block - 1]


OPERATIONS = tuple(
    layer
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK, start=1)
    for layer in (
        *(
            Layer(f"{kind}{block}_{index}", kind, block, index)
            for index in range(1, count + 1)
            for kind in ("conv", "relu")
        ),
        Layer(f"pool{block}", "pool", block, count),
    )
)
"""What VGG-19 does, in order, up to its last pooling."""

BY_NAME = {layer.name: layer for layer in OPERATIONS}
LAYERS = tuple(layer.name for layer in OPERATIONS if layer.kind != "pool")
"""Every layer that a loss may name, shallow to deep."""

CONVOLUTIONS = tuple(layer.name for layer in OPERATIONS if layer.kind == "conv")


def scale_of(layer: str) -> int:
    """How many times smaller than the picture a layer is, along each side."""
    return BY_NAME[layer].scale


def channels_of(layer: str) -> int:
    """How many feature maps a layer has."""
    return BY_NAME[layer].channels


def deepest(layers: Collection[str]) -> str:
    """The deepest of some layers; the network can be cut after it."""
    return max(layers, key=LAYERS.index)


def down_to_deepest(layers: Collection[str]) -> tuple[str, ...]:
    """Every layer from the first to the deepest of `layers`."""
    return tuple(LAYERS[: LAYERS.index(deepest(layers)) + 1])


def reach_px(layer: str, pooling: Pooling) -> int:
    """How many pixels beyond its own a position of a layer sees, in every direction."""
    last = BY_NAME[layer]
    reach = 0  # in positions of the block at hand
    for block in range(last.block, 0, -1):
        inner = block == last.block
        if not inner:  # a pooling; a blurred one sees one place more
            reach = 2 * reach + (pooling == "blurred")
        reach += last.index if inner else CONVOLUTIONS_PER_BLOCK[block - 1]
    return reach


def is_needed(operation: str, layers: Collection[str]) -> bool:
    """Whether the backward pass of losses on `layers` looks at an operation's output."""
    return BY_NAME[operation].kind == "relu" or operation in layers


def is_kept(operation: str, layers: Collection[str]) -> bool:
    """Whether a trace keeps that output; what it needs and does not keep is computed again."""
    return is_needed(operation, layers) and operation not in RECOMPUTED
