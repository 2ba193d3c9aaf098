"""What is kept of presets over a restart."""

from pathlib import Path

import pytest

from daemon.job import ProfileRef, StyleRef
from daemon.settings.last_good import LAST_GOOD_FILE, LastGood, read_last_good, write_last_good

PRESETS = {
    "p": LastGood("p.yaml", {"steps": 7, "size": "original"}, (StyleRef("p.png", "ab", 0.5),)),
    "r": LastGood("r.yaml", {}, (), profiles=(ProfileRef("press.icc", "9c"),)),
    "q": LastGood("q.yml", {}, (), "2026-01-01T00:00:00+00:00", "q.yml:1: is wrong"),
}


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    assert read_last_good(tmp_path, Path("/presets")) == {}
    write_last_good(tmp_path, Path("/presets"), PRESETS)
    assert read_last_good(tmp_path, Path("/presets")) == PRESETS
    assert read_last_good(tmp_path, Path("/others")) == {}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"folder": "/presets"}',
        '{"folder": "/presets", "presets": []}',
        '{"folder": "/presets", "presets": {"p": {"file": "p.yaml"}}}',
        '{"folder": "/presets", "presets": {"p": {"styles": [1], "recipe": {}, "file": "x"}}}',
    ],
)
def test_damaged_file_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / LAST_GOOD_FILE).write_text(content)
    assert read_last_good(tmp_path, Path("/presets")) == {}


def test_file_of_an_earlier_version_names_no_profiles(tmp_path: Path) -> None:
    (tmp_path / LAST_GOOD_FILE).write_text(
        '{"folder": "/presets", "presets": {"p": {"file": "p.yaml", "recipe": {}, "styles": []}}}'
    )
    assert read_last_good(tmp_path, Path("/presets")) == {"p": LastGood("p.yaml", {}, ())}
