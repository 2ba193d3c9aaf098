"""Checkpoints that are cut down to travel."""

import json
import math
import os
import struct
from pathlib import Path

import pytest
import torch

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.errors import CheckpointError
from daemon.fleet import light
from daemon.fleet.light import cut_light
from daemon.host import tensorfile
from daemon.worker.checkpoint import read_checkpoint, write_checkpoint

TENSORS = {
    "turn": torch.rand(6, 7, dtype=torch.float64),
    "picture": torch.rand(1, 3, 40, 50),
    "move.0": torch.rand(6000),
    "best": torch.rand(1, 3, 40, 50),
    "none": torch.rand(0, 9),
    "loss": torch.tensor(2.5),
}
FACTS = {"plan": {"tile_px": None}, "course": {"falling": [0.1, math.inf]}, "warnings": ["größe"]}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, Checkpoint(TENSORS, FACTS))
    return path


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    return tmp_path / "light.safetensors"


def test_picture_best_picture_loss_and_facts_stay_and_say_that_it_is_light(
    checkpoint: Path, cut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light, "PIECE_BYTES", 1000)
    cut_light(checkpoint, cut)
    found = read_checkpoint(cut)
    assert found is not None and found.facts == {**FACTS, "light": True}
    assert found.tensors.keys() == {"picture", "best", "loss"}
    for name, tensor in found.tensors.items():
        assert torch.equal(tensor, TENSORS[name]) and tensor.dtype == TENSORS[name].dtype


def test_light_checkpoint_can_be_cut_again_and_takes_the_place_of_an_earlier_one(
    checkpoint: Path, cut: Path
) -> None:
    cut.write_bytes(b"an earlier one")
    cut_light(checkpoint, cut)
    content = cut.read_bytes()
    cut_light(cut, cut)
    assert cut.read_bytes() == content
    assert {path.name for path in cut.parent.iterdir()} == {checkpoint.name, cut.name}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        b"\xff" * 100,
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 9) + b'{"a": 1}',
        tensorfile.encode_header({}),
        tensorfile.encode_header({"__metadata__": {"atelierd": "{}"}}),
        tensorfile.encode_header(
            {name: {"data_offsets": [0]} for name in light.KEPT}
            | {"__metadata__": {"atelierd": "{}"}}
        ),
    ],
)
def test_what_is_no_checkpoint_is_told_and_leaves_what_was_there(
    content: bytes, checkpoint: Path, cut: Path
) -> None:
    cut.write_bytes(b"an earlier one")
    checkpoint.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors is no checkpoint"):
        cut_light(checkpoint, cut)
    assert cut.read_bytes() == b"an earlier one"


def test_checkpoint_that_ends_too_early_is_told(checkpoint: Path, cut: Path) -> None:
    os.truncate(checkpoint, checkpoint.stat().st_size - 10)
    with pytest.raises(CheckpointError, match="ends too early"):
        cut_light(checkpoint, cut)
    assert [path.name for path in cut.parent.iterdir()] == [checkpoint.name]


def test_header_is_the_formats_own(checkpoint: Path) -> None:
    with checkpoint.open("rb") as file:
        header = tensorfile.read_header(file)
        assert file.tell() % tensorfile.ALIGNMENT == 0
    assert json.loads(header["__metadata__"]["atelierd"]) == FACTS
    assert header["loss"]["dtype"] == "F32" and header["loss"]["shape"] == []
