"""C, how much of the content is kept: the directions of its contours, and its deep features."""

import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.noise import luma

CONTENT_LAYER = "relu4_2"
CONTOUR_PX_AT_256 = 1.0
NEIGHBOURHOOD_PX_AT_256 = 2.0
FAINT = 2e-5
"""A gradient this weak, squared, is none: about one grey level a pixel at 256 px."""


def kept(result: Tensor, content: Tensor, result_deep: Tensor, content_deep: Tensor) -> float:
    """C, from 0 (nothing of the content) to 1 (all): the mean of contours and deep features kept.

    result, content: (1, 3, H, W) in 0..1.  deep: their features at CONTENT_LAYER, (C, h, w).
    """
    return 0.5 * (contours_kept(result, content) + features_kept(result_deep, content_deep))


def features_kept(result: Tensor, content: Tensor) -> float:
    """The correlation of features over places and channels, each less its channel's mean; 0..1."""
    one, other = (values - values.mean((1, 2), keepdim=True) for values in (result, content))
    size = (one.square().sum() * other.square().sum()).sqrt()
    return float(((one * other).sum() / size.clamp(min=1e-12)).clamp(0.0, 1.0))


def contours_kept(result: Tensor, content: Tensor) -> float:
    """How far the result runs along the content's contours, weighted by their strength; 0..1.

    Strokes in the content's flat places count nothing; a contour that is crossed, dissolved or
    gone does. By the structure tensor, Bigun & Granlund 1987.
    """
    along, _ = orientation(content)
    weight = along.norm(dim=1, keepdim=True)
    direction = along / weight.clamp(min=FAINT**2)

    def agreement(picture: Tensor) -> Tensor:
        seen, energy = orientation(picture)
        coherent = (direction * seen).sum(1, keepdim=True) / (energy + FAINT)
        return (weight * coherent.clamp(min=0.0)).sum()

    return float((agreement(result) / agreement(content).clamp(min=1e-12)).clamp(max=1.0))


def orientation(picture: Tensor) -> tuple[Tensor, Tensor]:
    """The structure tensor: its double-angle vector, (1, 2, H, W), and its trace, (1, 1, H, W)."""
    scale = max(picture.shape[2:]) / 256
    grey = blur(luma(picture), CONTOUR_PX_AT_256 * scale)
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) * (0.5 * scale)
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) * (0.5 * scale)
    tensor = torch.cat(
        [across * across - down * down, 2 * across * down, across * across + down * down], 1
    )
    tensor = blur(tensor, NEIGHBOURHOOD_PX_AT_256 * scale)
    return tensor[:, :2], tensor[:, 2:]


def blur(values: Tensor, sigma_px: float) -> Tensor:
    """Each channel of (1, C, H, W) blurred by a Gaussian, borders replicated."""
    reach = min(max(1, round(3 * sigma_px)), min(values.shape[2:]) - 1)
    steps = torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (steps / sigma_px) ** 2)
    kernel = kernel / kernel.sum()
    channels = values.shape[1]
    padded = F.pad(values, (reach, reach, reach, reach), mode="replicate")
    padded = F.conv2d(padded, kernel.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)
    return F.conv2d(padded, kernel.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)
