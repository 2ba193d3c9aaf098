"""Folders that may lie on a share which does not answer."""

import threading
from pathlib import Path

import pytest

from daemon.host.bounded import NoAnswerError, resolved, within


def test_what_does_not_answer_is_not_waited_for() -> None:
    answer = threading.Event()
    with pytest.raises(NoAnswerError):
        within(0.02, lambda: answer.wait(60.0) and None)
    answer.set()


def test_what_went_wrong_is_raised_where_it_was_asked_for() -> None:
    with pytest.raises(ZeroDivisionError):
        within(60.0, lambda: [1 // 0].clear())


def test_folder_that_does_not_answer_is_taken_as_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert resolved(tmp_path / "link", 60.0) == tmp_path / "folder"
    answer = threading.Event()
    monkeypatch.setattr(Path, "resolve", lambda _: answer.wait(60.0))
    assert resolved(tmp_path / "link", 0.02) == tmp_path / "link"
    answer.set()
