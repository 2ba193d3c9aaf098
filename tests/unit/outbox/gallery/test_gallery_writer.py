"""The gallery's process: the real one, on a small outbox."""

import os
import signal
from pathlib import Path

import pytest

from daemon.outbox.gallery import places, writer
from daemon.outbox.gallery.writer import GalleryError, GalleryPlace, GalleryWriter
from tests.support.shown import publish_result


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    folder = tmp_path / "outbox"
    folder.mkdir()
    return folder


def test_process_writes_shrinks_and_shows(outbox: Path, tmp_path: Path) -> None:
    path = publish_result(outbox, 1)
    hands = GalleryWriter(GalleryPlace(outbox, tmp_path / "handed", "UTC"))
    found = hands.reconcile()
    assert (found.pictures, found.added, found.unseen) == (1, 1, [path])
    assert hands.shrink(path)
    assert hands.reconcile().unseen == []
    hands.close()
    page = (outbox / places.picture_page(f"{1:032x}")).read_text()
    assert "data-compare" in page


def test_process_gives_way_only_where_it_is_to(outbox: Path, tmp_path: Path) -> None:
    for niceness in (0, 3):
        hands = GalleryWriter(GalleryPlace(outbox, tmp_path / "handed", "UTC"), niceness=niceness)
        hands.reconcile()
        assert hands._child is not None
        asked = os.getpriority(os.PRIO_PROCESS, hands._child.pid)
        assert asked - os.getpriority(os.PRIO_PROCESS, 0) == niceness
        hands.close()


def test_process_that_hangs_or_dies_is_told_and_another_is_started(
    outbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = GalleryWriter(GalleryPlace(outbox, tmp_path / "handed", "UTC"))
    assert hands.reconcile().pictures == 0
    assert hands._child is not None
    os.kill(hands._child.pid, signal.SIGSTOP)
    monkeypatch.setattr(writer, "PIECE_S", 0.1)
    with pytest.raises(GalleryError, match="was ended by SIGKILL after it got no further") as told:
        hands.add(publish_result(outbox, 1))
    assert told.value.lost
    monkeypatch.undo()
    assert hands.reconcile().pictures == 1
    hands.close()


def test_outbox_that_cannot_be_written_is_told_with_the_file(outbox: Path, tmp_path: Path) -> None:
    (outbox / places.INDEX).write_text("somebody's")
    hands = GalleryWriter(GalleryPlace(outbox, tmp_path / "handed", "UTC"))
    with pytest.raises(GalleryError, match=r"index\.html is not the gallery's") as told:
        hands.reconcile()
    assert not told.value.lost
    hands.close()
