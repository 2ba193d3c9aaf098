"""VGG-19 by layer name, forwards and backwards.

The backward pass is written out instead of recorded by autograd: the weights are fixed, so
only the gradient of the features is wanted, and a loss can add its gradient straight into the
running one, where autograd would build separate tensors and sum them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.vgg import winograd
from daemon.engine.vgg.kernels import Kernels
from daemon.engine.vgg.layers import (
    OPERATIONS,
    Pooling,
    deepest,
    down_to_deepest,
    is_kept,
    is_needed,
)
from daemon.engine.vgg.pooling import blurred_max_pool, pull_back_blurred_max_pool

Injection = Callable[[Tensor, Tensor], None]
"""Adds one loss's gradient in place: (features, running gradient), both (B, C, H, W)."""

Reader = Callable[[str, Tensor], None]
"""Looks at a layer's features, (B, C, H, W), while they are there."""

LEAST_WINOGRAD_POSITIONS = 192
"""Measured: with fewer positions the direct convolution is faster."""

AVERAGE_POOL_GAIN = 2.0
"""Average pooling shrinks the activations that max pooling keeps; this restores their scale."""

BLURRED_POOL_GAIN = 1.1
"""Likewise. Measured on photographs and paintings: activations down to relu3_1 are within 5 % of
max pooling's, relu5_1's within 15 %; without it those are 0.6 times as large."""


class Filter:
    """A 3x3 convolution with padding 1 and stride 1, done the way that is fastest here.

    kernel: (out, in, 3, 3), in the network's dtype.  bias: (out,) or None.  winograd: as the
    network's; small pictures are never convolved by that method.  Each way's form of the kernel is
    made when it is first needed: those of Winograd's take four times the memory.
    """

    def __init__(
        self,
        kernel: Tensor,
        bias: Tensor | None,
        winograd: Collection[int],
        *,
        adjoint: bool = False,
    ) -> None:
        self._source = kernel
        self._adjoint = adjoint
        self._bias = bias
        self._winograd = min(kernel.shape[:2]) in winograd

    def apply(self, features: Tensor) -> Tensor:
        """features: (B, in, H, W), channels-last.  Returns (B, out, H, W)."""
        if not self._winograd or features[0, 0].numel() < LEAST_WINOGRAD_POSITIONS:
            return F.conv2d(features, self._direct, self._bias, padding=1)
        return winograd.convolve(features, self._transformed, self._bias)

    @property
    def coming_bytes(self) -> int:
        """What the kernel's form for large pictures will take once it is made."""
        if "_transformed" in self.__dict__ or ("_direct" in self.__dict__ and not self._winograd):
            return 0
        per_product = winograd.PRODUCTS if self._winograd else 9
        return self._source.numel() // 9 * per_product * self._source.element_size()

    @cached_property
    def _direct(self) -> Tensor:
        return self._kernel().contiguous(memory_format=torch.channels_last)

    @cached_property
    def _transformed(self) -> Tensor:
        return winograd.transform_kernel(self._kernel())

    def _kernel(self) -> Tensor:
        """The kernel; for the adjoint transposed and flipped, (in, out, 3, 3)."""
        return self._source.flip(2, 3).transpose(0, 1) if self._adjoint else self._source


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
class Pool2x2:
    """Halves height and width; an odd last row or column is dropped."""

    name: str


Op = FirstConvolution | Convolution | Relu | Pool2x2


@dataclass
class Trace:
    """What a forward pass leaves for one backward pass, which uses it up.

    outputs: what each operation gave, (B, C, H, W) channels-last in the network's dtype, or None
    where the backward pass does not need it, or can have it again from the picture for little.
    """

    picture: Tensor
    pooling: Pooling
    outputs: list[Tensor | None]


def fold_replicated_border(padded: Tensor) -> Tensor:
    """Gradient of a picture from that of the picture padded by one replicated pixel.

    padded: (B, C, H+2, W+2).  Returns (B, C, H, W).
    """
    padded[:, :, 1] += padded[:, :, 0]
    padded[:, :, -2] += padded[:, :, -1]
    padded[:, :, :, 1] += padded[:, :, :, 0]
    padded[:, :, :, -2] += padded[:, :, :, -1]
    return padded[:, :, 1:-1, 1:-1].contiguous()


class Network:
    """VGG-19 on one device in one dtype. Does not change after it is made.

    winograd: numbers of channels; layers where the fewer of those they read and write are so many
    are convolved by that method.  The pooling is chosen call by call, so that one network serves
    every recipe.
    """

    def __init__(
        self,
        kernels: Kernels,
        device: torch.device,
        dtype: torch.dtype,
        winograd: Collection[int] = (),
    ) -> None:
        self.device = device
        self.dtype = dtype
        self._ops = [make_op(layer.name, kernels, device, dtype, winograd) for layer in OPERATIONS]

    def coming_bytes(self, layers: Collection[str]) -> int:
        """What kernels not yet made will take when `layers` of a large picture are asked for."""
        names = down_to_deepest(layers)
        used = [op for op in self._ops if isinstance(op, Convolution) and op.name in names]
        return sum(op.filter.coming_bytes + op.adjoint.coming_bytes for op in used)

    def features(
        self, picture: Tensor, layers: Collection[str], pooling: Pooling
    ) -> Iterator[tuple[str, Tensor]]:
        """Yields each layer of `layers`, shallow to deep, and stops after the deepest.

        picture: (B, 3, H, W) RGB in 0..1.  A yielded tensor is the network's own: read it
        before asking for the next.
        """
        for op, output in self._walk(picture, layers, pooling):
            if op.name in layers:
                yield op.name, output

    def trace(
        self, picture: Tensor, layers: Collection[str], pooling: Pooling, read: Reader
    ) -> Trace:
        """A forward pass to the deepest of `layers` that can be pulled back.

        picture: (B, 3, H, W) RGB in 0..1, both sides at least 16 px.  read: called with each of
        `layers` and its features as soon as they are there; a layer may be gone later.
        """
        trace = Trace(picture, pooling, [])
        for op, output in self._walk(picture, layers, pooling):
            if op.name in layers:
                read(op.name, output)
            trace.outputs.append(output if is_kept(op.name, layers) else None)
        return trace

    def pull_back(self, trace: Trace, injections: Mapping[str, Injection]) -> Tensor:
        """Gradient of the picture, given what each loss adds at its layer. Uses `trace` up.

        Returns (B, 3, H, W) float32, or float64 if the network is.
        """
        gradient: Tensor | None = None
        while trace.outputs:
            op = self._ops[len(trace.outputs) - 1]
            output = trace.outputs.pop()
            if output is None and is_needed(op.name, injections):
                output = self._again(trace.picture, len(trace.outputs))
            if op.name in injections:
                assert output is not None
                gradient = torch.zeros_like(output) if gradient is None else gradient
                injections[op.name](output, gradient)
            if gradient is not None:
                before = trace.outputs[-1] if trace.outputs else None
                gradient = pull_back_op(op, before, output, gradient, trace.pooling)
        if gradient is None:
            raise ValueError("no injection names a layer of the trace")
        return gradient.to(torch.promote_types(self.dtype, torch.float32))

    def _walk(
        self, picture: Tensor, layers: Collection[str], pooling: Pooling
    ) -> Iterator[tuple[Op, Tensor]]:
        """Each operation and its output, down to the deepest of `layers`."""
        last = deepest(layers)
        x = self._entered(picture)
        before = ""
        for op in self._ops:
            x = run_op(op, x, pooling, in_place=before not in layers)
            yield op, x
            if op.name == last:
                return
            before = op.name

    def _again(self, picture: Tensor, position: int) -> Tensor:
        """The output of one of the first operations once more."""
        x = self._entered(picture)
        for op in self._ops[: position + 1]:
            x = run_op(op, x, "max", in_place=True)
        return x

    def _entered(self, picture: Tensor) -> Tensor:
        return picture.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)


def make_op(
    name: str,
    kernels: Kernels,
    device: torch.device,
    dtype: torch.dtype,
    winograd: Collection[int],
) -> Op:
    """The operation called `name`, its weights placed."""
    if name.startswith("relu"):
        return Relu(name)
    if name.startswith("pool"):
        return Pool2x2(name)
    kernel = kernels.kernels[name].to(device, dtype)
    bias = kernels.biases[name].to(device, dtype)
    if name == "conv1_1":
        return FirstConvolution(name, kernel, kernel.flip(2, 3).transpose(0, 1), bias)
    adjoint = Filter(kernel, None, winograd, adjoint=True)
    return Convolution(name, Filter(kernel, bias, winograd), adjoint)


def run_op(op: Op, x: Tensor, pooling: Pooling, *, in_place: bool) -> Tensor:
    """One operation's output; `in_place` lets a rectification overwrite its input."""
    match op:
        case FirstConvolution():
            return op.apply(x)
        case Convolution():
            return op.filter.apply(x)
        case Relu():
            return F.relu_(x) if in_place else F.relu(x)
        case Pool2x2() if pooling == "average":
            return F.avg_pool2d(x, 2) * AVERAGE_POOL_GAIN
        case Pool2x2() if pooling == "blurred":
            return blurred_max_pool(x).mul_(BLURRED_POOL_GAIN)
        case Pool2x2():
            return F.max_pool2d(x, 2)


def pull_back_op(
    op: Op, before: Tensor | None, output: Tensor | None, gradient: Tensor, pooling: Pooling
) -> Tensor:
    """Gradient of one operation's input from that of its output; may overwrite `gradient`.

    before: its input, which pooling needs.  output: which rectification needs.
    The aten calls are the ones autograd itself makes for these operations.
    """
    aten = torch.ops.aten
    match op:
        case FirstConvolution():
            return op.pull_back(gradient)
        case Convolution():
            return op.adjoint.apply(gradient)
        case Relu():
            assert output is not None
            result = aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
        case Pool2x2() if pooling == "average":
            gradient = gradient.mul_(AVERAGE_POOL_GAIN)
            result = aten.avg_pool2d_backward(
                gradient, before, [2, 2], [], [0, 0], False, True, None
            )
        case Pool2x2() if pooling == "blurred":
            assert before is not None
            result = pull_back_blurred_max_pool(before, gradient.mul_(BLURRED_POOL_GAIN))
        case Pool2x2():
            assert before is not None
            # Sought again: kept from the forward pass they would take as much as the maps.
            _, indices = F.max_pool2d(before, 2, return_indices=True)
            result = aten.max_pool2d_with_indices_backward(
                gradient, before, [2, 2], [2, 2], [0, 0], [1, 1], False, indices
            )
    assert isinstance(result, Tensor)
    return result
