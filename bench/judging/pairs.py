"""The pairs that are painted and judged: photographs, style images, and a folder that keeps both.

The photographs are those inside scikit-image's package (none is fetched) and the repository's own;
the style images are the presets'.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image

from daemon.engine.pixels import Pixels, resize, size_of
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import fit

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
SUFFIXES = (".jpg", ".jpeg", ".png")
STYLE_LONGEST_PX = 1024
"""Style images larger than this are made smaller once, for speed; none is painted larger."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Photograph:
    """A content image: its file, and the part of it that is taken (left, top, right, bottom)."""

    path: Path
    box: Box | None = None


CONTENTS: Mapping[str, Photograph] = {
    "rocket": Photograph(ROOT / "docs" / "images" / "rocket.jpg"),  # a sky, lights, a dark ground
    "chelsea": Photograph(ROOT / "docs" / "images" / "chelsea.jpg"),  # an animal, fur
    "astronaut": Photograph(PHOTOGRAPHS / "astronaut.png"),  # somebody, a flag
    "portrait": Photograph(PHOTOGRAPHS / "astronaut.png", (130, 0, 330, 250)),  # a face, near
    "coffee": Photograph(PHOTOGRAPHS / "coffee.png"),  # a thing on a dark table
    "camera": Photograph(PHOTOGRAPHS / "camera.png"),  # buildings, an empty sky; grey
    "motorcycle": Photograph(PHOTOGRAPHS / "motorcycle_left.png"),  # a workshop, fine lines
    "galaxies": Photograph(PHOTOGRAPHS / "hubble_deep_field.jpg", (0, 0, 500, 500)),  # dark
}

STYLES = (
    "impasto",
    "ink-wash",
    "mosaic",
    "pointillism",
    "stained-glass",
    "starry",
    "wave",
    "woodcut",
)
"""The presets whose images are styles here."""


@dataclass(frozen=True)
class Pair:
    """A content and a style by their names."""

    content: str
    style: str

    def __str__(self) -> str:
        """The pair's name, which its files have."""
        return f"{self.content}+{self.style}"


@dataclass(frozen=True)
class Series:
    """What a folder of pictures was painted with.

    size_px: longest side.  recipes: name -> fields, the first being what others are compared with.
    figures: the styles that show somebody or something.  pairs: in order.
    """

    size_px: int
    recipes: Mapping[str, Mapping[str, Any]]
    figures: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def recipe(self, name: str) -> Recipe:
        """The recipe of that name; raises ValidationError where a field is wrong."""
        return Recipe.model_validate({**self.recipes[name], "size": self.size_px})


class Album:
    """A folder with contents and styles as they are judged, painted pictures, and what was found.

    A picture is there whole or not at all, the facts of its painting first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._series = folder / "series.json"

    def series(self) -> Series:
        """What was painted; raises FileNotFoundError where nothing was."""
        data = json.loads(self._series.read_text("utf-8"))
        pairs = tuple(Pair(**pair) for pair in data["pairs"])
        return Series(data["size_px"], data["recipes"], tuple(data["figures"]), pairs)

    def extend(self, new: Series) -> Series:
        """Keeps a series together with what is there already; returns both.

        Raises ValueError if the size is another, or a recipe has the name of a different one.
        """
        old = self.series() if self._series.exists() else Series(new.size_px, {}, (), ())
        if old.size_px != new.size_px:
            raise ValueError(f"{self.folder} is for pictures of {old.size_px} px: use another")
        for name, fields in new.recipes.items():
            if old.recipes.get(name, fields) != fields:
                raise ValueError(f"recipe {name} of {self.folder} is another: use another name")
        both = Series(
            new.size_px,
            {**old.recipes, **new.recipes},
            tuple(dict.fromkeys(old.figures + new.figures)),
            tuple(dict.fromkeys(old.pairs + new.pairs)),
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._series, json.dumps(asdict(both), indent=1).encode())
        return both

    def content(self, name: str) -> Path:
        """Where a content lies, at the size it is painted at."""
        return self.folder / "contents" / f"{name}.png"

    def style(self, name: str) -> Path:
        """Where a style image lies, at most STYLE_LONGEST_PX."""
        return self.folder / "styles" / f"{name}.png"

    def painted(self, recipe: str, pair: Pair) -> Path:
        """Where a painted picture lies; the facts of its painting have the suffix .json."""
        return self.folder / "painted" / recipe / f"{pair}.png"

    def facts(self, recipe: str, pair: Pair) -> dict[str, Any]:
        """Seconds, warnings, and the passes with their losses."""
        facts: dict[str, Any] = json.loads(
            self.painted(recipe, pair).with_suffix(".json").read_text()
        )
        return facts

    def lay_out(
        self, size_px: int, contents: Mapping[str, Photograph], styles: Mapping[str, Path]
    ) -> None:
        """Puts contents and styles into the folder, those that are not there."""
        for name, photograph in contents.items():
            if not self.content(name).exists():
                pixels = read_pixels(photograph.path, photograph.box)
                save_pixels(self.content(name), at_longest(pixels, size_px))
        for name, path in styles.items():
            if not self.style(name).exists():
                pixels = read_pixels(path)
                longest = min(max(size_of(pixels)), STYLE_LONGEST_PX)
                save_pixels(self.style(name), at_longest(pixels, longest))


def all_contents(folder: Path | None) -> dict[str, Photograph]:
    """The contents by name, those of a folder after the others."""
    return {**CONTENTS, **{name: Photograph(path) for name, path in pictures_in(folder)}}


def all_styles(folder: Path | None) -> dict[str, Path]:
    """The style images by name, those of a folder after the others."""
    own = {name: ROOT / "presets" / f"{name}.jpg" for name in STYLES}
    return {**own, **dict(pictures_in(folder))}


def pictures_in(folder: Path | None) -> Iterator[tuple[str, Path]]:
    """The pictures of a folder by the stems of their names, sorted."""
    for path in sorted(folder.iterdir()) if folder else ():
        if path.suffix.lower() in SUFFIXES:
            yield path.stem, path


def choose_pairs(
    wanted: str, contents: Sequence[str], styles: Sequence[str], figures: Sequence[str]
) -> tuple[Pair, ...]:
    """The pairs that are wanted, in order of their styles.

    wanted: `all`, `figures` (those whose style shows somebody), or patterns such as
    `rocket+*,*+starry`.  Raises ValueError for a pattern that no pair has.
    """
    every = [Pair(content, style) for style in styles for content in contents]
    if wanted == "all":
        return tuple(every)
    if wanted == "figures":
        return tuple(pair for pair in every if pair.style in figures)
    patterns = wanted.split(",")
    for pattern in patterns:
        if not any(fnmatchcase(str(pair), pattern) for pair in every):
            raise ValueError(f"no pair is called {pattern}")
    return tuple(p for p in every if any(fnmatchcase(str(p), pattern) for pattern in patterns))


def read_pixels(path: Path, box: Box | None = None) -> Pixels:
    """A picture file's pixels, or those of a part of it."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB").crop(box) if box else image.convert("RGB"))


def save_pixels(path: Path, pixels: Pixels) -> None:
    """Writes a PNG that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    Image.fromarray(pixels).save(partial, format="PNG")
    partial.replace(path)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that is there whole or not at all."""
    partial = path.with_suffix(".tmp")
    partial.write_bytes(content)
    partial.replace(path)


def at_longest(pixels: Pixels, longest_px: int) -> Pixels:
    """The pixels with the given longest side."""
    return resize(pixels, *fit(*size_of(pixels), longest_px))
