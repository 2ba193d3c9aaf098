"""Starts of `puppet_service.py` that need not load it: a process that has loaded all of it forks.

Half of what a test with a service takes of the processor is a Python that loads modules. The
processes are real ones, with files, environment and working directory of their own, and end as any
other; only their parent is not the test but the process that forks, which the test asks for how
they ended. Studios whose workers paint start the installed command itself.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(__file__).with_name("puppet_service.py")

PRELOADED = (
    "daemon.cli",
    "daemon.service.main",
    "daemon.commands.jobs",
    "daemon.commands.stylize",
    "daemon.status.report",
    "daemon.status.show",
)
"""What commands load: as much as any of them would, and no numpy."""

LARGEST_REQUEST = 1 << 20
OF_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "MALLOC_")
"""Variables that a process heeds when it begins begin so."""


class Forked:
    """A process that was forked, with as much of `subprocess.Popen`'s face as tests use."""

    def __init__(self, pid: int, reap: Callable[[int], int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._reap = reap
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """How it ended, as `Popen` says it, or None."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has. Raises TimeoutExpired."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._handle], [], [], timeout_s)[0]:
            self.returncode = os.waitstatus_to_exitcode(self._reap(self.pid))
            os.close(self._handle)
        return self.returncode


class Prefork:
    """The process that forks, as the tests see it. It ends with the process that started it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._line, other = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self._busy = threading.Lock()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                cwd="/",
                env=environment,
            )
        atexit.register(self.close)

    def suits(self, environment: dict[str, str]) -> bool:
        """Whether a process of this environment would have begun as the one that forks has."""
        return of_the_start(environment) == of_the_start(self._environment)

    def start(
        self,
        arguments: Sequence[str | Path],
        *,
        cwd: Path,
        environment: dict[str, str],
        said: IO[str],
        errors: IO[str],
    ) -> Forked:
        """A process of `atelierd` with these arguments; its input is empty."""
        request = {
            "arguments": [os.fsdecode(one) for one in arguments],
            "cwd": os.fsdecode(cwd),
            "environment": environment,
        }
        return Forked(self._ask(request, [said.fileno(), errors.fileno()]), self._reap)

    def close(self) -> None:
        """Ends it; what it has forked goes on."""
        self._line.close()
        self._process.wait()

    def _reap(self, pid: int) -> int:
        return self._ask({"ended": pid}, [])

    def _ask(self, request: dict[str, Any], handles: list[int]) -> int:
        with self._busy:
            socket.send_fds(self._line, [json.dumps(request).encode()], handles)
            return int(self._line.recv(64))


@functools.cache
def prefork() -> Prefork:
    """The process that forks for this one."""
    from tests.support.atelier import environment

    return Prefork(environment())


def of_the_start(environment: dict[str, str]) -> dict[str, str]:
    """The variables that a process heeds when it begins."""
    return {key: value for key, value in environment.items() if key.startswith(OF_THE_START)}


# In the process that forks


def serve(handle: int) -> None:
    """Forks whenever it is asked to, and becomes `puppet_service.py` in what was forked."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # as `cli.main` does
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its tests
    with socket.socket(fileno=handle) as line:
        while True:
            message, handles, _, _ = socket.recv_fds(line, LARGEST_REQUEST, 2)
            if not message:
                return
            request = json.loads(message)
            if "ended" in request:
                answer = os.waitpid(request["ended"], 0)[1]
            else:
                answer = os.fork()
                if not answer:
                    break
                for one in handles:
                    os.close(one)
            line.send(str(answer).encode())
    become(request, handles)
    sys.argv = [str(PROGRAM), *request["arguments"]]
    runpy.run_path(str(PROGRAM), run_name="__main__")


def become(request: dict[str, Any], handles: list[int]) -> None:
    """Makes this process the one that was asked for."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, handle in enumerate(handles, start=1):
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
