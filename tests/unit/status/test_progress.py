"""Progress as a person sees it: bars on a terminal, plain lines now and then elsewhere."""

import re
from dataclasses import replace

import pytest

from daemon.engine.schedule import Pass
from daemon.messages import Progress
from daemon.status.live import Live, RunningJob
from daemon.status.progress import no_progress, service_progress, single_progress

JOB = RunningJob(
    "0123", "wave/sea.jpg", "wave", "cpu", pass_number=1, passes=1, step=5, steps=20, eta_s=30.0
)


def live(*running: RunningJob) -> Live:
    return Live(1, "2026-11-01T10:00:00.000Z", running=list(running))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows: its only item."""
    shown = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: shown[0])
    return shown


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody looks at standard error, 120 characters wide."""
    monkeypatch.setattr("daemon.status.progress.on_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)


def drawn(text: str) -> str:
    """What a terminal was sent, without its colours and moves."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_line_of_progress_is_said_once_in_ten_seconds_for_each_job(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    other = replace(JOB, id="4567", picture="wave/hill.jpg")
    with service_progress(plain=True) as show:
        for after_s in (0.0, 4.0, 9.9, 10.1):
            clock[0] = 1000.0 + after_s
            show(live(JOB, other))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert [line.partition(":")[0] for line in lines] == ["wave/sea.jpg", "wave/hill.jpg"] * 2
    assert lines[0].startswith("wave/sea.jpg: step 5/20, ") and lines[0].endswith("ETA 30 s")


def test_last_step_of_a_job_is_always_said(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with service_progress(plain=True) as show:
        show(live(JOB))
        clock[0] += 1.0
        show(live(replace(JOB, step=20, eta_s=0.0)))
    assert "step 20/20" in capsys.readouterr().err


def test_job_that_has_not_begun_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with service_progress(plain=True) as show:
        show(live(RunningJob("0123", "wave/sea.jpg", "wave", "cpu")))
    assert capsys.readouterr().err == ""


def test_service_that_runs_for_ever_leaves_progress_to_its_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with service_progress(plain=False) as show:
        show(live(JOB))
    assert capsys.readouterr().err == ""


def test_nothing_is_shown_among_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    with no_progress() as show:
        show(live(JOB))
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


def test_terminal_has_a_bar_for_each_job_that_runs_and_none_for_one_that_is_over(
    capsys: pytest.CaptureFixture[str], terminal: None
) -> None:
    other = replace(JOB, id="4567", picture="wave/hill.jpg", step=7)
    with service_progress(plain=False) as show:
        show(live(JOB, other))
    both = drawn(capsys.readouterr().err)
    assert re.search(r"wave/sea.jpg → wave .*5/20 .*ETA 30 s", both)
    assert re.search(r"wave/hill.jpg → wave .*7/20", both)
    with service_progress(plain=False) as show:
        show(live(JOB, other))
        show(live(other))
    last = drawn(capsys.readouterr().err).strip().rpartition("\r")[2]
    assert "wave/hill.jpg" in last and "wave/sea.jpg" not in last


def test_single_picture_has_a_bar_from_the_start(
    capsys: pytest.CaptureFixture[str], terminal: None
) -> None:
    with single_progress("sea.jpg") as show:
        begun = drawn(capsys.readouterr().err)
        show(Progress(1, (Pass(8, 6, 20),), 5, 3.0, {"content": 1.0}, 2.0))
    assert re.search(r"sea.jpg .*0/1 starting ETA unknown", begun)
    last = drawn(capsys.readouterr().err).strip().rpartition("\r")[2]
    assert re.search(r"sea.jpg .*5/20 loss 3 \(content 1\) ETA 30 s", last)


def test_single_picture_is_told_of_in_plain_lines_elsewhere(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with single_progress("sea.jpg") as show:
        for number in (5, 6):
            show(Progress(1, (Pass(8, 6, 20),), number, 3.0, {"content": 1.0}, 2.0))
    said = capsys.readouterr().err
    assert said == "sea.jpg: step 5/20, loss 3 (content 1), ETA 30 s\n"


def test_name_of_a_picture_is_no_markup_of_a_bar(
    capsys: pytest.CaptureFixture[str], terminal: None
) -> None:
    with service_progress(plain=False) as show:
        show(live(replace(JOB, picture="wave/[bold]sea[/bold].jpg")))
    assert "wave/[bold]sea[/bold].jpg" in drawn(capsys.readouterr().err)
