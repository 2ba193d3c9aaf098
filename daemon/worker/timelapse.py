"""How a painting came about: small frames of its steps, and an animated WebP of them."""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from daemon.engine.paint import Stepped
from daemon.engine.pixels import FloatPixels, to_levels
from daemon.engine.schedule import Pass, fit
from daemon.host import files
from daemon.messages import frames_of
from daemon.worker.preview import reduced

LONGEST_PX = 320
MOST_FRAMES = 120
FRAME_MS, LAST_FRAME_MS = 80, 2000
MOST_BYTES = 4 << 20
FRAME_QUALITY, QUALITY = 92, 75
OVERSAMPLED = 4


class Timelapse:
    """Keeps frames of a painting beside `target`, and puts the film of them there in the end.

    A run that goes on from a checkpoint finds the frames of the one before, and paints anew what
    came after it: frames stay, since the painting is not safe yet when the film is.
    warn: told once if something cannot be kept, which harms nobody else.
    """

    def __init__(self, target: Path, warn: Callable[[str], None]) -> None:
        self._target = target
        self._folder = frames_of(target)
        self._warn = warn
        self._began = False
        self.warnings: tuple[str, ...] = ()

    def offer(self, moment: Stepped) -> None:
        """Keeps a frame of a step if it is one that the film shows."""
        try:
            name = f"{moment.pass_number:02}-{moment.step.number:06}.jpg"
            if not self._began:
                self._forget_from(name)
            if is_shown(moment):
                image = reduced(moment.picture, moment.palette, LONGEST_PX)
                frame = resized(image, moment.passes[-1])
                self._write(self._folder / name, encoded(frame, "JPEG", quality=FRAME_QUALITY))
            self._began = True
        except Exception as error:  # of drawing, too: the painting itself is well
            self._fail(error)

    def finish(self, painted: FloatPixels, size: Pass) -> None:
        """Makes the film; its last frame is the painted picture, (H, W, 3), of that size."""
        try:
            last = resized(small(painted), size)
            self._write(self._target, film([*self._frames(), last]))
        except Exception as error:
            self._fail(error)

    def _forget_from(self, name: str) -> None:
        """Removes the frames of an earlier run from a step on, which is taken anew."""
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name >= name:
                path.unlink()

    def _frames(self) -> list[Image.Image]:
        """The frames in order, without what a power cut has left torn."""
        frames = []
        for path in sorted(self._folder.glob("*.jpg")):
            try:
                with Image.open(path) as image:
                    frames.append(image.convert("RGB"))
            except (OSError, UnidentifiedImageError):
                continue
        return frames

    def _write(self, path: Path, content: bytes) -> None:
        files.write_bytes(path, content, replace=True)

    def _fail(self, error: Exception) -> None:
        """Tells, once, that there is no film, or not all of one."""
        if not self.warnings:
            why = getattr(error, "strerror", None) or error
            self.warnings = (f"the time-lapse is not whole: {why}",)
            self._warn(self.warnings[0])


def is_shown(moment: Stepped) -> bool:
    """Whether a step is among those that the film shows: the first, and evenly spaced ones."""
    before = sum(one.steps for one in moment.passes[: moment.pass_number - 1])
    total = sum(one.steps for one in moment.passes)
    every = math.ceil(total / (MOST_FRAMES - 1))
    return (before + moment.step.number - 1) % every == 0


def resized(image: Image.Image, size: Pass) -> Image.Image:
    """A frame at the size that all have, which is that of the painting made small."""
    longest_px = min(LONGEST_PX, max(size.width_px, size.height_px))
    return image.resize(fit(size.width_px, size.height_px, longest_px), Image.Resampling.LANCZOS)


def small(painted: FloatPixels) -> Image.Image:
    """The painted picture with some of its pixels: a very large one is not to be copied."""
    stride = max(1, max(painted.shape[:2]) // (OVERSAMPLED * LONGEST_PX))
    return Image.fromarray(to_levels(painted[::stride, ::stride]))


def film(frames: Sequence[Image.Image]) -> bytes:
    """Frames as an animated WebP of MOST_BYTES at most, every other one left out until it is."""
    *before, last = frames
    while True:
        durations = [*[FRAME_MS] * len(before), LAST_FRAME_MS]
        first, *rest = [*before, last]
        options = {"append_images": rest, "duration": durations, "save_all": True, "loop": 0}
        content = encoded(first, "WEBP", quality=QUALITY, **options)
        if len(content) <= MOST_BYTES or not before:
            return content
        before = before[::2] if len(before) > 1 else []


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """The bytes of a picture's file."""
    target = io.BytesIO()
    image.save(target, format=form, **options)
    return target.getvalue()
