"""Planted failures: pictures whose fault is known, for judging the judge."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image, ImageFilter

from daemon.engine.pixels import Pixels, cover, size_of

from .figures import BETTER, Figures, Judge

Box = tuple[int, int, int, int]

NOISE_LEVELS = 16.0
SEED = 7


@dataclass(frozen=True, eq=False)
class Scene:
    """A sound picture with all it came from, and where a figure can be put that it has not.

    figure: the part of the style image that shows somebody (left, top, right, bottom).
    spots: where in the result nothing of the kind belongs (left, top).
    """

    result: Pixels
    content: Pixels
    style: Pixels
    figure: Box
    spots: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Failure:
    """A fault that can be planted, and the figures that must tell it."""

    plant: Callable[[Scene], Pixels]
    told_by: tuple[str, ...]


def content_unchanged(scene: Scene) -> Pixels:
    """Nothing was painted."""
    return scene.content


def style_pasted(scene: Scene) -> Pixels:
    """The style image in place of the picture."""
    return cover(scene.style, *size_of(scene.result))


def noise_added(scene: Scene) -> Pixels:
    """Normal noise in every channel."""
    noise = np.random.default_rng(SEED).normal(0.0, NOISE_LEVELS, scene.result.shape)
    return to_levels(scene.result + noise)


def flat(scene: Scene) -> Pixels:
    """The mean colour everywhere."""
    return to_levels(np.broadcast_to(scene.result.mean((0, 1)), scene.result.shape))


def figures_leaked(scene: Scene) -> Pixels:
    """The style's figure blended softly into places where nothing like it belongs."""
    figure = Image.fromarray(scene.style).crop(scene.figure)
    width, height = figure.size
    soft = max(2, min(figure.size) // 8)
    mask = Image.new("L", figure.size, 0)
    mask.paste(255, (soft, soft, width - soft, height - soft))
    mask = mask.filter(ImageFilter.GaussianBlur(soft / 2))
    picture = Image.fromarray(scene.result)
    for spot in scene.spots:
        picture.paste(figure, spot, mask)
    return np.asarray(picture)


FAILURES: Mapping[str, Failure] = {
    "content unchanged": Failure(content_unchanged, ("change", "E")),
    "style pasted": Failure(style_pasted, ("C", "leak")),
    "noise added": Failure(noise_added, ("noise", "colour_noise")),
    "flat": Failure(flat, ("E", "C")),
    "figures leaked": Failure(figures_leaked, ("leak",)),
}


@dataclass(frozen=True)
class Trial:
    """A failure's figures beside the sound picture's, and those that did not get worse."""

    failure: str
    sound: Figures
    failed: Figures
    missed: tuple[str, ...]


def validate(judge: Judge, scene: Scene) -> list[Trial]:
    """Plants every failure, and finds whether the figures that must tell it do."""
    content, style = judge.view(scene.content), judge.view(scene.style)
    sound = judge.judge(judge.view(scene.result), content, style)
    trials = []
    for name, failure in FAILURES.items():
        failed = judge.judge(judge.view(failure.plant(scene)), content, style)
        missed = tuple(
            figure for figure in failure.told_by if not is_clearly_worse(failed, sound, figure)
        )
        trials.append(Trial(name, sound, failed, missed))
    return trials


def is_clearly_worse(failed: Figures, sound: Figures, figure: str) -> bool:
    """Whether a figure is worse by a half, or for one at 0 by a tenth."""
    bad, good = asdict(failed)[figure], asdict(sound)[figure]
    return bool(bad > 1.5 * good + 0.1 if BETTER[figure] < 0 else bad < good / 1.5)


def to_levels(values: np.ndarray) -> Pixels:
    """Any numbers as 0..255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
