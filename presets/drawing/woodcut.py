"""A landscape cut into a wood block: black, cream, and two muted inks."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from drawing.brushes import SCALE, finish, paper, ribbon, sheet
from drawing.fields import (
    Array,
    Mask,
    Rng,
    Shape,
    along_levels,
    blur,
    colours,
    grid,
    mix,
    noise,
    pick,
    ridge,
    smoothstep,
    trace_through,
)

BLACK = colours("17140f")
PAPER = colours("efe2c4")
INDIGO = colours("2f4f7a")
VERMILION = colours("c8492c")
SUN = (0.84, 0.30)


@dataclass
class Block:
    """What the cutter needs to know at every point: tone, direction, and the colour plates."""

    tone: Array
    levels: Array
    indigo: Array
    red: Array
    edges: Array

    def lay(self, where: Mask, tone: Array, levels: Array, indigo: float, red: float) -> None:
        """Put a nearer part of the landscape in front of what is there."""
        self.tone = np.where(where, tone, self.tone)
        self.levels = np.where(where, levels, self.levels)
        self.indigo = np.where(where, indigo, self.indigo)
        self.red = np.where(where, red, self.red)
        inner = blur(where.astype(float), 3.0)
        # A dark contour survives along the border of every part.
        self.edges = np.where(where, 0.0, self.edges) + (np.abs(inner - 0.5) < 0.24)


def _heavens(x: Array, y: Array, rng: Rng) -> Block:
    """Plan the sky: rays fanning out of the sun, crossed by wind-blown cloud."""
    dx, dy = x - SUN[0], y - SUN[1]
    away, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    drift = noise(rng, x.shape, 0.30, 3, (2.2, 0.8))
    rays = 0.5 + 0.5 * np.sin(turn * 26 + 2.0 * drift)
    tone = 0.92 - 0.42 * away + 0.36 * (rays - 0.5)
    block = Block(tone, turn * 0.5, np.zeros_like(x), np.zeros_like(x), np.zeros_like(x))
    block.red = np.where(away < 0.30, 0.55 * smoothstep(0.32, 0.16, away) * (rays > 0.5), 0.0)
    disc = away < 0.125
    block.lay(disc, 0.52 + 0.0 * x, away, 0.0, 1.0)
    cloud = smoothstep(0.60, 0.64, drift + 0.25 * (0.2 - y) - 0.5 * np.exp(-((away / 0.2) ** 2)))
    swirl = y + 0.16 * drift
    block.lay(cloud > 0.5, 0.30 + 1.1 * (drift - 0.55), swirl, 0.85, 0.0)
    return block


def _hills(block: Block, x: Array, y: Array, rng: Rng) -> None:
    """Lay hills behind one another; the light comes over their right shoulders."""
    plans = (
        (0.47, 0.26, 0.80, 0.9, 0.0),
        (0.56, 0.24, 0.45, 0.9, 0.0),
        (0.62, 0.20, 0.70, 0.0, 0.0),
        (0.68, 0.16, 0.40, 0.0, 0.35),
    )
    for base, rough, light, indigo, red in plans:
        skyline = ridge(rng, x, base, rough, 0.55)
        depth = y - skyline
        slope = np.gradient(skyline, axis=1) * x.shape[0]
        fold = noise(rng, x.shape, 0.20, 3)
        facing = 0.5 * np.tanh(1.6 * (slope + 2.2 * (fold - 0.5)))
        tone = light + 0.16 + facing * 0.75 - 1.2 * depth
        # Cuts run down the slope like furrows, bending with every fold.
        levels = 0.75 * x + 0.55 * depth * np.sign(facing) * 0.8 + 0.14 * fold
        if indigo or red:
            levels = depth + 0.07 * fold + 0.10 * x * facing
        block.lay(depth > 0, tone, levels, indigo, red)


def _sea(block: Block, x: Array, y: Array, rng: Rng) -> None:
    """Lay rolling waves across the front, each with a lit back and a dark hollow."""
    for k, base in enumerate((0.735, 0.785, 0.85, 0.925)):
        high = 0.018 + 0.013 * k
        pitch = 0.17 + 0.065 * k
        phase = 2 * np.pi * x / pitch + 1.7 * k + 0.6 * np.sin(7 * x + k)
        crest = base - high * (1 - np.abs(np.sin(phase / 2))) ** 1.0 * 1.8
        depth = y - crest
        ripple = noise(rng, x.shape, 0.12, 3, (2.5, 0.8))
        tone = 0.95 - 9.5 * depth / (1 + k * 0.35) + 0.35 * np.sin(phase) + 0.7 * (ripple - 0.5)
        glitter = np.exp(-(((x - SUN[0]) / (0.05 + 0.04 * k)) ** 2))
        levels = depth + 0.012 * np.sin(phase + 18 * depth) + 0.02 * ripple
        block.lay(depth > 0, tone + 0.25 * glitter, levels, 0.95, 0.0)
        path = smoothstep(0.68, 0.84, glitter + 0.9 * (ripple - 0.5))
        block.indigo = np.where(depth > 0, 0.95 * (1 - path), block.indigo)
        block.red = np.where(depth > 0, 0.75 * path, block.red)


def _pines(block: Block, x: Array, y: Array, rng: Rng) -> None:
    """Stand three wind-bent pines on a headland at the left."""
    depth = y - ridge(rng, x, 0.70, 0.10, 0.5) - 0.85 * smoothstep(0.20, 0.62, x)
    grass = noise(rng, x.shape, 0.08, 3, (0.7, 1.6))
    land = depth > 0
    furrows = depth + 0.35 * x + 0.07 * grass
    block.lay(land, 0.50 + 0.9 * (grass - 0.5) - 1.2 * depth, furrows, 0.0, 0.0)
    lumps = noise(rng, x.shape, 0.06, 4)
    for root, top, bend in ((0.115, 0.10, 0.10), (0.285, 0.26, 0.06), (0.01, 0.33, 0.05)):
        rise = np.clip((0.74 - y) / (0.74 - top), 0, 1)
        stem = root + bend * rise**1.6 + 0.008 * np.sin(26 * y + 9 * root)
        half = 0.017 * (1.15 - 0.8 * rise)
        trunk = (np.abs(x - stem) < half) & (y > top) & (y < 0.74)
        bark = 0.40 + 0.42 * np.clip((x - stem) / half, -1, 1)
        block.lay(trunk, bark, y * 0.6 + 0.8 * np.abs(x - stem), 0.0, 0.75)
        for k in range(6):
            level = top + (0.50 - top) * (k / 6) ** 0.9
            reach = 0.055 + 0.075 * (k / 6) + 0.02 * rng.random()
            at = root + bend * ((0.74 - level) / (0.74 - top)) ** 1.6
            cx = at + (0.55 * reach if k % 2 else -0.5 * reach)
            dx, dy = (x - cx) / reach, (y - level - 0.10 * (x - cx) ** 2 / reach) / (0.36 * reach)
            pad = np.hypot(dx, dy) + 0.8 * (lumps - 0.5) < 1.0
            tone = 0.20 - 0.42 * dy + 0.30 * dx + 0.5 * (lumps - 0.5)
            block.lay(pad, tone, np.arctan2(dy - 1.4, dx) * 0.30, 0.0, 0.0)


def _cut(block: Block, shape: Shape, rng: Rng) -> Array:
    """Carve the key block: spindle-shaped gouges, wider where the picture is lighter."""
    image = Image.new("L", (shape[1], shape[0]), 255)
    draw = ImageDraw.Draw(image)
    angle = along_levels(blur(block.levels, 1.0))
    tone = blur(block.tone, 3.0) - 1.2 * np.clip(block.edges, 0, 1)
    passes = ((46, 4.8, 5200, 0.42), (30, 3.6, 12000, 0.22), (17, 2.6, 16000, 0.10))
    for length, width, count, floor in passes:
        points = _spaced(rng, shape, count)
        points = points[pick(tone, points) > floor * rng.uniform(0.7, 1.3, len(points))]
        paths = _spindles(points, angle, length, rng)
        bite = np.clip(pick(tone, paths), 0, 1) ** 0.8 * width
        _gouge(draw, paths, bite, 0)
    # The cutter spares thin ridges of wood in the light, or the form would be lost there.
    points = _spaced(rng, shape, 6500)
    points = points[pick(tone, points) > 0.35]
    paths = _spindles(points, angle, 44, rng)
    _gouge(draw, paths, np.clip(1.55 - pick(tone, paths), 0.45, 1.0) * 1.75, 255)
    return np.asarray(image).astype(float) / 255


def _spindles(points: Array, angle: Array, length: float, rng: Rng) -> Array:
    """Return the paths of single cuts through the given points."""
    reach = length * SCALE * rng.uniform(0.55, 1.3, len(points))
    return trace_through(angle, points, reach, 9)


def _gouge(draw: ImageDraw.ImageDraw, paths: Array, widths: Array, ink: int) -> None:
    """Draw cuts that enter the wood gently and leave it abruptly."""
    taper = np.linspace(0.05, 1, 9) ** 0.6 * np.linspace(1, 0, 9) ** 0.35 * 1.25 * SCALE
    for path, width in zip(paths, widths * taper, strict=True):
        ribbon(draw, path, np.where(width < 1.2, 0, width), ink)


def _spaced(rng: Rng, shape: Shape, count: int) -> Array:
    """Return cutting points on a loosely jittered grid, in random order."""
    step = (shape[0] * shape[1] / count) ** 0.5
    y, x = np.mgrid[0 : shape[0] : step, 0 : shape[1] : step]
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    points += rng.uniform(-0.5, 0.5, points.shape) * step
    return points[rng.permutation(len(points))]


def _plate(area: Array, shift: tuple[int, int], grain: Array, worn: Array) -> Array:
    """Ink one colour plate: slightly out of register, thin along the grain of the wood."""
    moved = np.roll(area, shift, axis=(0, 1))
    return blur(moved, 1.5) * (1.0 - 0.55 * smoothstep(0.52, 0.95, 0.6 * grain + 0.4 * worn))


def woodcut(rng: Rng) -> Image.Image:
    """Cut a coast with pines, hills and a rayed sun."""
    shape = sheet(1.3)
    x, y = grid(shape)
    block = _heavens(x, y, rng)
    _hills(block, x, y, rng)
    _sea(block, x, y, rng)
    _pines(block, x, y, rng)
    key = _cut(block, shape, rng)
    rings = noise(rng, shape, 0.25, 3, (5.0, 0.6))
    grain = 0.5 + 0.5 * np.sin(rings * 90 + noise(rng, shape, 0.02, 2, (14.0, 0.5)) * 4)
    worn = noise(rng, shape, 0.012, 4)
    print_ = np.broadcast_to(PAPER, (*shape, 3)) * paper(rng, shape)[..., None]
    for area, ink, shift in ((block.indigo, INDIGO, (3, -3)), (block.red, VERMILION, (-3, 4))):
        plate = _plate(area, shift, grain, worn)
        print_ = print_ * (1 - plate[..., None] * (1 - ink / 255) * 0.95)
    coverage = blur(key, 1.0) * (1 - 0.6 * smoothstep(0.76, 1.0, 0.4 * grain + 0.6 * worn))
    return finish(mix(print_, BLACK, coverage), rng, 0.02)
