"""Materials: a canvas with paint thickness, bristle strokes, relief light, grain, saving."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from drawing.fields import Array, Rng, Shape, blur, noise, pick, trace_through

Picture = Image.Image

#: Pictures are drawn this many times larger and reduced at the end, which smooths every edge.
SCALE = 2
LONGEST_SIDE = 768
MAX_BYTES = 395_000


def sheet(aspect: float) -> Shape:
    """Return the working (height, width) of a picture with the given width / height."""
    side = LONGEST_SIDE * SCALE
    return (round(side / aspect), side) if aspect >= 1 else (side, round(side * aspect))


def to_image(field: Array) -> Image.Image:
    """Turn a field of values in 0..255 into a picture."""
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))


def rgb(colour: Array) -> tuple[int, int, int]:
    """Turn one colour row into the tuple that the drawing calls expect."""
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


@dataclass(frozen=True)
class Brush:
    """One pass of strokes over the picture; lengths in pixels of the finished picture."""

    width: float
    length: float
    count: int
    jitter: float = 12.0
    wander: float = 0.12
    lift: float = 1.0
    knife: bool = False


class Canvas:
    """A painting in progress: its colours and, separately, the thickness of its paint."""

    def __init__(self, ground: Array) -> None:
        """Start from an underpainting of shape (height, width, 3)."""
        self.paint = to_image(ground)
        self.relief = Image.new("L", self.paint.size, 60)
        self._colour = ImageDraw.Draw(self.paint)
        self._height = ImageDraw.Draw(self.relief)

    def stroke(
        self,
        path: Array,
        width: float,
        colour: Array,
        rng: Rng,
        jitter: float,
        lift: float = 1.0,
        knife: bool = False,
    ) -> None:
        """Draw one stroke as a bundle of bristles of slightly different tone and length."""
        count = max(2, round(width / 3.5))
        tangent = np.gradient(path, axis=0)
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
        normal /= np.hypot(normal[:, 0], normal[:, 1])[:, None] + 1e-9
        across = np.linspace(-0.5, 0.5, count)
        tones = colour + rng.normal(0, jitter, (count, 1)) + rng.normal(0, jitter / 3, (count, 3))
        # A loaded brush leaves a rounded body with ragged furrows.
        body = (1.0 - 1.6 * across**2) * 190 * lift + rng.normal(0, 28, count)
        if knife:
            # A knife smears flat and pushes the paint up along one edge.
            body = (0.42 + 0.5 * (across > 0.36)) * 250 * lift + rng.normal(0, 12, count)
        cuts = rng.integers(0, 2, (count, 2))
        thickness = max(2, round(width / count * 1.5))
        for k in rng.permutation(count).tolist():
            part = slice(cuts[k, 0], len(path) - cuts[k, 1])
            flat = (path[part] + normal[part] * (across[k] * width)).ravel().tolist()
            self._colour.line(flat, fill=rgb(tones[k]), width=thickness)
            self._height.line(flat, fill=int(np.clip(body[k], 0, 255)), width=thickness)

    def fill(self, corners: Array, colour: Array, height: float) -> None:
        """Lay a flat polygon of paint."""
        flat = corners.ravel().tolist()
        self._colour.polygon(flat, fill=rgb(colour))
        self._height.polygon(flat, fill=int(np.clip(height, 0, 255)))

    def dab(self, box: Sequence[float], colour: Array, height: float) -> None:
        """Lay a flat ellipse of paint inside a (left, top, right, bottom) box."""
        self._colour.ellipse(tuple(box), fill=rgb(colour))
        self._height.ellipse(tuple(box), fill=int(np.clip(height, 0, 255)))

    def lit(self, strength: float, softness: float = 1.0) -> Array:
        """Return the colours with light falling across the paint from the top left."""
        thickness = np.asarray(self.relief).astype(float)
        return emboss(np.asarray(self.paint).astype(float), thickness, strength, softness)


def emboss(colour: Array, height: Array, strength: float, softness: float = 1.0) -> Array:
    """Shade colours by the slope of a height field lit from the top left."""
    dy, dx = np.gradient(blur(height, softness) / 255.0)
    slope = np.tanh((dx * 0.6 + dy * 0.8) * 4.0)[..., None]
    shaded = colour * (1.0 + strength * slope)
    # Wet ridges catch a little pure light.
    lit: Array = shaded + np.clip(slope - 0.35, 0, None) * 70.0 * strength
    return lit


def broken_colour(colour: Array, palette: Array, rng: Rng, purity: float) -> Array:
    """Pull each colour towards one of its two nearest tube colours, as if unmixed."""
    distance = np.linalg.norm(colour[:, None] - palette[None], axis=2)
    nearest = np.argsort(distance, axis=1)
    choice = (rng.random(len(colour)) < 0.3).astype(int)
    tube = palette[nearest[np.arange(len(colour)), choice]]
    broken: Array = colour * (1 - purity) + tube * purity
    return broken


def scatter(rng: Rng, shape: Shape, count: int) -> Array:
    """Spread points evenly but irregularly: a jittered grid in random order."""
    height, width = shape
    step = (height * width / count) ** 0.5
    y, x = np.mgrid[0 : height + step : step, 0 : width + step : step]
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    points += rng.uniform(-0.75, 0.75, points.shape) * step
    return points[rng.permutation(len(points))]


def brush_over(
    canvas: Canvas,
    plan: Array,
    angle: Array,
    brushes: Sequence[Brush],
    rng: Rng,
    palette: Array,
    purity: float = 0.45,
) -> None:
    """Cover the canvas with strokes that take their colour from a plan and follow a field."""
    for brush in brushes:
        middle = scatter(rng, (plan.shape[0], plan.shape[1]), brush.count)
        length = brush.length * SCALE * rng.uniform(0.6, 1.4, len(middle))
        paths = trace_through(angle, middle, length)
        paths = paths + rng.normal(0, brush.wander * brush.width * SCALE, (len(paths), 1, 2))
        tone = broken_colour(pick(plan, middle), palette, rng, purity)
        tone = tone + rng.normal(0, brush.jitter, (len(tone), 1))
        widths = brush.width * SCALE * rng.uniform(0.7, 1.3, len(middle))
        for path, width, colour in zip(paths, widths.tolist(), tone, strict=True):
            canvas.stroke(path, width, colour, rng, brush.jitter * 0.8, brush.lift, brush.knife)


def ribbon(
    draw: ImageDraw.ImageDraw, path: Array, widths: Array, ink: int | tuple[int, ...]
) -> None:
    """Draw a line whose width swells and tapers from point to point."""
    points = path.tolist()
    for (x0, y0), (x1, y1), width in zip(points, points[1:], widths.tolist(), strict=False):
        if width < 0.6:
            continue
        thick = max(1, round(width))
        draw.line((x0, y0, x1, y1), fill=ink, width=thick)
        if thick > 2:
            r = (thick - 1) / 2
            draw.ellipse((x0 - r, y0 - r, x0 + r, y0 + r), fill=ink)


def paper(rng: Rng, shape: Shape) -> Array:
    """Return a multiplier that looks like handmade paper: fibres, fluff and tooth."""
    image = Image.new("L", (shape[1], shape[0]), 128)
    draw = ImageDraw.Draw(image)
    for _ in range(1600):
        start = rng.uniform((0, 0), (shape[1], shape[0]))
        turn = rng.uniform(0, 6.3) + np.cumsum(rng.normal(0, 0.22, 14))
        steps = np.stack([np.cos(turn), np.sin(turn)], axis=1) * rng.uniform(2, 6)
        ribbon(draw, start + np.cumsum(steps, axis=0), np.full(13, 1.6), int(rng.integers(60, 200)))
    fibres = blur(np.asarray(image).astype(float), 1.0) / 128 - 1
    return 1 + 0.10 * fibres + 0.05 * (noise(rng, shape, 0.006, 3) - 0.5) * 2


def grain_of(rng: Rng, shape: Shape, threads: bool) -> Array:
    """Return the unevenness of a support around 0: specks, and threads if it is canvas."""
    specks = rng.normal(0, 0.6, shape) + noise(rng, shape, 0.3, 3) - 0.5
    if not threads:
        return specks
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    woven: Array = specks + 0.6 * np.sin(x * np.pi / 1.5) * np.sin(y * np.pi / 1.5)
    return woven


def finish(field: Array, rng: Rng, grain: float, threads: bool = False) -> Image.Image:
    """Reduce the oversized picture to its final size and add the grain of its support."""
    big = to_image(field)
    size = (big.width // SCALE, big.height // SCALE)
    small = np.asarray(big.resize(size, Image.Resampling.LANCZOS)).astype(float)
    support = grain_of(rng, (size[1], size[0]), threads)
    return to_image(small * (1.0 + grain * support)[..., None])


def save(image: Image.Image, path: Path) -> None:
    """Write a JPEG, giving up as little quality as its size limit demands."""
    for quality in range(92, 70, -1):
        image.save(path, quality=quality, subsampling=0 if quality > 88 else 2, optimize=True)
        if path.stat().st_size < MAX_BYTES:
            return
    raise ValueError(f"{path.name} does not fit into {MAX_BYTES} bytes")
