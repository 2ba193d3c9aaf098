"""A breaking wave in the manner of a colour woodblock print."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from drawing.brushes import SCALE, finish, paper, rgb, ribbon, sheet, to_image
from drawing.fields import (
    Array,
    Rng,
    Shape,
    blur,
    colours,
    grid,
    mix,
    noise,
    ramp,
    smoothstep,
    spline,
)

INK = colours("0c1a38")[0]
CREAM = colours("f3e6c8")[0]
PRUSSIAN = colours("0f2550", "173a75", "24589a", "5a93b8", "a9c8c6", "efe4c6")
DUSK = colours("1b3a70", "4c7ca6", "a9bfb4", "ead9b0", "f0bd8c", "e48a62")
VERMILION = colours("c8371f", "e0553a")

#: The back of the breaker and its hollow face, from the sea up to the tip.
BACK = np.array(
    [
        (1.55, 1.10),
        (1.42, 0.64),
        (1.24, 0.36),
        (1.04, 0.17),
        (0.83, 0.075),
        (0.63, 0.09),
        (0.49, 0.19),
        (0.435, 0.35),
    ]
)
FACE = np.array(
    [
        (0.06, 1.08),
        (0.48, 0.97),
        (0.76, 0.86),
        (0.905, 0.69),
        (0.915, 0.50),
        (0.83, 0.355),
        (0.68, 0.285),
        (0.51, 0.37),
    ]
)
#: Stripes across the breaker from back to face: width and place in the Prussian ramp.
STRIPES = (
    (0.9, 0.05),
    (0.22, 0.95),
    (0.9, 0.22),
    (0.5, 0.02),
    (0.28, 0.8),
    (1.0, 0.38),
    (0.2, 0.97),
    (0.8, 0.1),
    (0.3, 0.62),
    (0.7, 0.26),
    (0.24, 0.95),
    (0.8, 0.03),
    (0.5, 0.5),
    (0.22, 0.95),
    (0.9, 0.16),
    (0.35, 0.72),
    (0.7, 0.05),
)


def _backdrop(rng: Rng, shape: Shape) -> Array:
    """Plan the sky: a graded print from dusk blue to ember, a red sun, bars of cloud."""
    x, y = grid(shape)
    wipe = noise(rng, shape, 0.5, 3, (3.0, 0.7))
    lines = noise(rng, shape, 0.014, 3, (45, 0.6))
    sky = ramp(DUSK, 1.42 * y + 0.13 * (wipe - 0.5) + 0.10 * (lines - 0.5))
    rays = 0.5 + 0.5 * np.sin(x * 300 + 60 * y + 9 * wipe)
    sky = sky - 14.0 * (rays * lines)[..., None]
    sun = np.hypot(x - 0.235, y - 0.335)
    disc = mix(VERMILION[1], VERMILION[0], smoothstep(0.22, 0.42, y))
    sky = mix(sky, disc, smoothstep(0.122, 0.120, sun))
    for level, left, right, thick in (
        (0.115, -0.1, 0.34, 0.018),
        (0.155, 0.10, 0.46, 0.013),
        (0.40, -0.2, 0.17, 0.014),
        (0.435, 0.02, 0.40, 0.017),
        (0.475, -0.3, 0.13, 0.012),
        (0.06, 1.02, 1.5, 0.016),
        (0.10, 1.16, 1.6, 0.012),
        (0.20, -0.2, 0.08, 0.012),
    ):
        inside = np.clip(np.maximum(left - x, x - right) + thick, 0, None)
        edge = np.hypot(inside, y - level) - thick
        sky = mix(sky, INK, 0.8 * smoothstep(0.0016, 0.0006, edge))
        tone = mix(CREAM, DUSK[2], smoothstep(-thick, thick, y - level) * 0.8)
        sky = mix(sky, tone, smoothstep(-0.0006, -0.0016, edge))
    return sky


Fingers = list[tuple[Array, Array]]


class Block:
    """The drawing surface of the print; positions are in picture heights."""

    def __init__(self, ground: Array, rng: Rng) -> None:
        """Start from a printed background."""
        self.image = to_image(ground)
        self.draw = ImageDraw.Draw(self.image)
        self.tall = self.image.height
        self.rng = rng

    def line(self, path: Array, width: float, ink: Array, taper: bool = True) -> None:
        """Draw a contour that swells in the middle and thins at its ends."""
        t = np.linspace(0, np.pi, len(path))
        swell = np.sin(t) ** 0.5 if taper else np.ones(len(path))
        ribbon(self.draw, path * self.tall, width * SCALE * swell, rgb(ink))

    def band(self, upper: Array, lower: Array, tones: Array) -> None:
        """Print a band between two curves, its colour graded along the way."""
        upper, lower = upper * self.tall, lower * self.tall
        for k in range(len(upper) - 1):
            corners = np.stack([upper[k], upper[k + 1], lower[k + 1], lower[k]])
            self.draw.polygon(corners.ravel().tolist(), fill=rgb(tones[k]))

    def disc(self, centre: Array, radius: float, ink: Array) -> None:
        """Print a round spot."""
        (x, y), r = (centre * self.tall).tolist(), radius * self.tall
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=rgb(ink))


def _claw(
    start: Array, heading: float, length: float, curl: float, width: float, depth: int, rng: Rng
) -> Fingers:
    """Return the fingers of one foam claw: hooked, tapering strokes that branch."""
    steps = 14
    turn = heading + curl * np.linspace(0, 1, steps) ** 1.6
    stride = np.stack([np.cos(turn), np.sin(turn)], axis=1) * length / steps
    path = start + np.cumsum(stride, axis=0)
    fingers: Fingers = [(path, width * (1 - np.linspace(0, 1, steps)) ** 0.75)]
    if depth:
        for k, side in ((3, 1.0), (6, -1.0), (8, 1.0)):
            aim = float(turn[k]) + side * rng.uniform(0.5, 0.95)
            bend = curl * rng.uniform(0.7, 1.2)
            fingers += _claw(path[k], aim, length * 0.52, bend, width * 0.62, depth - 1, rng)
    return fingers


def _foam(block: Block, claws: Sequence[Fingers], puffs: Sequence[tuple[Array, float]]) -> None:
    """Print foam piece by piece, each with its own contour, so that the pieces overlap."""
    rim = 0.0022
    for fingers in claws:
        for path, widths in fingers:
            ribbon(block.draw, path * block.tall, (widths + 2 * rim) * block.tall, rgb(INK))
        tone = CREAM + block.rng.normal(0, 5)
        for path, widths in fingers:
            ribbon(block.draw, path * block.tall, widths * block.tall, rgb(tone))
        for path, widths in fingers[:1]:
            block.line(path + 0.22 * float(widths[0]), 1.6, PRUSSIAN[int(block.rng.integers(3, 5))])
    for centre, radius in puffs:
        block.disc(centre, radius + rim, INK)
        block.disc(centre, radius, CREAM + block.rng.normal(0, 5))
        _hollow(block, centre, radius)


def _hollow(block: Block, centre: Array, radius: float) -> None:
    """Shade the underside of one puff of foam with crescents and specks."""
    start = block.rng.uniform(-0.4, 0.5)
    turn = np.linspace(start, start + 2.2, 10)
    spoke = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    block.line(centre + 0.70 * radius * spoke, 1.7, PRUSSIAN[int(block.rng.integers(2, 5))])
    block.line(centre + 0.40 * radius * spoke, 1.2, PRUSSIAN[int(block.rng.integers(3, 5))])
    for _ in range(2):
        block.disc(centre + block.rng.normal(0, radius * 0.4, 2), 0.0011, PRUSSIAN[2])


def _place(points: Array, anchor: tuple[float, float], size: float) -> Array:
    """Move and shrink the outline of the great wave to make a lesser one."""
    placed: Array = (points - np.array([0.45, 1.0])) * size + np.array(anchor)
    return placed


def _breaker(block: Block, anchor: tuple[float, float], size: float) -> None:
    """Print one breaking wave: striped body, fine lines, foam and spray."""
    count = 110
    back = spline(_place(BACK, anchor, size), count)
    face = spline(_place(FACE, anchor, size), count)
    along = np.linspace(0, 1, count)

    def across(s: float) -> Array:
        sway = s + 0.018 * np.sin(9 * along + 17 * s) * np.sin(np.pi * s)
        line: Array = back + (face - back) * sway[:, None]
        return line

    edges = np.concatenate([[0.0], np.cumsum([w for w, _ in STRIPES])])
    edges = edges / edges[-1]
    for k, (_, tone) in enumerate(STRIPES):
        grade = tone + 0.22 * (along - 0.55) + 0.03 * np.sin(40 * along + k)
        steps = np.linspace(edges[k], edges[k + 1], 6).tolist()
        # The printer wipes every stripe from dark to light across its width.
        for wipe, (first, last) in enumerate(itertools.pairwise(steps)):
            shade = np.clip(grade + 0.055 * (wipe - 2) * (tone < 0.6), 0, 1)
            block.band(across(first), across(last), ramp(PRUSSIAN, shade))
        block.line(across(steps[-1]), 1.5, INK, taper=False)
    _wave_lines(block, across, round(360 * size))
    block.line(back, 3.2 * size**0.5, INK, taper=False)
    block.line(face, 2.4 * size**0.5, INK, taper=False)
    _crest(block, back, face, size)


def _wave_lines(block: Block, across: Callable[[float], Array], count: int) -> None:
    """Carve fine broken lines along the body of a breaker."""
    rng = block.rng
    for s in rng.uniform(0.02, 0.98, count).tolist():
        # Begin low more often: the stripes are widest there and need the most carving.
        first = int(80 * rng.random() ** 2)
        piece = across(s)[first : first + int(rng.integers(14, 48))]
        tone = PRUSSIAN[int(rng.choice([0, 1, 4, 5, 3]))]
        block.line(piece, rng.uniform(0.6, 1.3), tone)


def _heading(path: Array, k: int) -> float:
    """Return the direction of a path at its point k."""
    ahead = path[k] - path[k - 1]
    return float(np.arctan2(ahead[1], ahead[0]))


def _crest(block: Block, back: Array, face: Array, size: float) -> None:
    """Dress the top of a breaker in foam: puffs along the back, claws along the front."""
    rng = block.rng
    claws: list[Fingers] = []
    puffs: list[tuple[Array, float]] = []
    for k in range(52, 110):
        reach = size * (0.007 + 0.012 * (k - 52) / 58) * rng.uniform(0.7, 1.3)
        puffs.append((back[k] + rng.normal(0, 0.005 * size, 2), reach))
        for _ in range(max(0, (k - 84) // 6)):
            inner = back[k] + (face[k] - back[k]) * rng.uniform(0.1, 0.95)
            puffs.append((inner, reach * rng.uniform(0.5, 0.9)))
        if k % 5 == 2 and k > 58:
            heading = _heading(back, k) + 0.55
            claws.append(_claw(back[k], heading, 0.085 * size, -1.9, 0.020 * size, 1, rng))
    for k in range(74, 110, 2):
        heading = _heading(face, k) - rng.uniform(0.25, 0.75)
        length = size * rng.uniform(0.09, 0.165)
        claws.append(_claw(face[k], heading, length, -1.5, 0.024 * size, 2, rng))
        puffs.append((face[k] + rng.normal(0, 0.005, 2), size * rng.uniform(0.009, 0.017)))
    for spread in (-1.1, -0.7, -0.3, 0.1, 0.45):
        start = (back[-1] + face[-1]) / 2 + rng.normal(0, 0.012 * size, 2)
        claws.append(_claw(start, 2.1 + spread, 0.18 * size, -1.3, 0.028 * size, 2, rng))
    _foam(block, claws, puffs)
    _spray(block, (back[-1] + face[-1]) / 2, size)


def _spray(block: Block, tip: Array, size: float) -> None:
    """Throw drops of foam ahead of the tip."""
    for _ in range(150):
        away = block.rng.gamma(2.0, 0.075) * size
        turn = block.rng.normal(2.75, 0.75)
        spot = tip + away * np.array([np.cos(turn), np.sin(turn)])
        radius = size * block.rng.gamma(2.0, 0.0016) + 0.0012
        block.disc(spot, radius + 0.0014, PRUSSIAN[1])
        block.disc(spot, radius, CREAM)


def _swell_lines(block: Block, upper: Array, lower: Array, tone: float) -> None:
    """Carve a few broken lines into one stripe of a swell."""
    for _ in range(0 if tone > 0.7 else 7):
        first, s = int(block.rng.integers(0, 215)), block.rng.uniform(0.1, 0.9)
        cut = slice(first, first + int(block.rng.integers(12, 40)))
        ink = PRUSSIAN[int(block.rng.choice([0, 3, 4, 5]))]
        block.line(upper[cut] * (1 - s) + lower[cut] * s, block.rng.uniform(0.6, 1.2), ink)


def _swell(block: Block, base: float, high: float, pitch: float, phase: float) -> None:
    """Print a run of pointed swells across the sheet, with scalloped foam on their peaks."""
    rng = block.rng
    x = np.linspace(-0.03, 1.40, 240)
    lean = x + 0.25 * pitch * np.sin(2 * np.pi * x / pitch + phase) / np.pi
    peak = 1 - np.abs(np.sin(np.pi * lean / pitch + phase / 2)) ** 0.8
    tones = (0.92, 0.04, 0.34, 0.16, 0.8, 0.05, 0.28, 0.55, 0.02, 0.2, 0.9, 0.1, 0.4, 0.04)
    depth = 0.0
    for k, tone in enumerate(tones):
        step = high * (0.11 if tone > 0.7 else 0.27)
        rows = [
            np.stack([x, base - high * peak * 0.80**n + d + 0.003 * np.sin(30 * x + n)], axis=1)
            for n, d in ((k, depth), (k + 1, depth + step))
        ]
        grade = np.clip(tone + 0.12 * np.sin(9 * x + k) + 0.10 * peak - 0.05, 0, 1)
        block.band(rows[0], rows[1], ramp(PRUSSIAN, grade))
        block.line(rows[0], 2.2 if k == 0 else 1.3, INK, taper=False)
        _swell_lines(block, rows[0], rows[1], tone)
        depth += step
    crest = np.stack([x, base - high * peak], axis=1)
    top = np.flatnonzero(peak > 0.62)
    puffs = [
        (crest[i] + rng.normal(0, 0.003, 2), high * rng.uniform(0.06, 0.13) * float(peak[i]))
        for i in top.tolist()
    ]
    claws = [
        _claw(crest[i], -2.3 + rng.normal(0, 0.3), 0.45 * high, -1.7, 0.10 * high, 1, rng)
        for i in top[::4].tolist()
    ]
    _foam(block, claws, puffs)


def wave(rng: Rng) -> Image.Image:
    """Print a great breaker curling towards a red sun."""
    shape = sheet(1.34)
    block = Block(_backdrop(rng, shape), rng)
    _swell(block, 0.60, 0.040, 0.19, 0.4)
    _swell(block, 0.68, 0.065, 0.27, 2.0)
    _swell(block, 0.78, 0.080, 0.36, 0.3)
    _breaker(block, (0.45, 1.0), 1.0)
    _breaker(block, (0.02, 1.08), 0.44)
    _swell(block, 0.965, 0.105, 0.47, 1.2)
    print_ = np.asarray(block.image).astype(float)
    grain = noise(rng, shape, 0.05, 5, (9.0, 0.35))
    worn = noise(rng, shape, 0.010, 3)
    bare = smoothstep(0.80, 0.99, 0.62 * grain + 0.38 * worn)
    print_ = mix(print_, CREAM * 0.98, 0.45 * bare)
    shade = 0.93 + 0.14 * grain + 0.05 * (blur(worn, 2.0) - 0.5)
    return finish(print_ * (shade * paper(rng, shape))[..., None], rng, 0.02)
