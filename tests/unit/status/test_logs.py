"""Log lines for people, for journald, for machines, and for each job."""

import json
import logging
import os
import re
import resource
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from daemon.settings.config import Config, Log
from daemon.state.spool import Spool
from daemon.status import logs
from tests.support.atelier import PATIENCE_S

JOB = "0123456789abcdef"
STAMP = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"
EVIL = "a.jpg\n2026-01-01 00:00:00 ERROR   all is lost\r\x1b[31m\x9b1m\x00\x7f\u202e\u2028\udcff"
ESCAPED = r"2026-01-01 00:00:00 ERROR   all is lost\r\x1b[31m\x9b1m\x00\x7f\u202e\u2028\udcff"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    logger.remove()


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Config]:
    def make(level: str = "INFO", **settings: Any) -> Config:
        """A configuration whose log has no file unless one is asked for."""
        if isinstance(settings.get("file"), Path):
            settings["file"] = str(settings["file"])
        log = Log(**({"file": None} | settings))
        return Config().model_copy(
            update={"state": tmp_path / "state", "log_level": level, "log": log}
        )

    return make


Configured = Callable[..., Config]


@pytest.fixture
def journal() -> dict[str, str]:
    """The environment of a service whose standard error is journald's stream."""
    stream = os.fstat(2)
    return {"JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"}


def fail() -> None:
    """Logs an error with a trace that holds what EVIL does."""
    try:
        raise ValueError(EVIL)
    except ValueError:
        logger.exception("stumbled over {}", EVIL)


# For journald


@pytest.mark.parametrize(
    ("level", "priority"), [("INFO", 6), ("WARNING", 4), ("ERROR", 3), ("CRITICAL", 2)]
)
def test_journald_lines_begin_with_their_priority(
    capsys: Capture, configured: Configured, journal: dict[str, str], level: str, priority: int
) -> None:
    logs.start_logging(configured(), journal)
    logger.bind(job=JOB).log(level, "took {} in", "<a> {b}")
    assert capsys.readouterr().err == f"<{priority}>[01234567] took <a> {{b}} in\n"


def test_every_line_of_a_trace_has_its_priority(
    capsys: Capture, configured: Configured, journal: dict[str, str]
) -> None:
    """To journald each line is a message of its own."""
    logs.start_logging(configured(), journal)
    fail()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "<3>stumbled over a.jpg"
    assert "<3>  | Traceback (most recent call last):" in lines and len(lines) > 5
    assert all(line.startswith("<3>  | ") for line in lines[1:])


def test_stream_of_another_process_is_no_journal(capsys: Capture, configured: Configured) -> None:
    """A terminal that systemd started hands the variable on."""
    logs.start_logging(configured(), {"JOURNAL_STREAM": "8:1"})
    logger.info("plain")
    assert re.fullmatch(rf"{STAMP} INFO    plain\n", capsys.readouterr().err)


# For people


def test_lines_for_people_have_time_level_and_job(capsys: Capture, configured: Configured) -> None:
    logs.start_logging(configured(), {})
    logger.bind(job=JOB).warning("hm")
    logger.info("plain")
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"{STAMP} WARNING \[01234567\] hm", first)
    assert re.fullmatch(rf"{STAMP} INFO    plain", second)


def test_lines_below_the_level_are_left_out(capsys: Capture, configured: Configured) -> None:
    logs.start_logging(configured("WARNING"), {})
    logger.info("chatter")
    assert capsys.readouterr().err == ""


def test_terminal_gets_colours_of_ours_and_none_of_a_message(
    capsys: Capture, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.start_logging(configured(), {})
    logger.info("<red>x</red> \x1b[31my")
    told = capsys.readouterr().err
    assert told.endswith("<red>x</red> \\x1b[31my\n")
    assert "\x1b[1m" in told and "\x1b[31m" not in told


# What a message may not do


def in_the_file(configured: Configured, capsys: Capture, state: Path) -> str:
    logs.start_logging(configured(file="auto"), {})
    fail()
    capsys.readouterr()
    return (state / "log/atelierd.log").read_text()


def on_stderr(configured: Configured, capsys: Capture, state: Path) -> str:
    logs.start_logging(configured(), {})
    fail()
    return capsys.readouterr().err


def in_the_jobs_log(configured: Configured, capsys: Capture, state: Path) -> str:
    logger.remove()
    logs.keep_job_logs(Spool(state))
    with logger.contextualize(job=JOB):
        fail()
    return Spool(state).log(JOB).read_text()


@pytest.mark.parametrize("place", [in_the_file, on_stderr, in_the_jobs_log])
def test_message_forges_no_line_and_commands_no_terminal(
    configured: Configured,
    capsys: Capture,
    tmp_path: Path,
    place: Callable[[Configured, Capture, Path], str],
) -> None:
    told = place(configured, capsys, tmp_path / "state")
    lines = told.split("\n")
    assert all(character.isprintable() for line in lines for character in line)
    assert lines[0].endswith("ERROR   stumbled over a.jpg") and lines[-1] == ""
    assert all(line.startswith("  | ") for line in lines[1:-1])
    assert told.count("\n  | " + ESCAPED) == 2  # in the message, and at the trace's end
    assert any(line.startswith("  | Traceback") for line in lines)


# For machines


def test_json_is_an_object_a_line_on_standard_error_and_in_the_file(
    capsys: Capture, configured: Configured, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"
    logs.start_logging(configured(file=path, format="json"), {})
    logger.bind(job=JOB, action="start", other=1).info("begins {}", EVIL)
    logger.warning("plain")
    fail()
    text = capsys.readouterr().err
    assert path.read_text() == text and text.isascii()
    bound, plain, failed = map(json.loads, text.splitlines())
    stamp = bound.pop("ts")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert bound == {
        "level": "INFO",
        "message": f"begins {EVIL}",
        "job": JOB,
        "action": "start",
    }
    assert set(plain) == {"ts", "level", "message"}
    assert set(failed) == {"ts", "level", "message", "exception"}
    assert failed["exception"].startswith("Traceback (most recent call last):\n")
    assert failed["exception"].endswith("ValueError: " + EVIL)


def test_json_has_no_colours_and_for_journald_its_priority(
    capsys: Capture,
    configured: Configured,
    journal: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The priority is taken away by journald: an object is what it keeps."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.start_logging(configured(format="json"), journal)
    logger.bind(job=JOB).error("x")
    told = capsys.readouterr().err
    assert told.startswith("<3>{")
    assert json.loads(told[3:])["job"] == JOB


# What others would print


@pytest.fixture
def strays(configured: Configured, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is caught, and handed back afterwards."""
    for place, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(place, name, getattr(place, name))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.start_logging(configured(format="json"), {})
    logs.catch_strays()
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def of_stdlib_logging() -> None:
    logging.getLogger("some.library").warning("told %s", EVIL)


def of_stdlib_logging_at_a_level_of_its_own() -> None:
    logging.getLogger("some.library").log(35, "told %s", EVIL)


def of_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # pytest has its own way of catching them meanwhile
        warnings.warn(f"told {EVIL}", stacklevel=1)
        logging.captureWarnings(False)


def of_a_thread() -> None:
    def end() -> None:
        raise ValueError(f"told {EVIL}")

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()


def of_nobody() -> None:
    class Ending:
        def __del__(self) -> None:
            raise ValueError(f"told {EVIL}")

    Ending()


def of_the_main_thread() -> None:
    try:
        raise ValueError(f"told {EVIL}")
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)


@pytest.mark.parametrize(
    "complain",
    [
        of_stdlib_logging,
        of_stdlib_logging_at_a_level_of_its_own,
        of_warnings,
        of_a_thread,
        of_nobody,
        of_the_main_thread,
    ],
)
@pytest.mark.usefixtures("strays")
def test_complaint_of_anybody_is_an_object_too(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, complain: Callable[[], None]
) -> None:
    root = logging.getLogger()
    ours = [one for one in root.handlers if isinstance(one, logs.Forward)]
    monkeypatch.setattr(root, "handlers", ours)  # what pytest reports must be text of UTF-8
    complain()
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert set(told) >= {"ts", "level", "message"}
    assert f"told {EVIL}" in told["message"] + told.get("exception", "")


# The file


def test_file_is_below_the_state_folder_unless_journald_keeps_the_log(
    configured: Configured, tmp_path: Path
) -> None:
    auto, none, named = (configured(file=file) for file in ("auto", None, tmp_path / "a.log"))
    assert logs.log_path(auto, journal=False) == tmp_path / "state/log/atelierd.log"
    assert logs.log_path(auto, journal=True) is None
    for journal in (False, True):
        assert logs.log_path(none, journal=journal) is None
        assert logs.log_path(named, journal=journal) == tmp_path / "a.log"


def test_file_has_the_lines_of_standard_error(
    capsys: Capture, configured: Configured, tmp_path: Path
) -> None:
    logs.start_logging(configured(file="auto"), {})
    logger.bind(job=JOB).info("one")
    logger.debug("chatter")
    assert (tmp_path / "state/log/atelierd.log").read_text() == capsys.readouterr().err != ""


def test_nothing_is_made_before_there_is_a_line(configured: Configured, tmp_path: Path) -> None:
    """A service that another one keeps from starting writes nothing into that one's log."""
    logs.start_logging(configured(file="auto"), {})
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_full_file_is_put_aside_and_so_many_are_kept(tmp_path: Path, keep: int) -> None:
    file = logs.LogFile(tmp_path / "a.log", rotate_bytes=10, keep=keep)
    for number in range(6):
        file.write(f"line {number}\n")
    names = ["a.log", *(f"a.log.{number}" for number in range(1, keep + 1))]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert [(tmp_path / name).read_text() for name in names] == [
        f"line {5 - age}\n" for age in range(keep + 1)
    ]


def test_file_goes_on_where_an_earlier_service_left_it(tmp_path: Path) -> None:
    for _ in range(2):
        logs.LogFile(tmp_path / "a.log", 100, 2).write("line\n")
    assert (tmp_path / "a.log").read_text() == "line\n" * 2


def test_older_files_beyond_what_is_kept_are_removed(tmp_path: Path) -> None:
    for number in range(1, 6):
        (tmp_path / f"a.log.{number}").write_text("old")
    file = logs.LogFile(tmp_path / "a.log", rotate_bytes=1, keep=2)
    file.write("one")
    file.write("two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]


def test_line_longer_than_a_file_may_be_is_written_whole(tmp_path: Path) -> None:
    file = logs.LogFile(tmp_path / "a.log", rotate_bytes=10, keep=2)
    file.write("x" * 50)
    assert (tmp_path / "a.log").read_text() == "x" * 50


def test_file_that_was_taken_away_is_begun_anew(tmp_path: Path) -> None:
    file = logs.LogFile(tmp_path / "log/a.log", rotate_bytes=100, keep=2)
    file.write("one\n")
    (tmp_path / "log/a.log").unlink()
    (tmp_path / "log").rmdir()
    file.write("two\n")
    assert (tmp_path / "log/a.log").read_text() == "two\n"


# What cannot be written


def test_full_disk_is_said_once_on_standard_error_and_the_service_goes_on(
    capsys: Capture, configured: Configured
) -> None:
    logs.start_logging(configured(file=Path("/dev/full")), {})
    for number in range(5):
        logger.info("line {}", number)
    lines = [line[20:] for line in capsys.readouterr().err.splitlines()]
    warning = (
        "WARNING the log /dev/full cannot be written: No space left on device; "
        "lines are left out until it can"
    )
    assert sorted(lines) == sorted([warning, *(f"INFO    line {n}" for n in range(5))])


def test_log_that_can_be_written_again_says_that_lines_are_missing(
    capsys: Capture, configured: Configured, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "log"
    in_the_way.write_text("a file where the folder should be")
    logs.start_logging(configured(file=in_the_way / "a.log"), {})
    logger.info("lost")
    in_the_way.unlink()
    logger.info("kept")
    logger.info("kept too")
    assert (in_the_way / "a.log").read_text().count("kept") == 2
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 1 and said.count("is written again") == 1


def test_job_log_that_cannot_be_written_is_said_once(
    capsys: Capture, configured: Configured, tmp_path: Path
) -> None:
    logs.start_logging(configured(), {})
    (tmp_path / "spool").write_text("a file where the folder should be")
    logs.keep_job_logs(Spool(tmp_path))
    for _ in range(3):
        logger.bind(job=JOB).info("line")
    said = capsys.readouterr().err
    assert said.count("a job's log cannot be written: ") == 1 and said.count("line\n") == 3
    assert "Traceback" not in said and "Loguru" not in said


def test_line_that_does_not_fit_leaves_no_half_of_it(tmp_path: Path) -> None:
    """A limit of the process stands in for a disk with so much room."""
    file = logs.LogFile(tmp_path / "a.log", rotate_bytes=10_000, keep=2)
    file.write("whole\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="No space left"):
            file.write("half a line\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file.write("next\n")
    assert (tmp_path / "a.log").read_text() == "whole\nnext\n"


def test_standard_error_that_is_full_or_closed_stops_nothing(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom loguru import logger\n"
        "from daemon.status import logs\nfrom daemon.settings.config import Config, Log\n"
        "log = Log(file=sys.argv[1])\n"
        "logs.start_logging(Config().model_copy(update={'log': log}), {})\n"
        "logger.info('one')\nsys.stderr.close()\nlogger.info('two')\nprint('went on')\n"
    )
    path = tmp_path / "a.log"
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", script, path], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert ended.stdout == b"went on\n"
    lines = path.read_text().splitlines()
    assert [line[-3:] for line in lines] == ["one", "two"]


def test_threads_whose_lines_cannot_be_written_do_not_wait_for_each_other(
    capsys: Capture, configured: Configured, tmp_path: Path
) -> None:
    """Each way out tells the others of its trouble while they may be telling of theirs."""
    (tmp_path / "spool").write_text("a file where the folder should be")
    logs.start_logging(configured(file=Path("/dev/full")), {})
    logs.keep_job_logs(Spool(tmp_path))

    def write() -> None:
        for _ in range(200):
            logger.bind(job=JOB).info("line")

    threads = [threading.Thread(target=write, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    assert capsys.readouterr().err.count(" line\n") == 800


# The jobs' own


def test_each_jobs_lines_go_to_its_own_log_whatever_their_level(tmp_path: Path) -> None:
    logger.remove()
    spool = Spool(tmp_path)
    logs.keep_job_logs(spool)
    logger.bind(job="one").debug("first")
    logger.bind(job="two").error("second")
    logger.info("nobody's")
    (line,) = spool.log("one").read_text().splitlines()
    assert line.endswith("Z DEBUG   first")
    assert spool.log("two").read_text().endswith("Z ERROR   second\n")
    assert len(list(tmp_path.rglob("log"))) == 2


def test_line_is_the_same_for_every_way_out(
    capsys: Capture, configured: Configured, tmp_path: Path
) -> None:
    """Each puts its own form of the line beside the record, which they share."""
    logs.start_logging(configured(file="auto"), {})
    spool = Spool(tmp_path)
    logs.keep_job_logs(spool)
    logger.bind(job=JOB).info("told {}", "{braces} <tag>")
    on_screen = capsys.readouterr().err
    assert on_screen.endswith("INFO    [01234567] told {braces} <tag>\n")
    assert (tmp_path / "state/log/atelierd.log").read_text() == on_screen
    assert spool.log(JOB).read_text().endswith("Z INFO    told {braces} <tag>\n")
