"""How long the full picture takes, foretold from a proof."""

import pytest

from daemon.engine.estimate import GROWTH, SECOND_LOOK, estimate_s, regions, work
from daemon.engine.fit.plan import Plan
from daemon.engine.recipe import Effort, Recipe
from daemon.engine.schedule import EFFORTS, Pass, plan_passes, plan_proof

WHOLE = Plan(None, 20, False, 0, 1)


def foretold(recipe: Recipe, plan: Plan = WHOLE, *, taken: int = 60, step_s: float = 1.0) -> float:
    """Seconds of a square picture whose smaller passes took `taken` steps in the proof."""
    *smaller, last = plan_proof(recipe, 512, 512)
    proof = [*((size, min(taken, size.steps)) for size in smaller), (last, last.steps)]
    return estimate_s(
        [(size, plan) for size in plan_passes(recipe, 512, 512)], recipe, proof, step_s
    )


def test_seconds_are_those_of_every_pass_of_the_full_picture() -> None:
    # 128, 256 and 512 px for 60 steps each, then 1024 px for 100: a step costs a second at 512 px,
    # and four times the pixels cost 4 to the power of 1 + GROWTH.
    four = 4 ** (1 + GROWTH)
    by_hand = 60 * (four**-2 + four**-1 + 1) + 100 * four
    assert foretold(Recipe(size=1024, steps=100)) == pytest.approx(by_hand)


@pytest.mark.parametrize("effort", EFFORTS)
def test_passes_that_took_all_their_steps_foretell_that_the_others_will(effort: Effort) -> None:
    limits, four = EFFORTS[effort], 4 ** (1 + GROWTH)
    by_hand = limits.first * four**-2 + limits.between * (four**-1 + 1) + limits.last * four
    assert foretold(Recipe(size=1024, effort=effort), taken=1000) == pytest.approx(by_hand)


def test_smaller_pass_that_ended_early_foretells_an_early_end_of_each() -> None:
    # Progress falls with the square of the steps: 5 % after 8, so 1 % after 8 times the root of 5.
    four = 4 ** (1 + GROWTH)
    by_hand = 8 * (four**-2 + four**-1 + 1) + 8 * 5**0.5 * four
    assert foretold(Recipe(size=1024), taken=8) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("steps", "seconds"), [(75, 252), (100, 320)], ids=["docs/benchmarks.md", "its defaults"]
)
def test_what_was_measured_is_foretold_within_a_factor_of_one_and_a_half(
    steps: int, seconds: float
) -> None:
    recipe = Recipe(size=1024, steps=steps)  # the rocket after `starry`
    full = [(size, WHOLE) for size in plan_passes(recipe, 640, 427)]
    proof = list(zip(plan_proof(recipe, 640, 427), (75, 64, 30), strict=True))
    assert seconds / 1.5 < estimate_s(full, recipe, proof, 0.60) < seconds * 1.5


def test_seconds_follow_the_machines() -> None:
    recipe = Recipe(size=2048)
    assert foretold(recipe, step_s=0.02) == pytest.approx(foretold(recipe) / 50)


@pytest.mark.parametrize(("steps", "last"), [(40, 40), (100, 100), (400, 60 * 5**0.5)])
def test_last_pass_takes_longer_than_the_smaller_ones_but_no_more_than_its_steps(
    steps: int, last: float
) -> None:
    fewer, more = foretold(Recipe(size=1024, steps=steps)), foretold(Recipe(size=1024, steps=1))
    four = 4 ** (1 + GROWTH)
    smaller = four**-2 + four**-1 + 1
    assert more == pytest.approx(smaller + four)
    assert fewer == pytest.approx(min(steps, 60) * smaller + last * four)


def test_tiles_cost_their_margins_and_a_second_look() -> None:
    size, recipe = Pass(1024, 512, 10), Recipe()
    tiles = regions(size, Plan(512, 10, False, 0, 1), recipe)
    # relu5_1 sees 80 px beyond its own, on the one side where there is another tile.
    assert tiles == [(512 + 80) * 512] * 2
    assert work(tiles) == pytest.approx((2 + SECOND_LOOK) * ((512 + 80) * 512) ** (1 + GROWTH))
    assert work(tiles) > work(regions(size, WHOLE, recipe))


def test_proof_of_one_pass_foretells_the_recipes_steps() -> None:
    recipe = Recipe(size=1000, steps=80)  # so narrow that the smaller passes are skipped
    full = [(size, WHOLE) for size in plan_passes(recipe, 1000, 40)]
    proof = [(size, size.steps) for size in plan_proof(recipe, 1000, 40)]
    assert len(proof) == 1
    two = (1000 * 40 / (512 * 20)) ** (1 + GROWTH)
    assert estimate_s(full, recipe, proof, 1.0) == pytest.approx(80 * (1 + two), rel=0.05)
