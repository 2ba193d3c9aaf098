"""Faces keep more of the photograph: their soft ovals, and what becomes of the painting there."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.engine import Engine, Style
from daemon.engine.errors import CheckpointError
from daemon.engine.faces import Face
from daemon.engine.losses.faces import LESS_BETA, MORE_ALPHA, face_levels, keep_faces
from daemon.engine.losses.objective import make_objective
from daemon.engine.losses.places import TOP, WeightMap
from daemon.engine.losses.term import Materials
from daemon.engine.paint import Resting, finish
from daemon.engine.pixels import Pixels, resize
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_tensor
from daemon.engine.vgg.network import Network

FACE = Face(20, 20, 24, 24)


def test_oval_is_whole_in_the_faces_middle_and_nothing_outside() -> None:
    levels = face_levels([FACE], (64, 64), (64, 64))
    assert levels.shape == (64, 64) and levels.dtype == torch.uint8
    assert (levels[28:38, 28:36] == TOP).all()
    assert not levels[:, :17].any() and not levels[:14].any()
    # Taller than wide, and as far to the left as to the right of the box's middle.
    down, across = levels.max(dim=1).values > 0, levels.max(dim=0).values > 0
    assert down.sum() > across.sum()
    assert torch.equal(levels[:, 20:32], levels[:, 32:44].flip(1))


def test_oval_fades_so_that_no_edge_is_seen() -> None:
    levels = face_levels([Face(50, 50, 100, 100)], (200, 200), (200, 200)).int()
    steps = [levels.diff(dim=side).abs().max().item() for side in (0, 1)]
    assert max(steps) < 20  # of 255


def test_oval_is_the_same_at_every_size_of_the_schedule() -> None:
    large, small = (face_levels([FACE], (64, 64), (side, side)).float()[None] for side in (256, 64))
    difference = torch.nn.functional.avg_pool2d(large, 4) - small
    assert difference.abs().max() < 12


def test_ovals_in_bands_are_the_ovals_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = face_levels([FACE, Face(0, 40, 30, 30)], (64, 64), (64, 64))
    monkeypatch.setattr("daemon.engine.losses.faces.ROWS_AT_ONCE", 7)
    assert torch.equal(face_levels([FACE, Face(0, 40, 30, 30)], (64, 64), (64, 64)), whole)


def test_face_at_the_pictures_border_is_cut() -> None:
    levels = face_levels([Face(-10, -10, 30, 30)], (64, 48), (64, 48))
    assert levels.shape == (48, 64) and levels[2, 2] == TOP and not levels[40:].any()


@pytest.fixture
def known(thin: Network, pixels, make_materials) -> Materials:
    return make_materials(thin, Recipe(faces=0.5), pixels(64, 64), pixels(64, 64, of="coffee"))


def test_in_a_face_alpha_is_higher_and_beta_lower_and_elsewhere_both_are_as_they_were(
    known: Materials,
) -> None:
    kept = keep_faces(known, [FACE], (64, 64))
    content, style = kept.content_weights, kept.regions[0].weights
    assert content is not None and style is not None
    assert content.pixels()[32, 32] == pytest.approx(1 + 0.5 * MORE_ALPHA)
    assert style.pixels()[32, 32] == pytest.approx(1 - 0.5 * LESS_BETA)
    assert content.pixels()[0, 0] == style.pixels()[0, 0] == 1


def test_region_of_a_mask_counts_in_a_face_as_much_less(known: Materials) -> None:
    half = WeightMap(torch.full((64, 64), 128, dtype=torch.uint8))
    in_region = replace(known, regions=[replace(known.regions[0], weights=half)])
    (region,) = keep_faces(in_region, [FACE], (64, 64)).regions
    assert region.weights is not None
    found = region.weights.pixels()
    assert found[0, 0] == pytest.approx(128 / TOP)
    # To the nearest of 256 levels.
    assert found[32, 32] == pytest.approx(128 / TOP * (1 - 0.5 * LESS_BETA), abs=0.5 / TOP)


def test_recipe_without_faces_or_picture_without_any_is_left_as_it_is(known: Materials) -> None:
    without = replace(known, recipe=Recipe())
    assert keep_faces(known, [], (64, 64)) is known
    assert keep_faces(without, [FACE], (64, 64)) is without


def finished(engine: Engine, photo: Pixels, style: Style, recipe: Recipe, *faces: Face) -> Pixels:
    return finish(engine.paint(photo, [style], recipe, faces=faces)).pixels


def test_faces_of_a_recipe_that_does_without_change_no_byte(
    engine: Engine, photo: Pixels, starry: Style
) -> None:
    recipe = Recipe(size=64, steps=3)
    without = finished(engine, photo, starry, recipe)
    assert np.array_equal(finished(engine, photo, starry, recipe, FACE), without)
    asked = recipe.model_copy(update={"faces": 1.0})
    assert np.array_equal(finished(engine, photo, starry, asked), without)
    assert not np.array_equal(finished(engine, photo, starry, asked, FACE), without)


def test_face_keeps_far_more_of_the_photograph_at_the_same_style_around_it(
    vgg_engine: Engine, photo: Pixels, starry: Style, make_materials
) -> None:
    plain = Recipe(size=64, steps=12)
    height, width = photo.shape[:2]
    face = Face(width // 3, height // 3, width // 3, height // 3)
    painted = [
        finished(vgg_engine, photo, starry, plain.model_copy(update={"faces": faces}), face)
        for faces in (0.0, 1.0)
    ]
    inside, outside = [], []
    small = [to_tensor(one, vgg_engine.device) for one in painted]
    content = to_tensor(resize(photo, *reversed(small[0].shape[2:])), vgg_engine.device)
    style = to_tensor(resize(starry.pixels, 64, 50), vgg_engine.device)
    known = make_materials(vgg_engine.network, plain, content, style)
    levels = face_levels([face], (width, height), (content.shape[3], content.shape[2]))
    core, rest = (WeightMap(one.to(torch.uint8) * TOP) for one in (levels > 127, levels == 0))
    judge = make_objective(
        replace(known, regions=[replace(known.regions[0], weights=rest)], content_weights=core)
    )
    for picture in small:
        found = judge.evaluate(picture).losses
        inside.append(found["content"].item())
        outside.append(found["style"].item())
    assert inside[1] < 0.6 * inside[0]
    assert outside[1] == pytest.approx(outside[0], rel=0.1)


def checkpoint_of(engine: Engine, photo: Pixels, style: Style, recipe: Recipe) -> Checkpoint:
    moments = engine.paint(photo, [style], recipe, faces=[FACE])
    return next(one.make_checkpoint() for one in moments if isinstance(one, Resting))


def test_painting_goes_on_only_with_the_faces_it_was_begun_with(
    engine: Engine, photo: Pixels, starry: Style
) -> None:
    recipe = Recipe(size=64, steps=3, faces=1.0)
    begun = checkpoint_of(engine, photo, starry, recipe)
    others = engine.paint(photo, [starry], recipe, faces=[Face(0, 0, 9, 9)], resumed=begun)
    with pytest.raises(CheckpointError, match="another painting"):
        next(others)
    undisturbed = finished(engine, photo, starry, recipe, FACE)
    begun = checkpoint_of(engine, photo, starry, recipe)
    resumed = finish(engine.paint(photo, [starry], recipe, faces=[FACE], resumed=begun)).pixels
    assert np.array_equal(resumed, undisturbed)
