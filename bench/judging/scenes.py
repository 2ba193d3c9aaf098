"""A sound picture to plant failures into: a rocket's sky, painted after a picture of somebody."""

from daemon.engine.engine import Engine, Style
from daemon.engine.paint import finish
from daemon.engine.pixels import size_of, to_levels
from daemon.engine.recipe import Recipe

from .pairs import CONTENTS, at_longest, read_pixels
from .planted import Box, Scene

SHALLOW = {f"relu{block}_1": 4.0 ** (5 - block) for block in range(1, 6)}
"""Layer weights with which no figure leaks by itself."""

FACE = (0.29, 0.02, 0.61, 0.42)
"""Where the astronaut's face is, by the picture's sides (left, top, right, bottom)."""

SPOTS = ((0.04, 0.06), (0.64, 0.1))
"""Places in the rocket's sky."""

STEPS = 20


def make_scene(engine: Engine, size_px: int) -> Scene:
    """Paints the scene; a few seconds at 128 px, under a minute at 256."""
    content = at_longest(read_pixels(CONTENTS["rocket"].path), size_px)
    style = at_longest(read_pixels(CONTENTS["astronaut"].path), size_px)
    recipe = Recipe(size=size_px, steps=STEPS, style_layers=SHALLOW)
    painted = finish(engine.paint(content, [Style(style)], recipe))
    result = to_levels(painted.pixels)
    return Scene(result, content, style, face_box(size_of(style)), spots_in(content.shape))


def face_box(size: tuple[int, int]) -> Box:
    """The face in px, of a picture of that width and height."""
    width, height = size
    left, top, right, bottom = FACE
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


def spots_in(shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The spots in px, (left, top), of a picture of that height and width."""
    height, width = shape[:2]
    return tuple((round(across * width), round(down * height)) for across, down in SPOTS)
