"""Leak: pieces of the style image found again whole where the content has nothing like them.

An eye in a sky is told from a stroke by three things. It is like one place of the style image;
it is like no other place of it, whereas a stroke has many peers (the ratio test of Lowe 2004,
section 7.1, as a difference); and the photograph is not like that place there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LAYER = "relu4_4"
"""Deep enough for an eye to be one thing, and fine enough for it to be several places."""

LONGEST_PX = 256
"""Pieces are sought at this size whatever the picture's: there an eye is as large as a patch."""

PATCH = 3
"""Places along each side of a patch: 24 px, and what they see around."""

NEAR = 3
"""Style patches within so many places of the best one are the same thing."""

LEAST_EXCESS = 0.2
"""By eye on three styles: swirls and strokes stay below, eyes and faces come to 0.3 to 0.7."""


def leak_of(result: Tensor, content: Tensor, style: Tensor) -> float:
    """The excess of `excess_map` over LEAST_EXCESS, its mean over all places times 100.

    0 where nothing leaks; an eye in a picture is about 0.3, a face 1.
    result, content: features at LAYER, (C, H, W).  style: (C, h, w).
    """
    return float(100.0 * (excess_map(result, content, style) - LEAST_EXCESS).clamp(min=0.0).mean())


def excess_map(result: Tensor, content: Tensor, style: Tensor) -> Tensor:
    """By how much each patch is liker to its best style patch than anything else explains.

    Else is: any style patch that is not NEAR the best one, and the content at the same place.
    Returns (H - 2, W - 2), from -1 to 1, in normalised cross-correlation.
    """
    level = style.mean((1, 2), keepdim=True)
    content_level = content.mean((1, 2), keepdim=True)
    ours, theirs = unit_patches(result - level), unit_patches(style - level)
    given = unit_patches(content - content_level)
    likeness = ours @ theirs.T  # (places, style places)
    best, place = likeness.max(1)
    far = far_places(style.shape[1] - PATCH + 1, style.shape[2] - PATCH + 1, style.device)
    elsewhere = torch.where(far[place], likeness, -1.0).amax(1)
    content_has = (given * theirs[place]).sum(1)
    excess = best - torch.maximum(elsewhere, content_has).clamp(min=0.0)
    return excess.view(result.shape[1] - PATCH + 1, result.shape[2] - PATCH + 1)


def unit_patches(features: Tensor) -> Tensor:
    """Every patch of (C, H, W) as a row of length 1, (places, C * PATCH * PATCH); flat ones 0."""
    patches = F.unfold(features[None], PATCH)[0].T
    return patches / patches.norm(dim=1, keepdim=True).clamp(min=1e-6)


def far_places(height: int, width: int, device: torch.device) -> Tensor:
    """Whether two places of a map are not NEAR each other, (places, places)."""
    down = torch.arange(height, device=device).repeat_interleave(width)
    across = torch.arange(width, device=device).repeat(height)
    distance = torch.maximum((down[:, None] - down).abs(), (across[:, None] - across).abs())
    return distance > NEAR
