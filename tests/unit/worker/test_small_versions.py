"""The small versions that a worker keeps for who looks at its pictures."""

from pathlib import Path

import numpy as np
import pytest

from daemon.messages import Blob, Event, LogLine, RunOrder
from daemon.pictures.picture import Picture
from daemon.pictures.small import LONGEST_PX, PAINTING, PHOTOGRAPH
from daemon.worker.result import keep_small

DARK, LIGHT = (np.full((30, 40, 3), level, np.uint8) for level in (0, 255))


def order(small: Path | None) -> RunOrder:
    nowhere = Path("nowhere")
    return RunOrder(
        "photo.jpg", Blob("", nowhere), 1, {}, (), nowhere, None, None, None, {}, small=small
    )


def keep(small: Path | None, name: str, pixels: object = DARK) -> list[Event]:
    told: list[Event] = []
    keep_small(order(small), name, pixels, Picture(pixels), told.append)  # type: ignore[arg-type]
    return told


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", [PHOTOGRAPH, PAINTING])
def test_versions_for_screen_and_list_are_kept(tmp_path: Path, name: str) -> None:
    assert keep(tmp_path / "small", name) == []
    assert contents(tmp_path / "small").keys() == {name + ending for ending in LONGEST_PX}


def test_run_that_goes_on_makes_the_photographs_once(tmp_path: Path) -> None:
    keep(tmp_path, PHOTOGRAPH)
    before = contents(tmp_path)
    keep(tmp_path, PHOTOGRAPH, LIGHT)
    assert contents(tmp_path) == before


def test_run_that_is_asked_for_none_keeps_none() -> None:
    assert keep(None, PAINTING) == []


def test_version_that_cannot_be_kept_is_told_and_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "small").write_text("a file in its place")
    (line,) = keep(tmp_path / "small", PAINTING)
    assert isinstance(line, LogLine) and line.level == "WARNING"
    assert line.text.startswith("no small version of the painting")
