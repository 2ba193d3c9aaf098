"""The gate: what is plainly no good is refused with a reason, and nothing else is."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from daemon.engine.checkpoint import PassReport
from daemon.engine.fit.plan import Plan
from daemon.engine.judgement import judge
from daemon.engine.optimise.steps import Step
from daemon.engine.paint import Painted
from daemon.engine.pixels import Pixels, resize
from daemon.engine.schedule import Pass
from daemon.pictures.form import JobRecipe
from daemon.worker.gate import LEAST_STEPS, refusal

Floats = NDArray[np.float32]
Plant = Callable[[Floats, Floats, np.random.Generator], NDArray[np.floating]]

SIDE = 96
PLAN = Plan(None, 20, aside=False, predicted_bytes=1, budget_bytes=2)
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "colorwheel")
"""Of scikit-image's package; each is painted after the next."""


def checkerboard(painted: Floats) -> Floats:
    return np.float32(0.4) * (np.indices(painted.shape[:2]).sum(0) % 2 - 0.5)[..., None]


PLANTED: dict[str, tuple[Plant, str]] = {
    "mean colour": (lambda p, c, r: np.broadcast_to(p.mean((0, 1)), p.shape), "is flat"),
    "black": (lambda p, c, r: np.zeros_like(p), "is flat"),
    "white with grain": (lambda p, c, r: 0.97 + r.normal(0, 0.004, p.shape), "is flat"),
    "one value no number": (lambda p, c, r: np.where(p == p.max(), np.nan, p), "no finite"),
    "a row without end": (
        lambda p, c, r: np.where(np.arange(SIDE)[:, None, None] == 7, np.inf, p),
        "no finite",
    ),
    "the photograph": (lambda p, c, r: c, "hardly changed"),
    "the photograph with grain": (lambda p, c, r: c + r.normal(0, 1 / 255, c.shape), "hardly"),
    "the photograph, lighter": (lambda p, c, r: c + 2 / 255, "hardly changed"),
    "noise": (lambda p, c, r: r.random(p.shape), "far noisier"),
    "noise added": (lambda p, c, r: p + r.normal(0, 0.3, p.shape), "far noisier"),
    "checkerboard": (lambda p, c, r: p + checkerboard(p), "far noisier"),
    "salt and pepper": (
        lambda p, c, r: np.where(r.random(p.shape) < 0.3, r.integers(0, 2, p.shape), p),
        "far noisier",
    ),
}


def scene(number: int) -> tuple[Pixels, Pixels, Floats]:
    """A photograph, a style image, and what passes for a sound painting: a mixture of both."""
    photograph, style = (
        resize(getattr(skimage.data, PHOTOGRAPHS[n % 5])()[..., :3].copy(), SIDE, SIDE)
        for n in (number, number + 1)
    )
    return photograph, style, (0.4 * photograph + 0.6 * style).astype(np.float32) / 255


def step(number: int, total: float, style: float) -> Step:
    return Step(number, total, {"content": 0.0, "style": style}, 0.1)


def painting(
    pixels: NDArray[np.floating],
    photograph: Pixels,
    style: Pixels,
    *,
    totals: tuple[float, float] = (12.0, 2.0),
    distance: float = 0.4,
    steps: int = 60,
) -> Painted:
    """A finished painting. totals: the first and the best loss.  distance: the first style loss."""
    first, last = step(1, totals[0], distance), step(steps, totals[1], 0.05)
    report = PassReport(Pass(SIDE, SIDE, 100), PLAN, 1.0, first, last, True, last)
    floats = pixels.astype(np.float32)
    figures = judge(floats, photograph, [(style, (SIDE, SIDE))], report)
    return Painted(floats, (report,), (), figures)


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("failure", PLANTED)
def test_planted_failure_is_refused_with_what_is_wrong(failure: str, number: int) -> None:
    photograph, style, sound = scene(number)
    plant, said = PLANTED[failure]
    content = photograph.astype(np.float32) / 255
    failed = plant(sound, content, np.random.default_rng(number))
    reason = refusal(painting(failed, photograph, style), JobRecipe())
    assert said in reason and "`gate: off`" in reason


@pytest.mark.parametrize("number", range(5))
def test_sound_painting_is_let_through(number: int) -> None:
    photograph, style, sound = scene(number)
    assert refusal(painting(sound, photograph, style), JobRecipe()) == ""


@pytest.mark.parametrize("best", [12.0, 30.0])
def test_painting_whose_loss_never_fell_is_refused(best: float) -> None:
    photograph, style, sound = scene(0)
    reason = refusal(painting(sound, photograph, style, totals=(12.0, best)), JobRecipe())
    assert "loss never fell: after 60 steps" in reason


@pytest.mark.parametrize("failure", PLANTED)
def test_gate_that_is_off_lets_everything_through(failure: str) -> None:
    photograph, style, sound = scene(0)
    failed = PLANTED[failure][0](sound, photograph / np.float32(255), np.random.default_rng(0))
    assert refusal(painting(failed, photograph, style), JobRecipe(gate=False)) == ""


def unchanged(recipe: JobRecipe, **facts: object) -> str:
    """What is said of a painting that is the photograph, and whose loss never fell."""
    photograph, style, _ = scene(0)
    content = photograph / np.float32(255)
    known: dict[str, object] = {"totals": (1.0, 1.0)}
    return refusal(painting(content, photograph, style, **(known | facts)), recipe)


@pytest.mark.parametrize(
    "fields", [{"beta": 0.0}, {"beta": 0.0, "alpha": 0.0}, {"beta": 0.001}, {"alpha": 1000.0}]
)
def test_photograph_as_it_was_is_no_fault_where_nothing_else_is_asked(
    fields: dict[str, float],
) -> None:
    assert unchanged(JobRecipe(**fields)) == ""
    assert "loss never fell" in unchanged(JobRecipe(alpha=0.0))


def test_picture_that_has_the_style_already_may_stay_as_it_is() -> None:
    assert unchanged(JobRecipe(), distance=1e-5) == ""


def test_few_steps_ask_for_nothing() -> None:
    assert unchanged(JobRecipe(), steps=LEAST_STEPS - 1) == ""
    assert unchanged(JobRecipe(), steps=LEAST_STEPS) != ""


def test_raw_losses_ask_for_what_can_be_seen() -> None:
    raw = JobRecipe(normalise="raw", beta=1e-9)
    photograph, style, _ = scene(0)
    assert "hardly changed" in unchanged(raw, totals=(2.0, 1.0))
    slightly = photograph / np.float32(255) + np.float32(0.004)
    assert refusal(painting(slightly, photograph, style), raw) == ""


def test_place_that_a_mask_leaves_to_be_painted_may_be_small() -> None:
    photograph, style, sound = scene(0)
    pixels = photograph / np.float32(255)
    corner = 2
    pixels[:corner, :corner] = sound[:corner, :corner]
    small = painting(pixels, photograph, style)
    assert "hardly changed" in refusal(small, JobRecipe())
    assert refusal(small, JobRecipe(), share=(corner / SIDE) ** 2) == ""


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_painting_of_a_flat_photograph_or_style_is_no_fault(level: int) -> None:
    photograph, style, _ = scene(0)
    even = np.full_like(photograph, level)
    flat = np.full(photograph.shape, 0.4)
    assert refusal(painting(flat, even, style), JobRecipe()) == ""
    assert refusal(painting(flat, photograph, even), JobRecipe()) == ""


def test_noise_of_the_start_is_a_fault_only_after_more_than_one_pass() -> None:
    photograph, style, _ = scene(0)
    pixels = np.random.default_rng(0).random(photograph.shape)
    single = painting(pixels, photograph, style)
    recipe = JobRecipe(init="noise")
    assert refusal(single, recipe) == ""
    assert "far noisier" in refusal(replace(single, passes=single.passes * 2), recipe)
    assert refusal(single, JobRecipe(beta=0.0)) == ""
    assert "far noisier" in refusal(single, JobRecipe())
