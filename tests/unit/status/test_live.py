"""The live file, and the time that is left."""

import json
from pathlib import Path

import pytest

from daemon.engine.schedule import Pass
from daemon.messages import Progress, known
from daemon.status.live import (
    Live,
    RunningJob,
    follow,
    loss_text,
    read_live,
    write_live,
)

PASSES = (Pass(10, 10, 4), Pass(20, 10, 3), Pass(40, 20, 2))
LOSSES = {"content": 1.0, "style": 0.1, "edges": 0.25}


@pytest.mark.parametrize(
    ("number", "step", "step_s", "left_s"),
    [
        (1, 1, 1.0, 3 * 1.0 + 3 * 2.0 + 2 * 8.0),  # 2 and 8 times the pixels
        (1, 4, 1.0, 3 * 2.0 + 2 * 8.0),
        (2, 1, 3.0, 2 * 3.0 + 2 * 12.0),
        (3, 2, 9.0, 0.0),
    ],
)
def test_time_left_grows_with_steps_and_pixels(
    number: int, step: int, step_s: float, left_s: float
) -> None:
    assert Progress(number, PASSES, step, 3.0, LOSSES, step_s).left_s == pytest.approx(left_s)


def test_running_job_counts_its_steps_over_all_passes() -> None:
    job = RunningJob("j1", "photo.jpg", "starry", "cpu")
    follow(job, Progress(2, PASSES, 1, 3.0, LOSSES, 3.0))
    assert (job.pass_number, job.passes, job.step, job.steps) == (2, 3, 5, 9)
    assert (job.total, job.losses, job.step_s) == (3.0, LOSSES, 3.0)
    assert job.eta_s == pytest.approx(30.0)


def test_live_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    live = Live(42, "2024-05-01T10:00:00Z", devices=["cpu"], health={"outbox": "full"})
    live.running.append(RunningJob("j1", "photo.jpg", "starry", "cpu", step=3))
    write_live(tmp_path, live)
    found = read_live(tmp_path)
    assert found is not None
    running = [known(RunningJob, job) for job in found["running"]]
    assert Live(**{**found, "running": running}) == live


def test_losses_stand_beside_the_total_whatever_they_are_called(tmp_path: Path) -> None:
    job = RunningJob("j1", "photo.jpg", "starry", "cpu", total=3.0, losses=LOSSES)
    write_live(tmp_path, Live(42, "then", running=[job]))
    found = read_live(tmp_path)
    assert found is not None
    (row,) = found["running"]
    assert row["total"] == 3.0 and {name: row[name] for name in LOSSES} == LOSSES
    assert loss_text(known(RunningJob, row)) == "loss 3 (content 1, style 0.1, edges 0.25)"


def test_losses_are_null_before_the_first_step(tmp_path: Path) -> None:
    write_live(tmp_path, Live(42, "then", running=[RunningJob("j1", "photo.jpg", "starry", "cpu")]))
    written = json.loads((tmp_path / "live.json").read_text())
    for found in (written, read_live(tmp_path)):
        (row,) = found["running"]
        assert [row[name] for name in ("total", "content", "style")] == [None, None, None]


def test_live_file_is_replaced_whole_and_alone(tmp_path: Path) -> None:
    for pid in (1, 2):
        write_live(tmp_path, Live(pid, ""))
    assert [path.name for path in tmp_path.iterdir()] == ["live.json"]
    assert json.loads((tmp_path / "live.json").read_text())["pid"] == 2


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{half",
        "[]",
        "7",
        "{}",
        '{"pid": "x", "started_at": 1}',
        '{"pid": 1, "started_at": "", "running": [{"id": 5}]}',
        "\x00",
    ],
)
def test_live_file_that_is_missing_or_damaged_says_nothing(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "live.json").write_text(content)
    assert read_live(tmp_path) is None


def test_live_file_of_a_newer_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    row = {"id": "j1", "picture": "a", "preset": "b", "device": "cpu", "mood": "good"}
    content = {"pid": 1, "started_at": "then", "weather": "fine", "running": [row]}
    (tmp_path / "live.json").write_text(json.dumps(content))
    found = read_live(tmp_path)
    assert found is not None and found["pid"] == 1
    assert known(RunningJob, found["running"][0]) == RunningJob("j1", "a", "b", "cpu")
