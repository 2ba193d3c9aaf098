"""Faces in a photograph, found by OpenCV's cascades: upright ones, and heads tilted by up to 30°.

One cascade takes craters, cells and headlamps for faces. So what it finds is looked at again by
three, at every turn, and by one that knows eyes. Every number was chosen by trial
(`bench/faces.py`).

OpenCV is loaded here alone, and only for a recipe that asks for faces. The same picture gives the
same faces.
Source: Viola & Jones 2001, "Rapid Object Detection using a Boosted Cascade of Simple Features".
"""

import importlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from daemon.engine.errors import PictureError
from daemon.engine.faces import Face
from daemon.engine.pixels import Pixels, resize, size_of, to_levels
from daemon.engine.schedule import fit

SEARCHED_PX = 512
"""Longest side of the picture that is searched."""

LEAST_PX = 24
"""Side of the least face in it, a twentieth of the picture: smaller ones are a few strokes wide."""

MOST = 0.8
"""Of the picture's shorter side: a disc that fills it, such as a retina's, is no face."""

LOOKED_AT_PX = 2048
"""Longest side of the picture that eyes are looked for in."""

TURNS_DEGREES = (0, -15, 15, -30, 30)
SEEKER = "alt2"
JUDGES = ("alt2", "alt", "default")
"""Cascades of `haarcascade_frontalface_*`: the first has the fewest false alarms."""

FACE_PX, ROOM_PX = 72, 180
"""A face that is looked at again, and the square around it."""

CLOSE_FACE_PX, CLOSE_ROOM_PX = 120, 240
EYES = (slice(70, 135), slice(60, 180))
"""Rows and columns of the close square where eyes are."""

LEAST_VOTES = 3
"""Of the cascades at the turns, fifteen in all, for one whose eyes are seen at LEAST_PAIRS turns.
Measured: faces have 3 to 9 votes and 4 or 5 pairs, other things up to 10 votes and one pair."""

LEAST_PAIRS = 2

LARGE, LEAST_VOTES_OF_LARGE = 1 / 6, 5
"""Of the picture's longest side: eyes behind glasses or in shade are not seen, and what is that
large and no face has 3 votes at most."""

Grey = NDArray[np.uint8]
Cascade = Literal["alt2", "alt", "default", "eye"]


@dataclass(frozen=True)
class Spot:
    """A square that may be a face: its middle and its side, in px."""

    across_px: float
    down_px: float
    side_px: float

    def is_like(self, other: "Spot") -> bool:
        """Whether both are about the same square."""
        less, more = sorted((self.side_px, other.side_px))
        return self.distance_px(other) < 0.5 * less and more < 1.8 * less

    def distance_px(self, other: "Spot") -> float:
        """The way from middle to middle."""
        return math.hypot(self.across_px - other.across_px, self.down_px - other.down_px)

    def scaled(self, scale: float) -> "Spot":
        """The same in a picture so many times as large."""
        return Spot(self.across_px * scale, self.down_px * scale, self.side_px * scale)


def find_faces(pixels: Pixels) -> tuple[Face, ...]:
    """The faces of a picture, the largest first.

    pixels: (H, W, 3), upright.  Raises PictureError where OpenCV, or its cascades, are missing.
    """
    cv2 = load_opencv()
    width, height = size_of(pixels)
    close = grey(cv2, pixels, LOOKED_AT_PX)
    searched = evened(cv2, grey(cv2, pixels, SEARCHED_PX), 8)
    scale = max(close.shape) / max(searched.shape)
    found: list[Spot] = []
    for spot in candidates(cv2, searched):
        known = any(spot.distance_px(one) < 0.5 * one.side_px for one in found)
        if not known and is_face(cv2, searched, close, spot, scale):
            found.append(spot)
    back = max(width, height) / max(searched.shape)
    return tuple(box(spot.scaled(back), width, height) for spot in found)


def load_opencv() -> Any:
    """OpenCV with its cascades; raises PictureError saying how to get it."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise PictureError(missing(f"OpenCV cannot be loaded ({error})")) from error
    if not hasattr(cv2, "CascadeClassifier"):
        raise PictureError(missing(f"OpenCV {cv2.__version__} has no cascades any more"))
    cv2.setNumThreads(1)  # several put what they find into an order of chance
    return cv2


def missing(why: str) -> str:
    """What is wrong, and what to do about it."""
    return (
        f"`faces` asks for faces to be found, and {why}: install atelierd[faces] where atelierd "
        "is, start the service again and drop the picture again, or leave `faces` out"
    )


def grey(cv2: Any, pixels: Pixels, longest_px: int) -> Grey:
    """A picture's luminance, (H, W) uint8, with a longest side of at most so much."""
    width, height = size_of(pixels)
    smaller = fit(width, height, min(longest_px, max(width, height)))
    levels: Grey = cv2.cvtColor(to_levels(resize(pixels, *smaller)), cv2.COLOR_RGB2GRAY)
    return levels


def evened(cv2: Any, picture: Grey, parts: int) -> Grey:
    """The same with dark and light parts alike, so that it does not matter where the light is."""
    even: Grey = cv2.createCLAHE(2.0, (parts, parts)).apply(picture)
    return even


@cache
def cascade(name: Cascade) -> Any:
    """One of OpenCV's cascades; raises PictureError where its file is missing."""
    cv2 = load_opencv()
    file = "haarcascade_eye" if name == "eye" else f"haarcascade_frontalface_{name}"
    found = cv2.CascadeClassifier(f"{cv2.data.haarcascades}{file}.xml")
    if found.empty():
        raise PictureError(missing(f"OpenCV {cv2.__version__} has no {file}.xml"))
    return found


def candidates(cv2: Any, searched: Grey) -> list[Spot]:
    """What may be a face, the largest first; each once, whatever turns it is seen at."""
    groups: list[list[Spot]] = []
    least, most = (LEAST_PX,) * 2, (max(LEAST_PX, int(MOST * min(searched.shape))),) * 2
    for degrees in TURNS_DEGREES:
        turned, back = whole_turned(cv2, searched, degrees)
        boxes = cascade(SEEKER).detectMultiScale(turned, 1.15, 2, 0, least, most)
        for spot in spots(boxes):
            across, down = back @ (spot.across_px, spot.down_px, 1.0)
            here = Spot(float(across), float(down), spot.side_px)
            near = next((group for group in groups if group[0].is_like(here)), None)
            if near is None:
                groups.append([here])
            else:
                near.append(here)
    return sorted((mean(group) for group in groups), key=lambda spot: -spot.side_px)


def whole_turned(cv2: Any, picture: Grey, degrees: int) -> tuple[Grey, NDArray[np.float64]]:
    """A picture turned, on a larger one that holds all of it, and the way back, (2, 3)."""
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (int(height * sine + width * cosine), int(height * cosine + width * sine))
    matrix[:, 2] += ((size[0] - width) / 2, (size[1] - height) / 2)
    turned = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return turned, cv2.invertAffineTransform(matrix)


def is_face(cv2: Any, searched: Grey, close: Grey, spot: Spot, scale: float) -> bool:
    """Whether enough cascades agree, and eyes are there, or it is large.

    spot: in `searched`; `close` is the same picture, `scale` times as large.
    """
    given = votes(cv2, searched, spot)
    if given < LEAST_VOTES:
        return False
    if given >= LEAST_VOTES_OF_LARGE and spot.side_px > LARGE * max(searched.shape):
        return True
    return pairs_of_eyes(cv2, close, spot.scaled(scale)) >= LEAST_PAIRS


def votes(cv2: Any, searched: Grey, spot: Spot) -> int:
    """How many of the cascades, each at every turn, see a face there."""
    whole = Spot(ROOM_PX / 2, ROOM_PX / 2, FACE_PX)
    limits = ((FACE_PX * 2 // 3,) * 2, (FACE_PX * 14 // 9,) * 2)
    return sum(
        any(
            whole.is_like(one)
            for one in spots(cascade(name).detectMultiScale(room, 1.1, 3, 0, *limits))
        )
        for room in rooms(cv2, searched, spot, FACE_PX, ROOM_PX)
        for name in JUDGES
    )


def pairs_of_eyes(cv2: Any, close: Grey, spot: Spot) -> int:
    """At how many turns two eyes are seen there."""
    found = 0
    for room in rooms(cv2, close, spot, CLOSE_FACE_PX, CLOSE_ROOM_PX):
        eyes = cascade("eye").detectMultiScale(
            evened(cv2, room, 3)[EYES], 1.1, 2, 0, (18, 18), (54, 54)
        )
        found += len(eyes) >= 2
    return found


def rooms(cv2: Any, picture: Grey, spot: Spot, face_px: int, room_px: int) -> Iterator[Grey]:
    """A spot and what is around it, turned each way: squares in which it has `face_px`."""
    scale = face_px / spot.side_px
    how = cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
    middle = (spot.across_px, spot.down_px)
    for degrees in TURNS_DEGREES:
        matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
        matrix[:, 2] += (room_px / 2 - middle[0], room_px / 2 - middle[1])
        yield cv2.warpAffine(
            picture, matrix, (room_px, room_px), flags=how, borderMode=cv2.BORDER_REPLICATE
        )


def spots(boxes: Iterable[Sequence[int]]) -> list[Spot]:
    """Squares by their left, top, width and height."""
    return [Spot(x + width / 2, y + height / 2, width) for x, y, width, height in boxes]


def mean(group: Sequence[Spot]) -> Spot:
    """The middle of several squares that are alike."""
    across, down, side = (
        math.fsum(values) / len(group)
        for values in zip(
            *((one.across_px, one.down_px, one.side_px) for one in group), strict=True
        )
    )
    return Spot(across, down, side)


def box(spot: Spot, width: int, height: int) -> Face:
    """A square as a face's box, cut where the picture of that size ends."""
    side = round(spot.side_px)
    left, top = round(spot.across_px - side / 2), round(spot.down_px - side / 2)
    right, bottom = min(left + side, width), min(top + side, height)
    left, top = max(left, 0), max(top, 0)
    return Face(left, top, right - left, bottom - top)
