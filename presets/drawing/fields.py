"""Scalar fields over a picture: coordinates, noise, blurs, ridges and level lines.

Every picture is planned as fields first (where things are, how light they are, which way they
run) and only then painted. Fields are arrays of shape (height, width); lengths inside them are
measured in picture heights, so that a composition does not depend on the resolution.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]
Rng = np.random.Generator
Shape = tuple[int, int]


def dice(name: str) -> Rng:
    """Return the random numbers of one picture: the same ones whichever others are drawn."""
    return np.random.default_rng(list(name.encode()))


def grid(shape: Shape) -> tuple[Array, Array]:
    """Return x and y coordinates in picture heights, origin at the top left."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    return x / height, y / height


def smoothstep(low: float, high: float, value: Array) -> Array:
    """Rise smoothly from 0 at `low` to 1 at `high` (or fall, when `low` exceeds `high`)."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mix(first: Array, second: Array, weight: Array | Mask | float) -> Array:
    """Blend two colours, or fields of colours, by a weight or a field of weights."""
    w = np.asarray(weight, dtype=np.float64)
    if w.ndim:
        w = w[..., None]
    return first * (1.0 - w) + second * w


def resize(field: Array, shape: Shape) -> Array:
    """Resample a field smoothly to another shape."""
    image = Image.fromarray(field.astype(np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)).astype(float)


def noise(
    rng: Rng, shape: Shape, cell: float, octaves: int = 4, stretch: tuple[float, float] = (1, 1)
) -> Array:
    """Sum octaves of smooth random values, scaled to fill 0..1.

    `cell` is the size of the coarsest lump in picture heights; `stretch` elongates the lumps
    along x and y, which turns noise into streaks or wood grain.
    """
    total = np.zeros(shape)
    for octave in range(octaves):
        size = cell * shape[0] / 2**octave
        rows = max(3, int(shape[0] / (size * stretch[1])) + 3)
        columns = max(3, int(shape[1] / (size * stretch[0])) + 3)
        total += resize(rng.random((rows, columns)), shape) / 2**octave
    low, high = (float(edge) for edge in np.percentile(total, (0.5, 99.5)))
    level: Array = np.clip((total - low) / (high - low), 0.0, 1.0)
    return level


def _box(field: Array, radius: int) -> Array:
    """Average over a horizontal window, holding the edge values outside the picture."""
    padded = np.pad(field, ((0, 0), (radius + 1, radius)), mode="edge")
    sums = np.cumsum(padded, axis=1)
    return (sums[:, 2 * radius + 1 :] - sums[:, : -2 * radius - 1]) / (2 * radius + 1)


def blur(field: Array, sigma: float) -> Array:
    """Blur by three box passes in each direction, close to a Gaussian of `sigma` pixels."""
    radius = max(1, round(sigma))
    for _ in range(3):
        field = _box(_box(field, radius).T, radius).T
    return field


def ridge(rng: Rng, x: Array, base: float, rough: float, cell: float = 0.4) -> Array:
    """Return the height of a rolling skyline above each column, as a field over the picture."""
    width = x.shape[1]
    knots = max(4, int(width / x.shape[0] / cell) + 4)
    line = np.zeros(width)
    for octave in range(5):
        values = rng.random((1, knots * 2**octave)) - 0.5
        line += resize(values, (1, width))[0] / 2.7**octave
    return np.broadcast_to(base + rough * line, x.shape)


def along_levels(field: Array) -> Array:
    """Return the direction of the level lines of a field, the way a brush would follow them."""
    dy, dx = np.gradient(field)
    angle: Array = np.arctan2(dx, -dy)
    return angle


def pick(field: Array, points: Array) -> Array:
    """Sample a field at (x, y) pixel positions, clamped to the picture."""
    columns = np.clip(points[..., 0].astype(int), 0, field.shape[1] - 1)
    rows = np.clip(points[..., 1].astype(int), 0, field.shape[0] - 1)
    values: Array = field[rows, columns]
    return values


def trace(angle: Array, starts: Array, length: Array, steps: int = 7) -> Array:
    """Follow a direction field from every start; return paths of shape (count, steps, 2)."""
    return _follow(angle, starts, pick(angle, starts), length, steps)


def trace_through(angle: Array, middles: Array, length: Array, steps: int = 7) -> Array:
    """Follow a direction field both ways from every point, so that paths are centred on them."""
    heading = pick(angle, middles)
    half = steps // 2 + 1
    ahead = _follow(angle, middles, heading, length / 2, half)
    behind = _follow(angle, middles, heading + np.pi, length / 2, half)
    return np.concatenate([behind[:, :0:-1], ahead], axis=1)


def _follow(angle: Array, starts: Array, heading: Array, length: Array, steps: int) -> Array:
    """Walk along a direction field from every start, first in the given direction."""
    stride = (length / (steps - 1))[:, None]
    point = starts.astype(float)
    path = [point]
    for _ in range(steps - 1):
        turn = pick(angle, point)
        # Level lines have no sign: keep going the way the stroke already runs.
        heading = np.where(np.cos(turn - heading) < 0, turn + np.pi, turn)
        point = point + stride * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        path.append(point)
    return np.stack(path, axis=1)


def colours(*codes: str) -> Array:
    """Turn hexadecimal colour codes into an array of rows in 0..255."""
    return np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in codes], dtype=float)


def ramp(palette: Array, position: Array, stops: Sequence[float] | None = None) -> Array:
    """Look up positions in 0..1 along a palette, interpolating between its colours."""
    knots = np.linspace(0, 1, len(palette)) if stops is None else np.asarray(stops, dtype=float)
    channels = [np.interp(position, knots, palette[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1)


def spline(knots: Array, count: int) -> Array:
    """Draw a smooth curve (Catmull-Rom) through knots and return `count` points on it."""
    ends = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    where = np.linspace(0, len(knots) - 1 - 1e-9, count)
    k = where.astype(int)
    t = (where - k)[:, None]
    a, b, c, d = ends[k], ends[k + 1], ends[k + 2], ends[k + 3]
    bend = (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    curve: Array = 0.5 * (2 * b + (c - a) * t + bend)
    return curve
