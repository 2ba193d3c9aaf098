"""Sums over features in at least float32, in parts, so that no wide copy of a layer is made."""

import torch
from torch import Tensor

ROWS_AT_ONCE = 1 << 17
"""Positions turned into float32 at a time."""

SUMMED_ROWS = 1 << 12
"""Rows that a CPU sums at a time: all of a large layer at once take fourteen times as long."""

LEAST_PRODUCTS = 1 << 20
"""Fewer products are not worth a second look."""

VALUES_AT_ONCE = 1 << 24
"""Values squared at a time."""


def wide(tensor: Tensor) -> Tensor:
    """The tensor in at least float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def has_fast_products(rows: Tensor) -> bool:
    """Whether `products` is for these rows, (N, C): bfloat16, on a CPU that multiplies it."""
    return (
        rows.dtype is torch.bfloat16
        and rows.device.type == "cpu"
        and rows.shape[0] * rows.shape[1] ** 2 >= LEAST_PRODUCTS
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def products(rows: Tensor) -> Tensor:
    """The products of channels, summed over rows in bfloat16, (N, C), as (C, C) float32.

    The processor sums in float32 but rounds what comes out to bfloat16. So it is done twice, the
    second time for what rounding left: that has an error of 2^-17 of the sum, and both together
    take a third of the time that they take in float32.
    """
    rounded = rows.T @ rows
    rest = torch.addmm(rounded, rows.T, rows, beta=-1.0)
    return rounded.float().add_(rest)


def column_sums(rows: Tensor) -> Tensor:
    """The sums of rows on a CPU, (N, C), in at least float32, as (C,)."""
    dtype = torch.promote_types(rows.dtype, torch.float32)
    return torch.stack([part.sum(0, dtype=dtype) for part in torch.split(rows, SUMMED_ROWS)]).sum(0)


def as_rows(features: Tensor) -> Tensor:
    """The features as a matrix, one row a position.

    features: (1, C, H, W).  Returns (H*W, C); a view if `features` is channels-last.
    """
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])  # (H*W, C)


def mean_square(tensor: Tensor) -> Tensor:
    """Mean of the squared values, in at least float32.  tensor: (..., H, W).  Returns ()."""
    parts = torch.split(tensor, max(1, VALUES_AT_ONCE // tensor[..., 0, :].numel()), dim=-2)
    return torch.stack([wide(part).square().sum() for part in parts]).sum() / tensor.numel()
