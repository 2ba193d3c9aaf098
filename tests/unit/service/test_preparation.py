"""Inbox and outbox before anything is done there."""

import threading
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.service import preparation
from daemon.settings.config import Config
from daemon.settings.last_good import LastGood, write_last_good


def test_inbox_and_outbox_are_made_with_the_presets_to_drop_into(config: Config) -> None:
    config.inbox.rmdir()
    config.outbox.rmdir()
    (config.presets / "wave.yaml").write_text("wrong")
    preparation.prepare_folders(config)
    assert config.outbox.is_dir() and list(config.inbox.iterdir()) == []


def test_inbox_shows_the_presets_as_folders(tmp_path: Path) -> None:
    for _ in range(2):
        preparation.make_folders(tmp_path / "inbox", ["starry", "wave"])
    assert sorted(path.name for path in (tmp_path / "inbox").iterdir()) == ["starry", "wave"]


def test_folder_that_cannot_be_made_is_an_error_at_the_start(config: Config) -> None:
    config.outbox.rmdir()
    config.outbox.write_text("no folder")
    with pytest.raises(SurroundingsError, match=r"outbox cannot be made: .*change config.yaml"):
        preparation.prepare_folders(config)


def test_folder_that_does_not_answer_holds_nothing_up(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = threading.Event(), threading.Event()

    def hang(folder: Path, inside: object) -> None:
        if folder == config.outbox:
            asked.set()
            answer.wait(60.0)
        folder.mkdir(exist_ok=True)

    monkeypatch.setattr(preparation, "make_folders", hang)
    monkeypatch.setattr(preparation, "ANSWER_S", 0.05)
    config.inbox.rmdir()
    preparation.prepare_folders(config)
    assert asked.is_set() and config.inbox.is_dir()
    answer.set()


def test_service_starts_while_the_presets_folder_is_away(config: Config) -> None:
    write_last_good(config.state, config.presets, {"wave": LastGood("wave.png", {}, ())})
    config.presets.rmdir()
    preparation.prepare_folders(config)
    assert {path.name for path in config.inbox.iterdir()} == {"all", "bulk", "proof", "wave"}
