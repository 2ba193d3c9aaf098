"""A child process that makes small versions and tiles of pictures for the page, and nothing else.

A decoder that hangs or eats memory takes this child with it; the page goes on. The picture it was
asked for last is kept, so that its tiles are cut without decoding it again.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from daemon.engine.errors import EngineError
from daemon.engine.pixels import to_levels
from daemon.host import files
from daemon.host.files import NotOrdinaryError
from daemon.host.process import Message, claim_stdout, limit_memory, say
from daemon.page.scaling import MEMORY_BYTES, TILE_PX
from daemon.pictures.read import read_picture
from daemon.pictures.small import PAPER, size_within

QUALITY = 88


@dataclass
class Kept:
    """The picture asked for last, in its own size and in halves of it, each made when needed."""

    key: str
    levels: list[Image.Image]

    def level(self, number: int) -> Image.Image:
        """The picture halved so many times."""
        while len(self.levels) <= number:
            self.levels.append(self.levels[-1].reduce(2))
        return self.levels[number]


class Cutter:
    """Answers one request after the other."""

    def __init__(self) -> None:
        self._kept: Kept | None = None

    def answer(self, request: Message) -> Message:
        """Makes the file that a request asks for; an empty one only asks for an answer."""
        if not request:
            return {}
        try:
            self._make(request)
        except NotOrdinaryError:
            return {"fault": "it is no ordinary file"}
        except FileNotFoundError:
            return {"fault": "it is not there any more"}
        except (OSError, EngineError, MemoryError, ValueError) as error:
            return {"fault": str(error) or type(error).__name__}
        return {}

    def _make(self, request: Message) -> None:
        if request["kind"] == "tile":
            image = self._tile(request)
        else:
            image = reduced(read(request), request["longest_px"])
        files.write_whole(
            Path(request["target"]),
            lambda file: image.save(file, "JPEG", quality=QUALITY, optimize=True),
            replace=True,
        )

    def _tile(self, request: Message) -> Image.Image:
        """One tile of one level; narrower at the right and lower edge."""
        if self._kept is None or self._kept.key != request["key"]:
            self._kept = None  # its room is needed
            self._kept = Kept(request["key"], [read(request)])
        level = self._kept.level(request["level"])
        left, top = request["x"] * TILE_PX, request["y"] * TILE_PX
        right, bottom = min(left + TILE_PX, level.width), min(top + TILE_PX, level.height)
        if left >= right or top >= bottom:
            raise ValueError("there is no such tile")
        return level.crop((left, top, right, bottom))


def read(request: Message) -> Image.Image:
    """A picture file in sRGB of 8 bits, on white where it is transparent."""
    with files.open_ordinary(Path(request["source"]), os.O_NOFOLLOW) as file:
        picture = read_picture(file, request["name"], request["max_pixels"])
    image = Image.fromarray(to_levels(picture.pixels))
    if picture.alpha is None:
        return image
    seen = picture.alpha if picture.alpha.dtype == np.uint8 else (picture.alpha >> 8).astype("u1")
    return Image.composite(image, Image.new("RGB", image.size, PAPER), Image.fromarray(seen))


def reduced(image: Image.Image, longest_px: int) -> Image.Image:
    """The same with its longest side so long at most."""
    size = size_within(*image.size, longest_px)
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def main() -> None:
    """Answers requests until the input is closed."""
    messages = claim_stdout()
    limit_memory(MEMORY_BYTES)
    cutter = Cutter()
    for line in sys.stdin:
        say(messages, cutter.answer(json.loads(line)))


if __name__ == "__main__":
    main()
