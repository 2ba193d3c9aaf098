"""Asking a folder that may lie on a share which does not answer, without waiting for ever."""

import threading
from collections.abc import Callable
from pathlib import Path

ANSWER_S = 10.0


class NoAnswerError(Exception):
    """It has not ended in time; the thread that asks goes on with it."""


def within(seconds: float, work: Callable[[], None]) -> None:
    """Does what may hang in a thread of its own; raises what that raises, or NoAnswerError."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="bounded", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise NoAnswerError
    for error in raised:
        raise error


def resolved(folder: Path, seconds: float = ANSWER_S) -> Path:
    """A folder with all links followed; as it is named where it does not answer."""
    found: list[Path] = []
    try:
        within(seconds, lambda: found.append(folder.resolve()))
    except (NoAnswerError, RuntimeError):  # until Python 3.13, of a link that leads to itself
        return folder.absolute()
    return found[0]
