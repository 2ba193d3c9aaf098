"""Noise: what moves near the Nyquist frequency, against the style image's own at the same scale."""

import torch
from torch import Tensor

from .contours import luma

BAND = 0.375
"""Cycles a pixel, along either side, from which detail counts: three quarters of the Nyquist."""

GREY_LEVEL = 1 / 255
"""Added to the style's amplitude, so that what cannot be seen is not divided by nothing."""


def noise_of(result: Tensor, style: Tensor) -> float:
    """The luma's amplitude in the band against the style's; 1 is as noisy as the style itself.

    result, style: (1, 3, H, W) in 0..1, of any sizes, the style at the scale it is painted at.
    """
    return float(amplitude(luma(result)) / (amplitude(luma(style)) + GREY_LEVEL))


def colour_noise_of(result: Tensor, style: Tensor) -> float:
    """The same of the colours: of what is left of R, G and B less the luma."""
    ours, own = (amplitude(picture - luma(picture)) for picture in (result, style))
    return float(ours / (own + GREY_LEVEL))


def amplitude(values: Tensor) -> Tensor:
    """Root mean square of (1, C, H, W) in the band, (), under a Hann window for the borders."""
    height, width = values.shape[2:]
    options = {"periodic": False, "dtype": values.dtype, "device": values.device}
    window = torch.hann_window(height, **options)[:, None] * torch.hann_window(width, **options)
    level = values.mean((2, 3), keepdim=True)
    power = torch.fft.fft2((values - level) * window).abs().square().sum(1)[0]  # (H, W)
    down, across = (torch.fft.fftfreq(side, device=values.device).abs() for side in (height, width))
    band = torch.maximum(down[:, None], across) >= BAND
    return ((power * band).sum() / (height * width * window.square().sum())).sqrt()
