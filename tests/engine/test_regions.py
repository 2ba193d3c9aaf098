"""Regions: which style goes where, by soft masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.engine import Engine, Style
from daemon.engine.errors import CheckpointError, PictureError
from daemon.engine.fit import memory
from daemon.engine.fit.plan import count_maps, make_plan, maps_bytes
from daemon.engine.fit.tiles import cut
from daemon.engine.losses import style as style_loss
from daemon.engine.losses.places import WeightMap, covered, strongest
from daemon.engine.losses.term import Materials, Region
from daemon.engine.losses.wide import ROWS_AT_ONCE
from daemon.engine.paint import Painted, Planned, Resting, Stepped, finish
from daemon.engine.pixels import Pixels, resize
from daemon.engine.recipe import Recipe
from daemon.engine.regions import Mask, Masks, stretch, weight_maps
from daemon.engine.schedule import Pass
from daemon.engine.tensors import to_pixels, to_tensor

SIDE = 64
QUICK = Recipe(size=SIDE, steps=6)


@pytest.fixture(scope="module")
def stripes() -> Style:
    """A style unlike Starry: red and white stripes."""
    pixels = np.zeros((96, 96, 3), np.uint8)
    pixels[..., 0] = 220
    pixels[np.arange(96) % 12 < 6] = 250
    return Style(pixels, 1.0, "stripes", "right")


@pytest.fixture
def left(starry: Style) -> Style:
    return replace(starry, region="left")


def ramp(soft_px: int = 1, side: int = SIDE) -> Mask:
    """The right half of a square, with an edge so soft."""
    across = (np.arange(side) - side / 2 + 0.5) / soft_px + 0.5
    return np.repeat((across.clip(0, 1) * 255).round().astype(np.uint8)[None], side, axis=0)


def halves(soft_px: int = 1, side: int = SIDE) -> Masks:
    return {"left": 255 - ramp(soft_px, side), "right": ramp(soft_px, side)}


def style_distance(
    engine: Engine, recipe: Recipe, picture: Pixels, style: Style, half: str
) -> float:
    """How far one half of a picture is from a style, by the loss's own statistics."""
    content = to_tensor(picture, engine.device)
    size = Pass(picture.shape[1], picture.shape[0], 1)
    plan = engine.plan(recipe, size)
    tiling = cut(size.height_px, size.width_px, None, recipe.style_layers, recipe.pooling)
    part = weight_maps(halves(), size, engine.device)[half]
    region = Region(engine.moments(style, recipe, size, plan), part)
    materials = Materials(engine.network, recipe, tiling, None, content, [region])  # type: ignore[arg-type]
    loss = style_loss.loss_of(region, materials)
    loss.begin(tiling)
    for layer, features in engine.network.features(content, loss.layers, recipe.pooling):
        loss.read(tiling.whole, layer, features)
    return loss.value().item()


@pytest.mark.parametrize(
    "settings", [{}, {"match": 1.0, "tv": "auto", "init": "style"}, {"init": "noise"}], ids=repr
)
def test_white_mask_is_no_mask_to_the_bit(
    engine: Engine, photo: Pixels, starry: Style, settings: dict[str, object]
) -> None:
    recipe = QUICK.model_copy(update=settings)
    white = np.full((40, 30), 255, np.uint8)
    without, with_it = (
        finish(engine.paint(photo, [starry], recipe, masks=masks)) for masks in (None, {"": white})
    )
    assert without.pixels.tobytes() == with_it.pixels.tobytes()


def test_region_that_is_nowhere_leaves_the_other_as_if_alone(
    engine: Engine, photo: Pixels, left: Style, stripes: Style
) -> None:
    masks = {"left": np.full((8, 8), 255, np.uint8), "right": np.zeros((8, 8), np.uint8)}
    both = finish(engine.paint(photo, [left, stripes], QUICK, masks=masks))
    alone = finish(engine.paint(photo, [left], QUICK, masks={"left": masks["left"]}))
    assert both.pixels.tobytes() == alone.pixels.tobytes()


def test_each_half_has_its_own_style(
    engine: Engine, photo: Pixels, left: Style, stripes: Style
) -> None:
    recipe = Recipe(size=SIDE, steps=40, alpha=0.05)
    painted = finish(engine.paint(photo, [left, stripes], recipe, masks=halves())).pixels
    for half, own, other in (("left", left, stripes), ("right", stripes, left)):
        near = style_distance(engine, recipe, painted, own, half)
        assert 5 * near < style_distance(engine, recipe, painted, other, half)


@pytest.mark.parametrize("init", ["content", "noise", "style"])
def test_places_of_no_region_are_the_photographs(
    engine: Engine, photo: Pixels, left: Style, init: str
) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, :20] = 255
    recipe = Recipe(size=SIDE, steps=6, init=init, preconditioner="fourier")
    shown = []
    for moment in engine.paint(photo, [left], recipe, masks={"left": mask}):
        match moment:
            case Stepped():
                shown.append(moment.palette.show(to_pixels(moment.picture.clone())))
            case Painted():
                painted = moment.pixels
    wanted = resize(photo, SIDE, SIDE) / np.float32(255)
    for pixels in (shown[0], shown[-1], painted):
        assert np.abs(pixels - wanted)[:, 20:].max() < 1e-6
    assert np.abs(painted - wanted).max(axis=(0, 2))[:20].min() > 0.05
    assert np.abs(shown[-1] - wanted).max(axis=(0, 2))[:20].min() > 0.05


def test_picture_changes_as_much_as_its_grey_mask_is_bright(
    engine: Engine, photo: Pixels, starry: Style
) -> None:
    def change(level: int) -> float:
        masks = {"": np.full((4, 4), level, np.uint8)}
        painted = finish(engine.paint(photo, [starry], QUICK, masks=masks)).pixels
        return float(np.abs(painted - resize(photo, SIDE, SIDE) / 255).mean())

    faint, half, whole = (change(level) for level in (25, 127, 255))
    assert faint < 0.2 * whole and 0.3 * whole < half < 0.7 * whole


def test_styles_of_one_region_are_mixed_by_weight(
    engine: Engine, photo: Pixels, left: Style, stripes: Style
) -> None:
    other = replace(stripes, region="left", weight=3.0)
    mask = {"left": ramp()}
    mixed, first, second = (
        finish(engine.paint(photo, styles, QUICK, masks=mask)).passes[0].first.losses["style"]
        for styles in ([left, other], [left], [other])
    )
    assert min(first, second) != mixed != max(first, second)


@pytest.mark.parametrize("settings", [{}, {"match": 1.0, "tv": "auto"}], ids=repr)
def test_painting_in_regions_goes_on_from_a_checkpoint_to_the_same_bytes(
    engine: Engine, photo: Pixels, left: Style, stripes: Style, settings: dict[str, object]
) -> None:
    recipe, styles = QUICK.model_copy(update=settings), [left, stripes]
    kept: list[Checkpoint] = []
    for moment in engine.paint(photo, styles, recipe, masks=halves(9)):
        match moment:
            case Resting(make_checkpoint):
                made = make_checkpoint()
                tensors = {name: one.clone() for name, one in made.tensors.items()}
                kept.append(replace(made, tensors=tensors))
            case Painted():
                whole = moment
    resumed = finish(engine.paint(photo, styles, recipe, resumed=kept[2], masks=halves(9)))
    assert resumed.pixels.tobytes() == whole.pixels.tobytes()
    for masks in (halves(8), {"left": ramp(9), "right": 255 - ramp(9)}):
        with pytest.raises(CheckpointError, match="another painting"):
            finish(engine.paint(photo, styles, recipe, resumed=kept[2], masks=masks))


def test_regions_in_tiles_are_painted_as_in_one(
    engine: Engine,
    photo: Pixels,
    left: Style,
    stripes: Style,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide, recipe = resize(photo, 272, 64), Recipe(size=272, steps=3)
    masks = halves(40, 100)

    def paint() -> Painted:
        return finish(engine.paint(wide, [left, stripes], recipe, masks=masks))

    whole = paint()
    plan = engine.plan
    monkeypatch.setattr(
        engine,
        "plan",
        lambda *asked, **named: replace(plan(*asked, **named), tile_px=128, aside=False),
    )
    tiled = paint()
    assert whole.passes[-1].plan.tile_px is None and tiled.passes[-1].plan.tile_px == 128
    for name, loss in whole.passes[-1].last.losses.items():
        assert tiled.passes[-1].last.losses[name] == pytest.approx(loss, rel=1e-3)


def test_plan_counts_the_maps(
    engine: Engine,
    photo: Pixels,
    left: Style,
    stripes: Style,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def predicted(maps: int) -> int:
        return make_plan(
            4000,
            6000,
            Recipe(),
            value_bytes=4,
            held_bytes=0,
            budget_bytes=1 << 50,
            aside_bytes=1 << 50,
            maps=maps,
        ).predicted_bytes

    assert predicted(3) - predicted(2) == 4000 * 6000
    # In one tile relu4_1 has most, as many positions as are taken at a time.
    assert predicted(1) - predicted(0) == (1 + 8) * 4000 * 6000 + ROWS_AT_ONCE * 512 * 4
    monkeypatch.setattr(memory, "held_bytes", lambda device: 0)  # it is never the same
    moments = engine.paint(photo, [left, stripes], QUICK, masks=halves())
    planned = next(moment for moment in moments if isinstance(moment, Planned))
    without = engine.plan(QUICK, planned.size).predicted_bytes
    # Besides the maps, a layer's features times their weights; relu1_1 has most.
    weighted = SIDE * SIDE * 64 * 4
    assert planned.plan.predicted_bytes - without == maps_bytes(SIDE, SIDE, 2) + weighted
    ((_, foreseen),) = engine.foresee(QUICK, SIDE, SIDE, maps=2)
    assert foreseen.predicted_bytes == planned.plan.predicted_bytes


def test_faces_add_a_map_and_one_for_each_region() -> None:
    assert [count_maps(0, 0), count_maps(2, 0), count_maps(0, 3), count_maps(2, 1)] == [0, 2, 1, 5]


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        ({}, "no mask says where"),
        ({"left": ramp()}, "each region needs a mask and a style"),
        ({"left": ramp(), "right": ramp(), "sky": ramp()}, "each region needs"),
        ({"left": ramp(), "right": ramp().astype(np.float32)}, "of uint8"),
        ({"left": ramp(), "right": ramp()[None]}, r"array \(height, width\)"),
    ],
)
def test_masks_that_do_not_fit_the_styles_are_refused(
    engine: Engine, photo: Pixels, left: Style, stripes: Style, masks: Masks, reason: str
) -> None:
    with pytest.raises(PictureError, match=reason):
        finish(engine.paint(photo, [left, stripes], QUICK, masks=masks))


def test_mask_is_averaged_where_it_is_reduced_and_soft_where_it_is_enlarged() -> None:
    checks = np.array([[0, 255], [255, 0]], np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    assert stretch(checks, 1, 1).tolist() == [[128]]
    assert stretch(checks, 2, 2).tolist() == [[0, 255], [255, 0]]
    larger = stretch(np.array([[0, 255]], np.uint8), 8, 1)[0].astype(int)
    assert (np.diff(larger) >= 0).all() and len(set(larger)) > 2


def test_maps_of_regions_cover_together_what_they_cover_each() -> None:
    part, rest = (WeightMap(torch.full((4, 4), level, dtype=torch.uint8)) for level in (100, 55))
    both = covered([part, rest])
    assert both is not None and both.levels.unique().tolist() == [155]
    assert covered([part, None]) is None and covered([part]) is part
    assert strongest([rest, part], 2).tolist() == [[1, 1], [1, 1]]
    assert strongest([part, None], 4).tolist() == [[1]]
