"""VGG-19 by layer name, forwards and backwards.

The backward pass is written out instead of recorded by autograd: the weights are fixed, so
only the gradient of the features is wanted, and a loss can add its gradient straight into the
running one, where autograd would build separate tensors and sum them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import vgg

from daemon.engine import winograd
from daemon.engine.kernels import Kernels
from daemon.engine.recipe import LAYERS

Pooling = Literal["max", "average"]
Injection = Callable[[Tensor, Tensor], None]
"""Adds one loss's gradient in place: (features, running gradient), both (B, C, H, W)."""

LEAST_WINOGRAD_CHANNELS = 64
LEAST_WINOGRAD_POSITIONS = 192
"""Measured: with fewer channels or positions the direct convolution is faster."""

AVERAGE_POOL_GAIN = 2.0
"""Average pooling shrinks the activations that max pooling keeps; this restores their scale."""


class Method(StrEnum):
    """How convolutions are computed."""

    DIRECT = "direct"
    WINOGRAD = "winograd"


class Filter:
    """A 3x3 convolution with padding 1 and stride 1, done the way that is fastest here.

    kernel: (out, in, 3, 3), in the network's dtype.  bias: (out,) or None.
    """

    def __init__(self, kernel: Tensor, bias: Tensor | None, method: Method) -> None:
        self._kernel = kernel.contiguous(memory_format=torch.channels_last)
        self._bias = bias
        self._winograd = method is Method.WINOGRAD and kernel.shape[1] >= LEAST_WINOGRAD_CHANNELS
        self._transformed: Tensor | None = None

    def apply(self, features: Tensor) -> Tensor:
        """features: (B, in, H, W), channels-last.  Returns (B, out, H, W)."""
        if not self._winograd or features[0, 0].numel() < LEAST_WINOGRAD_POSITIONS:
            return F.conv2d(features, self._kernel, self._bias, padding=1)
        if self._transformed is None:
            self._transformed = winograd.transform_kernel(self._kernel)
        return winograd.convolve(features, self._transformed, self._bias)


@dataclass(frozen=True)
class Convolution:
    """A convolution layer and its adjoint.

    With the kernel transposed and flipped, the gradient of the input is an ordinary convolution
    of the output's gradient.
    """

    name: str
    filter: Filter
    adjoint: Filter


@dataclass(frozen=True)
class FirstConvolution:
    """conv1_1, which reads the picture itself.

    Differs from Simonyan & Zisserman: pads by replication, since zeros there paint a grey border.
    kernel: (64, 3, 3, 3).  adjoint: (3, 64, 3, 3).
    """

    name: str
    kernel: Tensor
    adjoint: Tensor
    bias: Tensor

    def apply(self, picture: Tensor) -> Tensor:
        """picture: (B, 3, H, W).  Returns (B, 64, H, W)."""
        padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")  # (B, 3, H+2, W+2)
        return F.conv2d(padded, self.kernel, self.bias)

    def pull_back(self, gradient: Tensor) -> Tensor:
        """gradient: (B, 64, H, W).  Returns (B, 3, H, W)."""
        return fold_replicated_border(F.conv2d(gradient, self.adjoint, padding=2))


@dataclass(frozen=True)
class Relu:
    """Rectification."""

    name: str


@dataclass(frozen=True)
class Pool:
    """Halves height and width; an odd last row or column is dropped."""

    name: str


Op = FirstConvolution | Convolution | Relu | Pool


@dataclass
class Trace:
    """What a forward pass leaves for one backward pass, which uses it up.

    features: the layers asked for, (B, C, H, W) channels-last in the network's dtype.
    kept: per operation, the tensors its backward needs (ReLU: output; max pool: input, indices).
    """

    features: dict[str, Tensor] = field(default_factory=dict)
    kept: list[tuple[Op, tuple[Tensor, ...]]] = field(default_factory=list)


def fold_replicated_border(padded: Tensor) -> Tensor:
    """Gradient of a picture from that of the picture padded by one replicated pixel.

    padded: (B, C, H+2, W+2).  Returns (B, C, H, W).
    """
    padded[:, :, 1] += padded[:, :, 0]
    padded[:, :, -2] += padded[:, :, -1]
    padded[:, :, :, 1] += padded[:, :, :, 0]
    padded[:, :, :, -2] += padded[:, :, :, -1]
    return padded[:, :, 1:-1, 1:-1].contiguous()


def named_modules() -> list[tuple[str, nn.Module]]:
    """Torchvision's VGG-19 feature modules, without memory, by their names in the literature."""
    with torch.device("meta"):
        modules = list(vgg.make_layers(vgg.cfgs["E"]))
    named: list[tuple[str, nn.Module]] = []
    block, index = 1, 1
    for module in modules:
        if isinstance(module, nn.Conv2d):
            named.append((f"conv{block}_{index}", module))
        elif isinstance(module, nn.ReLU):
            named.append((f"relu{block}_{index}", module))
            index += 1
        else:
            named.append((f"pool{block}", module))
            block, index = block + 1, 1
    return named


class Network:
    """VGG-19 on one device in one dtype. Does not change after it is made.

    The pooling is chosen call by call, so that one network
    serves every recipe.
    """

    def __init__(
        self,
        kernels: Kernels,
        device: torch.device,
        dtype: torch.dtype,
        method: Method = Method.DIRECT,
    ) -> None:
        self.device = device
        self.dtype = dtype
        self._ops = [make_op(name, kernels, device, dtype, method) for name, _ in named_modules()]

    def features(
        self, picture: Tensor, layers: Collection[str], pooling: Pooling
    ) -> Iterator[tuple[str, Tensor]]:
        """Yields each layer of `layers`, shallow to deep, and stops after the deepest.

        picture: (B, 3, H, W) RGB in 0..1.  A yielded tensor is the network's own: read it
        before asking for the next.
        """
        yield from self._walk(picture, layers, pooling, None)

    def trace(self, picture: Tensor, layers: Collection[str], pooling: Pooling) -> Trace:
        """A forward pass to the deepest of `layers` that can be pulled back.

        picture: (B, 3, H, W) RGB in 0..1, both sides at least 16 px.
        """
        trace = Trace()
        trace.features = dict(self._walk(picture, layers, pooling, trace))
        return trace

    def pull_back(self, trace: Trace, injections: Mapping[str, Injection]) -> Tensor:
        """Gradient of the picture, given what each loss adds at its layer. Uses `trace` up.

        Returns (B, 3, H, W) float32, or float64 if the network is.
        """
        gradient: Tensor | None = None
        while trace.kept:
            op, kept = trace.kept.pop()
            if op.name in injections:
                features = trace.features.pop(op.name)
                gradient = torch.zeros_like(features) if gradient is None else gradient
                injections[op.name](features, gradient)
            if gradient is not None:
                gradient = pull_back_op(op, kept, gradient)
        if gradient is None:
            raise ValueError("no injection names a layer of the trace")
        return gradient.to(torch.promote_types(self.dtype, torch.float32))

    def _walk(
        self, picture: Tensor, layers: Collection[str], pooling: Pooling, trace: Trace | None
    ) -> Iterator[tuple[str, Tensor]]:
        deepest = max(layers, key=LAYERS.index)
        x = picture.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        before = ""
        for op in self._ops:
            x, kept = run_op(op, x, pooling, in_place=before not in layers)
            if trace is not None:
                trace.kept.append((op, kept))
            if op.name in layers:
                yield op.name, x
            if op.name == deepest:
                return
            before = op.name


def make_op(
    name: str, kernels: Kernels, device: torch.device, dtype: torch.dtype, method: Method
) -> Op:
    """The operation called `name`, its weights placed."""
    if name.startswith("relu"):
        return Relu(name)
    if name.startswith("pool"):
        return Pool(name)
    kernel = kernels.kernels[name].to(device, dtype)
    bias = kernels.biases[name].to(device, dtype)
    adjoint = kernel.flip(2, 3).transpose(0, 1)  # (in, out, 3, 3)
    if name == "conv1_1":
        return FirstConvolution(name, kernel, adjoint, bias)
    return Convolution(name, Filter(kernel, bias, method), Filter(adjoint, None, method))


def run_op(
    op: Op, x: Tensor, pooling: Pooling, *, in_place: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One operation: its output, and what its backward needs."""
    match op:
        case FirstConvolution():
            return op.apply(x), ()
        case Convolution():
            return op.filter.apply(x), ()
        case Relu():
            y = F.relu_(x) if in_place else F.relu(x)
            return y, (y,)
        case Pool() if pooling == "average":
            return F.avg_pool2d(x, 2) * AVERAGE_POOL_GAIN, (x,)
        case Pool():
            y, indices = F.max_pool2d(x, 2, return_indices=True)
            return y, (x, indices)


def pull_back_op(op: Op, kept: tuple[Tensor, ...], gradient: Tensor) -> Tensor:
    """Gradient of one operation's input from that of its output; may overwrite `gradient`.

    The aten calls are the ones autograd itself makes for these operations.
    """
    aten = torch.ops.aten
    match op:
        case FirstConvolution():
            return op.pull_back(gradient)
        case Convolution():
            return op.adjoint.apply(gradient)
        case Relu():
            (y,) = kept
            result = aten.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient)
        case Pool() if len(kept) == 1:
            (x,) = kept
            gradient = gradient.mul_(AVERAGE_POOL_GAIN)
            result = aten.avg_pool2d_backward(gradient, x, [2, 2], [], [0, 0], False, True, None)
        case Pool():
            x, indices = kept
            result = aten.max_pool2d_with_indices_backward(
                gradient, x, [2, 2], [2, 2], [0, 0], [1, 1], False, indices
            )
    assert isinstance(result, Tensor)
    return result
