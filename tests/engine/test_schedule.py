"""Coarse to fine: sizes, steps, and what is too narrow."""

import itertools
import re
from pathlib import Path

import pytest

from daemon.engine.errors import PictureError
from daemon.engine.recipe import Effort, Recipe
from daemon.engine.schedule import (
    EFFORTS,
    PROOF_STEPS,
    Pass,
    check_style_size,
    fit,
    limits_of,
    most_style_pixels,
    plan_passes,
    plan_proof,
    style_size,
)
from daemon.settings.presets import load_presets

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("size", "picture", "passes"),
    [
        (64, (800, 600), [(64, 48)]),
        (128, (128, 128), [(128, 128)]),
        (150, (300, 200), [(150, 100)]),
        (256, (800, 600), [(128, 96), (256, 192)]),
        (256, (600, 800), [(96, 128), (192, 256)]),
        (512, (1024, 512), [(128, 64), (256, 128), (512, 256)]),
        (1024, (100, 100), [(128, 128), (256, 256), (512, 512), (1024, 1024)]),
    ],
)
def test_passes_double_from_128_px(
    size: int, picture: tuple[int, int], passes: list[tuple[int, int]]
) -> None:
    planned = plan_passes(Recipe(size=size), *picture)
    assert [(one.width_px, one.height_px) for one in planned] == passes


def steps_of(recipe: Recipe) -> list[int]:
    """The steps of each pass of a square picture."""
    return [one.steps for one in plan_passes(recipe, 500, 500)]


def test_steps_given_by_hand_are_every_passs_whatever_the_effort() -> None:
    assert steps_of(Recipe(size=512, steps=100)) == [100, 100, 100]
    assert steps_of(Recipe(size=512, steps=7, effort="best")) == [7, 7, 7]


def test_steps_given_by_hand_end_early_as_they_always_did() -> None:
    limits = limits_of(Recipe(steps=100, effort="draft"))
    assert (limits.coarse_progress, limits.last_progress) == (0.05, 0.01)


@pytest.mark.parametrize("effort", EFFORTS)
def test_effort_says_the_steps_of_each_pass(effort: Effort) -> None:
    limits = EFFORTS[effort]
    expected = [limits.first, limits.between, limits.between, limits.last]
    assert steps_of(Recipe(size=1024, effort=effort)) == expected
    assert steps_of(Recipe(size=256, effort=effort)) == [limits.first, limits.last]


@pytest.mark.parametrize("effort", EFFORTS)
def test_picture_of_one_pass_takes_as_many_steps_as_one_that_begins_from_nothing(
    effort: Effort,
) -> None:
    assert steps_of(Recipe(size=128, effort=effort))[0] >= EFFORTS[effort].first


def test_more_effort_is_more_steps_in_every_pass() -> None:
    draft, good, best = (steps_of(Recipe(size=512, effort=one)) for one in EFFORTS)
    assert all(a < b < c for a, b, c in zip(draft, good, best, strict=True))


@pytest.mark.parametrize("effort", EFFORTS)
def test_steps_of_each_effort_are_documented(effort: Effort) -> None:
    limits = EFFORTS[effort]
    told = f"`{effort}` {limits.first}, {limits.between}, {limits.last}"
    assert told in (ROOT / "docs" / "reference.md").read_text()


def test_adam_takes_the_steps_it_took_before_there_was_an_effort() -> None:
    assert steps_of(Recipe(size=256, optimizer="adam")) == [100, 100]
    assert steps_of(Recipe(size=256, optimizer="adam", steps=7)) == [7, 7]


@pytest.mark.parametrize("name", ["gatys", "tutorial"])
def test_presets_of_the_literature_take_the_steps_they_always_took(name: str) -> None:
    preset = load_presets(ROOT / "presets").get(name)
    assert steps_of(preset.recipe) == [100, 100, 100]


def test_recipe_of_a_job_queued_before_there_was_an_effort_keeps_its_steps() -> None:
    stored = Recipe(steps=100).model_dump()
    del stored["effort"]
    assert steps_of(Recipe.model_validate(stored)) == [100, 100, 100]


@pytest.mark.parametrize("size", [182, 256, 400, 512, 700, 1000, 1500, 2048, 4000, 10_000])
def test_first_pass_is_the_same_for_a_preview_and_the_full_picture(size: int) -> None:
    passes = plan_passes(Recipe(size=size), 6000, 4000)
    assert passes[0] == Pass(128, 85, EFFORTS["good"].first)
    assert max(passes[-1].width_px, passes[-1].height_px) == size


@pytest.mark.parametrize("size", range(64, 9000, 97))
def test_every_pass_grows_by_about_two(size: int) -> None:
    widths = [one.width_px for one in plan_passes(Recipe(size=size), 6000, 6000)]
    for smaller, larger in itertools.pairwise(widths):
        # Between 182 and 256 px there is one doubling of sqrt(2); rounding adds a little.
        assert 1.40 < larger / smaller < 2.86


def test_original_keeps_the_pictures_own_size() -> None:
    passes = plan_passes(Recipe(size="original"), 1000, 613)
    assert (passes[-1].width_px, passes[-1].height_px) == (1000, 613)
    assert len(passes) == 4


@pytest.mark.parametrize(
    ("size", "picture"), [(512, (1600, 40)), (64, (64, 15)), ("original", (4000, 15))]
)
def test_picture_too_narrow_for_the_network_is_refused(size: int, picture: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match="both sides must be at least 16 px"):
        plan_passes(Recipe(size=size), *picture)


@pytest.mark.parametrize("picture", [(640, 9), (9, 640), (1000, 20), (100, 24), (333, 17)])
def test_refusal_names_the_least_size_that_will_do(picture: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match=r"choose `size: (\d+)` or more") as refused:
        plan_passes(Recipe(size=64), *picture)
    least = int(re.findall(r"`size: (\d+)`", str(refused.value))[0])
    assert min(fit(*picture, least)) == 16 > min(fit(*picture, least - max(picture) // 16))


def test_narrow_picture_skips_the_passes_that_would_be_too_narrow() -> None:
    passes = plan_passes(Recipe(size=1024, steps=9), 1024, 40)
    assert passes == [Pass(512, 20, 9), Pass(1024, 40, 9)]


@pytest.mark.parametrize("size", [512, 700, 1024, 4000, "original"])
def test_proof_goes_through_the_small_passes_of_the_full_picture(size: int | str) -> None:
    recipe = Recipe(size=size, steps=90)  # type: ignore[arg-type]
    full, proof = plan_passes(recipe, 4000, 3000), plan_proof(recipe, 4000, 3000)
    assert proof[0] == full[0] == Pass(128, 96, 90)
    assert proof[-1] == Pass(512, 384, PROOF_STEPS)
    # The ratio from pass to pass is even, so that the second depends a little on the last.
    assert proof[1].width_px == pytest.approx(full[1].width_px, rel=0.2)
    assert proof[1].steps == full[1].steps


def test_proof_takes_no_more_steps_than_the_full_picture() -> None:
    assert plan_proof(Recipe(size=1000, steps=7), 600, 600)[-1] == Pass(512, 512, 7)


@pytest.mark.parametrize("size", [64, 300, 511])
def test_proof_of_a_smaller_picture_is_the_picture_itself(size: int) -> None:
    recipe = Recipe(size=size)
    assert plan_proof(recipe, 800, 600) == plan_passes(recipe, 800, 600)


def test_fit_keeps_proportions_and_at_least_a_pixel() -> None:
    assert fit(800, 600, 512) == (512, 384)
    assert fit(600, 801, 400) == (300, 400)
    assert fit(4000, 1, 64) == (64, 1)


STYLES = [(900, 900), (1200, 900), (900, 1200), (3000, 400)]


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("style_px", STYLES)
@pytest.mark.parametrize("picture", [(800, 600), (600, 800), (512, 512), (900, 300), (1000, 250)])
def test_style_has_the_longest_side_of_a_picture_of_usual_proportions(
    picture: tuple[int, int], style_px: tuple[int, int], scale: float
) -> None:
    size = style_size(Pass(*picture, 1), style_px, scale)
    assert size == fit(*style_px, round(max(picture) * scale))


def test_every_pass_of_a_panorama_sees_the_style_at_its_longest_side() -> None:
    for size in plan_passes(Recipe(size="original"), 6000, 2000):  # sides are rounded there
        assert style_size(size, (900, 900), 1.0) == (size.width_px, size.width_px)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("style_px", STYLES)
@pytest.mark.parametrize("picture", [(2000, 100), (100, 2000), (8000, 64), (1000, 240)])
def test_style_of_a_narrow_picture_has_four_times_its_pixels_at_most(
    picture: tuple[int, int], style_px: tuple[int, int], scale: float
) -> None:
    width, height = style_size(Pass(*picture, 1), style_px, scale)
    most = 4 * picture[0] * picture[1] * scale**2
    assert width * height <= 1.01 * most  # sides are whole numbers
    assert width * height <= 1.01 * most_style_pixels(*picture, scale)
    # Not smaller for nothing: its own proportions, and all it may have, or the longest side.
    assert width / height == pytest.approx(style_px[0] / style_px[1], rel=0.03)
    assert width * height > 0.97 * most or max(width, height) == round(max(picture) * scale)


def test_style_grows_smoothly_with_a_picture_that_becomes_narrower() -> None:
    sides = [style_size(Pass(1000, height, 1), (900, 900), 1.0)[0] for height in range(600, 16, -1)]
    assert sides[0] == 1000
    assert all(0 <= wider - narrower <= 15 for wider, narrower in itertools.pairwise(sides))


def test_style_larger_than_can_be_worth_it_is_refused_with_its_size() -> None:
    check_style_size(Pass(6000, 4000, 1), (900, 900), 2.0)
    with pytest.raises(PictureError, match=r"120000x120000 px.*6000x4000 px.*`style_scale`"):
        check_style_size(Pass(6000, 4000, 1), (900, 900), 20.0)
