"""Products of matrices in float32 by the library that knows the processor best."""

from functools import cache

import torch
from torch import Tensor

from daemon.engine.vgg.processors import processor_fact

LEAST_SIDE = 128
"""Measured: for smaller matrices getting ready takes longer than is gained."""

MKLDNN = torch.ops.mkldnn
PRODUCT = "_linear_pointwise"


@cache
def is_onednn_faster() -> bool:
    """Whether oneDNN takes less time than MKL, to which torch gives products in float32.

    Measured with AVX-512 of AMD's, which MKL does not use: half of the time. Other processors are
    left to MKL.
    """
    return (
        processor_fact("vendor_id") == "AuthenticAMD"
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(MKLDNN, PRODUCT)
    )


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """The product of two matrices, (m, k) and (k, n), of one dtype and device."""
    is_for_onednn = (
        left.dtype is torch.float32
        and left.device.type == "cpu"
        and min(*left.shape, right.shape[1]) >= LEAST_SIDE
        and is_onednn_faster()
    )
    if not is_for_onednn:
        return left @ right
    # Laid out otherwise, such as a part of a matrix, they may take thousands of times as long.
    given = left.contiguous(), right.contiguous().t()
    found: Tensor = getattr(MKLDNN, PRODUCT)(*given, None, "none", [], "")
    return found
