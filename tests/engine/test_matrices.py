"""Products of matrices are what they are, whichever library makes them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from daemon.engine.losses import matrices
from daemon.engine.losses.matrices import LEAST_SIDE, is_onednn_faster, multiply
from daemon.engine.vgg import processors

SIDE = LEAST_SIDE + 5


def random(rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.manual_seed(rows))


@pytest.mark.parametrize(
    "pair",
    [
        (random(SIDE, SIDE), random(SIDE, SIDE)),
        (random(2 * SIDE, SIDE).T, random(2 * SIDE, 3 * SIDE)[:, SIDE : 2 * SIDE]),
        (random(3 * SIDE, SIDE)[::3], random(SIDE, 2 * SIDE)),
        (random(3, SIDE), random(SIDE, SIDE)),
        (random(SIDE, SIDE).double(), random(SIDE, SIDE).double()),
    ],
)
@pytest.mark.parametrize("faster", [True, False])
def test_product_is_that_of_the_matrices_however_they_lie(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[Tensor, Tensor], faster: bool
) -> None:
    if faster and not hasattr(matrices.MKLDNN, matrices.PRODUCT):
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(matrices, "is_onednn_faster", lambda: faster)
    left, right = pair
    exact = left.double() @ right.double()
    found = multiply(left, right)
    assert found.dtype is left.dtype
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("vendor", "capability", "faster"),
    [
        ("AuthenticAMD", "AVX512", True),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
    ],
)
def test_onednn_is_for_processors_that_mkl_does_not_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vendor: str, capability: str, faster: bool
) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: EPYC: 9\n")
    monkeypatch.setattr(processors, "CPUINFO", told)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(matrices, "PRODUCT", "matmul")  # this build's may lack the other
    monkeypatch.setattr(matrices, "MKLDNN", torch)
    assert is_onednn_faster.__wrapped__() is faster
    assert processors.processor_name().startswith("EPYC: 9 ")
    told.unlink()
    assert is_onednn_faster.__wrapped__() is False
    assert processors.processor_name()
