"""A hook that is a command: a process group of its own, for so long and no longer."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from daemon.hooks.attempt import LOOK_S, Attempt, CutShortError

OUTPUT_BYTES = 64 * 1024
KILL_S = 5.0
KEPT_BACK = frozenset(
    """
    NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_FDS LISTEN_PID LISTEN_FDNAMES LISTEN_PIDFDID
    FDSTORE MAINPID MANAGERPID SYSTEMD_EXEC_PID INVOCATION_ID JOURNAL_STREAM
    MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE CREDENTIALS_DIRECTORY
    """.split()
)
"""What systemd tells the service, and the service alone."""
LATE = "late"


def run_command(
    arguments: Sequence[str],
    document: bytes,
    environment: Mapping[str, str | Path],
    *,
    timeout_s: float,
    cut: threading.Event,
) -> Attempt:
    """Runs a command with `document` on its standard input, to its end or for `timeout_s`.

    environment: added to the service's; a path that is not there is left out.
    Raises CutShortError, the command ended, once `cut` is set.
    """
    try:
        # A nameless file: a command that reads nothing cannot hold us up, as it could by a pipe.
        with open(os.memfd_create("record"), "w+b") as record:  # noqa: PTH123
            record.write(document)
            record.seek(0)
            process = subprocess.Popen(
                arguments,
                stdin=record,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=inherited(os.environ) | present(environment),
                start_new_session=True,
            )
    except (OSError, ValueError) as error:  # ValueError: a NUL
        return Attempt(f"cannot be started: {getattr(error, 'strerror', None) or error}")
    assert process.stdout is not None
    with process.stdout as stream:
        output = CommandOutput(stream)
        fault = follow(process, output, time.monotonic() + timeout_s, cut)
        output.drain()
    if fault == LATE:
        fault = f"did not end within {timeout_s:g} s and was ended"
    return Attempt(fault, output=bytes(output.kept))


def follow(
    process: "subprocess.Popen[bytes]",
    output: "CommandOutput",
    deadline_s: float,
    cut: threading.Event,
) -> str:
    """Waits for a command's end; returns what was wrong with it, LATE if it had to be ended.

    Its own end counts, not that of its output: a grandchild may keep that open for ever.
    """
    while process.poll() is None:
        if cut.is_set():
            end_group(process)
            raise CutShortError
        if time.monotonic() >= deadline_s:
            end_group(process)
            return LATE
        wait_s = min(LOOK_S, max(deadline_s - time.monotonic(), 0.0))
        if not output.take(wait_s):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
    if process.returncode < 0:
        number = -process.returncode
        return f"was ended by signal {number} ({signal.strsignal(number)})"
    return f"ended with exit code {process.returncode}" if process.returncode else ""


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Kills a command that has not been waited for, and all that it started in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter: one that is setuid
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel
        process.wait(KILL_S)


class CommandOutput:
    """What a command says, read as it comes; what is too much is read and forgotten."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.kept = bytearray()
        self._handle = stream.fileno()
        self._open = True
        os.set_blocking(self._handle, False)
        self._poll = select.poll()  # select() fails for handles above 1023
        self._poll.register(self._handle, select.POLLIN)

    def take(self, wait_s: float) -> bool:
        """Waits for more and reads it; False, at once, when there can be no more."""
        if self._open and self._poll.poll(wait_s * 1000):
            content = os.read(self._handle, OUTPUT_BYTES)
            self.kept += content[: OUTPUT_BYTES - len(self.kept)]
            self._open = bool(content)
        return self._open

    def drain(self) -> None:
        """Reads what is still there of a command that has ended, but for what would be too much."""
        while self._open and len(self.kept) < OUTPUT_BYTES and self._poll.poll(0):
            self.take(0.0)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The service's environment without what is the service's alone, or could be another job's."""
    return {
        name: value
        for name, value in environment.items()
        if name not in KEPT_BACK and (not name.startswith("ATELIERD_") or name == "ATELIERD_CONFIG")
    }


def present(environment: Mapping[str, str | Path]) -> dict[str, str]:
    """The variables as text, without the paths at which nothing is."""
    return {
        name: str(value)
        for name, value in environment.items()
        if not isinstance(value, Path) or os.path.lexists(value)
    }
