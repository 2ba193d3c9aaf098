"""What a painting looks like at the moment: a small JPEG for whoever wants to look meanwhile."""

import time
from collections.abc import Callable
from pathlib import Path

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from daemon.engine.palette import Palette
from daemon.engine.pixels import to_levels
from daemon.engine.schedule import fit
from daemon.engine.tensors import to_pixels
from daemon.host import files
from daemon.worker.timeshare import TimeShare

LONGEST_PX = 512
EVERY_S = 5.0
PARTS_OF_TIME = 100
"""Previews take at most one part in so many of a run's time."""


class Previewer:
    """Keeps the file at `path` up to a running painting, every five seconds or more.

    warn: told once if it cannot be drawn or written, which harms nobody else.
    """

    def __init__(
        self,
        path: Path,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._warn = warn
        self._share = TimeShare(EVERY_S, PARTS_OF_TIME, clock)
        self._warned = False

    def offer(self, picture: Tensor, palette: Palette | None = None) -> bool:
        """Writes `picture`, (1, 3, H, W), if it is time, and tells whether it did.

        palette: what shows it as the result will look.
        """
        try:
            return self._share.offer(lambda: write_preview(self._path, picture, palette))
        except Exception as error:  # of drawing, too: the painting itself is well
            if not self._warned:
                self._warn(f"no preview: {getattr(error, 'strerror', None) or error}: {self._path}")
            self._warned = True
            return False


def write_preview(path: Path, picture: Tensor, palette: Palette | None = None) -> None:
    """Puts a preview of `picture`, (1, 3, H, W), in the place of an earlier one. Raises OSError."""
    image = reduced(picture, palette)
    files.make_folder(path.parent)
    files.write_fleeting(path, lambda file: image.save(file, "JPEG"))


def reduced(
    picture: Tensor, palette: Palette | None = None, longest_px: int = LONGEST_PX
) -> Image.Image:
    """A picture, (1, 3, H, W) in 0..1, as an image of longest_px at most; reduced on its device."""
    height, width = picture.shape[2:]
    new_width, new_height = fit(width, height, min(longest_px, max(width, height)))
    smaller = F.interpolate(picture, size=(new_height, new_width), mode="area")
    pixels = to_pixels(smaller)
    return Image.fromarray(to_levels(palette.show(pixels) if palette else pixels))
