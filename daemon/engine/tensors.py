"""Pictures as the engine has them: tensors on a device, RGB in 0..1."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.pixels import TOP, Pixels


def refine(painted: Tensor, content: Tensor, finer_content: Tensor) -> Tensor:
    """The start of a pass from the result of a smaller one.

    The painted picture enlarged, and added to it what of the content the smaller size could not
    hold: without that, edges would have to be found again, and the first steps are lost on it.
    painted, content: (1, 3, h, w), the smaller pass; `content` is used up.
    finer_content: (1, 3, H, W), which becomes the start.  Returns (1, 3, H, W).
    """
    shape = finer_content.shape[2:]
    change = content.neg_().add_(painted.to(content.device))
    for place, part in zip(finer_content.unbind(1), change.unbind(1), strict=True):
        finer = F.interpolate(part[None], size=shape, mode="bicubic", align_corners=False)
        place.add_(finer[0])
    return finer_content


def to_tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """The pixels as (1, 3, H, W) float32 in 0..1 on a device."""
    values = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))  # (H, W, 3)
    if device.type == "cuda":
        values = values.pin_memory()
    values = values.to(device, non_blocking=True)
    picture = torch.empty(1, *values.permute(2, 0, 1).shape, device=device)
    return picture.copy_(values.permute(2, 0, 1)).div_(TOP)


def to_pixels(picture: Tensor) -> Pixels:
    """The pixels of a picture, (1, 3, H, W), which is clipped to 0..1."""
    values = torch.empty(*picture.shape[2:], 3, dtype=torch.uint8)
    for source, target in zip(picture[0], values.unbind(2), strict=True):
        target.copy_(source.clamp(0.0, 1.0).mul_(TOP).round_())
    pixels: Pixels = values.numpy()
    return pixels
