"""The inbox's folders of the presets, while the service runs."""

import os
from pathlib import Path

import pytest
from loguru import logger

from daemon.intake.preset_folders import PresetFolders
from daemon.job import InboxFolders
from daemon.pictures.form import JobRecipe
from daemon.settings.presets import Preset, Shelf


def shelf(*names: str, waiting: str = "") -> Shelf:
    good = {name: Preset(name, Path(f"{name}.yaml"), JobRecipe(), ()) for name in names}
    return Shelf(Path("presets"), good, {}, waiting={waiting: ""} if waiting else {})


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def folders(inbox: Path) -> PresetFolders:
    return PresetFolders(inbox, InboxFolders(bulk="nights"))


def test_preset_that_appears_gets_its_folders_for_both_queues_and_proofs_and_leaves_them(
    inbox: Path, folders: PresetFolders
) -> None:
    folders.keep_up(shelf("wave"))
    folders.keep_up(shelf("wave", "ink"))
    assert {path.name for path in inbox.iterdir()} == {"wave", "ink", "nights", "proof"}
    for inner in ("nights", "proof"):
        assert {path.name for path in (inbox / inner).iterdir()} == {"wave", "ink"}
    folders.keep_up(shelf("wave"))
    assert (inbox / "ink").is_dir()


def test_folder_that_somebody_removed_stays_away_until_its_preset_comes_anew(
    inbox: Path, folders: PresetFolders
) -> None:
    folders.keep_up(shelf("wave"))
    (inbox / "wave").rmdir()
    folders.keep_up(shelf("wave"))
    folders.keep_up(shelf(waiting="wave"))  # it is just being saved
    folders.keep_up(shelf("wave"))
    assert not (inbox / "wave").exists()
    folders.keep_up(shelf())
    folders.keep_up(shelf("wave"))
    assert (inbox / "wave").is_dir()


def test_folder_that_cannot_be_made_is_told_once_and_made_when_it_can(
    inbox: Path, folders: PresetFolders
) -> None:
    (inbox / "wave").touch()
    told: list[str] = []
    handler = logger.add(told.append, format="{message}")
    for _ in range(3):
        folders.keep_up(shelf("ink", "wave"))
    logger.remove(handler)
    assert told == [f"no folder for the preset wave: {inbox}/wave: {os.strerror(17)}\n"]
    assert (inbox / "ink").is_dir()
    (inbox / "wave").unlink()
    folders.keep_up(shelf("ink", "wave"))
    assert (inbox / "wave").is_dir()
