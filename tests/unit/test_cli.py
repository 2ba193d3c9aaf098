"""What the command answers to the shell, whatever happens in a command."""

import errno
import os
from pathlib import Path

import pytest
from PIL import Image

from daemon import cli
from daemon.errors import (
    AlreadyRunningError,
    BadInputError,
    ConfigError,
    ExitCode,
    Fault,
    StoppedError,
)
from daemon.host.streams import Output
from daemon.settings.config import Config

ENDINGS = {
    ExitCode.JOB_FAILED: BadInputError("no such picture"),
    ExitCode.ALREADY_RUNNING: AlreadyRunningError("pid 7 holds it"),
    ExitCode.CONFIG: ConfigError([Fault("config.yaml", 3, "devices", "must be a list")]),
    ExitCode.INTERRUPTED: StoppedError("stopped; nothing was written"),
}


@pytest.mark.parametrize("code", ENDINGS)
def test_each_ending_has_its_exit_code_and_no_traceback(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(**_: object) -> int:
        raise ENDINGS[code]

    monkeypatch.setitem(cli.COMMANDS, "resume", end)
    assert cli.answer(["resume"]) == code
    told = capsys.readouterr().err
    assert str(ENDINGS[code]) in told
    assert "Traceback" not in told


def test_ctrl_c_ends_with_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(**_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "resume", end)
    assert cli.answer(["resume"]) == ExitCode.INTERRUPTED == 130


@pytest.mark.parametrize("number", [errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO])
def test_error_of_the_system_that_nobody_foresaw_is_a_sentence_with_its_path(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(**_: object) -> int:
        raise OSError(number, os.strerror(number), "/srv/shut")

    monkeypatch.setitem(cli.COMMANDS, "resume", end)
    assert cli.answer(["resume"]) == ExitCode.JOB_FAILED
    told = capsys.readouterr().err
    assert told.startswith(f"atelierd: /srv/shut: {os.strerror(number)}; ")
    assert "Traceback" not in told


def test_message_forges_no_line_whatever_names_it_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.say_error("no picture a\x1b[2J\udcff.jpg\nsecond line")
    assert capsys.readouterr().err == "atelierd: no picture a\\x1b[2J\\udcff.jpg\nsecond line\n"


def test_output_that_is_full_ends_a_command_with_1_and_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "resume", lambda **_: print("painting goes on") or 0)
    with Output(Path("/dev/full").open("wb")) as output:
        monkeypatch.setattr("sys.stdout", output)
        assert cli.answer(["resume"]) == ExitCode.JOB_FAILED
    told = capsys.readouterr().err
    assert told == "atelierd: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (["--config", "a", "resume"], "a"),
        (["resume", "--config", "b"], "b"),
        (["resume", "--config=b"], "b"),
        (["--config", "a", "resume", "--config", "b"], "b"),
        (["resume", "--config", "a", "--config", "b"], "b"),
    ],
)
def test_configuration_may_be_named_before_and_after_the_command(
    monkeypatch: pytest.MonkeyPatch, words: list[str], file: str
) -> None:
    asked = []
    monkeypatch.setitem(cli.COMMANDS, "resume", lambda config: asked.append(config) or 0)
    assert cli.answer(words) == 0
    assert asked == [Path(file)]


def test_configuration_of_an_inner_command_may_stand_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setitem(
        cli.COMMANDS, "weights fetch", lambda config, name: asked.append(config) or 0
    )
    fetch = ["weights", "fetch", "torchvision"]
    for words in (
        ["--config=c", *fetch],
        [*fetch, "--config=c"],
        ["weights", "--config=c", *fetch[1:]],
    ):
        assert cli.answer(words) == 0
    assert asked == [Path("c")] * 3


@pytest.mark.parametrize(
    "words",
    [
        ["cancel", ""],
        ["cancel", "  "],
        ["cancel", "0123", ""],
        ["retry", ""],
        ["--config", "", "status"],
        ["stylize", "", "--preset", "p"],
        ["stylize", "a.jpg", "--preset", ""],
        ["stylize", "a.jpg", "--preset", "p", "--out", ""],
        ["stylize", "a.jpg", "--like", ""],
        ["show", ""],
    ],
)
def test_empty_word_is_wrong_usage_and_does_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty word is a variable that was never set: `cancel ""` would be every job."""
    with pytest.raises(SystemExit, match="2"):
        cli.answer(words)
    assert "is empty" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--preset", "p", "--like", "a.jpg"]])
def test_stylize_wants_a_preset_or_a_result_to_paint_like(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.answer(["stylize", "photo.jpg", *more])
    assert "say either --preset NAME or --like RESULT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "advice"), [("stauts", "did you mean `status`?"), ("paint", "there are ")]
)
def test_unknown_command_names_the_one_that_was_meant(
    word: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.answer([word])
    told = capsys.readouterr().err
    assert f"there is no command '{word}'" in told and advice in told


COMMANDS = (
    """
status | status --json | presets | presets --json | doctor | weights | pause | resume | cancel 01
retry 01 | retry --failed | stylize photo.jpg --preset p | show 01 | presets p
""".replace("\n", "|")
    .strip("|")
    .split("|")
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A configuration with a preset and a photograph, anywhere but in a closed folder."""
    (tmp_path / "presets").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "presets" / "p.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.jpg")
    (tmp_path / "config.yaml").write_text("devices: cpu\n")
    return tmp_path


def kinds_of_wrong_folders(place: Path) -> None:
    (place / "file").touch()
    (place / "loop").symlink_to("loop")


@pytest.mark.parametrize("kind", ["file", "file/below", "loop", "x" * 300])
@pytest.mark.parametrize("command", [command.strip() for command in COMMANDS])
def test_no_command_ends_with_a_trace_whatever_is_in_the_place_of_a_folder(
    shop: Path,
    command: str,
    kind: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(shop)
    kinds_of_wrong_folders(shop)
    wrong = "presets" if command.startswith(("presets", "stylize")) else "state"
    (shop / "config.yaml").write_text(f"devices: cpu\n{wrong}: {kind}\n")
    code = cli.answer([*command.split(), "--config", "config.yaml"])
    told = capsys.readouterr()
    if command not in ("weights", "resume"):
        assert code == ExitCode.JOB_FAILED
        assert f"{shop / kind}" in told.out + told.err


@pytest.mark.parametrize("command", [command.strip() for command in COMMANDS])
def test_command_typed_in_a_closed_folder_is_a_sentence(
    command: str,
    shop: Path,
    closed: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = cli.answer([*command.split(), "--config", str(closed / "config.yaml")])
    assert code == ExitCode.CONFIG
    assert "Permission denied; let user" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "pause", "resume", "cancel 01", "retry --failed"])
def test_closed_state_folder_is_told_and_nothing_false_is_said(
    command: str,
    closed: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Config().model_copy(update={"state": closed / "state"})
    monkeypatch.setattr(cli, "configured", lambda config: (settings, Path("config.yaml")))
    assert cli.answer(command.split()) == ExitCode.JOB_FAILED
    told = capsys.readouterr()
    assert told.out == "" and f"{closed / 'state'}" in told.err and "Permission denied" in told.err


def test_fault_in_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(**_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setitem(cli.COMMANDS, "resume", end)
    with pytest.raises(ZeroDivisionError):
        cli.answer(["resume"])


def test_half_a_word_is_not_taken_for_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.answer(["run", "--on"])
    assert "--on" in capsys.readouterr().err


def test_out_that_names_a_folder_which_is_not_there_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.answer(["stylize", "photo.jpg", "--preset", "p", "--out", f"{tmp_path}/none.png/"])
    assert ended.value.code == 2 and "there is no folder" in capsys.readouterr().err
