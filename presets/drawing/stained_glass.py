"""A leaded rose window with light behind it."""

import numpy as np
from PIL import Image, ImageDraw

from drawing.brushes import emboss, finish, scatter, sheet
from drawing.fields import (
    Array,
    Labels,
    Mask,
    Rng,
    blur,
    colours,
    grid,
    mix,
    noise,
    ramp,
    smoothstep,
)

RUBIES = colours("6d0719", "a80f22", "d3212d", "ef5a2a")
AMBERS = colours("b8560c", "e8930f", "ffc531", "ffe48a")
BLUES = colours("0a1a66", "12329a", "1f5fc4", "3b97d8")
GREENS = colours("07433a", "0f6e4c", "2f9b57", "97c752")
VIOLETS = colours("2e1060", "55208c", "8a3fb0", "c583c9")
ICE = colours("6fb7cf", "a6d8dc", "d9efe2", "fbf7df")
LEAD = colours("12110f", "2b2a2a", "5d5c5a")


def _petals(turn: Array, radius: Array, count: int, inner: float, outer: float) -> Array:
    """Return a field that is positive inside a ring of `count` pointed petals."""
    sector = np.abs(((turn * count / (2 * np.pi)) % 1.0) - 0.5) * 2.0
    along = np.clip((radius - inner) / (outer - inner), 0, 1)
    return np.sin(np.pi * along**0.8) ** 0.8 * 0.92 - sector


def _rings(
    turn: Array, radius: Array, borders: tuple[float, ...], counts: tuple[int, ...]
) -> Labels:
    """Number the panes of concentric rings, each cut into its own count of sectors."""
    label = np.zeros(radius.shape, dtype=np.int32)
    for ring, count in enumerate(counts):
        inside = (radius >= borders[ring]) & (radius < borders[ring + 1])
        sector = (turn * count / (2 * np.pi) + 0.5 * (ring % 2)) % count
        label = np.where(inside, 1000 * (ring + 1) + sector.astype(np.int32), label)
    return label


def _shards(rng: Rng, points: Array, shape: tuple[int, int], warp: Array) -> Labels:
    """Number irregular panes: the nearest seed to every pixel, along wavering borders."""
    best = np.full(shape, np.inf)
    label = np.zeros(shape, dtype=np.int32)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    wx, wy = x + warp * 26, y + warp.T * 26
    for index, (px, py) in enumerate(points.tolist()):
        reach = 210
        rows = slice(max(0, int(py) - reach), max(0, int(py) + reach))
        columns = slice(max(0, int(px) - reach), max(0, int(px) + reach))
        away = (wx[rows, columns] - px) ** 2 + (wy[rows, columns] - py) ** 2
        closer = away < best[rows, columns]
        best[rows, columns] = np.where(closer, away, best[rows, columns])
        label[rows, columns] = np.where(closer, index, label[rows, columns])
    return label


def _seam(label: Labels) -> Mask:
    """Mark the pixels where one pane meets another."""
    seam = np.zeros(label.shape, dtype=bool)
    seam[:, 1:] |= label[:, 1:] != label[:, :-1]
    seam[1:] |= label[1:] != label[:-1]
    return seam


def _came(seam: Mask, width: float, uneven: Array) -> Array:
    """Return a soft ridge along the seams: blurring rounds it and fattens the joints."""
    band = blur(seam.astype(float), width) * width * 2.6
    return band * (0.75 + 0.5 * uneven)


def _window(rng: Rng, shape: tuple[int, int]) -> tuple[Labels, Labels, Array]:
    """Plan the panes: return the main divisions, the finer cuts and a kind per pixel."""
    x, y = grid(shape)
    dx, dy = x - 0.5, y - 0.5
    radius, turn = np.hypot(dx, dy), np.arctan2(dy, dx) + np.pi
    borders = (0.0, 0.055, 0.125, 0.30, 0.455, 0.49)
    main = _rings(turn, radius, borders, (1, 12, 12, 12, 48))
    kind = np.digitize(radius, borders).astype(np.int32)
    inner = _petals(turn, radius, 12, 0.09, 0.285) > 0
    outer = _petals(turn + np.pi / 12, radius, 12, 0.24, 0.47) > 0
    sector = (turn * 12 / (2 * np.pi)).astype(np.int32)
    shifted = (turn * 12 / (2 * np.pi) + 0.5).astype(np.int32) % 12
    main = np.where(outer, 20000 + shifted, main)
    kind = np.where(outer, 7, kind)
    main = np.where(inner, 10000 + sector, main)
    kind = np.where(inner, 6, kind)
    warp = noise(rng, shape, 0.25, 2) - 0.5
    shards = _shards(rng, scatter(rng, shape, 420), shape, warp)
    main = np.where(radius >= 0.49, 30000 + (turn * 8 / (2 * np.pi)).astype(np.int32), main)
    kind = np.where(radius >= 0.49, 8, kind)
    for cx, cy in ((0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)):
        away, bend = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx) + np.pi
        small = _rings(bend, away, (0.0, 0.028, 0.085, 0.115), (1, 8, 16))
        main = np.where(away < 0.115, 40000 + small + int(7 * cx + 90 * cy) * 5000, main)
        kind = np.where(away < 0.115, 9 + np.digitize(away, (0.028, 0.085)), kind)
    whole = np.isin(kind, (1, 2, 5, 9, 10, 11))
    return main, np.where(whole, main, main * 997 + shards + 1), kind.astype(float)


def _pane_colour(rng: Rng, panes: Labels, kind: Array) -> Array:
    """Give every pane a glass: the kind of place decides the family, chance the shade."""
    families = (
        ICE,
        AMBERS,
        BLUES,
        BLUES,
        VIOLETS,
        GREENS,
        RUBIES,
        AMBERS,
        BLUES,
        AMBERS,
        RUBIES,
        ICE,
    )
    _, first, member = np.unique(panes, return_index=True, return_inverse=True)
    kinds = kind.ravel()[first].astype(int)
    shade = rng.random(len(first))
    table = np.stack(
        [
            ramp(families[k], np.array(s))
            for k, s in zip(kinds.tolist(), shade.tolist(), strict=True)
        ]
    )
    odd = rng.random(len(first)) < np.where(kinds == 8, 0.25, 0.06)
    table[odd] = ramp(np.vstack([VIOLETS, GREENS, ICE]), rng.random(int(odd.sum())))
    return table[member.reshape(panes.shape)]


def _flame(colour: Array, x: Array, y: Array, kind: Array) -> Array:
    """Deepen the flashed glass of the petals: dark at the heart, burnt at the outer tips."""
    radius = np.hypot(x - 0.5, y - 0.5)
    burnt = colour * np.array([0.92, 0.50, 0.30])
    colour = mix(colour, burnt, smoothstep(0.35, 0.47, radius) * (kind == 7))
    return mix(colour, colour * 0.45, smoothstep(0.24, 0.13, radius) * (kind == 6))


def _streaks(rng: Rng, panes: Labels) -> Array:
    """Return the flow of the glass: one of four streak directions for every pane."""
    shape = (panes.shape[0], panes.shape[1])
    directions = [
        noise(rng, shape, 0.05, 4, (4.0, 0.6)),
        noise(rng, shape, 0.05, 4, (0.6, 4.0)),
        noise(rng, shape, 0.06, 5),
        noise(rng, shape, 0.12, 5, (1.6, 0.8)),
    ]
    return np.choose((panes * 7919 // 13) % 4, directions)


def _bubbles(rng: Rng, shape: tuple[int, int]) -> Array:
    """Return seeds of trapped air, each with a bright and a dark side."""
    image = Image.new("L", (shape[1], shape[0]), 0)
    draw = ImageDraw.Draw(image)
    for _ in range(2600):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        radius = rng.gamma(2.0, 1.0) + 1.0
        draw.ellipse((x - radius, y - radius, x + radius, y + radius * 1.4), fill=255)
    return np.asarray(image).astype(float)


def _veins(x: Array, y: Array, kind: Array) -> Array:
    """Return the fine brown drawing of the glass painter: feathered veins and hatching."""
    radius, turn = np.hypot(x - 0.5, y - 0.5), np.arctan2(y - 0.5, x - 0.5)
    half = np.where(kind == 7, np.pi / 12, 0.0)
    across = ((turn - half) * 12 / (2 * np.pi)) % 1.0 - 0.5
    tremor = 1.2 * np.sin(40 * x) * np.sin(37 * y)
    feather = np.sin(240 * radius + 42 * np.sqrt(across**2 + 0.004) + tremor) - 0.78
    hatch = np.sin(300 * (x + 0.35 * np.sin(7 * y))) - 0.86
    hand = 0.55 + 0.45 * np.sin(31 * x + 5 * np.sin(23 * y)) * np.sin(27 * y)
    line = np.where(np.isin(kind, (6, 7)), feather, np.where(np.isin(kind, (4, 8)), hatch, -1.0))
    veins: Array = 1.0 - 0.60 * hand * smoothstep(-0.10, 0.16, line)
    return veins


def stained_glass(rng: Rng) -> Image.Image:
    """Draw a leaded rose window with light behind it."""
    shape = sheet(1.0)
    x, y = grid(shape)
    main, panes, kind = _window(rng, shape)
    uneven = noise(rng, shape, 0.1, 3)
    wide, fine = _came(_seam(main), 5.2, uneven), _came(_seam(panes), 3.2, uneven)
    came = np.maximum(wide, fine)
    colour = _pane_colour(rng, panes, kind)
    colour = _flame(colour, x, y, kind)
    streak = _streaks(rng, panes)
    # Light spills through the middle of a pane; dirt gathers along its leads.
    glow = 1.0 - np.clip(blur(np.minimum(came, 1.2), 12.0) * 1.3, 0, 0.6)
    glass = colour * (0.50 + 0.78 * glow + 0.85 * (streak - 0.5))[..., None]
    glass = mix(glass, np.full_like(glass, 255.0), np.clip(streak - 0.72, 0, 1) * 0.9)
    glass = emboss(glass, blur(_bubbles(rng, shape), 1.0) + 150 * streak, 0.30)
    lead = ramp(LEAD, 0.25 + 0.45 * noise(rng, shape, 0.02, 4))
    lead = emboss(lead, 190 * np.sqrt(came), 0.9, 1.5)
    spill = np.stack([blur(glass[..., c], 22.0) for c in range(3)], axis=-1)
    glass = glass * _veins(x, y, kind)[..., None]
    window = mix(glass, lead + spill * 0.07, smoothstep(0.40, 0.52, came))
    return finish(window + 0.12 * spill, rng, 0.012)
