"""What a trial has kept, read without torch."""

from pathlib import Path

import pytest

from daemon.engine.vgg.timings import kept_trials, timings_file


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"a": 3}',
        '{"x, 2 threads, y": {"a": "b"}}',
        '{"x, 2 threads, y": {"seconds": {"a": 0}, "others": 0}}',
        '{"x, 2 threads, y": {"seconds": [1], "others": 0}}',
        '{"x, 2 threads, y": {"seconds": {"a": 1}, "others": "none"}}',
    ],
)
def test_timings_that_are_none_are_left_out(tmp_path: Path, content: str) -> None:
    timings_file(tmp_path).write_text(content)
    assert kept_trials(tmp_path) == {}
