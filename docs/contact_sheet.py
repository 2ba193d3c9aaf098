"""Paints a photograph with every preset and lays content, style and result side by side.

Run as `python docs/contact_sheet.py FOLDER`: results stay in FOLDER and are used again. They are
painted hardly larger than they are shown, so that strokes are seen as they are.
"""

import sys
from pathlib import Path

from PIL import Image

from daemon.engine import Engine, Style, finish
from daemon.engine.pixels import Pixels, to_levels
from daemon.host.files import sha256_of
from daemon.pictures.read import read_picture
from daemon.settings.presets import Preset, load_presets

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
CELL_PX = (232, 174)
SIZE_PX = 288
GAP_PX = 6
COLUMNS = 2
PHOTOGRAPHS = {
    "starry": "chelsea",
    "pointillism": "chelsea",
    "mosaic": "chelsea",
    "tutorial": "chelsea",
    "gatys": "chelsea",
}
"""Which photograph a preset is shown on; the others are shown on the rocket."""


def read(path: Path) -> Pixels:
    """A picture file's pixels."""
    with path.open("rb") as file:
        return read_picture(file, path.name).pixels


def paint(engine: Engine, preset: Preset, photograph: Path, target: Path) -> Pixels:
    """The painted photograph, kept in `target`."""
    if not target.exists():
        styles = [Style(read(s.path), s.weight, sha256_of(s.path)) for s in preset.styles]
        recipe = preset.recipe.model_copy(update={"size": SIZE_PX})
        painted = finish(engine.paint(read(photograph), styles, recipe))
        Image.fromarray(to_levels(painted.pixels)).save(target)
    return read(target)


def cell(pixels: Pixels) -> Image.Image:
    """The picture cut to the shape of a cell."""
    width, height = CELL_PX
    image = Image.fromarray(pixels)
    scale = max(width / image.width, height / image.height)
    scaled = image.resize(
        (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
    )
    left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
    return scaled.crop((left, top, left + width, top + height))


def main(folder: Path) -> None:
    """Draws docs/images/contact-sheet.jpg."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = Engine("cpu", "classic", folder)
    shelf = load_presets(ROOT / "presets")
    width, height = CELL_PX[0] + GAP_PX, CELL_PX[1] + GAP_PX
    rows = -(-len(shelf.good) // COLUMNS)
    size = (width * 3 * COLUMNS + 4 * GAP_PX, height * rows + GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for number, (name, preset) in enumerate(sorted(shelf.good.items())):
        photograph = IMAGES / f"{PHOTOGRAPHS.get(name, 'rocket')}.jpg"
        result = paint(engine, preset, photograph, folder / f"{name}.png")
        left = GAP_PX + (number % COLUMNS) * (width * 3 + 2 * GAP_PX)
        top = GAP_PX + number // COLUMNS * height
        for column, pixels in enumerate([read(photograph), read(preset.styles[0].path), result]):
            sheet.paste(cell(pixels), (left + column * width, top))
    sheet.save(IMAGES / "contact-sheet.jpg", quality=82)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
