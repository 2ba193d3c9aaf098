"""The losses, one small thing per idea, each as a value and the gradient it adds.

Everything here is computed in float32 (or float64 where the features are), whatever the dtype
of the features: Gram matrices overflow float16, and L-BFGS needs exact differences.
"""

import torch
from torch import Tensor

ROWS_AT_ONCE = 1 << 17
"""Positions turned into float32 at a time."""

VALUES_AT_ONCE = 1 << 24
"""Values squared at a time."""


def as_rows(features: Tensor) -> Tensor:
    """The features as a matrix, one row a position.

    features: (1, C, H, W).  Returns (H*W, C); a view if `features` is channels-last.
    """
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])  # (H*W, C)


def wide(tensor: Tensor) -> Tensor:
    """The tensor in at least float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix of one layer's features: which of them occur together, wherever they are.

    features: (1, C, H, W).  Returns (C, C) float32, divided by H*W.
    Source: Gatys 2016 eq. 3; differs: divided by H*W, so that it does not grow with the picture.
    """
    return add_products(None, features) / (features.shape[2] * features.shape[3])


def add_products(products: Tensor | None, features: Tensor) -> Tensor:
    """Adds the channels' products at all positions to `products`, in place; None starts a sum.

    features: (1, C, H, W).  Returns (C, C) float32: a Gram matrix not yet divided.
    """
    channels = features.shape[1]
    if products is None:
        dtype = torch.promote_types(features.dtype, torch.float32)
        products = torch.zeros(channels, channels, device=features.device, dtype=dtype)
    # Not all at once: a float32 copy of all of a shallow layer is large.
    for part in torch.split(as_rows(features), ROWS_AT_ONCE):
        part = wide(part)
        products.addmm_(part.T, part)
    return products


def mean_square(tensor: Tensor) -> Tensor:
    """Mean of the squared values, in at least float32.  tensor: (..., H, W).  Returns ()."""
    parts = torch.split(tensor, max(1, VALUES_AT_ONCE // tensor[..., 0, :].numel()), dim=-2)
    return torch.stack([wide(part).square().sum() for part in parts]).sum() / tensor.numel()


def squared_difference(features: Tensor, target: Tensor) -> Tensor:
    """Sum of the squared differences of feature maps.  Both (1, C, H, W).  Returns ()."""
    return (wide(features) - target).square_().sum()


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of feature maps.

    features, target: (1, C, H, W).  Returns ().
    Source: Gatys 2016 eq. 1; differs: a mean where the paper has half a sum.
    """
    return squared_difference(features, target) / features.numel()


def add_content_gradient(
    features: Tensor, gradient: Tensor, target: Tensor, coefficient: float, positions: int
) -> None:
    """Adds the gradient of `coefficient * content_loss` to `gradient`, in place.

    features, gradient, target: (1, C, H, W), of a layer or a part of it.  positions: of the whole
    layer.  Source: Gatys 2016 eq. 2, before any ReLU mask.
    """
    difference = wide(features) - target
    gradient.add_(difference, alpha=2.0 * coefficient / (features.shape[1] * positions))


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of Gram matrices.

    gram, target: (C, C).  Returns ().
    Source: Gatys 2016 eq. 4; differs: without the constant 1/4.
    """
    return mean_square(gram - target)


def add_style_gradient(
    features: Tensor,
    gradient: Tensor,
    gram_difference: Tensor,
    coefficient: float,
    positions: int,
) -> None:
    """Adds the gradient of `coefficient * style_loss` to `gradient`, in place.

    features, gradient: (1, C, H, W), channels-last, of a layer or a part of it.  positions: of the
    whole layer.  gram_difference: (C, C), the Gram matrix less its target.
    Source: Gatys 2016 eq. 6, before any ReLU mask.
    """
    channels = features.shape[1]
    pull = gram_difference * (4.0 * coefficient / (channels**2 * positions))  # (C, C)
    pull = pull.to(features.dtype)
    running = gradient.permute(0, 2, 3, 1)  # (1, H, W, C)
    if running.is_contiguous():
        running.view(-1, channels).addmm_(as_rows(features), pull)
    else:  # a part of the layer
        running.add_((as_rows(features) @ pull).view(running.shape))


def total_variation(picture: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, down and across.

    picture: (B, C, H, W).  Returns ().  Source: Mahendran & Vedaldi 2015 eq. 4 with beta = 2;
    differs: a mean, so that the weight means the same for every size.
    """
    total = picture.new_zeros(())
    for channel in picture.unbind(1):  # one by one: a difference takes as much as its channel
        for dim in (1, 2):
            total += channel.diff(dim=dim).square_().sum()
    return total / picture.numel()


def add_total_variation_gradient(picture: Tensor, gradient: Tensor, coefficient: float) -> None:
    """Adds the gradient of `coefficient * total_variation` to `gradient`, in place.

    picture, gradient: (B, C, H, W).
    """
    factor = 2.0 * coefficient / picture.numel()
    for channel, slope in zip(picture.unbind(1), gradient.unbind(1), strict=True):
        down, across = channel.diff(dim=1), channel.diff(dim=2)
        slope[:, 1:].add_(down, alpha=factor)
        slope[:, :-1].sub_(down, alpha=factor)
        slope[:, :, 1:].add_(across, alpha=factor)
        slope[:, :, :-1].sub_(across, alpha=factor)
