"""What is measured of a finished painting: figures that tell whether anything went wrong.

Large pictures are looked at in windows, so that it takes a second or two at any size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from daemon.engine.checkpoint import PassReport
from daemon.engine.noise import change_of, colour_noise_of, noise_of
from daemon.engine.pixels import (
    SUPPORT,
    FloatPixels,
    Pixels,
    resample,
    size_of,
    top_of,
)

WHOLE_PIXELS = 1 << 20
"""Up to so many a picture is looked at as a whole."""

WINDOW_PX, WINDOWS = 256, 4
"""Side of a window, and how many there are each way."""

THINNED_PIXELS = 1 << 18
"""About so many, evenly spread, are asked for a picture's deviation."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Judgement:
    """The figures of a painting; the first three are those of `bench/judge.py`.

    change: root mean square difference from the photograph, 0..1.  noise, colour_noise: amplitude
    near the Nyquist frequency, 1 is that of its noisiest style image.  photo_noise,
    photo_colour_noise: the same against the photograph.  deviation: of R, G and B from their means,
    0..1; least_deviation: the less of the photograph's and the style images'.  fall: of the loss
    over the last pass, as a part of what it was.  finite: whether all values are finite numbers;
    the other figures are 0 if not.
    """

    change: float = 0.0
    noise: float = 0.0
    colour_noise: float = 0.0
    photo_noise: float = 0.0
    photo_colour_noise: float = 0.0
    deviation: float = 0.0
    least_deviation: float = 0.0
    fall: float = 0.0
    finite: bool = True


def judge(
    painted: FloatPixels,
    photograph: Pixels,
    styles: Sequence[tuple[Pixels, Size]],
    last: PassReport,
) -> Judgement:
    """The figures of a finished painting.

    photograph: of any size.  styles: images, and the size (width, height) that each is seen at.
    last: the report of the last pass.
    """
    if not all(np.isfinite(row).all() for row in painted):
        return Judgement(finite=False)
    seen = windows(painted, size_of(painted))
    before = windows(photograph, size_of(painted))
    noises = [
        (noise_of(seen, own), colour_noise_of(seen, own))
        for own in (windows(pixels, size) for pixels, size in styles)
    ]
    spreads = [deviation_of(photograph), *(deviation_of(pixels) for pixels, _ in styles)]
    return Judgement(
        change=change_of(seen, before),
        noise=min(noise for noise, _ in noises),
        colour_noise=min(noise for _, noise in noises),
        photo_noise=noise_of(seen, before),
        photo_colour_noise=colour_noise_of(seen, before),
        deviation=deviation_of(painted),
        least_deviation=min(spreads),
        fall=fall_of(last),
    )


def fall_of(report: PassReport) -> float:
    """How much of its first loss a pass has brought it down by, 0..1; 0 if it never fell."""
    first, best = report.first.total, report.best.total
    return max(0.0, (first - best) / first) if first > 0 else 0.0


def deviation_of(pixels: Pixels) -> float:
    """Root mean square deviation of R, G and B from their means, 0..1."""
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // THINNED_PIXELS))
    values = pixels[::step, ::step].astype(np.float64) / top_of(pixels)
    return float(np.sqrt(values.var((0, 1)).mean()))


def windows(pixels: Pixels, size: Size) -> Tensor:
    """Parts of a picture as it is at a size (width, height): (N, 3, h, w) float32, 1 is white.

    All of it as one, where it is small there; else windows that lie evenly over it.
    """
    width, height = size
    if width * height <= WHOLE_PIXELS:
        return stacked([part(pixels, size, (0, 0, width, height))])
    across, down = min(WINDOW_PX, width), min(WINDOW_PX, height)
    lefts = np.linspace(0, width - across, WINDOWS).round().astype(int)
    tops = np.linspace(0, height - down, WINDOWS).round().astype(int)
    boxes = [(x, y, x + across, y + down) for y in tops.tolist() for x in lefts.tolist()]
    return stacked([part(pixels, size, box) for box in boxes])


def part(pixels: Pixels, size: Size, box: tuple[int, int, int, int]) -> Pixels:
    """A box (left, top, right, bottom) of a picture as it is at a size (width, height)."""
    left, top, right, bottom = box
    if size_of(pixels) == size:
        return pixels[top:bottom, left:right]
    (width, height), (own_width, own_height) = size, size_of(pixels)
    across, down = own_width / width, own_height / height
    reach = [math.ceil(SUPPORT[Image.Resampling.LANCZOS] * max(1, one)) for one in (across, down)]
    first_column = max(0, math.floor(left * across) - reach[0])
    first_row = max(0, math.floor(top * down) - reach[1])
    end_column, end_row = math.ceil(right * across) + reach[0], math.ceil(bottom * down) + reach[1]
    source = pixels[first_row:end_row, first_column:end_column]
    inner = (
        left * across - first_column,
        top * down - first_row,
        min(right * across - first_column, source.shape[1]),
        min(bottom * down - first_row, source.shape[0]),
    )
    return resample(source, (right - left, bottom - top), Image.Resampling.LANCZOS, inner)


def stacked(parts: Sequence[Pixels]) -> Tensor:
    """Parts of one size as (N, 3, h, w) float32."""
    values = torch.from_numpy(np.stack(parts).astype(np.float32))
    return values.div_(top_of(parts[0])).permute(0, 3, 1, 2)
