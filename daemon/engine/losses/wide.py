"""Sums over features in at least float32, in parts, so that no wide copy of a layer is made."""

import torch
from torch import Tensor

ROWS_AT_ONCE = 1 << 17
"""Positions turned into float32 at a time."""

VALUES_AT_ONCE = 1 << 24
"""Values squared at a time."""


def wide(tensor: Tensor) -> Tensor:
    """The tensor in at least float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def as_rows(features: Tensor) -> Tensor:
    """The features as a matrix, one row a position.

    features: (1, C, H, W).  Returns (H*W, C); a view if `features` is channels-last.
    """
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])  # (H*W, C)


def mean_square(tensor: Tensor) -> Tensor:
    """Mean of the squared values, in at least float32.  tensor: (..., H, W).  Returns ()."""
    parts = torch.split(tensor, max(1, VALUES_AT_ONCE // tensor[..., 0, :].numel()), dim=-2)
    return torch.stack([wide(part).square().sum() for part in parts]).sum() / tensor.numel()
