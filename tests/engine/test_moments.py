"""Moments of styles are computed once, whatever process asks for them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from daemon.engine.losses import moments, style
from daemon.engine.losses.moments import MomentStore, StyleMoments
from daemon.engine.losses.term import Moments
from daemon.engine.recipe import Recipe

KEY = {"style": "starry", "size": [64, 48]}


class Computing:
    """Counts how often it is asked."""

    def __init__(self, seed: int = 0, channels: int = 8) -> None:
        self.calls = 0
        one, other = torch.rand(2, channels, channels, generator=torch.manual_seed(seed))
        self._moments = {
            "relu1_1": Moments(one.clone()),
            "relu2_1": Moments(other.clone(), other[0].clone()),
        }

    def __call__(self) -> StyleMoments:
        self.calls += 1
        return self._moments


def test_same_key_is_computed_once(tmp_path: Path) -> None:
    store, compute = MomentStore(tmp_path), Computing()
    assert store.get(KEY, compute) is store.get(KEY, compute)
    assert compute.calls == 1


def test_next_process_reads_the_same_values(tmp_path: Path) -> None:
    expected = MomentStore(tmp_path).get(KEY, Computing())
    compute = Computing(seed=1)
    found = MomentStore(tmp_path).get(KEY, compute)
    assert found.keys() == expected.keys()
    assert torch.equal(found["relu1_1"].products, expected["relu1_1"].products)
    assert found["relu1_1"].channels is None
    assert torch.equal(found["relu2_1"].channels, expected["relu2_1"].channels)
    assert compute.calls == 0


def test_any_other_key_is_computed_anew(tmp_path: Path) -> None:
    store, compute = MomentStore(tmp_path), Computing()
    for size in ([64, 48], [64, 49], [48, 64]):
        store.get(KEY | {"size": size}, compute)
    assert compute.calls == 3


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{"])
def test_damaged_file_is_computed_anew_and_mended(tmp_path: Path, content: bytes) -> None:
    MomentStore(tmp_path).get(KEY, Computing())
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    for calls in (1, 0):
        compute = Computing()
        MomentStore(tmp_path).get(KEY, compute)
        assert compute.calls == calls


def test_folder_that_cannot_be_made_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    compute = Computing()
    assert "relu1_1" in MomentStore(tmp_path / "file").get(KEY, compute)
    assert (tmp_path / "file").read_text() == ""


def test_folder_is_held_to_its_size_and_the_memory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments, "KEPT_ON_DISK_BYTES", 1000)
    monkeypatch.setattr(moments, "KEPT_IN_MEMORY", 2)
    store, compute = MomentStore(tmp_path), Computing()
    for number in range(6):
        store.get({"style": number}, compute)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1000
    store.get({"style": 5}, compute)
    assert compute.calls == 6
    store.get({"style": 0}, compute)
    assert compute.calls == 7


@pytest.mark.parametrize(
    "kept",
    [torch.full((8, 8), torch.nan), torch.rand(8), torch.rand(8, 4)],
    ids=["not finite", "not a matrix", "not square"],
)
def test_what_cannot_be_moments_is_computed_anew(tmp_path: Path, kept: Tensor) -> None:
    MomentStore(tmp_path).get(KEY, lambda: {"relu1_1": Moments(kept)})
    compute = Computing()
    MomentStore(tmp_path).get(KEY, compute)
    assert compute.calls == 1


def test_folder_in_the_place_of_what_was_kept_costs_no_more_than_computing(tmp_path: Path) -> None:
    MomentStore(tmp_path).get(KEY, Computing())
    (file,) = tmp_path.glob("*.safetensors")
    file.unlink()
    file.mkdir()
    compute = Computing()
    assert set(MomentStore(tmp_path).get(KEY, compute)) == {"relu1_1", "relu2_1"}
    assert compute.calls == 1


def test_moments_kept_for_one_statistic_are_not_taken_for_another_that_needs_more() -> None:
    gram = Recipe(statistics="gram")
    before = style.moments_key(gram)
    assert before == style.moments_key(gram.model_copy(update={"beta": 3.0, "style_scale": 2.0}))
    assert style.moments_key(Recipe(statistics="gaussian")) != before
