"""A lakeside afternoon in dots of pure colour."""

import numpy as np
from PIL import Image

from drawing.brushes import SCALE, Canvas, finish, scatter, sheet
from drawing.fields import (
    Array,
    Mask,
    Rng,
    colours,
    grid,
    mix,
    noise,
    pick,
    ramp,
    ridge,
    smoothstep,
)

TUBES = colours(
    "fffbe6",
    "fff0a6",
    "ffd84a",
    "ffb02e",
    "f7772b",
    "e8452f",
    "c92a4e",
    "f49bb0",
    "d86aa8",
    "8a4aa8",
    "5b3fa0",
    "3a3f9e",
    "2a5fc4",
    "3f8fe0",
    "83c3f0",
    "c4e4f4",
    "48b8b0",
    "1f8a7a",
    "1d6b45",
    "3f9a3f",
    "86c043",
    "cfe070",
    "1c2a63",
    "2b1d4e",
)
SKY = colours("2f63c8", "5f97e2", "9cc4ee", "f3dcc8", "ffc888", "ff9a62")
HILL = colours("4a4aa8", "7a62b8", "c88ab4")
LEAF = colours("2b1d4e", "1c2a63", "165a4c", "2f8a44", "8fbe40", "ffd84a", "fff0a6")
MEADOW = colours("24306e", "1d6b45", "4fa03f", "a8cc4a", "f0e070")
SHORE = 0.50
SUN = (0.56, 0.385)


def _crown(
    plan: Array, x: Array, y: Array, lumps: Array, place: tuple[float, float, float, float]
) -> tuple[Array, Mask]:
    """Grow one mass of foliage in an ellipse, sunlit on the side that faces the light."""
    cx, cy, wide, high = place
    dx, dy = (x - cx) / wide, (y - cy) / high
    edge = np.hypot(dx, dy) + 0.75 * (lumps - 0.5)
    facing = np.sign(SUN[0] - cx) * dx * 0.5 - dy * 0.55
    tone = 0.42 + 0.34 * facing + 0.75 * (lumps - 0.5)
    inside = edge < 1.0
    return mix(plan, ramp(LEAF, tone), inside), inside


def _far_side(x: Array, y: Array, rng: Rng) -> Array:
    """Plan everything above the water: sky, hills, and the trees of the far shore."""
    cloud = noise(rng, x.shape, 0.25, 4, (2.6, 0.9))
    glow = np.exp(-((np.hypot((x - SUN[0]) * 0.8, y - SUN[1]) / 0.22) ** 2))
    plan = ramp(SKY, 1.6 * y - 0.02 + 0.20 * (cloud - 0.5))
    plan = mix(plan, colours("fff4d2"), 0.75 * smoothstep(0.60, 0.98, cloud))
    plan = mix(plan, colours("ffe07a"), 0.8 * glow)
    disc = smoothstep(0.046, 0.038, np.hypot(x - SUN[0], y - SUN[1]))
    plan = mix(plan, colours("fffdf0"), disc)
    for base, rough, tone in ((0.43, 0.10, 0.75), (0.465, 0.07, 0.2)):
        depth = y - ridge(rng, x, base, rough, 0.6)
        hill = ramp(HILL, tone + 0.5 * (cloud - 0.5)) + 60 * glow[..., None]
        plan = mix(plan, hill, smoothstep(0, 0.004, depth))
    lumps = noise(rng, x.shape, 0.07, 4)
    for cx in np.arange(0.0, 1.35, 0.055).tolist():
        high = rng.uniform(0.02, 0.05) * (1.7 if abs(cx - SUN[0]) > 0.25 else 0.8)
        plan, _ = _crown(plan, x, y, lumps, (cx, SHORE - high * 0.7, 0.045, high))
    for cx, top in ((1.03, 0.16), (1.10, 0.22), (1.165, 0.13), (1.24, 0.20), (0.965, 0.30)):
        middle = (top + SHORE) / 2
        plan, _ = _crown(plan, x, y, lumps, (cx, middle, 0.036, (SHORE - top) / 2))
    return plan


def _sail(plan: Array, x: Array, y: Array) -> Array:
    """Put a small white sail on the water line."""
    lean = (x - 0.335) - 0.10 * (y - 0.40)
    rise = (y - 0.315) / 0.165
    main = (rise > 0) & (rise < 1) & (lean > 0) & (lean < 0.085 * rise)
    fore = (rise > 0.12) & (rise < 1) & (lean < -0.006) & (lean > -0.05 * (rise - 0.12))
    hull = (np.abs(x - 0.345) < 0.075 - 0.9 * np.abs(y - 0.487)) & (np.abs(y - 0.492) < 0.012)
    plan = mix(plan, colours("fffdf2"), main)
    plan = mix(plan, colours("f7c9b0"), fore)
    return mix(plan, colours("b8304a"), hull)


def _water(plan: Array, x: Array, y: Array, rng: Rng) -> Array:
    """Mirror the far side in the lake, broken by ripples that widen towards the front."""
    tall, wide = x.shape
    depth = np.clip(y - SHORE, 0, None)
    ripple = noise(rng, x.shape, 0.05, 4, (4.0, 0.5)) - 0.5
    rows = (SHORE - depth * 0.98 + 0.25 * ripple * (depth + 0.05)) * tall
    columns = x * tall + ripple * 60
    source = np.stack([np.clip(columns, 0, wide - 1), np.clip(rows, 0, SHORE * tall - 2)], axis=-1)
    mirror = pick(plan, source)
    veil = 0.14 + 0.9 * depth[..., None]
    mirror = mirror * (1 - veil) + colours("2446a4")[0] * veil
    spark = np.exp(-(((x - SUN[0]) / (0.05 + 0.22 * depth)) ** 2)) * (ripple > 0.02)
    mirror = mix(mirror, colours("ffd070"), 0.9 * spark)
    return mix(plan, mirror, y > SHORE)


def _bank(plan: Array, x: Array, y: Array, rng: Rng) -> Array:
    """Frame the view with a flowering bank and a great tree at the left."""
    depth = y - ridge(rng, x, 0.845, 0.10, 0.8) + 0.09 * (x - 0.65)
    tuft = noise(rng, x.shape, 0.05, 4, (0.5, 1.4))
    grass = ramp(MEADOW, 0.15 + 0.85 * tuft + 0.35 * smoothstep(0.06, 0.0, depth) - 0.15)
    plan = mix(plan, grass, depth + 0.05 * (tuft - 0.5) > 0)
    sway = 0.115 + 0.03 * np.sin(4.5 * y + 0.6) - 0.02 * y
    half = 0.020 + 0.05 * smoothstep(0.72, 0.95, y) + 0.006 * np.sin(40 * y)
    trunk = (np.abs(x - sway) < half) & (y > 0.12) & (y < 0.93)
    bark = ramp(colours("2b1d4e", "5a2f5e", "a8503f", "f7a45a"), (x - sway) / half * 0.45 + 0.42)
    plan = mix(plan, bark, trunk)
    lumps = noise(rng, x.shape, 0.10, 5)
    for place in (
        (0.13, 0.20, 0.17, 0.15),
        (0.06, 0.10, 0.24, 0.15),
        (0.26, 0.055, 0.17, 0.10),
        (0.02, 0.30, 0.13, 0.09),
        (0.42, 0.02, 0.12, 0.055),
        (0.24, 0.235, 0.09, 0.045),
    ):
        plan, _ = _crown(plan, x, y, lumps, place)
    return plan


def _split(colour: Array, rng: Rng) -> Array:
    """Replace colours by tube colours near them, and a few by their complement."""
    opposite = rng.random(len(colour)) < 0.09
    # Mirror the hue but keep the light, so that the contrast sparkles without making holes.
    light = colour @ np.array([[0.3], [0.55], [0.15]])
    contrast = light * 0.92 + 1.5 * (light - colour)
    aim = np.where(opposite[:, None], contrast, colour)
    distance = np.linalg.norm((aim[:, None] - TUBES[None]) * np.array([1.0, 1.2, 0.8]), axis=2)
    chance = rng.gumbel(0, 17.0, distance.shape)
    tube = TUBES[np.argmin(distance - chance, axis=1)]
    touch: Array = tube * 0.74 + colour * 0.26
    return touch


def _dots(canvas: Canvas, plan: Array, radius: float, count: int, rng: Rng) -> None:
    """Cover the picture with one size of dot."""
    points = scatter(rng, (plan.shape[0], plan.shape[1]), count)
    tones = _split(pick(plan, points), rng) + rng.normal(0, 6, (len(points), 3))
    radii = radius * SCALE * rng.uniform(0.72, 1.25, len(points))
    # On the water the touch turns horizontal, as a brush does there.
    flat = np.where((points[:, 1] / plan.shape[0] > SHORE + 0.02), 1.28, 1.05)
    wide, high = radii * flat, radii / flat**0.6
    shapes = np.column_stack([points, wide, high]).tolist()
    for (x, y, a, b), tone in zip(shapes, tones, strict=True):
        canvas.dab((x - a, y - b, x + a, y + b), tone, rng.uniform(90, 150))
        canvas.dab((x - a * 0.55, y - b * 0.55, x + a * 0.45, y + b * 0.45), tone + 6, 215)


def _blossom(plan: Array, points: Array) -> Mask:
    """Return which points lie on the flowering bank."""
    x, y = points[:, 0] / plan.shape[0], points[:, 1] / plan.shape[0]
    blooming: Mask = y > 0.875 - 0.09 * (x - 0.65)
    return blooming


def _flowers(canvas: Canvas, plan: Array, rng: Rng) -> None:
    """Sprinkle poppies, asters and buttercups over the bank."""
    points = scatter(rng, (plan.shape[0], plan.shape[1]), 9000)
    points = points[_blossom(plan, points) & (rng.random(len(points)) < 0.5)]
    tubes = TUBES[rng.choice([2, 5, 6, 7, 8, 0, 9, 3], len(points))]
    for (x, y), tone in zip(points.tolist(), tubes, strict=True):
        r = SCALE * rng.uniform(1.8, 4.6)
        canvas.dab((x - r, y - r, x + r, y + r), tone, 190)


def pointillism(rng: Rng) -> Image.Image:
    """Dot a lake in low sunlight, with a sail and a great tree."""
    shape = sheet(1.3)
    x, y = grid(shape)
    plan = _sail(_far_side(x, y, rng), x, y)
    plan = _bank(_water(plan, x, y, rng), x, y, rng)
    canvas = Canvas(plan * 0.55 + 0.45 * np.array([236.0, 214.0, 178.0]))
    for radius, count in ((6.4, 6500), (4.0, 15000), (2.7, 22000)):
        _dots(canvas, plan, radius, count, rng)
    _flowers(canvas, plan, rng)
    return finish(canvas.lit(0.34, 1.0), rng, 0.022, threads=True)
