"""Mountains in mist, painted in ink on warm paper."""

import numpy as np
from PIL import Image, ImageDraw

from drawing.brushes import SCALE, finish, paper, ribbon, sheet
from drawing.fields import (
    Array,
    Rng,
    Shape,
    blur,
    colours,
    grid,
    mix,
    noise,
    pick,
    ridge,
    smoothstep,
    spline,
    trace,
)

PAPER = colours("f6e8c8", "ecd3a0", "fbf2dc")
#: How strongly each ink swallows red, green and blue light.
SOOT = np.array([0.98, 1.0, 1.02])
BLUE_SOOT = np.array([1.12, 0.98, 0.80])
BROWN_SOOT = np.array([0.80, 1.0, 1.22])
SEAL = colours("b3261c")[0]

#: Mountain layers from far to near: foot, roughness, ink, tint, and peaks (x, height, width).
RANGES = (
    (0.36, 0.03, 0.42, BLUE_SOOT, ((0.50, 0.25, 0.055), (0.39, 0.17, 0.05), (0.62, 0.14, 0.06))),
    (0.45, 0.04, 0.62, BLUE_SOOT, ((0.23, 0.24, 0.060), (0.13, 0.15, 0.06), (0.70, 0.20, 0.05))),
    (0.56, 0.05, 0.95, SOOT, ((0.60, 0.30, 0.070), (0.73, 0.22, 0.06), (0.47, 0.12, 0.06))),
    (0.70, 0.05, 1.00, BROWN_SOOT, ((0.05, 0.20, 0.080), (0.20, 0.10, 0.07))),
    (0.93, 0.05, 1.75, SOOT, ((0.66, 0.20, 0.110), (0.50, 0.06, 0.08), (0.05, 0.06, 0.12))),
)


Peaks = tuple[tuple[float, float, float], ...]


class Scroll:
    """A sheet of paper that darkens as washes and strokes are laid on it."""

    def __init__(self, shape: Shape, rng: Rng) -> None:
        """Start from toned paper."""
        self.shape = shape
        self.rng = rng
        self.x, self.y = grid(shape)
        tone = noise(rng, shape, 0.5, 5)
        bare = mix(np.broadcast_to(PAPER[0], (*shape, 3)), PAPER[1], 0.75 * tone)
        self.light = bare
        self.tooth = noise(rng, shape, 0.007, 3)
        self.grain = noise(rng, shape, 0.05, 6)

    def wash(self, density: Array, tint: Array) -> None:
        """Let ink settle: more in the hollows of the paper, less on its ridges."""
        settled = density * (0.62 + 0.50 * self.grain + 0.28 * self.tooth)
        self.light = self.light * np.exp(-np.clip(settled, 0, 4)[..., None] * tint)

    def sheet(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        """Return an empty layer to draw strokes on."""
        image = Image.new("L", (self.shape[1], self.shape[0]), 0)
        return image, ImageDraw.Draw(image)

    def lay(self, image: Image.Image, strength: float, tint: Array, dry: float = 0.0) -> None:
        """Ink a layer of strokes; a dry brush only touches the ridges of the paper."""
        mark = blur(np.asarray(image).astype(float) / 255, 1.0)
        skip = smoothstep(0.30, 0.62, self.tooth + 0.35 * (self.grain - 0.5))
        self.wash(mark * strength * (1 - dry * (1 - skip)), tint)


def _skyline(x: Array, rng: Rng, foot: float, rough: float, peaks: Peaks) -> Array:
    """Return a skyline of steep, rounded peaks."""
    rise = np.zeros_like(x)
    for cx, high, wide in peaks:
        bulge = np.abs((x - cx) / wide)
        rise = np.maximum(rise, high * np.exp(-(bulge**1.7)) + 0.35 * high / (1 + bulge**2))
    return ridge(rng, x, foot, rough, 0.09) - rise


def _mountain(scroll: Scroll, layer: int) -> None:
    """Paint one range: a wet dark edge, a wash sinking into mist, and dry texture strokes."""
    foot, rough, ink, tint, peaks = RANGES[layer]
    rng, x, y = scroll.rng, scroll.x, scroll.y
    skyline = _skyline(x, rng, foot, rough, peaks)
    crag = noise(rng, scroll.shape, 0.11, 6, (0.6, 1.6))
    skyline = skyline + 0.085 * (crag - 0.5)
    depth = y - skyline
    inside = smoothstep(-0.0012, 0.0012, depth)
    reach = 0.10 + 0.04 * layer
    fade = np.exp(-np.clip(depth, 0, None) / reach) * smoothstep(foot + 0.17, foot - 0.12, y)
    if layer == len(RANGES) - 1:
        fade = 0.40 + 0.6 * np.exp(-np.clip(depth, 0, None) / 0.10)
    lump = noise(rng, scroll.shape, 0.11, 5, (0.8, 1.3))
    edge = np.exp(-np.clip(depth, 0, None) / 0.004)
    # Earlier layers dissolve in the mist behind this one.
    mist = inside * smoothstep(0.02, 0.20, depth) * 0.38 * (layer > 0)
    veil = np.broadcast_to(PAPER[2], scroll.light.shape)
    scroll.light = mix(scroll.light, veil * (0.9 + 0.12 * scroll.grain)[..., None], mist)
    scroll.wash(inside * ink * (fade * (0.30 + 1.75 * lump**1.3) + 0.6 * edge), tint)
    _texture(scroll, skyline, lump, layer)
    if layer == len(RANGES) - 1:
        _moss(scroll, skyline)


def _texture(scroll: Scroll, skyline: Array, lump: Array, layer: int) -> None:
    """Rub dry strokes down the flanks of a range, denser in its folds."""
    rng, tall = scroll.rng, scroll.shape[0]
    foot, _, ink, tint, _ = RANGES[layer]
    image, draw = scroll.sheet()
    count = 4200 + 700 * layer
    points = rng.uniform((0, 0), (scroll.shape[1], tall), (count * 3, 2))
    depth = points[:, 1] / tall - pick(skyline, points)
    low = foot + 0.06 if layer < len(RANGES) - 1 else 1.2
    chance = 1.25 * pick(lump, points) * np.exp(-depth / (0.10 + 0.03 * layer))
    keep = (depth > 0.003) & (points[:, 1] / tall < low) & (rng.random(len(points)) < chance)
    slope = np.gradient(blur(skyline, 8.0), axis=1) * tall
    # Rock is stroked the way water would run down it.
    angle = np.arctan2(np.abs(slope) + 0.8, 0.9 * slope) + 1.1 * (lump - 0.5)
    length = rng.uniform(0.016, 0.065, int(keep.sum())) * tall * (0.7 + 0.16 * layer)
    for path in trace(angle, points[keep], length, 8):
        _dry(draw, path, rng.uniform(2.0, 5.0 + 1.8 * layer) * SCALE, rng)
    scroll.lay(image, 0.5 + 0.6 * ink, tint, 0.7)


def _dry(draw: ImageDraw.ImageDraw, path: Array, width: float, rng: Rng) -> None:
    """Drag one nearly dry brush: separate hairs that skip over the paper."""
    count = max(2, round(width / 2.6))
    drift = np.gradient(path, axis=0)
    normal = np.stack([-drift[:, 1], drift[:, 0]], axis=1)
    normal /= np.hypot(normal[:, 0], normal[:, 1])[:, None] + 1e-9
    for offset in (rng.uniform(-0.5, 0.5, count) * width).tolist():
        first = int(rng.integers(0, 4))
        hair = (path + normal * offset)[first : first + int(rng.integers(3, 7))]
        draw.line(hair.ravel().tolist(), fill=int(rng.integers(90, 255)), width=2)


def _needles(draw: ImageDraw.ImageDraw, centre: Array, size: float, rng: Rng) -> None:
    """Draw one fan of pine needles."""
    lean = rng.uniform(-0.35, 0.35)
    for turn in (np.linspace(-2.95, -0.2, 17) + lean + rng.normal(0, 0.06, 17)).tolist():
        reach = size * rng.uniform(0.75, 1.1)
        tip = centre + reach * np.array([np.cos(turn), 0.8 * np.sin(turn)])
        path = np.linspace(centre, tip, 4)
        ribbon(draw, path, np.array([3.2, 2.6, 2.0]), int(rng.integers(150, 255)))


def _pine(scroll: Scroll, root: tuple[float, float], bend: Array, size: float) -> None:
    """Paint a leaning pine: a trunk of dry strokes, crooked boughs, clouds of needles."""
    rng, tall = scroll.rng, scroll.shape[0]
    image, draw = scroll.sheet()
    trunk = spline((np.array(root) + bend * size) * tall, 60)
    girth = np.linspace(0.036, 0.010, 60) * size * tall
    for _ in range(26):
        offset = rng.uniform(-0.5, 0.5)
        first = int(rng.integers(0, 40))
        part = slice(first, first + 22)
        side = np.stack([girth[part] * offset, np.zeros(len(girth[part]))], axis=1)
        _dry(draw, trunk[part] + side, float(girth[first]) * 0.5, rng)
    ribbon(draw, trunk + np.array([0.42, 0]) * girth[:, None], girth * 0.22, 235)
    ribbon(draw, trunk - np.array([0.46, 0]) * girth[:, None], girth * 0.12, 200)
    fans, fan_draw = scroll.sheet()
    for k in range(20, 60, 4):
        hand = -1.0 if (k // 4) % 2 else 1.0
        reach = size * tall * rng.uniform(0.11, 0.22) * (1.25 - k / 90)
        tip = trunk[k] + np.array([hand * reach, rng.uniform(-0.25, 0.18) * reach])
        middle = (trunk[k] + tip) / 2 + np.array([0, 0.16 * reach])
        bough = spline(np.stack([trunk[k], middle, tip]), 16)
        ribbon(draw, bough, np.linspace(0.35, 0.12, 16) * girth[k], 240)
        for j in range(4, 16, 2):
            spot = bough[j] + rng.normal(0, 0.016, 2) * size * tall
            _needles(fan_draw, spot, 0.050 * size * tall * rng.uniform(0.8, 1.2), rng)
    scroll.lay(image, 2.6, BROWN_SOOT, 0.35)
    scroll.lay(fans, 2.3, SOOT, 0.2)
    shadow = blur(np.asarray(fans).astype(float) / 255, 9.0)
    scroll.wash(0.75 * shadow, BLUE_SOOT)


def _leaf(draw: ImageDraw.ImageDraw, root: Array, turn: float, size: float, ink: int) -> None:
    """Press one bamboo leaf: swelling quickly, drawn out to a point."""
    t = np.linspace(0, 1, 14)
    bend = turn + 0.35 * t**2
    stride = np.stack([np.cos(bend), np.sin(bend)], axis=1) * size / 14
    swell = np.sin(np.pi * t**0.55) * size * 0.13
    ribbon(draw, root + np.cumsum(stride, axis=0), swell, ink)


def _bamboo(scroll: Scroll, strength: float, stems: tuple[tuple[float, float], ...]) -> None:
    """Paint bamboo stems with jointed segments and hanging leaves."""
    rng, tall = scroll.rng, scroll.shape[0]
    image, draw = scroll.sheet()
    for foot, head in stems:
        middle = (foot + head) / 2 - 0.012
        stem = spline(np.array([[foot, 0.66], [middle, 0.3], [head, -0.05]]) * tall, 120)
        width = rng.uniform(0.011, 0.016) * tall
        for joint in range(0, 120, 15):
            part = stem[joint : joint + 14]
            for offset in np.linspace(-0.5, 0.5, 9).tolist():
                tone = int(np.clip(70 + 260 * abs(offset) + rng.normal(0, 25), 30, 255))
                line = part + np.array([offset * width, 0.0])
                draw.line(line.ravel().tolist(), fill=tone, width=3)
            across = np.linspace(part[-1] - [width * 0.75, 0], part[-1] + [width * 0.75, 0], 6)
            ribbon(draw, across, np.array([3, 5, 6, 5, 3.0]), 255)
            for _ in range(int(rng.integers(3, 7))):
                twig = part[0] + rng.normal(0, 0.03, 2) * tall
                size = rng.uniform(0.05, 0.11) * tall
                _leaf(draw, twig, rng.normal(1.25, 0.55), size, int(rng.integers(130, 255)))
    scroll.lay(image, strength, SOOT, 0.30)


def _tides(scroll: Scroll) -> None:
    """Leave the marks of drying water in the mist: thin tide lines and back-runs."""
    damp = noise(scroll.rng, scroll.shape, 0.30, 5, (1.8, 0.8))
    phase = (damp * 5.0) % 1.0
    scroll.wash(0.30 * np.exp(-phase / 0.05) + 0.05 * (1 - phase), BROWN_SOOT)
    streak = noise(scroll.rng, scroll.shape, 0.06, 5, (7.0, 0.5))
    scroll.wash(0.55 * smoothstep(0.55, 0.95, streak) * smoothstep(0.1, 0.5, damp), BLUE_SOOT)


def _splatter(scroll: Scroll) -> None:
    """Flick the brush twice over the sheet, leaving drops along each swing."""
    rng, tall = scroll.rng, scroll.shape[0]
    image, draw = scroll.sheet()
    for start, end in (((0.10, 0.62), (0.72, 0.05)), ((0.05, 0.10), (0.50, 0.30))):
        for _ in range(420):
            t = rng.random()
            middle = np.array(start) * (1 - t) + np.array(end) * t
            x, y = ((middle + rng.normal(0, 0.07, 2)) * tall).tolist()
            r = min(rng.pareto(2.4) * 1.2 + 0.8, 7.5)
            draw.ellipse((x - r, y - r, x + r * 1.15, y + r), fill=int(rng.integers(60, 230)))
    scroll.lay(image, 1.4, SOOT)


def _moss(scroll: Scroll, skyline: Array) -> None:
    """Dot moss over the near rocks, thickest along their edge."""
    rng, (tall, wide) = scroll.rng, scroll.shape
    image, draw = scroll.sheet()
    for _ in range(1500):
        x = rng.uniform(0, wide)
        edge = float(skyline[round(0.8 * tall), int(x)])
        y = (edge + rng.exponential(0.06)) * tall
        r = rng.uniform(2.5, 7.5)
        if y > pick(skyline, np.array([x, y])) * tall - 3:
            draw.ellipse((x - r, y - r * 0.7, x + r, y + r * 0.7), fill=int(rng.integers(120, 255)))
    scroll.lay(image, 1.5, SOOT, 0.2)


#: The boat, as knots of splines: its hull, its roof of matting, and the ferryman with his pole.
HULL = np.array([[0.235, 0.790], [0.285, 0.807], [0.36, 0.808], [0.415, 0.786]])
ROOF = np.array([[0.278, 0.802], [0.290, 0.776], [0.318, 0.770], [0.346, 0.776], [0.358, 0.802]])
FERRYMAN = np.array([[0.376, 0.772], [0.381, 0.798]])
POLE = np.array([[0.392, 0.810], [0.428, 0.700]])


def _water(scroll: Scroll) -> None:
    """Draw the still water: level dry strokes that leave a place for the boat."""
    tall, rng = scroll.shape[0], scroll.rng
    image, draw = scroll.sheet()
    for _ in range(380):
        y = rng.uniform(0.765, 0.95)
        x, reach = rng.normal(0.30, 0.17), rng.uniform(0.01, 0.09)
        path = np.stack([np.linspace(x, x + reach, 8), y + rng.normal(0, 0.0006, 8)], axis=1)
        if np.hypot(x + reach / 2 - 0.32, 2 * (y - 0.79)) > 0.085:
            _dry(draw, path * tall, 5.0, rng)
    scroll.lay(image, 1.3, SOOT, 0.5)


def _boat(scroll: Scroll) -> None:
    """Float a covered boat on the pale water."""
    tall = scroll.shape[0]
    image, draw = scroll.sheet()
    ribbon(draw, spline(HULL, 40) * tall, np.sin(np.linspace(0.15, 2.95, 40)) * 21, 255)
    roof = spline(ROOF, 20) * tall
    draw.polygon(roof.ravel().tolist(), fill=150)
    ribbon(draw, roof, np.full(20, 6.0), 230)
    girth = np.array([7, 9, 4, 10, 14, 16, 16, 14.0])
    ribbon(draw, spline(FERRYMAN, 8) * tall, girth, 250)
    ribbon(draw, spline(POLE, 6) * tall, np.full(6, 4.0), 240)
    scroll.lay(image, 2.6, SOOT, 0.25)


def _seal(scroll: Scroll) -> None:
    """Stamp a red mark: a square with a moon over ripples cut out of it, worn at its edges."""
    tall = scroll.shape[0]
    u, v = (scroll.x - 0.065) / 0.058, (scroll.y - 0.885) / 0.066
    square = (np.abs(u - 0.5) < 0.5) & (np.abs(v - 0.5) < 0.5)
    ring = np.maximum(np.abs(u - 0.5), np.abs(v - 0.5))
    ripple = (np.abs(((v + 0.03 * np.sin(u * 19)) * 7) % 1 - 0.5) < 0.19) & (v > 0.62)
    moon = np.abs(np.hypot(u - 0.5, v - 0.36) - 0.14) < 0.045
    carved = ripple | moon
    carved = (carved & (ring < 0.40)) | (np.abs(ring - 0.43) < 0.014)
    mark = blur((square & ~carved).astype(float), tall * 0.0008)
    mark = mark * smoothstep(0.16, 0.36, scroll.tooth + 0.4 * (scroll.grain - 0.5))
    scroll.light = mix(scroll.light, SEAL, 0.92 * mark)


def ink_wash(rng: Rng) -> Image.Image:
    """Paint peaks above mist, a boat, a leaning pine and bamboo."""
    scroll = Scroll(sheet(0.75), rng)
    _tides(scroll)
    for layer in range(4):
        _mountain(scroll, layer)
    _water(scroll)
    _boat(scroll)
    _mountain(scroll, 4)
    bend = np.array([[0.0, 0.0], [-0.05, -0.12], [0.03, -0.26], [-0.08, -0.40], [-0.14, -0.50]])
    _pine(scroll, (0.63, 0.80), bend, 0.95)
    _bamboo(scroll, 0.75, ((0.03, 0.17), (0.15, 0.05)))
    _bamboo(scroll, 2.1, ((-0.01, 0.10),))
    _splatter(scroll)
    _seal(scroll)
    return finish(scroll.light * paper(rng, scroll.shape)[..., None] * 1.03, rng, 0.03)
