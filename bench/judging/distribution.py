"""E, the distance of feature distributions: has the picture the style's features, as often?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

LAYERS = ("relu1_2", "relu2_2", "relu3_4", "relu4_4")
"""In no loss by default, so that no recipe is judged by what it was optimised for."""

LEAST = 1e-6
"""Distances below this are rounding."""


@dataclass(frozen=True, eq=False)
class FeatureGaussian:
    """Mean (C,) and covariance (C, C) of a layer's features over all positions, float64."""

    mean: Tensor
    covariance: Tensor

    @cached_property
    def root(self) -> Tensor:
        """The symmetric square root of the covariance, (C, C)."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return (vectors * values.clamp(min=0.0).sqrt()) @ vectors.T


def gaussian_of(features: Tensor) -> FeatureGaussian:
    """The Gaussian of one layer's features, (C, H, W)."""
    values = features.flatten(1).double()  # (C, H*W)
    mean = values.mean(1)
    values = values - mean[:, None]
    return FeatureGaussian(mean, values @ values.T / values.shape[1])


def squared_distance(one: FeatureGaussian, target: FeatureGaussian) -> float:
    """Squared Wasserstein-2 distance of two Gaussians by the target's total variance.

    0 if they are equal, about 1 for a flat picture with the target's mean. Singular covariances
    need no care: nothing is inverted. Source: Dowson & Landau 1982; Heusel et al. 2017 (FID).
    """
    shift = (one.mean - target.mean).square().sum()
    product = target.root @ one.covariance @ target.root
    common = torch.linalg.eigvalsh(product).clamp(min=0.0).sqrt().sum()
    spread = one.covariance.trace() + target.covariance.trace() - 2.0 * common
    size = target.covariance.trace() + LEAST * (1.0 + target.mean.square().sum())
    return float(((shift + spread) / size).clamp(min=0.0))


def distance(one: Mapping[str, FeatureGaussian], target: Mapping[str, FeatureGaussian]) -> float:
    """The geometric mean of the layers' distances: each counts by its ratio, none by its size.

    Differs from Yeh et al. 2019 (arXiv 1910.09447), who take the Kullback-Leibler divergence in the
    leading components: it ranked pictures alike here, and needs a ridge where positions are few.
    """
    squares = [max(squared_distance(one[layer], target[layer]), LEAST) for layer in LAYERS]
    return float(torch.tensor(squares, dtype=torch.float64).log().mean().exp())
