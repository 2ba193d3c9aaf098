"""What is printed, on terminals of any width and where there is none."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.engine.recipe import Recipe
from daemon.errors import Fault, SurroundingsError
from daemon.settings.config import Config
from daemon.settings.presets import Preset, Shelf
from daemon.status import show
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
