"""What is printed, on terminals of any width and where there is none."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from daemon.engine.recipe import Recipe
from daemon.errors import Fault, SurroundingsError
from daemon.settings.config import Config
from daemon.settings.presets import Preset, Shelf
from daemon.settings.sources import StyleSource
from daemon.status import show
from daemon.status.live import RunningJob
from daemon.status.report import Finding, gather

Capture = pytest.CaptureFixture[str]
EVIL = "[red]\x1b[2J\udcff[/nothing]"


@pytest.fixture
def report(tmp_path: Path) -> dict[str, Any]:
    """A report that has something of everything, under names that mean harm."""
    running = {"id": EVIL, "picture": "a.jpg", "preset": EVIL, "device": EVIL, "total": None}
    recent = {
        "id": "0123456789",
        "state": "failed",
        "finished_at": None,
        "seconds": None,
        "output": None,
        "reason": "[bold]no picture",
    }
    return gather(Config().model_copy(update={"state": tmp_path})) | {
        "service": {"running": True, "pid": 7, "started_at": "", "devices": ["[cpu]"]},
        "paused_since": "[/red]",
        "health": {"[part]": "[/trouble]"},
        "left_to_others": ["[gpu]"],
        "running": [running],
        "recent": [recent],
    }


def stop_after(times: int) -> Callable[[float], None]:
    """A sleep that Ctrl-C ends."""
    left = iter(range(times - 1))

    def sleep(_: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return sleep


def test_watching_without_a_terminal_prints_the_report_again_and_again(
    report: dict[str, Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show.time, "sleep", stop_after(3))
    with pytest.raises(KeyboardInterrupt):
        show.watch_status(lambda: report, as_json=False)
    assert capsys.readouterr().out.count("service  running, pid 7") == 3


def test_watching_as_json_prints_an_object_each_time(
    report: dict[str, Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show.time, "sleep", stop_after(2))
    with pytest.raises(KeyboardInterrupt):
        show.watch_status(lambda: report, as_json=True)
    first, second = capsys.readouterr().out.replace("}\n{", "}\n\0{").split("\0")
    assert json.loads(first) == json.loads(second)


@pytest.mark.parametrize("as_json", [False, True])
def test_watching_goes_on_when_the_state_folder_is_away_for_a_while(
    report: dict[str, Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    looks = iter([SurroundingsError("state: Permission denied"), report])

    def look() -> dict[str, Any]:
        match next(looks):
            case SurroundingsError() as error:
                raise error
            case dict() as there:
                return there
        raise AssertionError

    monkeypatch.setattr(show.time, "sleep", stop_after(2))
    with pytest.raises(KeyboardInterrupt):
        show.watch_status(look, as_json=as_json)
    told = capsys.readouterr().out
    there = '"pid": 7' if as_json else "running, pid 7"
    assert told.index("state: Permission denied") < told.index(there)


@pytest.mark.parametrize("columns", ["1", "20", "200"])
def test_report_fits_any_width_and_names_change_nothing(
    report: dict[str, Any], columns: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    show.print_status(report)
    show.print_findings([Finding(EVIL, False, "[/]")])
    show.print_presets(Shelf(Path("[x]"), {}, {"[red]": ()}))
    told = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert max(map(len, told.splitlines())) <= max(int(columns), 20)
    if columns == "200":
        assert "trouble  [part]: [/trouble]" in told


def test_json_is_readable_by_every_program_whatever_it_holds(capsys: Capture) -> None:
    data = {"a\udcff": ["\udcff", float("nan"), float("inf"), 1.5, None], "é": (True, {"x": 1})}
    show.print_json(data)
    told = capsys.readouterr().out
    assert json.loads(told) == {
        "a\\udcff": ["\\udcff", None, None, 1.5, None],
        "é": [True, {"x": 1}],
    }


def test_empty_presets_folder_is_told_with_what_to_put_there(capsys: Capture) -> None:
    show.print_presets(Shelf(Path("/srv/presets"), {}, {}))
    assert capsys.readouterr().out == (
        "no presets in /srv/presets: put a preset's YAML or a style image there\n"
    )


WARNING = "preset it is faulty since yesterday: its last good version is used"
SHELF = Shelf(
    Path("presets"),
    {},
    {"it": (Fault("it.yaml", 3, "beta", "is wrong"),)},
    {"it": Preset("it", Path("it.yaml"), Recipe(), (), WARNING)},
)


def test_faulty_preset_is_shown_with_what_is_used_in_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = show.shelf_report(SHELF)
    assert report["faulty"] == {"it": ["it.yaml:3: beta: is wrong"]}
    assert report["last_good_used"] == {"it": WARNING}
    show.print_presets(SHELF)
    shown = capsys.readouterr().out
    assert "it.yaml:3: beta: is wrong" in shown and WARNING in shown


def shown(report: dict[str, Any]) -> list[str]:
    """The report as text, each line with its gaps made one space."""
    return [" ".join(line.split()) for line in show.status_text(report).splitlines()]


def test_running_job_is_shown_with_its_step_pass_and_time_left(report: dict[str, Any]) -> None:
    job = RunningJob("0123456789abcdef", "wave/sea.jpg", "wave", "cuda:1", 2, 3, 40, 300)
    lines = shown(report | {"running": [asdict(replace(job, eta_s=200.0))]})
    assert "job picture preset device pass step loss ETA" in lines
    assert "01234567 wave/sea.jpg wave cuda:1 2/3 40/300 starting 3 min 20 s" in lines


def test_running_cell_of_a_sweep_is_shown_with_its_label(report: dict[str, Any]) -> None:
    job = RunningJob("0123456789abcdef", "wave/sea.jpg", "wave", "cpu", label="beta 20")
    lines = shown(report | {"running": [asdict(job)]})
    assert any("wave/sea.jpg (beta 20) wave cpu" in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"state": "done", "output": "wave/sea.jpg"}, "done 12 wave/sea.jpg"),
        ({"state": "failed", "reason": "torn"}, "failed 12 torn"),
        ({"state": "failed", "reason": "torn", "label": "beta 5"}, "failed 12 beta 5: torn"),
        ({"state": "cancelled", "reason": "on request", "seconds": None}, "cancelled - on request"),
    ],
)
def test_job_that_ended_is_shown_with_where_its_result_is_or_why_there_is_none(
    report: dict[str, Any], changes: dict[str, Any], line: str
) -> None:
    ended = {
        "id": "0123456789abcdef",
        "finished_at": "2026-11-01T10:00:00.000Z",
        "seconds": 12.3,
        "output": None,
        "reason": None,
    }
    assert f"01234567 2026-11-01T10:00:00 {line}" in shown(report | {"recent": [ended | changes]})


EMPTY_QUEUE = {
    "waiting": 0,
    "seconds": None,
    "open": True,
    "changes_at": None,
    "window_fits": None,
    "done_at": None,
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"waiting": 3}, "bulk 3 waiting"),
        ({"waiting": 3, "seconds": 61.0}, "bulk 3 waiting, about 1 min 01 s"),
        (
            {"open": False, "changes_at": "2026-11-06T22:00:00+01:00"},
            "bulk 0 waiting, opens Fri 06 Nov 22:00",
        ),
        (
            {
                "waiting": 2,
                "changes_at": "2026-11-07T06:00:00+01:00",
                "window_fits": False,
                "done_at": "2026-11-08T01:30:00+01:00",
            },
            "bulk 2 waiting, open until Sat 07 Nov 06:00, the window is not long enough, "
            "done about Sun 08 Nov 01:30",
        ),
        (
            {"waiting": 2, "window_fits": True},
            "bulk 2 waiting, the window is long enough",
        ),
    ],
)
def test_queue_is_foretold_in_a_line(
    report: dict[str, Any], changes: dict[str, Any], line: str
) -> None:
    assert line in shown(report | {"queues": {"bulk": EMPTY_QUEUE | changes}})


def test_queue_that_is_open_and_empty_is_not_worth_a_line(report: dict[str, Any]) -> None:
    lines = shown(report | {"queues": {"ordinary": EMPTY_QUEUE}})
    assert not [line for line in lines if line.startswith("ordinary")]


def test_jobs_are_counted_by_state_and_none_is_called_empty(report: dict[str, Any]) -> None:
    assert "queue empty" in shown(report)
    assert "queue 2 ready, 1 done" in shown(report | {"jobs": {"ready": 2, "failed": 0, "done": 1}})


def test_what_waits_in_the_inbox_is_told_and_how_much_more(report: dict[str, Any]) -> None:
    wait = {"path": "wave/sea.jpg", "why": "grows", "since": "10:00", "mend": True}
    lines = shown(report | {"waits": [wait], "waits_more": 7, "others": ["5 claimed by another"]})
    assert lines.index("waits wave/sea.jpg grows (since 10:00)") + 1 == lines.index(
        "waits and 7 more"
    )
    assert "others 5 claimed by another" in lines


def test_pause_and_device_left_to_others_are_told(report: dict[str, Any]) -> None:
    lines = shown(report | {"paused_since": "10:00", "left_to_others": ["cuda:1"]})
    assert "paused since 10:00; atelierd resume" in lines
    assert "left cuda:1 to another program that needs it" in lines


def test_service_that_does_not_run_is_said_not_to(report: dict[str, Any]) -> None:
    service = {"running": False, "pid": None, "started_at": None, "devices": []}
    assert "service not running" in shown(report | {"service": service})


def test_findings_are_marked_as_well_or_to_mend(capsys: Capture) -> None:
    show.print_findings([Finding("disk", True, "enough"), Finding("weights", False, "fetch them")])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == ["ok disk enough", "mend weights fetch them"]


def test_good_preset_is_shown_with_what_it_paints_with(capsys: Capture) -> None:
    recipe = Recipe(size=640, steps=123, beta=7.5, style_layers={"relu1_1": 1.0, "relu2_1": 2.0})
    wave = Preset(
        "wave", Path("wave.yaml"), recipe, (StyleSource(Path("great/wave.jpg"), 1.0, "wave.jpg"),)
    )
    show.print_presets(Shelf(Path("presets"), {"wave": wave}, {}))
    line = " ".join(capsys.readouterr().out.splitlines()[-1].split())
    assert line.startswith("wave wave.jpg 640 123 steps 7.5 ") and line.endswith("relu1_1 relu2_1")
    told = show.shelf_report(Shelf(Path("presets"), {"wave": wave}, {}))["good"]["wave"]
    assert told["styles"] == [{"image": "wave.jpg", "weight": 1.0}]
    assert told["recipe"]["steps"] == 123
