"""Tensors that lie aside."""

import errno
import os
from pathlib import Path

import pytest
import torch

from daemon.engine.fit import memory
from daemon.engine.fit.scratch import Scratch

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
