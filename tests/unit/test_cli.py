"""What the command answers to the shell, whatever happens in a command."""

import signal

import pytest

from daemon import cli
from daemon.errors import AlreadyRunningError, BadInputError, ConfigError, ExitCode, Fault

ENDINGS = {
    ExitCode.JOB_FAILED: BadInputError("no such picture"),
    ExitCode.ALREADY_RUNNING: AlreadyRunningError("pid 7 holds it"),
    ExitCode.CONFIG: ConfigError([Fault("config.yaml", 3, "devices", "must be a list")]),
    128 + signal.SIGINT: KeyboardInterrupt(),
}


@pytest.mark.parametrize("code", ENDINGS)
def test_each_ending_has_its_exit_code_and_no_traceback(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(**_: object) -> int:
        raise ENDINGS[code]

    monkeypatch.setattr(cli, "resume", end)
    assert cli.answer(["resume"]) == code
    told = capsys.readouterr().err
    assert str(ENDINGS[code]) in told
    assert "Traceback" not in told


def test_fault_in_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(**_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "resume", end)
    with pytest.raises(ZeroDivisionError):
        cli.answer(["resume"])


def test_half_a_word_is_not_taken_for_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.answer(["run", "--on"])
    assert "--on" in capsys.readouterr().err
