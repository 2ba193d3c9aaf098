"""A night of whirling light over dark hills, painted in short thick strokes."""

import numpy as np
from PIL import Image

from drawing.brushes import SCALE, Brush, Canvas, brush_over, finish, sheet
from drawing.fields import (
    Array,
    Rng,
    along_levels,
    colours,
    grid,
    mix,
    noise,
    ramp,
    ridge,
    smoothstep,
)

NIGHT = colours("0b1440", "14246b", "1d3fa0", "2f6cc4", "5aa2d8", "a5d3dc", "e9efd2")
HILLS = colours("070d26", "0c1d3d", "12384f", "1d5a63", "3f8580", "86b89a")
GLOW = colours("fff6cf", "ffe27a", "f7b733", "cfd79a", "8fc3cf", "3f7ccb")
MOON_HALO = colours("7fb0b0", "a9c9a4", "d9dd9a", "f3e6a4", "9acbd0", "3f7ccb")
MOONLIGHT = colours("ffb52b", "ffd24a", "ffe98f")
OILS = np.vstack([NIGHT, HILLS, GLOW])

#: Where the sky turns: x, y, radius, strength (its sign is the sense of rotation).
WHIRLS = (
    (0.45, 0.33, 0.23, 0.30),
    (0.79, 0.46, 0.14, -0.15),
    (0.16, 0.60, 0.11, -0.09),
    (1.18, 0.52, 0.12, 0.10),
)
#: Stars: x, y, radius of the halo.
STARS = (
    (0.13, 0.14, 0.100),
    (0.30, 0.085, 0.044),
    (0.66, 0.12, 0.075),
    (0.86, 0.23, 0.055),
    (0.09, 0.38, 0.060),
    (0.63, 0.58, 0.050),
    (0.95, 0.52, 0.055),
    (0.33, 0.57, 0.050),
    (0.82, 0.07, 0.046),
)
MOON = (1.07, 0.20, 0.19)


def _sky_levels(x: Array, y: Array, drift: Array) -> Array:
    """Return a stream function: its level lines are the currents of the night sky."""
    levels = 0.8 * y + 0.05 * np.sin(5.0 * x + 2.0 * y) + 0.06 * drift
    for cx, cy, radius, strength in WHIRLS:
        distance = np.hypot(x - cx, y - cy)
        levels = levels + strength * np.exp(-((distance / radius) ** 2))
    return levels


def _sky_colour(x: Array, y: Array, levels: Array, drift: Array) -> Array:
    """Colour the currents in bands, winding into spirals inside each whirl."""
    phase = levels * 46.0 + 5.0 * drift
    centre = np.zeros_like(x)
    for cx, cy, radius, strength in WHIRLS:
        near = np.exp(-((np.hypot(x - cx, y - cy) / radius) ** 2))
        phase = phase + near * np.sign(strength) * 2.0 * np.arctan2(y - cy, x - cx)
        centre = centre + near
    tone = 0.33 + 0.24 * np.sin(phase) + 0.20 * (drift - 0.5) + 0.26 * centre + 0.14 * (y - 0.4)
    return ramp(NIGHT, tone)


def _halo(sky: Array, x: Array, y: Array, star: tuple[float, float, float]) -> Array:
    """Ring a star with broken circles of light that fade into the sky."""
    distance = np.hypot(x - star[0], y - star[1]) / star[2]
    rings = distance + 0.045 * np.sin(distance * 26.0)
    stops = (0.0, 0.22, 0.34, 0.55, 0.78, 1.05)
    if star is MOON:
        stops = (0.0, 0.14, 0.28, 0.44, 0.62, 0.98)
    light = ramp(GLOW if star is not MOON else MOON_HALO, rings, stops)
    return mix(sky, light, 0.94 * smoothstep(1.15, 0.6, distance))


def _land(plan: Array, levels: Array, x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    """Lay ranges of dark hills over the sky, each lit along its crest."""
    ranges = ((0.70, 0.15, 0.95), (0.76, 0.17, 0.80), (0.83, 0.15, 0.70), (0.91, 0.13, 0.52))
    for base, rough, light in ranges:
        skyline = ridge(rng, x, base, rough, 0.7)
        depth = y - skyline
        fold = noise(rng, x.shape, 0.22, 3, (1.5, 1.0))
        tone = light * smoothstep(0.15, 0.0, depth) + 0.48 * (fold - 0.40)
        tone = tone + 0.12 * np.sin(depth * 150 + fold * 7)
        plan = mix(plan, ramp(HILLS, tone), smoothstep(-0.002, 0.002, depth))
        levels = np.where(depth > 0, depth + 0.05 * fold, levels)
    return _river(plan, levels, x, y)


def _river(plan: Array, levels: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Wind a river through the valley, carrying the colours of the sky down to the front."""
    nearness = np.clip((y - 0.80) / 0.20, 0, 1)
    middle = 0.50 + 0.10 * np.sin(15.0 * y + 0.4) * (0.4 + nearness) + 0.10 * nearness
    across = (x - middle) / (0.012 + 0.10 * nearness**1.3)
    water = (np.abs(across) < 1) & (y > 0.80)
    glints = np.sin(y * 300 * (1.6 - nearness) + 6 * across)
    tone = 0.45 + 0.28 * (1 - across**2) + 0.22 * glints
    bright = (glints > 0.6) & (np.abs(across) < 0.4)
    light = mix(ramp(NIGHT, tone), GLOW[1], np.where(bright, 0.75, 0.0))
    return mix(plan, light, water), np.where(water, y + 0.05 * across**2, levels)


def _cypresses(plan: Array, levels: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Stand a few flame-shaped trees at the right, the one upright among all the curves."""
    trees = ((1.09, 0.50, 0.050), (1.165, 0.60, 0.042), (1.02, 0.69, 0.034))
    for root, top, half in trees:
        rise = np.clip((y - top) / (1.0 - top), 0, 1)
        sway = root + 0.012 * np.sin(22 * y + 40 * root) * (1.2 - rise)
        flame = half * np.sqrt(rise) * (1.15 - 0.45 * rise) * (1 + 0.22 * np.sin(60 * y + 9 * root))
        across = (x - sway) / (flame + 1e-6)
        inside = (np.abs(across) < 1) & (y > top)
        curl = across + 0.9 * np.sin(34 * y + 3 * across)
        tone = 0.16 + 0.22 * np.sin(4.2 * curl) - 0.18 * across
        plan = mix(plan, ramp(HILLS, tone), inside)
        levels = np.where(inside, x + 0.014 * np.sin(34 * y + 3 * across), levels)
    return plan, levels


def _ring_stroke(
    canvas: Canvas,
    centre: Array,
    radius: float,
    start: float,
    brush: Brush,
    colour: Array,
    rng: Rng,
) -> None:
    """Draw one stroke bent around a centre; the radius counts working pixels."""
    span = brush.length * SCALE / max(radius, 1.0)
    turn = np.linspace(start, start + min(span, 5.0), 8)
    path = centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    canvas.stroke(path, brush.width * SCALE, colour, rng, brush.jitter, brush.lift)


def _lamps(canvas: Canvas, tall: int, rng: Rng) -> None:
    """Put a thick bright heart into every star and a crescent into the moon."""
    for x, y, halo in STARS:
        for _ in range(16):
            radius = halo * tall * 0.26 * rng.random()
            brush = Brush(4.5, 10, 1, 8, lift=1.3)
            colour = GLOW[0] + rng.normal(0, 5, 3)
            centre, start = tall * np.array([x, y]), 6 * rng.random()
            _ring_stroke(canvas, centre, radius, start, brush, colour, rng)
    for _ in range(150):
        turn = rng.uniform(-1.75, 1.75)
        inner = 0.078 - 0.052 * max(np.cos(turn * 0.9), 0.0)
        radius = rng.uniform(inner, 0.078) * tall
        colour = MOONLIGHT[int(rng.integers(0, 3))]
        brush = Brush(4.0, 13, 1, 9, lift=1.3)
        centre = tall * np.array(MOON[:2])
        _ring_stroke(canvas, centre, radius, turn - 0.4, brush, colour, rng)


def starry(rng: Rng) -> Image.Image:
    """Paint a night of whirling light over dark hills."""
    shape = sheet(1.27)
    x, y = grid(shape)
    drift = noise(rng, shape, 0.35, 4, (1.6, 1.0))
    levels = _sky_levels(x, y, drift)
    plan = _sky_colour(x, y, levels, drift)
    for star in (*STARS, MOON):
        plan = _halo(plan, x, y, star)
        near = np.hypot(x - star[0], y - star[1]) / star[2]
        levels = levels * smoothstep(0.7, 1.25, near) - near * smoothstep(1.25, 0.7, near)
    plan, levels = _land(plan, levels, x, y, rng)
    plan, levels = _cypresses(plan, levels, x, y)
    canvas = Canvas(plan)
    brushes = (
        Brush(13, 50, 2600, 10),
        Brush(7.5, 30, 7000, 12),
        Brush(4, 17, 11000, 14),
    )
    brush_over(canvas, plan, along_levels(levels), brushes, rng, OILS, 0.35)
    _lamps(canvas, shape[0], rng)
    return finish(canvas.lit(0.6), rng, 0.018, threads=True)
