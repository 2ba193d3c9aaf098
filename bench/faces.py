"""Whether faces are found where there are some and nowhere else, and what they do to a painting.

    python bench/faces.py [--paint [--size 128] [--steps 40]]

A face in twenty crops, sizes, turns and lights, and fifty pictures without one, all made of
scikit-image's photographs. With --paint: the content's loss in a face and the style's outside, with
`faces: 1` and without.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image

from daemon.engine.engine import Engine, Style
from daemon.engine.faces import Face
from daemon.engine.fit.scratch import Scratch
from daemon.engine.fit.tiles import cut
from daemon.engine.losses.faces import face_levels
from daemon.engine.losses.objective import make_objective
from daemon.engine.losses.places import WeightMap
from daemon.engine.losses.term import Materials, Region
from daemon.engine.losses.terms import layers_of
from daemon.engine.paint import Painted
from daemon.engine.pixels import Pixels, resize
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import plan_passes
from daemon.engine.tensors import to_tensor
from daemon.worker.faces import find_faces

FACE = Face(174, 66, 99, 99)
"""The astronaut's."""

WHOLE, TALL, CLOSE, CORNER, WIDE = (
    (0, 0, 512, 512),
    (80, 0, 400, 420),
    (120, 20, 330, 250),
    (0, 0, 300, 300),
    (150, 0, 512, 330),
)
SEEN = (  # crop, longest side in px, turn in degrees, light
    (WHOLE, 512, 0, "plain"),
    (WHOLE, 256, 0, "plain"),
    (WHOLE, 1024, 0, "plain"),
    (TALL, 400, 0, "dark"),
    (TALL, 800, 0, "bright"),
    (CLOSE, 200, 0, "plain"),
    (CLOSE, 640, 0, "left"),
    (CORNER, 300, 0, "top"),
    (WIDE, 512, 0, "flat"),
    (WHOLE, 384, 0, "noise"),
    (WHOLE, 512, 15, "plain"),
    (WHOLE, 512, -15, "plain"),
    (TALL, 512, 30, "plain"),
    (TALL, 512, -30, "plain"),
    (WHOLE, 700, 25, "dark"),
    (WIDE, 600, -22, "blue"),
    (CLOSE, 300, 10, "grey"),
    (CLOSE, 400, -35, "bright"),
    (TALL, 256, 20, "left"),
    (WHOLE, 2048, -8, "dim"),
)
FACELESS = (
    "brick.png cell.png chelsea.png clock_motion.png coffee.png coins.png color.png grass.png "
    "gravel.png horse.png hubble_deep_field.jpg ihc.png logo.png microaneurysms.png moon.png "
    "motorcycle_left.png motorcycle_right.png page.png phantom.png retina.jpg rocket.jpg text.png "
    "chessboard_RGB.png"
).split()
PARTS = ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.6, 0.6), (0.4, 0.4, 1.0, 1.0))
MOST_FACELESS = 50


@dataclass(frozen=True)
class Case:
    """A picture, and where its face's middle is and how wide it is; None for a picture without."""

    name: str
    pixels: Pixels
    face: tuple[float, float, float] | None = None


def photograph(name: str) -> Image.Image:
    """One of scikit-image's own photographs, in RGB."""
    return Image.open(Path(skimage.data.__file__).parent / name).convert("RGB")


def lit(pixels: Pixels, light: str) -> Pixels:
    """A picture in another light."""
    values = pixels / 255.0
    across = np.linspace(0.0, 1.0, values.shape[1])[None, :, None]
    down = np.linspace(0.0, 1.0, values.shape[0])[:, None, None]
    noise = np.random.default_rng(0).normal(0.0, 0.06, values.shape)
    changed = {
        "plain": values,
        "dark": values**2.2,
        "bright": 1.0 - (1.0 - values) ** 2,
        "left": values * (0.25 + 0.9 * across),
        "top": values * (1.1 - 0.8 * down),
        "flat": 0.35 + 0.3 * values,
        "grey": np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2),
        "blue": values * np.array([0.6, 0.8, 1.2]),
        "noise": values + noise,
        "dim": values * 0.3,
    }[light]
    return (changed.clip(0.0, 1.0) * 255).astype(np.uint8)


def with_face() -> Iterator[Case]:
    """The face in twenty crops, sizes, turns and lights."""
    for crop, size_px, degrees, light in SEEN:
        image = photograph("astronaut.png").crop(crop)
        width, height = image.size
        turned = image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))
        scale = size_px / max(width, height)
        turned = turned.resize((round(width * scale), round(height * scale)))
        right = FACE.left_px + FACE.width_px / 2 - crop[0] - width / 2
        below = FACE.top_px + FACE.height_px / 2 - crop[1] - height / 2
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        middle = (
            width / 2 + cosine * right + sine * below,
            height / 2 - sine * right + cosine * below,
        )
        place = (middle[0] * scale, middle[1] * scale, FACE.width_px * scale)
        yield Case(
            f"{crop} at {size_px} px, {degrees}°, {light}", lit(np.asarray(turned), light), place
        )


def without_face() -> Iterator[Case]:
    """Fifty photographs, and parts of them, without a face; the coins' emperors are none."""
    cases = [(name, part) for part in PARTS for name in FACELESS][:MOST_FACELESS]
    for name, part in cases:
        image = photograph(name)
        sides = (*image.size, *image.size)
        image = image.crop(tuple(round(side * at) for side, at in zip(sides, part, strict=True)))
        scale = 640 / max(image.size)
        size = (max(1, round(image.size[0] * scale)), max(1, round(image.size[1] * scale)))
        yield Case(f"{name} {part}", np.asarray(image.resize(size)))


def is_right(case: Case, face: Face) -> bool:
    """Whether a face that was found is the one there is."""
    if case.face is None:
        return False
    middle = (face.left_px + face.width_px / 2, face.top_px + face.height_px / 2)
    return math.dist(middle, case.face[:2]) < 0.4 * case.face[2]


def look(cases: Iterator[Case]) -> None:
    """Prints what is found in each, and in how many the face, and in how many anything else."""
    hits = others = count = 0
    for case in cases:
        began = time.process_time()
        faces = find_faces(case.pixels)
        right = [is_right(case, face) for face in faces]
        hits, others, count = hits + any(right), others + (not all(right)), count + 1
        words = ", ".join(f"{one.width_px} px at {one.left_px}, {one.top_px}" for one in faces)
        print(f"{case.name}: {words or '-'} ({time.process_time() - began:.2f} s)", flush=True)
    print(
        f"of {count} pictures: the face found in {hits}, something else in {others}\n", flush=True
    )


def losses(engine: Engine, painted: Pixels, recipe: Recipe, style: Style) -> tuple[float, float]:
    """A painted picture's content loss inside the face, and its style loss outside."""
    picture = np.asarray(photograph("astronaut.png"))
    size = plan_passes(recipe, 512, 512)[-1]
    plan = engine.plan(recipe, size)
    levels = face_levels([FACE], (512, 512), (size.width_px, size.height_px))
    inside, outside = (levels > 127), (levels == 0)
    maps = [WeightMap((255 * one).to(torch.uint8)) for one in (inside, outside)]
    tiling = cut(size.height_px, size.width_px, None, layers_of(recipe), recipe.pooling)
    content = to_tensor(resize(picture, size.width_px, size.height_px), engine.device)
    materials = Materials(
        engine.network,
        recipe,
        tiling,
        Scratch(engine.device),
        content,
        [Region(engine.moments(style, recipe, size, plan), maps[1])],
        content_weights=maps[0],
    )
    found = make_objective(materials).evaluate(to_tensor(painted, engine.device)).losses
    shares = [one.float().mean().item() for one in (inside, outside)]
    return found["content"].item() / shares[0], found["style"].item() / shares[1]


def compare(size_px: int, steps: int, folder: Path) -> None:
    """Prints what `faces: 1` does to the losses of a portrait in several styles."""
    engine = Engine("cpu", "classic", folder)
    picture = np.asarray(photograph("astronaut.png"))
    for name in ("starry", "wave", "mosaic"):
        file = Path(__file__).parents[1] / "presets" / f"{name}.jpg"
        style = Style(np.asarray(Image.open(file).convert("RGB")))
        plain = Recipe(size=size_px, steps=steps)
        ends = []
        for faces in (0.0, 0.5, 1.0):
            recipe = plain.model_copy(update={"faces": faces})
            *_, last = engine.paint(picture, [style], recipe, faces=[FACE])
            assert isinstance(last, Painted)
            ends.append(losses(engine, last.pixels, plain, style))
        for faces, (content, outside) in zip((0.5, 1.0), ends[1:], strict=True):
            print(
                f"{name}, faces: {faces:g}: content inside x {content / ends[0][0]:.2f}, "
                f"style outside x {outside / ends[0][1]:.2f}",
                flush=True,
            )


def main() -> None:
    """Looks for faces, or paints one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paint", action="store_true")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=40)
    asked = parser.parse_args()
    if asked.paint:
        with tempfile.TemporaryDirectory() as folder:
            compare(asked.size, asked.steps, Path(folder))
    else:
        look(with_face())
        look(without_face())


if __name__ == "__main__":
    main()
