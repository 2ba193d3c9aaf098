"""Where log lines go: the service's log on standard error, and each job's own log."""

import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from loguru import logger

from daemon.spool import Spool

if TYPE_CHECKING:
    from loguru import Message, Record

PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""syslog's, as journald reads them from `<N>` at the start of a line."""


def start_logging(level: str, environment: Mapping[str, str] = os.environ) -> None:
    """Sends everything from `level` up to standard error, for a person or for journald."""
    logger.remove()
    # watchdog warns of events that come while it is being stopped; they do not matter
    logging.getLogger("watchdog").setLevel(logging.ERROR)
    journal = "JOURNAL_STREAM" in environment
    logger.add(
        lambda message: print(message, end="", file=sys.stderr, flush=True),  # found anew each
        # time, since progress bars take the place of standard error while they are shown
        level=level,
        format=journal_line if journal else console_line,
        colorize=not journal and sys.stderr.isatty(),
        diagnose=False,
    )


def keep_job_logs(spool: Spool) -> None:
    """Adds each line that carries a job's id to that job's log, whatever its level."""

    def write(message: "Message") -> None:
        path = spool.log(message.record["extra"]["job"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(message)

    logger.add(
        write,
        level="DEBUG",
        format="{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level: <7} {message}",
        filter=lambda record: "job" in record["extra"],
        colorize=False,
        diagnose=False,
    )


def job_mark(record: "Record") -> str:
    """The start of the job's id, as people type it."""
    job = record["extra"].get("job")
    return f"[{job[:8]}] " if job else ""


def console_line(record: "Record") -> str:
    """A line for a terminal or a file."""
    record["extra"]["mark"] = job_mark(record)
    return (
        "<dim>{time:YYYY-MM-DD HH:mm:ss}</dim> <level>{level: <7}</level> "
        "<cyan>{extra[mark]}</cyan>{message}\n{exception}"
    )


def journal_line(record: "Record") -> str:
    """A line for journald: its priority, and no time, which journald adds."""
    record["extra"]["mark"] = job_mark(record)
    priority = PRIORITIES.get(record["level"].name, 6)
    return f"\\<{priority}>" + "{extra[mark]}{message}\n{exception}"
