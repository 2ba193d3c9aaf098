"""A field of flowers at sunset, laid on with a palette knife."""

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

SUNSET = colours("fff0a8", "ffc94a", "ff9a2e", "f2622c", "cf2f4a", "8c2a6b", "4b2a72", "2b2560")
FIELD = colours("0b2f3f", "10505a", "1d7a76", "2b2560", "5a2470", "8f2560")
STEMS = colours("0d4a50", "1f8a7c", "7fc48a", "f0d070")
BLOOMS = (
    colours("7d0f2b", "c4162f", "ec3b2c", "ff7a3d", "ffb27a"),
    colours("b8430f", "ee7a12", "ffa51f", "ffd24d", "fff0a0"),
    colours("5a1552", "9a1f6b", "d83a86", "f57fa8", "ffc4c0"),
    colours("2e1a66", "57309a", "8458c4", "b58ce0", "e3cdf2"),
)
KNIFE_COLOURS = np.vstack([SUNSET, FIELD])
HORIZON = 0.40
LOW_SUN = (0.84, 0.315)


def _evening(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    """Plan the sky: heat spreading from a low sun through streaked clouds."""
    cloud = noise(rng, x.shape, 0.22, 4, (3.2, 0.9))
    away = np.hypot((x - LOW_SUN[0]) * 0.8, (y - LOW_SUN[1]) * 1.35)
    plan = ramp(SUNSET, 0.08 + 1.25 * away + 0.55 * (cloud - 0.5) * smoothstep(0.02, 0.2, away))
    plan = mix(plan, SUNSET[6], 0.75 * smoothstep(0.62, 0.72, cloud) * (away > 0.16))
    disc = np.hypot(x - LOW_SUN[0], y - LOW_SUN[1])
    plan = mix(plan, colours("fffbe0"), smoothstep(0.058, 0.05, disc))
    levels = 0.8 * away + 0.3 * y + 0.10 * cloud
    for base, rough, position in ((0.345, 0.10, 0.80), (0.375, 0.07, 0.95)):
        depth = y - ridge(rng, x, base, rough, 0.5)
        tone = position - 0.9 * smoothstep(0.05, 0.0, depth) * smoothstep(0.7, 0.1, away) * 0.4
        plan = mix(plan, ramp(SUNSET, tone + 0.1 * (cloud - 0.5)), smoothstep(0, 0.004, depth))
        levels = np.where(depth > 0, depth + 0.04 * cloud, levels)
    return plan, levels


def _field(plan: Array, levels: Array, x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    """Plan the ground: rows running to a point under the sun, dark furrows between them."""
    depth = np.clip(y - HORIZON, 1e-3, None)
    row = (x - 0.80) / (depth + 0.05)
    lump = noise(rng, x.shape, 0.08, 3)
    tone = 0.30 + 0.28 * np.cos(row * 7.0) + 0.5 * (lump - 0.5)
    ground = ramp(FIELD, tone + 0.12 * smoothstep(0.5, 0.0, depth))
    below = smoothstep(-0.002, 0.002, y - HORIZON)
    return mix(plan, ground, below), np.where(y > HORIZON, 0.25 * row + 0.12 * lump, levels)


def _flower(canvas: Canvas, place: Array, size: float, family: Array, rng: Rng) -> None:
    """Smear one bloom: a cool shadow, petals from dark to light, and a hot heart."""
    low = FIELD[int(rng.integers(0, 4))]
    for _ in range(3):
        root = place + rng.normal(0, size * 0.3, 2) + np.array([size * 0.25, size * 0.5])
        path = np.linspace(root, root + rng.normal(0, size * 0.4, 2), 5)
        canvas.stroke(path, size * 0.5, low, rng, 8.0, 0.5, True)
    count = int(rng.integers(6, 10))
    start = rng.uniform(0, 6.3)
    for k in range(count):
        turn = start + 2.4 * k
        reach = size * (0.95 - 0.5 * k / count)
        aim = np.array([np.cos(turn), 0.72 * np.sin(turn)])
        side = np.array([-aim[1], aim[0]])
        t = np.linspace(0, 1, 6)[:, None]
        path = place + aim * reach * (0.95 - 0.6 * t) + side * size * 0.75 * (t - 0.5) * (1.4 - t)
        light = 0.25 + 0.5 * k / count - 0.32 * (aim[0] + aim[1]) * 0.6 + rng.normal(0, 0.09)
        tone = ramp(family, np.array(light))
        canvas.stroke(path, size * rng.uniform(0.4, 0.62), tone, rng, 11.0, 1.0, True)
    heart = BLOOMS[1][4] if family is not BLOOMS[1] else BLOOMS[0][1]
    canvas.stroke(np.linspace(place, place + size * 0.16, 4), size * 0.3, heart, rng, 9.0, 1.3)


def _blooms(canvas: Canvas, tall: int, rng: Rng) -> None:
    """Set out the flowers from the far rows to the near ones, each row of one colour."""
    depth = 0.012
    while depth < 0.68:
        size = (0.004 + 0.118 * depth**1.25) * tall
        step = size / tall * 1.65
        for x in np.arange(-0.05, 1.4, step).tolist():
            place = np.array([x + rng.normal(0, step * 0.3), HORIZON + depth])
            place[1] += rng.normal(0, 0.35 * size / tall)
            row = int(np.floor((place[0] - 0.80) / (depth + 0.05) * 7.0 / (2 * np.pi) + 0.5))
            family = BLOOMS[(row + (rng.random() < 0.12)) % 4]
            if rng.random() < 0.86:
                _flower(canvas, place * tall, size * rng.uniform(0.75, 1.2), family, rng)
        depth += 1.15 * size / tall


def _stems(canvas: Canvas, tall: int, rng: Rng) -> None:
    """Flick stems and blades between the nearer flowers."""
    for _ in range(900):
        depth = 0.58 * rng.random() ** 0.6 + 0.03
        root = np.array([rng.uniform(0, 1.33), HORIZON + depth]) * tall
        size = (0.03 + 0.10 * depth) * tall
        t = np.linspace(0, 1, 6)[:, None]
        lean = rng.normal(0, 0.35)
        path = root + size * np.hstack([lean * t**2, -t])
        tone = ramp(STEMS, np.array(rng.random() ** 1.7))
        canvas.stroke(path, (2 + 7 * depth) * SCALE, tone, rng, 10.0, 0.9)


def impasto(rng: Rng) -> Image.Image:
    """Paint a field of flowers at sunset with a palette knife."""
    shape = sheet(1.3)
    x, y = grid(shape)
    plan, levels = _evening(x, y, rng)
    plan, levels = _field(plan, levels, x, y, rng)
    canvas = Canvas(plan)
    brushes = (
        Brush(22, 62, 1500, 9, knife=True),
        Brush(13, 40, 2300, 11, knife=True),
        Brush(6, 24, 2600, 13),
    )
    brush_over(canvas, plan, along_levels(levels), brushes, rng, KNIFE_COLOURS, 0.3)
    _stems(canvas, shape[0], rng)
    _blooms(canvas, shape[0], rng)
    return finish(canvas.lit(0.75, 1.3), rng, 0.016, threads=True)
