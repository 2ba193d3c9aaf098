"""One service per state folder, held by a lock that dies with its process."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import IO

from daemon.errors import AlreadyRunningError, SurroundingsError
from daemon.host import files
from daemon.host.access import refusals, with_advice

LOCK_FILE = "lock"
LOOKS, LOOK_S = 4, 0.05


class StateLock:
    """The lock on a state folder, held until `release` or the end of the process."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def release(self) -> None:
        """Lets the next service in."""
        self._file.close()


def hold(state: Path) -> StateLock:
    """Takes the lock; raises AlreadyRunningError naming who holds it."""
    with refusals(f"the state folder {state} cannot be used"):
        files.make_folder(state)
        file = (state / LOCK_FILE).open("a+", encoding="utf-8")
    try:
        lock_patiently(file)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise SurroundingsError(
                f"{state / LOCK_FILE} cannot be locked: {error.strerror}"
            ) from error
        raise AlreadyRunningError(
            f"another atelierd holds the state folder {state}: {holder}; stop it, or give this "
            "one a state folder of its own"
        ) from error
    try:
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        file.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            file.close()
        raise SurroundingsError(
            f"{state / LOCK_FILE} cannot be written: {error.strerror}; make room on its disk"
        ) from error
    return StateLock(file)


def lock_patiently(file: IO[str] | int) -> None:
    """Locks, with a little patience: `is_held` holds the lock for an instant when it looks."""
    for _ in range(LOOKS):
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_S)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(state: Path) -> bool:
    """Whether a service holds the state folder now; raises SurroundingsError if nobody can tell."""
    path = state / LOCK_FILE
    what = f"whether a service is running cannot be told: {files.printable(path)}"
    with refusals(what, words=with_advice):
        try:
            with path.open("r", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except (FileNotFoundError, NotADirectoryError):
            return False
    return False
