"""Leak: pieces of the style image found again whole where the content has nothing like them.

An eye in a sky is told from a stroke by three things. It is like one place of the style image;
it is like no other place of it, whereas a stroke has many peers (the ratio test of Lowe 2004,
section 7.1, as a difference); and it is not what the photograph itself would choose there: a face
painted after the style's face is where it belongs.
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

OWN_CHOICE = 0.03
"""The share of the style's patches that are the content's own choice at a place, its likest ones.
By eye: painting by nearest features falls from 0.66 to 0.05, eyes in a sky keep all they have."""


def leak_of(result: Tensor, content: Tensor, style: Tensor) -> float:
    """What `excess_map` has above LEAST_EXCESS, its mean over all places times 100.

    0 where nothing leaks; a pair of eyes in a picture is about 0.3, a face 0.5 to 1.
    result, content: features at LAYER, (C, H, W).  style: (C, h, w).
    """
    return float(100.0 * (excess_map(result, content, style) - LEAST_EXCESS).clamp(min=0.0).mean())


def excess_map(result: Tensor, content: Tensor, style: Tensor) -> Tensor:
    """By how much each patch is liker to its best style patch than to any that is not NEAR that.

    0 where the best one is the content's own choice.  In normalised cross-correlation, from 0 to 1.
    Returns (H - 2, W - 2).
    """
    height, width = style.shape[1] - PATCH + 1, style.shape[2] - PATCH + 1
    level = style.mean((1, 2), keepdim=True)
    ours, theirs = unit_patches(result - level), unit_patches(style - level)
    likeness = ours @ theirs.T  # (places, style places)
    best, place = likeness.max(1)
    far = far_places(height, width, style.device)
    elsewhere = torch.where(far[place], likeness, 0.0).amax(1).clamp(min=0.0)
    given = unit_patches(content - content.mean((1, 2), keepdim=True)) @ theirs.T
    strange = share_preferred(given, place, height, width) > OWN_CHOICE
    excess = (best - elsewhere).clamp(min=0.0) * strange
    return excess.view(result.shape[1] - PATCH + 1, result.shape[2] - PATCH + 1)


def share_preferred(likeness: Tensor, place: Tensor, height: int, width: int) -> Tensor:
    """The share of style places that suit the content better than a given one and those beside it.

    likeness: (places, height * width).  place: (places,), of the style.  Returns (places,), 0..1.
    """
    around = F.max_pool2d(likeness.view(-1, 1, height, width), 3, stride=1, padding=1).flatten(1)
    given = around.gather(1, place[:, None])
    return (likeness > given).float().mean(1)


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
