"""VGG-19 by layer name, compared with torchvision's own modules."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from daemon.engine.vgg.kernels import Kernels
from daemon.engine.vgg.layers import LAYERS, OPERATIONS
from daemon.engine.vgg.network import Network, fold_replicated_border

DEPTH_IN_TORCHVISION = {
    "conv1_1": 0,
    "relu1_1": 1,
    "conv1_2": 2,
    "relu2_1": 6,
    "relu3_1": 11,
    "relu4_1": 20,
    "conv4_2": 21,
    "relu4_2": 22,
    "relu5_1": 29,
    "conv5_4": 34,
    "relu5_4": 35,
}
"""Indices into `vgg19().features` that the literature's code uses for these names."""


class ConvolutionCount(TorchDispatchMode):
    """Counts the convolutions computed while it is active."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten.convolution.default
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def torchvision_features() -> nn.Sequential:
    """Torchvision's modules, their weights without memory."""
    from torchvision.models import vgg19  # takes as long to load as torch

    with torch.device("meta"):
        return vgg19(weights=None).features


@pytest.fixture
def reference(torchvision_features: nn.Sequential, kernels: Kernels) -> Iterator[nn.Sequential]:
    """Torchvision's modules with the classic weights, and our padding of the first layer."""
    for name, module in zip([one.name for one in OPERATIONS], torchvision_features, strict=True):
        if isinstance(module, nn.Conv2d):
            module.weight = nn.Parameter(kernels.kernels[name], requires_grad=False)
            module.bias = nn.Parameter(kernels.biases[name], requires_grad=False)
        elif isinstance(module, nn.ReLU):
            module.inplace = False
    torchvision_features[0].padding_mode = "replicate"
    yield torchvision_features
    torchvision_features[0].padding_mode = "zeros"


def test_layers_are_named_in_the_order_of_torchvisions_modules(
    torchvision_features: nn.Sequential,
) -> None:
    names = [one.name for one in OPERATIONS]
    assert [name for name in names if not name.startswith("pool")] == list(LAYERS)
    assert {name: names.index(name) for name in DEPTH_IN_TORCHVISION} == DEPTH_IN_TORCHVISION
    kinds = {nn.Conv2d: "conv", nn.ReLU: "relu", nn.MaxPool2d: "pool"}
    assert [kinds[type(module)] for module in torchvision_features] == [name[:4] for name in names]


def test_every_layer_equals_torchvisions_forward_pass(
    network: Network, reference: nn.Sequential, pixels
) -> None:
    picture = pixels(48, 33)
    found = dict(network.features(picture, LAYERS, "max"))
    assert list(found) == list(LAYERS)
    values = picture
    for name, module in zip([one.name for one in OPERATIONS], reference, strict=True):
        values = module(values)
        if name in found:
            # The same float32 convolutions in another memory layout: rounding of sums of up
            # to 4608 terms, relative to the layer's largest value.
            atol = 1e-5 * values.abs().max().item()
            torch.testing.assert_close(found[name], values, rtol=1e-4, atol=atol)


def test_padding_of_the_first_layer_changes_the_border_only(
    network: Network, kernels: Kernels, pixels
) -> None:
    picture = pixels(20, 20)
    ((_, ours),) = network.features(picture, ["conv1_1"], "max")
    zero_padded = F.conv2d(
        picture, kernels.kernels["conv1_1"], kernels.biases["conv1_1"], padding=1
    )
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(ours[inner], zero_padded[inner], rtol=1e-4, atol=1e-3)
    assert (ours - zero_padded).abs().max() > 1.0


def test_flat_picture_has_no_border(network: Network) -> None:
    ((_, layer),) = network.features(torch.full((1, 3, 16, 16), 0.5), ["conv1_1"], "max")
    spread = layer.amax(dim=(2, 3)) - layer.amin(dim=(2, 3))
    # Float32 sums of 27 products near 100: 1e-3 is rounding, a zero border would be off by 100.
    assert spread.max() < 1e-3


def test_average_pooling_is_twice_the_mean_of_four(
    network: Network, kernels: Kernels, pixels
) -> None:
    found = dict(network.features(pixels(32, 32), ["relu1_2", "conv2_1"], "average"))
    pooled = 2.0 * found["relu1_2"].unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-2, -1))
    expected = F.conv2d(pooled, kernels.kernels["conv2_1"], kernels.biases["conv2_1"], padding=1)
    # Float32 sums of 576 products: rounding, relative to the layer's largest value.
    atol = 1e-5 * expected.abs().max().item()
    torch.testing.assert_close(found["conv2_1"], expected, rtol=1e-4, atol=atol)


@pytest.mark.parametrize(
    ("layers", "convolutions"),
    [(["conv1_1"], 1), (["relu2_1"], 3), (["relu2_1", "relu1_1"], 3), (["conv5_4"], 16)],
)
def test_nothing_is_computed_below_the_deepest_layer(
    network: Network, pixels, layers: list[str], convolutions: int
) -> None:
    with ConvolutionCount() as counted:
        list(network.features(pixels(16, 16), layers, "max"))
    assert counted.count == convolutions


def test_features_are_computed_only_as_far_as_asked(network: Network, pixels) -> None:
    found = network.features(pixels(16, 16), ["relu1_1", "relu5_4"], "max")
    with ConvolutionCount() as counted:
        assert next(found)[0] == "relu1_1"
    assert counted.count == 1


def test_layer_before_its_relu_keeps_its_negative_values(network: Network, pixels) -> None:
    found = dict(network.features(pixels(32, 32), ["conv3_2", "relu3_2"], "max"))
    assert found["conv3_2"].min() < 0
    torch.testing.assert_close(found["relu3_2"], found["conv3_2"].clamp(min=0), rtol=0, atol=0)


def test_forward_pass_leaves_the_picture_as_it_is(network64: Network, pixels) -> None:
    picture = pixels(16, 16, dtype=torch.float64)
    before = picture.clone()
    list(network64.features(picture, ["relu1_1"], "max"))
    assert torch.equal(picture, before)


def test_pull_back_without_any_loss_is_refused(network: Network, pixels) -> None:
    trace = network.trace(pixels(16, 16), ["relu1_1"], "max", lambda layer, features: None)
    with pytest.raises(ValueError, match="no injection"):
        network.pull_back(trace, {})


@pytest.mark.parametrize("size", [(4, 5), (1, 3), (2, 1)])
def test_folding_the_border_is_the_gradient_of_replicate_padding(size: tuple[int, int]) -> None:
    picture = torch.rand(1, 3, *size, dtype=torch.float64, requires_grad=True)
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    pull: Tensor = torch.rand_like(padded)
    (expected,) = torch.autograd.grad(padded, picture, pull)
    torch.testing.assert_close(fold_replicated_border(pull), expected)
