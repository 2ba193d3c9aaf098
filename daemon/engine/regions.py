"""Regions: parts of a picture that are painted after styles of their own, by soft masks.

Places of no region have no style's gradient, and keep the photograph's look.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from daemon.engine.errors import PictureError
from daemon.engine.losses.places import TOP, WeightMap
from daemon.engine.schedule import Pass

if TYPE_CHECKING:
    from daemon.engine.engine import Style

Mask = NDArray[np.uint8]
"""(H, W): how much each place belongs to a region, 255 for wholly. Of any size: it is stretched."""

Masks = Mapping[str, Mask]
"""By the regions that styles name; none: every style is for the whole picture."""


def check_masks(styles: Sequence["Style"], masks: Masks) -> None:
    """Raises PictureError unless there is one mask for each region that styles name, or none."""
    named = {style.region for style in styles}
    if masks and named != masks.keys():
        raise PictureError(
            f"there are masks for {', '.join(map(repr, sorted(masks)))} and styles for "
            f"{', '.join(map(repr, sorted(named)))}: each region needs a mask and a style"
        )
    if not masks and len(named) > 1:
        raise PictureError(
            f"the styles are for the regions {', '.join(map(repr, sorted(named)))}, and no mask "
            "says where those are"
        )
    for region, mask in masks.items():
        if mask.dtype != np.uint8 or mask.ndim != 2 or not mask.size:
            raise PictureError(
                f"the mask of region {region!r} is an array (height, width) of uint8, and not "
                f"{mask.shape} of {mask.dtype}"
            )


def mask_sha256(mask: Mask) -> str:
    """What a checkpoint knows a mask by."""
    return hashlib.sha256(f"{mask.shape}".encode() + np.ascontiguousarray(mask).data).hexdigest()


def weight_maps(masks: Masks, size: Pass, device: torch.device) -> dict[str, WeightMap | None]:
    """The masks at a pass's size, by region; None for one that is everywhere.

    A region that has no place left at that size is left out.
    """
    maps: dict[str, WeightMap | None] = {}
    for region, mask in masks.items():
        levels = stretch(mask, size.width_px, size.height_px)
        if levels.min() == TOP:
            maps[region] = None
        elif levels.any():
            maps[region] = WeightMap(torch.from_numpy(levels).to(device))
    return maps


def stretch(mask: Mask, width_px: int, height_px: int) -> Mask:
    """A mask at another size: means over areas, or soft between its pixels where it is enlarged."""
    height, width = mask.shape
    smaller = width >= width_px and height >= height_px
    filtering = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(mask).resize((width_px, height_px), filtering))


def share_of(weights: WeightMap | None) -> float:
    """The share of a picture that a region has, 0 to 1."""
    return 1.0 if weights is None else weights.pixels().mean(dtype=torch.float64).item()


def laid_over(
    content: Tensor, starts: Sequence[Tensor], parts: Sequence[WeightMap | None]
) -> Tensor:
    """What a painting starts from: each region from its own, the rest from the content.

    content, starts: (1, 3, H, W).  Where one region is everywhere its start is returned itself.
    """
    if list(parts) == [None]:
        return starts[0]
    found = content.clone()
    for start, part in zip(starts, parts, strict=True):
        change = start - content
        found += change if part is None else change.mul_(part.pixels())
    return found
