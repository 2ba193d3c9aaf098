"""The gate: a finished painting that is plainly no good is refused, with a reason."""

import math
from dataclasses import asdict

from daemon.engine.judgement import Judgement
from daemon.engine.losses import style as style_loss
from daemon.engine.paint import Painted
from daemon.engine.recipe import Recipe
from daemon.pictures.form import JobRecipe

LEAST_STEPS = 5
"""A pass of fewer has hardly found the length of a step, and asks for nothing."""

ASKED = 0.1
"""From such a share of alpha the style loss of the photograph, times beta, must move it."""

NOTHING_ASKED = 1e-3
"""A style loss, relative, below which the photograph has the style already."""

LEAST_CHANGE, LEAST_CHANGE_RAW = 0.01, 0.002
"""Measured: 512 ordinary pictures change by 0.16 and more, beta 1 by 0.06, beta 0.1 by 0.01. With
`raw` losses nobody can say what is asked; half a level of 255 cannot be seen."""

FLAT, VARIED = 0.15, 0.02
"""A deviation of so much of the least of photograph and styles, if that is more than the other.
Measured: ordinary pictures have 0.8 of it and more, with `colors: match` 0.6."""

MOST_NOISE, MOST_COLOUR_NOISE = 2.0, 2.75
"""Against the noisier of style and photograph. Measured: 512 ordinary pictures have 1.1 and 0.9 at
most, of Adam's 1.3 and 1.9; white noise added with a deviation of 40 levels 2 or 2.9 and more in
one of the two."""

REMEDY = (
    "It was not published; the figures are under `judge` in the record. If such a picture is "
    "wanted, say `gate: off` in the preset or a sidecar, and retry (or `--set gate=off`)"
)


def refusal(painted: Painted, recipe: JobRecipe, *, share: float = 1.0) -> str:
    """Why a finished painting is not to be published; empty if it is, or the gate is off.

    share: of the picture that was to be painted, 0..1; a mask may leave out the rest.
    """
    if not recipe.gate:
        return ""
    judgement = painted.judgement
    what = (
        fault_of_values(judgement)
        or (fault_of_progress(painted, recipe, share) if is_asked(painted, recipe) else "")
        or (fault_of_noise(judgement) if is_noise_a_fault(painted, recipe) else "")
    )
    return f"{what}. {REMEDY}" if what else ""


def figures_of(judgement: Judgement) -> dict[str, float | bool]:
    """The figures for the record, rounded."""
    return {
        name: value if isinstance(value, bool) else round(value, 5)
        for name, value in asdict(judgement).items()
    }


def is_asked(painted: Painted, recipe: Recipe) -> bool:
    """Whether a recipe asks for a picture that differs from the photograph."""
    if not recipe.beta or painted.passes[-1].last.number < LEAST_STEPS:
        return False
    if recipe.normalise == "raw":
        return True
    # None where all regions of its mask are too small for the first pass.
    distance = painted.passes[0].first.losses.get(style_loss.NAME, 0.0)
    return distance > NOTHING_ASKED and recipe.beta * distance >= ASKED * recipe.alpha


def is_noise_a_fault(painted: Painted, recipe: Recipe) -> bool:
    """Whether noise was not asked for: without style nothing takes it away, nor in a single pass
    what is started from.
    """
    return bool(recipe.beta) and (recipe.init != "noise" or len(painted.passes) > 1)


def fault_of_values(judgement: Judgement) -> str:
    """What is wrong with values that are no numbers, or all the same."""
    if not judgement.finite:
        return (
            "What was painted holds values that are no finite numbers. Lower `beta`, `tv` and the "
            "layers' weights, or set `precision: float32` in config.yaml"
        )
    least = judgement.least_deviation
    if least > VARIED and judgement.deviation < FLAT * least:
        return (
            f"What was painted is flat: its colours deviate by {judgement.deviation:.3f} from "
            f"their mean, those of photograph and style images by {least:.3f} and more. Lower `tv`"
        )
    return ""


def fault_of_progress(painted: Painted, recipe: Recipe, share: float) -> str:
    """What is wrong with a painting that did not come about."""
    judgement, last = painted.judgement, painted.passes[-1]
    if last.best.total >= last.first.total:
        return (
            f"The loss never fell: after {last.last.number} steps of the last pass it was "
            f"{last.last.total:.4g}, and {last.first.total:.4g} before. Lower `beta`, `tv` and the "
            "layers' weights, or try `optimizer: lbfgs`"
        )
    least = LEAST_CHANGE_RAW if recipe.normalise == "raw" else LEAST_CHANGE
    least *= math.sqrt(max(share, 0.0))  # the figure is a root mean square over all of the picture
    if judgement.change < least:
        return (
            f"What was painted is hardly changed from the photograph (by {judgement.change:.4f} of "
            "1), though `beta` asks for more. Raise `beta` or `effort`, or lower `alpha`"
        )
    return ""


def fault_of_noise(judgement: Judgement) -> str:
    """What is wrong with a painting that is far noisier than all it was made of."""
    noise = min(judgement.noise, judgement.photo_noise)
    colour_noise = min(judgement.colour_noise, judgement.photo_colour_noise)
    if noise <= MOST_NOISE and colour_noise <= MOST_COLOUR_NOISE:
        return ""
    return (
        f"What was painted is far noisier than photograph and style images: {noise:.1f} times as "
        f"much in light and dark, {colour_noise:.1f} in colour. Set `tv: auto`, `effort: best`, "
        "or `init: content`"
    )
