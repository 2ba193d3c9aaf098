"""A mosaic: tesserae laid in rows along the curves of sun, waves and fish."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from drawing.brushes import emboss, finish, sheet
from drawing.fields import Array, Rng, Shape, blur, colours, mix, noise, ramp

GOLD = colours("8a5a12", "c98a1c", "efbb3a", "ffe38c")
CLAY = colours("6f2413", "a83c1c", "d2602c", "ef9a5a")
SEA = colours("0d4f5c", "12808a", "2fb0ad", "8fdccb")
LAPIS = colours("0b153f", "142a74", "2148a8", "4a7bd0")
IVORY = colours("b9a780", "d9caa2", "f0e6c6", "fbf6e3")
GROUT = colours("2c2521", "4a3f36", "6a5c4d")

Tint = Callable[[float, float], Array]


class Floor:
    """Collects tesserae: a picture of their numbers, and the colour of each."""

    def __init__(self, shape: Shape, rng: Rng) -> None:
        """Start with bare grout."""
        self.tall = shape[0]
        self.rng = rng
        self.numbers = Image.new("I", (shape[1], shape[0]), 0)
        self._draw = ImageDraw.Draw(self.numbers)
        self.tones: list[Array] = [np.zeros(3)]
        self.centres: list[Array] = [np.zeros(2)]

    def clear(self, outline: Array) -> None:
        """Scrape a polygon back to bare grout, ready for a nearer motif."""
        self._draw.polygon((outline * self.tall).ravel().tolist(), fill=0)

    def lay(self, corners: Array, tone: Array) -> None:
        """Set one tessera, cut a little unevenly."""
        corners = corners * self.tall
        middle = corners.mean(axis=0)
        cut = middle + (corners - middle) * self.rng.uniform(0.78, 0.93, (4, 1))
        cut = cut + self.rng.normal(0, 0.9, (4, 2))
        self._draw.polygon(cut.ravel().tolist(), fill=len(self.tones))
        self.tones.append(tone * self.rng.uniform(0.84, 1.14) + self.rng.normal(0, 6, 3))
        self.centres.append(middle)

    def strip(self, low: Array, high: Array, size: float, tint: Tint) -> None:
        """Fill the band between two matching curves with a row of tesserae."""
        steps = np.hypot(*np.diff((low + high) / 2, axis=0).T)
        length = np.concatenate([[0.0], np.cumsum(steps)])
        count = max(1, round(float(length[-1]) / size))
        bend = self.rng.normal(0, 0.09, count + 1)
        bend[[0, -1]] = 0
        marks = (np.arange(count + 1) + bend) / count * length[-1]
        a = np.stack([np.interp(marks, length, low[:, i]) for i in (0, 1)], axis=1)
        b = np.stack([np.interp(marks, length, high[:, i]) for i in (0, 1)], axis=1)
        for k in range(count):
            corners = np.stack([a[k], a[k + 1], b[k + 1], b[k]])
            x, y = corners.mean(axis=0).tolist()
            self.lay(corners, tint(x, y))

    def arc(
        self, centre: tuple[float, float], inner: float, outer: float, tint: Tint, size: float
    ) -> None:
        """Lay one full ring of tesserae around a centre, starting anywhere."""
        turn = np.linspace(0, 2 * np.pi, 160) + self.rng.uniform(0, 6.3)
        spoke = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        self.strip(np.array(centre) + inner * spoke, np.array(centre) + outer * spoke, size, tint)

    def render(self, rng: Rng) -> Array:
        """Light the floor: tilt every tessera a little and round its edges."""
        number = np.asarray(self.numbers).astype(int)
        shape = (number.shape[0], number.shape[1])
        y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
        tilt = rng.normal(0, 0.011, (len(self.tones), 2))
        away = np.stack([x, y], axis=-1) - np.array(self.centres)[number]
        slope = np.clip((away * tilt[number]).sum(axis=-1), -0.4, 0.4)
        stone = np.array(self.tones)[number] * (1.0 + slope)[..., None]
        stone = stone * (0.86 + 0.28 * noise(rng, shape, 0.02, 4))[..., None]
        laid = (number > 0).astype(float)
        bed = ramp(GROUT, noise(rng, shape, 0.03, 5))
        soft = blur(laid, 1.0)
        relief = 200 * soft + 45 * noise(rng, shape, 0.012, 3)
        floor = emboss(mix(bed, stone, soft), relief, 0.42, 1.0)
        # A patch of daylight crosses the floor.
        return floor * (0.86 + 0.3 * blur(noise(rng, shape, 0.9, 2), 40.0))[..., None]


def _shade(family: Array, position: float) -> Array:
    """Return one tone of a family of stones."""
    return ramp(family, np.array(position))


SUN = (0.90, 0.31)


#: Bands of the sky: outer border (distance from the sun), stones, and their mean shade.
BANDS = (
    (0.205, LAPIS, 0.2),
    (0.285, LAPIS, 0.6),
    (0.31, IVORY, 0.5),
    (0.37, SEA, 0.75),
    (0.385, GOLD, 0.55),
    (0.50, SEA, 0.45),
    (0.525, IVORY, 0.5),
    (0.66, LAPIS, 0.75),
    (0.685, GOLD, 0.5),
    (9.0, LAPIS, 0.3),
)


def _sun_tint(distance: float, turn: float, shade: float) -> Array | None:
    """Colour a stone of the sun's disc, rim or rays; return nothing for the sky between."""
    if distance < 0.115:
        swirl = np.sin(3 * turn + distance * 70)
        return _shade(GOLD if swirl > -0.3 else CLAY, 0.45 + 0.5 * shade)
    if distance < 0.134:
        return _shade(CLAY, 0.1 + 0.3 * shade)
    spoke = turn * 12 / (2 * np.pi) + 3.4 * (distance - 0.13)
    short = int(np.floor(spoke)) % 2 == 1
    reach = (distance - 0.134) / (0.12 if short else 0.17)
    if abs((spoke % 1.0) - 0.5) * 2 < 1 - reach:
        return _shade(GOLD if short else CLAY, 0.5 + 0.4 * shade)
    return None


def _sky(floor: Floor, aspect: float) -> None:
    """Lay the whole ground in rings around the sun: disc, rays, then bands of sky."""

    def tint(x: float, y: float) -> Array:
        distance = float(np.hypot(x - SUN[0], y - SUN[1]))
        turn = float(np.arctan2(y - SUN[1], x - SUN[0]))
        shade = floor.rng.random()
        stone = _sun_tint(distance, turn, shade)
        if stone is not None:
            return stone
        # The borders waver, so that the bands read as drifting light and not as a target.
        band = distance + 0.012 * np.sin(9 * turn) + 0.01 * (shade - 0.5)
        family, base = next((stones, base) for limit, stones, base in BANDS if band < limit)
        return _shade(family, base + 0.3 * (shade - 0.3))

    radius = 0.006
    while radius < np.hypot(aspect, 1.0):
        width = 0.0165 + 0.004 * min(radius, 1.0)
        floor.arc(SUN, radius, radius + width, tint, width * 1.15)
        radius += width


#: The rows of a feather from the rim to the eye: stones and their mean shade.
FEATHER = (
    (IVORY, 0.7),
    (LAPIS, 0.15),
    (LAPIS, 0.45),
    (SEA, 0.35),
    (SEA, 0.75),
    (GOLD, 0.65),
    (CLAY, 0.5),
    (LAPIS, 0.2),
    (GOLD, 0.85),
)


def _feather(floor: Floor, x: float, y: float, radius: float) -> None:
    """Lay one wave as an eye of a peacock feather, from the rim inwards."""
    rng = floor.rng
    turn = np.linspace(0, 2 * np.pi, 60)
    floor.clear(np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1))
    edges = np.linspace(radius, 0.0005, len(FEATHER) + 1).tolist()
    for outer, inner, (family, base) in zip(edges, edges[1:], FEATHER, strict=False):

        def tint(_x: float, _y: float, family: Array = family, base: float = base) -> Array:
            return _shade(family, base + 0.4 * (rng.random() - 0.5))

        floor.arc((x, y), inner, outer, tint, radius / len(FEATHER) * 1.25)


def _waves(floor: Floor, aspect: float) -> None:
    """Overlap rows of feathers on a gentle swell."""
    radius = 0.105
    for row in range(6):
        for column in range(-1, round(aspect / radius / 2) + 2):
            x = radius * (2 * column + row % 2)
            swell = 0.030 * np.sin(4.6 * x + 0.5)
            _feather(floor, x, 0.735 + 0.62 * radius * row + swell, radius)


def _fish(floor: Floor, path: Array, girth: float, family: Array) -> None:
    """Lay a leaping fish: rows of scales between its back and its belly, a fanned tail."""
    t = np.linspace(0, 1, 90)[:, None]
    spine = (1 - t) ** 2 * path[0] + 2 * t * (1 - t) * path[1] + t**2 * path[2]
    ahead = np.gradient(spine, axis=0)
    normal = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)
    normal /= np.hypot(normal[:, 0], normal[:, 1])[:, None]
    flare = np.clip((t - 0.80) / 0.2, 0, 1)
    belly = np.sin(np.pi * np.clip(t / 0.92, 0, 1) ** 0.72) ** 0.85
    half = girth * (belly + flare**1.3 + 0.07)
    rim = half + 0.012
    floor.clear(np.vstack([spine + normal * rim, (spine - normal * rim)[::-1]]))
    rows = 11
    edges = np.linspace(1.0, -1.0, rows + 1)
    for row in range(rows):
        high, low = spine + normal * half * edges[row], spine + normal * half * edges[row + 1]
        floor.strip(low, high, 0.0165, _scales(floor, spine, row / (rows - 1), family))
    _eye(floor, spine[13] + normal[13] * half[13] * 0.25)


def _eye(floor: Floor, place: Array) -> None:
    """Set the round eye of a fish into its scales."""
    turn = np.linspace(0, 2 * np.pi, 40)
    floor.clear(place + 0.017 * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    centre = (float(place[0]), float(place[1]))
    floor.arc(centre, 0.009, 0.017, lambda _x, _y: _shade(IVORY, 0.9), 0.012)
    floor.arc(centre, 0.001, 0.009, lambda _x, _y: _shade(LAPIS, 0.0), 0.012)


def _scales(floor: Floor, spine: Array, side: float, family: Array) -> Tint:
    """Return the colouring of one row of a fish, from its back (0) to its belly (1)."""

    def tint(x: float, y: float) -> Array:
        along = int(np.argmin(np.hypot(spine[:, 0] - x, spine[:, 1] - y))) / len(spine)
        shade = floor.rng.random() * 0.35
        if side in (0.0, 1.0):
            return _shade(LAPIS if side == 0 else CLAY, shade)
        if along > 0.80:
            return _shade(CLAY if floor.rng.random() < 0.7 else GOLD, 0.4 + shade)
        if abs(along - 0.25) < 0.022:
            return _shade(LAPIS, 0.1)
        if along < 0.25:
            return _shade(GOLD, 0.5 + shade)
        stripe = np.sin(along * 42 + 7 * side)
        upper = _shade(family, 0.25 + shade) if stripe > 0.0 else _shade(GOLD, 0.5 + shade)
        return upper if side < 0.6 else _shade(IVORY, 0.55 + shade)

    return tint


def mosaic(rng: Rng) -> Image.Image:
    """Lay a floor of a sun, two leaping fish and a sea of peacock feathers."""
    shape = sheet(1.27)
    floor = Floor(shape, rng)
    _sky(floor, 1.27)
    _fish(floor, np.array([[0.11, 0.33], [0.38, 0.03], [0.58, 0.50]]), 0.085, SEA)
    _fish(floor, np.array([[0.07, 0.60], [0.22, 0.38], [0.40, 0.68]]), 0.052, CLAY)
    _waves(floor, 1.27)
    return finish(floor.render(rng), rng, 0.012)
