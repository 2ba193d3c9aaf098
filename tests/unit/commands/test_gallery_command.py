"""`atelierd gallery --rebuild`, with its real process."""

from pathlib import Path

import pytest

from daemon.commands.gallery import rebuild_gallery
from daemon.errors import SurroundingsError
from daemon.outbox.gallery import places
from daemon.settings.config import Config
from tests.support.shown import publish_result


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folders = {name: tmp_path / name for name in ("inbox", "outbox", "presets", "state")}
    return Config().model_copy(update=folders)


def test_rebuild_shows_everything_and_names_what_cannot_be_shown(config: Config) -> None:
    config.outbox.mkdir()
    publish_result(config.outbox, 1, "good.jpg")
    broken = publish_result(config.outbox, 2, "broken.jpg")
    (config.outbox / "starry" / "broken.jpg").write_bytes(b"no picture any more")
    counted: list[tuple[int, int]] = []
    done = rebuild_gallery(config, lambda *count: counted.append(count))
    assert (done.pictures, done.made, done.unshown) == (2, 1, (broken,))
    assert counted == [(1, 2), (2, 2)]
    shown = (config.outbox / places.INDEX).read_text()
    assert "good.jpg" in shown and "no small version yet" in shown
    again = rebuild_gallery(config)
    assert (again.pictures, again.made) == (2, 0)


def test_rebuild_of_an_outbox_that_is_away_makes_none(config: Config) -> None:
    with pytest.raises(SurroundingsError, match="unavailable"):
        rebuild_gallery(config)
    assert not config.outbox.exists()
