"""What follows from the timings of a trial, without torch."""

from pathlib import Path

import pytest

from daemon.engine.vgg.timings import Trial, keep_trial, kept_trials, timings_file, waiting

KEY = "Some Processor x86_64, {} threads, torch 2.11.0"
BFLOAT = {"float32 direct": 1.0, "float32 winograd": 0.5, "bfloat16 direct": 0.2}
WINOGRAD = {"float32 direct": 1.0, "float32 winograd": 0.5, "bfloat16 direct": 0.9}
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}


def keep(folder: Path, seconds: dict[str, float], threads: int = 2) -> None:
    keep_trial(folder, KEY.format(threads), Trial(seconds, 0.0))


@pytest.mark.parametrize(
    ("seconds", "precision", "threads", "variables"),
    [
        (BFLOAT, "auto", 2, PASSIVE),
        (BFLOAT, "bfloat16", 2, PASSIVE),
        (BFLOAT, "float32", 2, {}),  # Winograd's many products would wait too long
        (WINOGRAD, "auto", 2, {}),
        (BFLOAT, "auto", 1, {}),  # nobody waits
        (BFLOAT, "auto", 4, {}),  # not tried with so many
    ],
)
def test_threads_sleep_while_they_wait_where_that_costs_little(
    tmp_path: Path,
    seconds: dict[str, float],
    precision: str,
    threads: int,
    variables: dict[str, str],
) -> None:
    keep(tmp_path, seconds)
    assert waiting(tmp_path, precision, threads, {}) == variables


def test_what_the_environment_says_of_waiting_holds(tmp_path: Path) -> None:
    keep(tmp_path, BFLOAT)
    assert waiting(tmp_path, "auto", 2, {"OMP_WAIT_POLICY": "ACTIVE"}) == {}


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
    assert waiting(tmp_path, "auto", 2, {}) == {}
