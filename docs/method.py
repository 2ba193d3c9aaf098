"""Writes docs/method.md: what each setting of the method does, shown on one photograph.

Run as `python docs/method.py FOLDER [--device cuda:0]`: paintings stay in FOLDER and are used
again. Some forty of 256 px: under an hour on two cores, a minute on a GPU.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from method_sections import SECTIONS, Cell, Section
from PIL import Image, ImageDraw, ImageFont

from daemon.engine import Engine, Recipe, Style, finish
from daemon.engine.pixels import Pixels, size_of, to_levels
from daemon.engine.schedule import Pass, fit, plan_passes
from daemon.worker.faces import find_faces

ROOT = Path(__file__).parent.parent
PHOTOGRAPH = ROOT / "docs" / "images" / "rocket.jpg"
STYLE = ROOT / "presets" / "starry.jpg"
IMAGES = ROOT / "docs" / "images" / "method"
SIZE_PX = 256
STEPS = 60
GAP_PX = 4
LABEL_PX = 18
QUALITY = 78

HEAD = """# What the settings do

One photograph (for `faces` another) and one style, painted at {size} px in {steps} steps a pass,
with one setting changed at a time; everything else is the default. Written by
`python docs/method.py FOLDER`, pictures and figures alike; the sentences are in
`docs/method_sections.py`. The losses below the pictures are those of the last step, without their
weights: 1 is as far off as a black picture. A loss that a row does without (alpha or beta 0) is
still told.

![photograph and style](images/method/given.jpg)
"""


@dataclass(frozen=True)
class Result:
    """A painting, and the losses of its last step by the names of the terms."""

    pixels: Pixels
    losses: Mapping[str, float]


def read(path: Path) -> Pixels:
    """A picture file's pixels."""
    return np.array(Image.open(path).convert("RGB"))


def chosen_passes(cell: Cell, recipe: Recipe, photograph: Pixels) -> list[Pass]:
    """The recipe's own passes, or those of the longest sides that the cell names."""
    if not cell.passes_px:
        return plan_passes(recipe, *size_of(photograph))
    return [Pass(*fit(*size_of(photograph), side), recipe.steps) for side in cell.passes_px]


def paint(engine: Engine, cell: Cell, photograph: Pixels, style: Style, folder: Path) -> Result:
    """What a cell shows, kept in `folder`."""
    recipe = Recipe.model_validate({"size": SIZE_PX, "steps": STEPS, **cell.recipe})
    passes = chosen_passes(cell, recipe, photograph)
    facts: dict[str, Any] = {
        "recipe": recipe.model_dump(),
        "passes": [asdict(one) for one in passes],
        "photograph": hashlib.sha256(photograph.tobytes()).hexdigest(),
    }
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    picture, losses = folder / f"{name}.png", folder / f"{name}.json"
    if not losses.exists():
        faces = find_faces(photograph) if recipe.faces else ()
        painted = finish(engine.paint(photograph, [style], recipe, passes=passes, faces=faces))
        Image.fromarray(to_levels(painted.pixels)).save(picture)
        losses.write_text(json.dumps(dict(painted.passes[-1].last.losses)))
    return Result(read(picture), json.loads(losses.read_text()))


def row(pictures: list[tuple[str, Pixels]]) -> Image.Image:
    """Pictures side by side at their own size, each under its label."""
    font = ImageFont.load_default(13)
    width = sum(size_of(pixels)[0] + GAP_PX for _, pixels in pictures) - GAP_PX
    height = max(size_of(pixels)[1] for _, pixels in pictures) + LABEL_PX
    sheet = Image.new("RGB", (width, height), "white")
    draw, left = ImageDraw.Draw(sheet), 0
    for label, pixels in pictures:
        draw.text((left + 2, 1), label, fill="black", font=font)
        sheet.paste(Image.fromarray(pixels), (left, LABEL_PX))
        left += size_of(pixels)[0] + GAP_PX
    return sheet


def told(losses: Mapping[str, float]) -> str:
    """Losses as text, such as `content 0.41, style 0.012`."""
    return ", ".join(f"{name} {loss:.2g}" for name, loss in losses.items())


def written(section: Section, results: list[Result]) -> str:
    """A section of the page."""
    lines = [f"## {section.title}", "", section.text, ""]
    lines += [f"![{section.title}](images/method/{section.name}.jpg)", ""]
    lines += [
        f"- **{cell.label}**: {cell.sentence} ({told(result.losses)})"
        for cell, result in zip(section.cells, results, strict=True)
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Writes the page and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    IMAGES.mkdir(exist_ok=True)
    engine = Engine(options.device, "classic", options.folder)
    photograph, style = read(PHOTOGRAPH), Style(read(STYLE))
    portrait = skimage.data.astronaut()
    given = [("photograph", photograph), ("style", style.pixels)]
    small = [
        (label, np.array(Image.fromarray(pixels).resize(fit(*size_of(pixels), SIZE_PX))))
        for label, pixels in given
    ]
    row(small).save(IMAGES / "given.jpg", quality=QUALITY)
    page = [HEAD.format(size=SIZE_PX, steps=STEPS)]
    for section in SECTIONS:
        shown = portrait if section.portrait else photograph
        results = [paint(engine, cell, shown, style, options.folder) for cell in section.cells]
        labels = [cell.label for cell in section.cells]
        pictures = list(zip(labels, [result.pixels for result in results], strict=True))
        row(pictures).save(IMAGES / f"{section.name}.jpg", quality=QUALITY)
        page.append(written(section, results))
        print(section.title, flush=True)
    (ROOT / "docs" / "method.md").write_text("\n".join(page))


if __name__ == "__main__":
    main()
