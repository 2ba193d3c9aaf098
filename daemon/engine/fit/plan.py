"""How a picture will be worked on so that it fits into memory, decided before the first step.

The prediction follows the tensors of one evaluation through the network, and adds the optimiser's
vectors, the targets, and what the process holds already. `bench/memory.py` holds it against what
the process really took.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from daemon.engine.fit.scratch import BAND
from daemon.engine.fit.tiles import Tiling, cut
from daemon.engine.losses.nearest import search_bytes
from daemon.engine.losses.terms import kept_layers, layers_of, vectors_of
from daemon.engine.losses.wide import ROWS_AT_ONCE
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import most_style_pixels
from daemon.engine.vgg.layers import BY_NAME, channels_of, down_to_deepest, is_kept, scale_of

LARGE_PIXELS = 500_000
HISTORIES = (20, 10, 5, 3)
"""Pairs L-BFGS remembers. Measured: above half a megapixel, where passes are short, 10 cost nothing
against 20, and 5 two per cent of the loss."""

TILE_SIDES_PX = (4096, 2048, 1536, 1024, 768, 512, 384, 256)

BYTES_PER_VALUE = 4
PICTURE_BYTES = 3 * BYTES_PER_VALUE
"""A pixel of a picture-sized vector."""

STYLE_BYTES = 12
"""A pixel of a style image at the pass's scale: three floats, or what Pillow takes for 8 bits."""

LIBRARY_BYTES = {4: 60_000_000, 2: 150_000_000}
"""Measured: buffers of libraries, whatever the size, by the bytes of the network's numbers."""

MAP_AT_WORK_BYTES = 8
"""A pixel of a map of weights that is looked at: its levels as floats, and their means."""

HOLES_BYTES = 300_000_000
"""Measured: what tiles of several sizes leave unused between their blocks, up to 100 megapixels."""

EVALUATION_VECTORS = 2
"""The picture and its gradient; the others rest."""

ADVANCE_VECTORS = 4.2
"""The picture, its gradient, the same smoothed, and the Fourier transforms of a channel."""

LEAST_TILE_IN_MEMORY_PX = 1024
"""Smaller tiles take more time than vectors that lie aside; those wear out a disk, though."""

MOST_PAIRS_ASIDE = 5
"""A pair takes 24 bytes a pixel of disk, and as many again in a checkpoint."""

FAR_OVER = 1.25
"""A prediction of so many budgets is no error of prediction, which are below a tenth (measured).
Where the budget is four fifths of what is free, it is also more than there is."""


@dataclass(frozen=True)
class Way:
    """A way to compute a pass.

    tile_px: side of a tile, None for one tile.  history: pairs of L-BFGS, 0 for Adam.
    aside: whether what only the optimiser or one tile at a time looks at lies in a file (on CUDA:
    in host memory).
    """

    tile_px: int | None
    history: int
    aside: bool


@dataclass(frozen=True)
class Plan:
    """How one pass is computed: a way, and what it takes.

    predicted_bytes: the process's peak (on CUDA: the device's).
    budget_bytes: what it may take.
    """

    tile_px: int | None
    history: int
    aside: bool
    predicted_bytes: int
    budget_bytes: int

    @property
    def fits(self) -> bool:
        """Whether the prediction stays inside the budget."""
        return self.predicted_bytes <= self.budget_bytes

    @property
    def is_far_over(self) -> bool:
        """Whether the budget will be exceeded, however wrong the prediction may be."""
        return self.predicted_bytes > FAR_OVER * self.budget_bytes


def make_plan(
    height_px: int,
    width_px: int,
    recipe: Recipe,
    *,
    value_bytes: int,
    held_bytes: int,
    budget_bytes: int,
    aside_bytes: int,
    history: int | None = None,
    recorded: bool = False,
    maps: int = 0,
) -> Plan:
    """The plan that takes least time of those that fit; if none does, the smallest.

    value_bytes: of the network's numbers (4 for float32, 2 for bfloat16).  held_bytes: what the
    process holds before the pass.  aside_bytes: the most that may lie aside.  history: of a pass
    that goes on from a checkpoint, whose pairs it brings.  recorded: whether an evaluation keeps
    its memory between two of them, as a CUDA graph does.  maps: how many maps of weights there are.
    """
    size = (height_px, width_px, recipe)

    def has_room(way: Way) -> bool:
        return lying_aside_bytes(*size, way.history, value_bytes) <= aside_bytes

    plans = [
        Plan(
            way.tile_px,
            way.history,
            way.aside,
            held_bytes + predict(*size, way, value_bytes, recorded=recorded, maps=maps),
            budget_bytes,
        )
        for way in ways(max(height_px, width_px), histories_of(size, history))
        if not way.aside or has_room(way)
    ]
    least = min(plans, key=lambda plan: plan.predicted_bytes)
    return next((plan for plan in plans if plan.fits), least)


def ways(longest_px: int, histories: Sequence[int]) -> Iterator[Way]:
    """The ways to compute a pass, the one that takes least time first.

    Fewer pairs cost a few per cent, tiles up to twice the time: so they are the later choice.
    histories: how many pairs may be remembered, the usual number first.
    """
    sides: list[int | None] = [None, *(side for side in TILE_SIDES_PX if side < longest_px)]
    large = [side for side in sides if side is None or side >= LEAST_TILE_IN_MEMORY_PX]
    only_few = [pairs for pairs in histories if pairs <= MOST_PAIRS_ASIDE] or histories[:1]
    for side in large:
        yield from (Way(side, pairs, aside=False) for pairs in histories)
    for side in sides:
        yield from (Way(side, pairs, aside=True) for pairs in only_few)
    for side in sides[len(large) :]:
        yield from (Way(side, pairs, aside=False) for pairs in histories)


def histories_of(size: tuple[int, int, Recipe], history: int | None) -> list[int]:
    """How many pairs a pass may remember, the usual number first; see `make_plan`."""
    height_px, width_px, recipe = size
    if history is not None:
        return [history]
    if recipe.optimizer != "lbfgs":
        return [0]
    usual = usual_history(height_px * width_px)
    return [pairs for pairs in HISTORIES if pairs <= usual]


def usual_history(pixels: int) -> int:
    """Pairs remembered where memory is plenty."""
    return HISTORIES[1 if pixels > LARGE_PIXELS else 0]


def predict(
    height_px: int,
    width_px: int,
    recipe: Recipe,
    way: Way,
    value_bytes: int,
    *,
    recorded: bool = False,
    maps: int = 0,
) -> int:
    """Bytes a pass takes at most, beyond what is held already; see `make_plan`."""
    layers = layers_of(recipe)
    tiling = cut(height_px, width_px, way.tile_px, layers, recipe.pooling)
    vector = PICTURE_BYTES * height_px * width_px
    resting = resting_bytes(height_px, width_px, recipe, way.history, value_bytes)
    # While the network works, and between two evaluations.
    evaluating = EVALUATION_VECTORS * vector + evaluation_bytes(tiling, layers, value_bytes)
    if len(tiling.tiles) > 1:
        evaluating += HOLES_BYTES
    advancing = int(ADVANCE_VECTORS * vector)
    if way.aside:
        resting = 0
        bands = 2 * (way.history or 1) + 2
        advancing -= vector if way.history else 0  # the gradient is smoothed where it is
        if not recorded:
            advancing -= vector  # the picture lies aside, too
        advancing += bands * min(BAND * BYTES_PER_VALUE, vector)
    working = max(evaluating, advancing)
    if recorded and not way.aside:
        working = evaluating + advancing
    if recipe.match:
        working = max(working, search_bytes(height_px, width_px, recipe, value_bytes))
    losses = int(vectors_of(recipe) * vector)
    if maps:
        losses += maps_bytes(height_px, width_px, maps) + weighted_bytes(tiling, recipe)
    painting = resting + working + losses
    # Before that, unless on CUDA, where only a tile of a style image is on the device at a time.
    scale = max(recipe.style_scales)
    style_px = 0 if recorded else most_style_pixels(height_px, width_px, scale)
    looking = STYLE_BYTES * style_px + evaluation_bytes(tiling, layers, value_bytes)
    return LIBRARY_BYTES[value_bytes] + max(painting, looking)


def count_maps(regions: int, faces: int) -> int:
    """How many maps of weights a painting has: one a region, and with faces those of each anew."""
    return regions + (regions + 1 if faces else 0)


def maps_bytes(height_px: int, width_px: int, maps: int) -> int:
    """Bytes of so many maps of weights: a level a pixel each, and one of them at work as floats."""
    return (maps + MAP_AT_WORK_BYTES) * height_px * width_px


def weighted_bytes(tiling: Tiling, recipe: Recipe) -> int:
    """Bytes of a layer's features times their weights, as many as are taken at a time."""
    region = max(tile.region_px for tile in tiling.tiles)
    return max(
        min(ROWS_AT_ONCE, region // scale_of(layer) ** 2) * channels_of(layer) * BYTES_PER_VALUE
        for layer in recipe.style_layers
    )


def resting_bytes(
    height_px: int, width_px: int, recipe: Recipe, history: int, value_bytes: int
) -> int:
    """Bytes of what only the optimiser, or one tile at a time, looks at.

    The best picture, the gradient before, the history, and the content's targets.
    """
    pixels = height_px * width_px
    vectors = 2 + 2 * (history or 1)  # Adam's two moments are as large as a pair
    targets = sum(features_bytes(layer, pixels, value_bytes) for layer in kept_layers(recipe))
    return vectors * PICTURE_BYTES * pixels + int(targets)


def lying_aside_bytes(
    height_px: int, width_px: int, recipe: Recipe, history: int, value_bytes: int
) -> int:
    """What must find room aside: what rests, and with L-BFGS the gradient of the step."""
    resting = resting_bytes(height_px, width_px, recipe, history, value_bytes)
    return resting + (PICTURE_BYTES * height_px * width_px if history else 0)


def features_bytes(layer: str, pixels: int, value_bytes: int) -> float:
    """Bytes of a layer's features for so many pixels of the picture."""
    return channels_of(layer) * pixels / scale_of(layer) ** 2 * value_bytes


def evaluation_bytes(tiling: Tiling, layers: Collection[str], value_bytes: int) -> int:
    """Bytes of the largest tile's trace at its peak, forwards or backwards."""
    region = max(tile.region_px for tile in tiling.tiles)
    used = down_to_deepest(layers)
    kept, peak = 0.0, 0.0
    kept_of: list[float] = []
    for layer in used:
        size = features_bytes(layer, region, value_bytes)
        if BY_NAME[layer].kind == "conv":
            # The convolution's input is kept already; its output is rectified in place, unless
            # both are wanted.
            peak = max(peak, kept + 2 * size)
        kept_of.append(size if is_kept(layer, layers) else 0.0)
        kept += kept_of[-1]
    # Backwards: the gradient of a layer and of the one before it live side by side, beside what
    # is still kept; a pooling has its indices too, 8 bytes for a quarter of the values.
    for layer, own in zip(reversed(used), reversed(kept_of), strict=True):
        size = features_bytes(layer, region, value_bytes)
        peak = max(peak, kept + 2.5 * size)
        kept -= own
    return int(peak)
