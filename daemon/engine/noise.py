"""Noise: what moves near the Nyquist frequency, against the style image's own at the same scale."""

import torch
from torch import Tensor

BAND = 0.375
"""Cycles a pixel, along either side, from which detail counts: three quarters of the Nyquist."""

GREY_LEVEL = 1 / 255
"""Added to the style's amplitude, so that what cannot be seen is not divided by nothing."""


def noise_of(result: Tensor, style: Tensor) -> float:
    """The luma's amplitude in the band against the style's; 1 is as noisy as the style itself.

    result, style: (N, 3, H, W) in 0..1, a picture or N parts of it, each of any size, the style at
    the scale it is painted at.
    """
    return float(amplitude(luma(result)) / (amplitude(luma(style)) + GREY_LEVEL))


def colour_noise_of(result: Tensor, style: Tensor) -> float:
    """The same of the colours: of what is left of R, G and B less the luma."""
    ours, own = (amplitude(picture - luma(picture)) for picture in (result, style))
    return float(ours / (own + GREY_LEVEL))


def change_of(result: Tensor, content: Tensor) -> float:
    """The root mean square difference of two pictures of a size; near 0 nothing was painted."""
    return float((result - content).square().mean().sqrt())


def amplitude(values: Tensor) -> Tensor:
    """Root mean square of (N, C, H, W) in the band, (), under a Hann window for the borders."""
    height, width = values.shape[2:]
    sides = [
        torch.hann_window(side, periodic=False, dtype=values.dtype, device=values.device)
        for side in (height, width)
    ]
    window = sides[0][:, None] * sides[1]  # (H, W)
    level = values.mean((2, 3), keepdim=True)
    power: Tensor = (
        torch.fft.fft2((values - level) * window).abs().square().sum(1).mean(0)
    )  # (H, W)
    down, across = (torch.fft.fftfreq(side, device=values.device).abs() for side in (height, width))
    band = torch.maximum(down[:, None], across) >= BAND
    mean = (power * band).sum() / (height * width * window.square().sum())
    return mean.sqrt()


def luma(picture: Tensor) -> Tensor:
    """(N, 3, H, W) RGB to (N, 1, H, W), ITU-R BT.601."""
    weights = picture.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (picture * weights).sum(1, keepdim=True)
