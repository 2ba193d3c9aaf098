"""Tensors that lie aside."""

import errno
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from daemon.engine.fit import memory
from daemon.engine.fit.scratch import Scratch, Vector

CPU = torch.device("cpu")


def resident() -> int:
    return memory.held_bytes(CPU)


def test_tensor_in_a_file_is_like_any_other(tmp_path: Path) -> None:
    scratch = Scratch(CPU, aside=tmp_path)
    tensor = scratch.empty(2, 3, 5)
    assert tensor.shape == (2, 3, 5) and tensor.dtype == torch.float32
    values = torch.rand(2, 3, 5)
    tensor.copy_(values)
    scratch.release()
    assert torch.equal(tensor, values)


def test_file_takes_disk_and_not_memory(tmp_path: Path) -> None:
    before = resident()
    scratch = Scratch(CPU, aside=tmp_path)
    tensor = scratch.empty(16, 1 << 20)  # 64 MB
    tensor.fill_(1.0)
    assert resident() - before > 60_000_000
    scratch.release()
    assert resident() - before < 30_000_000
    assert tensor.sum().item() == tensor.numel()


def test_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as told:
        Scratch(CPU, aside=tmp_path).empty(10)
    assert told.value.filename == str(tmp_path)


def test_bands_cover_a_vector_without_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.engine.fit.scratch.BAND", 4)
    assert list(Scratch(CPU).bands(10)) == [slice(0, 4), slice(4, 8), slice(8, 10)]


def vector_of(scratch: Scratch, values: Tensor) -> Vector:
    """A vector where the scratch has its own, holding these values."""
    return scratch.vector(*values.shape).copy(Vector(values, scratch))


@pytest.fixture(params=["in memory", "in a file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    return Scratch(CPU, aside=tmp_path if request.param == "in a file" else None)


def test_vectors_compute_as_tensors_do_a_band_at_a_time(
    place: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.engine.fit.scratch.BAND", 4)
    rows, one, two = torch.rand(3, 10), torch.rand(10), torch.rand(10)
    factors = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    matrix, first, second = (vector_of(place, values) for values in (rows, one, two))
    products = (rows @ torch.stack([one, two], 1)).T.double()
    # Sums of ten float32 products in another order: equal to a few roundings.
    torch.testing.assert_close(matrix.dot(first, second), products, rtol=1e-6, atol=0)
    torch.testing.assert_close(first.dot(second)[0], one.dot(two).double(), rtol=1e-6, atol=0)
    first.scale(factors[1]).add(second).add_rows(matrix, factors)
    torch.testing.assert_close(first.values, -2.0 * one + two + rows.T @ factors.float())
    torch.testing.assert_close(second.subtract_from(matrix[1]).values, rows[1] - two)
    assert torch.equal(matrix.values, rows)


def test_what_is_done_to_a_row_is_done_to_the_vectors_it_is_one_of(place: Scratch) -> None:
    rows = torch.rand(3, 10)
    matrix = vector_of(place, rows)
    matrix[1].apply(Tensor.zero_)
    matrix[:2].scale(torch.tensor(2.0))
    assert torch.equal(matrix.values, torch.stack([2 * rows[0], torch.zeros(10), rows[2]]))


def test_vectors_of_different_sizes_are_never_mixed(place: Scratch) -> None:
    with pytest.raises(RuntimeError, match=r"\[10, 11\]"):
        place.vector(10).copy(place.vector(11))
