"""Pictures as the engine has them: tensors on a device, RGB in the encoding of sRGB."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.fit.tiles import Tile
from daemon.engine.pixels import Bounds, FloatPixels, Pixels, top_of


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
    """The pixels as (1, 3, H, W) float32 on a device, 1 where they have their top."""
    picture = torch.empty(1, 3, *pixels.shape[:2], device=device)
    for channel, plane in zip(np.moveaxis(pixels, 2, 0), picture[0], strict=True):
        values = torch.from_numpy(np.require(channel, requirements=["C", "W"]))  # (H, W)
        if device.type == "cuda":
            values = values.pin_memory()
        plane.copy_(values, non_blocking=True)
    return picture if top_of(pixels) == 1 else picture.div_(top_of(pixels))


def crop_pixels(pixels: Pixels, device: torch.device, tile: Tile) -> Tensor:
    """The region of a tile, (1, 3, h, w): so no picture is a tensor as a whole."""
    down, across = tile.region
    return to_tensor(pixels[down.at(1), across.at(1)], device)


def to_pixels(picture: Tensor) -> FloatPixels:
    """The pixels of a picture, (1, 3, H, W), as float32; of one on the CPU a view."""
    pixels: FloatPixels = picture[0].permute(1, 2, 0).float().cpu().numpy()  # (H, W, 3)
    return pixels


def hold(picture: Tensor, bounds: Bounds) -> Tensor:
    """The picture, (1, 3, H, W), its R, G and B cut to `bounds` in place."""
    for channel, (least, most) in zip(picture[0], bounds, strict=True):
        channel.clamp_(least, most)
    return picture
