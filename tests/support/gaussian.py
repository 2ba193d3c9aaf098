"""The Wasserstein-2 distance of Gaussians, written plainly by eigenvalues."""

import torch
from torch import Tensor

from daemon.engine.losses.term import Moments

FLOOR = 1e-3
LEFT_TO_THE_REST = 0.03


def moments_of(rows: Tensor) -> Moments:
    """Moments of features, (N, C)."""
    return Moments(rows.T @ rows / len(rows), rows.mean(0))


def plain_distance(
    found: Moments, target: Moments, *, all_together: bool = False, floor: float = FLOOR
) -> Tensor:
    """Squared distance per channel, float64; of covariances as a whole, or as the engine does."""
    assert found.channels is not None and target.channels is not None
    channels = len(found.channels)
    traces = found.products.trace() + target.products.trace()
    least = floor * traces / (2 * channels) * torch.eye(channels, dtype=torch.float64)
    covariance, goal = (
        one.products - torch.outer(one.channels, one.channels) + least for one in (found, target)
    )
    variances, axes = torch.linalg.eigh((goal - least).detach())
    order = variances.argsort(descending=True)
    explained = variances[order].clamp_min(0).cumsum(0)
    enough = int((explained < (1 - LEFT_TO_THE_REST) * explained[-1]).sum()) + 1
    leading = channels if all_together else max(1, min(enough, channels // 2))
    axes = axes[:, order]
    covariance, goal = axes.T @ covariance @ axes, axes.T @ goal @ axes
    root = goal[:leading, :leading].diagonal().sqrt()
    inner = root[:, None] * covariance[:leading, :leading] * root
    fidelity = torch.linalg.eigvalsh(inner).sqrt().sum()
    own = floor * target.products.trace() / (2 * channels)
    seen = max(int((variances[order] >= own).sum()), leading)
    fidelity = fidelity + sum(
        (covariance.diagonal()[group].sum() * goal.diagonal()[group].sum()).sqrt()
        for group in [*range(leading, seen), slice(seen, None)]
    )
    spread = covariance.trace() + goal.trace() - 2 * fidelity
    return (spread + (found.channels - target.channels).square().sum()) / channels
