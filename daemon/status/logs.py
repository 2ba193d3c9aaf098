"""Where log lines go: standard error and a file for the service, and a log for each job.

Names and errors come from others. Control characters are escaped, and what has several lines has
a bar before each but the first, so that no text passes for a line of its own.
"""

import errno
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from daemon.host import files
from daemon.settings.config import Config, Log
from daemon.settings.machine import LogLevel
from daemon.state.spool import Spool

if TYPE_CHECKING:
    from loguru import Message, Record

PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""syslog's, as journald reads them from `<N>` at the start of a line."""

LINE = "{extra[line]}\n"
COLOURED = (
    "<dim>{time:YYYY-MM-DD HH:mm:ss}</dim> <level>{level: <7}</level> "
    "<cyan>{extra[mark]}</cyan>{extra[line]}\n"
)
FURTHER = "\n  | "


def start_logging(config: Config, environment: Mapping[str, str] = os.environ) -> None:
    """Sends everything from `log_level` up to standard error, and to the log's file if it has one.

    Whatever cannot be written is left out, and the service goes on.
    """
    logger.remove()
    # watchdog complains of events that come while it is being stopped; they do not matter
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    journal = is_journal(environment)
    as_json = config.log.format == "json"
    plain = json_line if as_json else text_line
    add(
        Outlet("standard error", to_stderr),
        config.log_level,
        journal_line(plain) if journal else plain,
        colorize=not journal and not as_json and sys.stderr.isatty(),
    )
    path = log_path(config, journal=journal)
    if path is not None:
        file = LogFile(path, int(config.log.rotate_bytes), config.log.keep)
        add(Outlet(f"the log {path}", file.write), config.log_level, plain)


def log_to_stderr(level: LogLevel) -> None:
    """Sends everything from a level up to standard error, as plain lines."""
    start_logging(Config(log_level=level, log=Log(file=None)))


def catch_strays() -> None:
    """Makes lines of the log of what libraries and the interpreter would print beside it.

    That is stdlib logging, warnings, and errors nobody caught: in the main thread, in another one,
    and where there was nobody to raise them to.
    """
    logging.basicConfig(handlers=[Forward()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)

    def tell(what: str, error: BaseException | None) -> None:
        logger.opt(exception=error).error("{}", what)

    def of_thread(hook: threading.ExceptHookArgs) -> None:
        name = hook.thread.name if hook.thread is not None else "a thread"
        if hook.exc_type is not SystemExit:
            tell(f"{name} has ended by a fault", hook.exc_value)

    sys.excepthook = lambda kind, error, trace: tell("the service has ended by a fault", error)
    threading.excepthook = of_thread
    sys.unraisablehook = lambda hook: tell(
        f"{hook.err_msg or 'fault nobody could be told of'}: {hook.object!r}", hook.exc_value
    )


class Forward(logging.Handler):
    """Hands the lines of stdlib logging on to the service's log."""

    def emit(self, record: logging.LogRecord) -> None:
        known = record.levelname in PRIORITIES
        trace = logger.opt(exception=record.exc_info)
        trace.log(record.levelname if known else record.levelno, "{}", record.getMessage())


def keep_job_logs(spool: Spool) -> None:
    """Adds each line that carries a job's id to that job's log, whatever its level."""

    def write(message: "Message") -> None:
        path = spool.log(message.record["extra"]["job"])
        path.parent.mkdir(parents=True, exist_ok=True)
        append(path, message)

    outlet = Outlet("a job's log", write)
    logger.add(
        outlet,
        level="DEBUG",
        format=job_line,
        filter=lambda record: "job" in record["extra"],
        colorize=False,
        diagnose=False,
    )


def is_journal(environment: Mapping[str, str]) -> bool:
    """Whether standard error is journald's own stream; children of its services inherit the name.

    Source: systemd.exec(5), $JOURNAL_STREAM.
    """
    stream = os.fstat(2)
    return environment.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def log_path(config: Config, *, journal: bool) -> Path | None:
    """The file the log goes to, or None: journald keeps what it is told."""
    if config.log.file != "auto":
        return config.log.file
    return None if journal else config.state / "log" / "atelierd.log"


# What lines look like


def text_line(record: "Record") -> str:
    """A line for a terminal or a file."""
    record["extra"]["mark"] = job_mark(record)
    record["extra"]["line"] = safe(full_text(record))
    return COLOURED


def job_line(record: "Record") -> str:
    """A line of a job's own log, with the time in UTC."""
    level = record["level"].name
    record["extra"]["line"] = f"{utc(record)} {level: <7} {safe(full_text(record))}"
    return LINE


def json_line(record: "Record") -> str:
    """An object in a line: ts, level, message; and where there is one job, action, exception."""
    fields = {"ts": utc(record), "level": record["level"].name, "message": record["message"]}
    fields |= {key: record["extra"][key] for key in ("job", "action") if key in record["extra"]}
    if record["exception"] is not None:
        fields["exception"] = trace(record)
    record["extra"]["line"] = json.dumps(fields)
    return LINE


def journal_line(plain: "Callable[[Record], str]") -> "Callable[[Record], str]":
    """Lines for journald: each with its priority, and without the time, which journald adds."""

    def line(record: "Record") -> str:
        plain(record)
        prefix = f"<{PRIORITIES.get(record['level'].name, 6)}>"
        mark = record["extra"].pop("mark", "")
        text = mark + record["extra"]["line"]
        record["extra"]["line"] = "\n".join(prefix + line for line in text.split("\n"))
        return LINE

    return line


def full_text(record: "Record") -> str:
    """The message, and the trace of its exception if it has one."""
    if record["exception"] is None:
        return record["message"]
    return f"{record['message']}\n{trace(record)}"


def trace(record: "Record") -> str:
    """The trace of a record's exception."""
    error = record["exception"]
    assert error is not None
    return "".join(traceback.format_exception(error.type, error.value, error.traceback)).rstrip()


def safe(text: str) -> str:
    """A text that neither forges a line nor commands a terminal."""
    return FURTHER.join(files.printable(line) for line in text.rstrip("\n").split("\n"))


def utc(record: "Record") -> str:
    """When it was, ISO 8601."""
    time = record["time"].astimezone(UTC).isoformat(timespec="milliseconds")
    return time.replace("+00:00", "Z")


def job_mark(record: "Record") -> str:
    """The start of the job's id, as people type it."""
    job = record["extra"].get("job")
    return f"[{job[:8]}] " if job else ""


# Where they go


class Outlet:
    """A way out for lines. While it is blocked (a full disk) they are left out, which is said once.

    Loguru itself would tell of each, with a trace.
    """

    def __init__(self, name: str, write: "Callable[[Message], None]") -> None:
        self.name = name
        self._write = write
        self._blocked = False

    def __call__(self, message: "Message") -> None:
        try:
            self._write(message)
        except (OSError, ValueError) as error:  # ValueError: standard error was closed
            if not self._blocked:
                self._blocked = True
                why = getattr(error, "strerror", None) or error
                self._tell("{} cannot be written: {}; lines are left out until it can", why)
        else:
            if self._blocked:
                self._blocked = False
                self._tell("{} is written again; lines are missing before this one")

    def _tell(self, text: str, *details: object) -> None:
        """To the other ways out: this one is busy."""
        if self._write is not to_stderr:
            logger.bind(outlet=self.name).warning(text, self.name, *details)


def add(
    outlet: Outlet, level: str, line: "Callable[[Record], str]", *, colorize: bool = False
) -> None:
    """Lets lines from a level up go out, but for what an outlet tells of itself."""
    logger.add(
        outlet,
        level=level,
        format=line,
        filter=lambda record: record["extra"].get("outlet") != outlet.name,
        colorize=colorize,
        diagnose=False,
    )


def to_stderr(message: str) -> None:
    """Found anew each time, since progress bars take its place while they are shown."""
    print(message, end="", file=sys.stderr, flush=True)


class LogFile:
    """A file that is put aside when it is full: `.1` is the newest of the older ones."""

    def __init__(self, path: Path, rotate_bytes: int, keep: int) -> None:
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep = keep

    def write(self, text: str) -> None:
        """Adds a line; raises OSError if it cannot, and leaves no half of it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        size = self._path.stat().st_size if self._path.exists() else 0
        if size and size + len(text) > self._rotate_bytes:
            self._rotate()
        append(self._path, text)

    def _rotate(self) -> None:
        """Moves each file on by one; those beyond what is kept are removed."""
        number = self._keep
        while (beyond := self._older(number)).exists():
            beyond.unlink()
            number += 1
        for number in range(self._keep, 0, -1):
            if self._older(number - 1).exists():
                self._older(number - 1).rename(self._older(number))

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def append(path: Path, text: str) -> None:
    """Adds to a file, all or nothing; raises OSError. Opened each time: it may have been moved."""
    content = text.encode("utf-8", "backslashreplace")
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        if file.write(content) != len(content):  # half a line would spoil the next one
            file.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
