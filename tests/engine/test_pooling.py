"""Blurred pooling against torch's own operations, and what it is for."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.vgg import pooling
from daemon.engine.vgg.network import Network


def by_torch(features: Tensor) -> Tensor:
    """Zhang's MaxBlurPool with what torch has: autograd can differentiate it."""
    triangle = torch.tensor([1.0, 2.0, 1.0], dtype=features.dtype) / 4
    kernel = (triangle[:, None] * triangle).expand(features.shape[1], 1, 3, 3)
    maxima = F.max_pool2d(features, 2, stride=1, padding=1)
    return F.conv2d(maxima, kernel, stride=2, groups=features.shape[1])


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    values = torch.randn(shape, generator=torch.manual_seed(0), dtype=torch.float64)
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("band_values", [1, 700, 1 << 20])
@pytest.mark.parametrize("size", [(2, 2), (3, 2), (8, 8), (17, 12), (36, 51)])
def test_pooling_and_gradient_equal_torchs_whatever_the_bands(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], band_values: int
) -> None:
    monkeypatch.setitem(pooling.BAND_VALUES, "cpu", band_values)
    features = random(1, 5, *size).requires_grad_()
    expected = by_torch(features)
    gradient = torch.randn_like(expected)
    (pulled,) = torch.autograd.grad(expected, features, gradient)
    known = features.detach()
    # float64: the same sums in another order.
    torch.testing.assert_close(pooling.blurred_max_pool(known), expected.detach())
    torch.testing.assert_close(pooling.pull_back_blurred_max_pool(known, gradient), pulled)


def test_gradient_of_equal_neighbours_is_shared_out_once() -> None:
    flat = torch.full((1, 2, 6, 6), 0.5).contiguous(memory_format=torch.channels_last)
    gradient = torch.ones(1, 2, 3, 3).contiguous(memory_format=torch.channels_last)
    assert pooling.pull_back_blurred_max_pool(flat, gradient).sum() == gradient.sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pooling_keeps_numbers_and_memory_order(dtype: torch.dtype) -> None:
    features = random(1, 4, 8, 6, dtype=dtype)
    pooled = pooling.blurred_max_pool(features)
    pulled = pooling.pull_back_blurred_max_pool(features, pooled)
    for made in (pooled, pulled):
        assert made.dtype == dtype
        assert made.is_contiguous(memory_format=torch.channels_last)
    # Three roundings to the 8 bits of bfloat16.
    torch.testing.assert_close(pooled.double(), by_torch(features.double()), rtol=0.02, atol=0.02)


def test_stripes_of_single_pixels_are_halved_to_grey_wherever_they_begin() -> None:
    stripes = torch.tensor([0.0, 0.0, 1.0]).repeat(8).expand(1, 1, 24, 24)
    either, moved = (
        pooling.blurred_max_pool(one)[0, 0, 3:-3, 3:-3] for one in (stripes, stripes.roll(1, 3))
    )
    plain = F.max_pool2d(stripes, 2)[0, 0, 3:-3, 3:-3]
    assert either.std() < 0.5 * plain.std() and moved.std() < 0.5 * plain.std()


def test_activations_are_as_large_as_max_poolings(network: Network, pixels) -> None:
    """So that alpha, beta and the layers' weights mean the same."""
    layers = ("relu2_1", "relu3_1", "relu4_2", "relu5_1")
    plain, blurred = (
        {name: layer.mean().item() for name, layer in network.features(pixels(96, 96), layers, way)}
        for way in ("max", "blurred")
    )
    for layer in layers:
        assert 0.8 < blurred[layer] / plain[layer] < 1.2, layer
