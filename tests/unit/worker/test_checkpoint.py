"""Checkpoints on disk."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.errors import CheckpointError
from daemon.engine.fit import memory
from daemon.worker.checkpoint import read_checkpoint, write_checkpoint

TENSORS = {
    "picture": torch.rand(1, 3, 4, 5),
    "rows": torch.rand(6, 7)[:2],
    "none": torch.rand(0, 9),
    "number": torch.tensor(2.5, dtype=torch.float64),
    "turned": torch.rand(3, 2).T,
}
FACTS = {"plan": {"tile_px": None}, "course": {"falling": [0.1, float("inf")]}}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "job" / "checkpoint.safetensors"


def test_checkpoint_comes_back_as_it_was(place: Path) -> None:
    write_checkpoint(place, Checkpoint(TENSORS, FACTS))
    found = read_checkpoint(place)
    assert found is not None and found.facts == FACTS
    assert found.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_file_is_one_that_the_formats_own_library_reads(place: Path) -> None:
    write_checkpoint(place, Checkpoint(TENSORS, FACTS))
    assert torch.equal(load_file(place)["picture"], TENSORS["picture"])


def test_large_tensors_are_let_go_of_one_by_one(place: Path) -> None:
    released: list[None] = []
    write_checkpoint(place, Checkpoint(TENSORS, FACTS, lambda: released.append(None)))
    assert len(released) == len(TENSORS)
    found = read_checkpoint(place)
    assert found is not None
    with pytest.raises(KeyError):
        found.tensors["nothing"]


def test_reading_a_checkpoint_takes_no_more_memory_than_its_largest_tensor(place: Path) -> None:
    cpu = torch.device("cpu")
    large = {f"move.{number}": torch.full((8_000_000,), float(number)) for number in range(4)}
    write_checkpoint(place, Checkpoint(large, FACTS))
    del large
    memory.give_back()
    before = memory.held_bytes(cpu)
    found = read_checkpoint(place)
    assert found is not None
    for number in range(4):
        assert found.tensors[f"move.{number}"].mean() == number
        assert memory.held_bytes(cpu) - before < 50_000_000  # each is 32 MB


@pytest.mark.parametrize("lost", [False, True])
def test_checkpoint_that_is_spoilt_after_it_was_opened_is_told(place: Path, lost: bool) -> None:
    write_checkpoint(place, Checkpoint(TENSORS, FACTS))
    found = read_checkpoint(place)
    assert found is not None
    place.unlink() if lost else place.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="is damaged"):
        found.tensors["picture"]


def test_where_there_is_none_there_is_none(place: Path) -> None:
    assert read_checkpoint(place) is None


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_damaged_checkpoint_is_told(place: Path, kept: int) -> None:
    write_checkpoint(place, Checkpoint(TENSORS, FACTS))
    place.write_bytes(place.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(place)


def test_file_of_somebody_else_is_told(place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(b"not a checkpoint at all")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(place)


def test_later_checkpoint_takes_the_place_of_the_earlier(place: Path) -> None:
    for number in (1, 2):
        write_checkpoint(place, Checkpoint(TENSORS, {"number": number}))
    found = read_checkpoint(place)
    assert found is not None and found.facts == {"number": 2}
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_leftover_that_cannot_be_removed_keeps_no_checkpoint_from_being_read(place: Path) -> None:
    write_checkpoint(place, Checkpoint(TENSORS, FACTS))
    (place.parent / ".atelierd-somebodys.tmp").mkdir()  # a folder cannot be unlinked
    found = read_checkpoint(place)
    assert found is not None and found.facts == FACTS


def test_folder_in_the_place_of_a_checkpoint_is_damage(place: Path) -> None:
    place.mkdir(parents=True)
    with pytest.raises(CheckpointError):
        read_checkpoint(place)
