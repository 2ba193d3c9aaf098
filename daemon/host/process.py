"""A child process that speaks JSON lines on its standard input and output.

A fresh Python, never forked, that runs one of our modules and finds no code but what is installed.
Its standard error is kept, so that its last words can be told when it dies.
"""

import contextlib
import errno
import io
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from daemon.host import start

Message = dict[str, Any]
LAST_WORDS = 20
READ_BYTES = 1 << 16
"""No fewer than a stream's own buffer holds, so that nothing stays in it."""
FOLDER = "/"
"""Where children stand: it is always there, and nobody drops anything into it."""

DEVELOPERS = frozenset({"PYTHONWARNINGS", "PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONIOENCODING"})
"""What changes how a Python of ours ends or speaks, and was meant for somebody else's."""


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module in a fresh Python, wherever it stands.

    To be started in FOLDER, with `python_environment`: no code is found where one stands.
    """
    # -P: neither the working directory nor that of the file comes first in the search path.
    return [sys.executable, "-P", start.__file__, module, *arguments]


def python_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a Python of ours.

    Of PYTHONPATH only what is absolute: the rest, an empty entry too, means the folder where one
    stands.
    """
    kept = {name: value for name, value in environment.items() if name not in DEVELOPERS}
    entries = kept.pop("PYTHONPATH", "").split(os.pathsep)
    if path := os.pathsep.join(entry for entry in entries if Path(entry).is_absolute()):
        kept["PYTHONPATH"] = path
    return kept | {"PYTHONUTF8": "1"}


def limited_to(threads: int) -> dict[str, str]:
    """What tells the libraries of a child how many threads to compute with."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {name: str(threads) for name in names}


def limit_memory(most_bytes: int) -> None:
    """Gives this process no more memory than that, where the system lets it ask for so little."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))


class Child:
    """A running child. `send` may be called from any thread, `messages` from one."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        on_stderr: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # A session of its own: Ctrl-C in a terminal reaches the service alone, which then
        # ends its children in order.
        self._process = subprocess.Popen(
            python(module, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="backslashreplace",  # what C libraries complain of need not be text
            start_new_session=True,
            cwd=FOLDER,
            env=python_environment({**os.environ, **(environment or {})}),
        )
        self._lock = threading.Lock()
        self._killed_here = False
        self._heard = b""
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._listener = threading.Thread(
            target=self._listen, args=(on_stderr,), name=f"{module} stderr", daemon=True
        )
        start_thread(self._listener, self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def killer(self) -> signal.Signals | None:
        """The signal that ended the child: ours, or the kernel's when memory ran out."""
        code = self._process.wait()
        return signal.Signals(-code) if code < 0 else None

    @property
    def killed_here(self) -> bool:
        """Whether this process ended the child by a signal, so that nobody else had to."""
        return self._killed_here

    def listen(self, target: Callable[[], object], name: str) -> None:
        """Lets a thread listen for what the child says; raises OSError if there is none to be had,
        the child ended.
        """
        thread = threading.Thread(target=target, name=name, daemon=True)
        start_thread(thread, self._process)

    def send(self, message: Message) -> None:
        """Sends one message; a child that is gone is found out by reading, not here."""
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            stdin = self._process.stdin
            assert stdin is not None
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()

    def messages(self) -> Iterator[Message]:
        """Yields what the child says, until it closes its output."""
        while (message := self._next_message(None)) is not None:
            yield message

    def receive(self) -> Message | None:
        """The child's next message, or None when it has closed its output."""
        return self._next_message(None)

    def receive_within(self, timeout_s: float) -> Message | None:
        """The child's next message; a child that says none for that long is ended.

        None when the child has ended, by itself or so.
        """
        try:
            return self._next_message(time.monotonic() + timeout_s)
        except TimeoutError:
            self.kill()
            return None

    def _next_message(self, until: float | None) -> Message | None:
        """The next line that is a message, or None at the output's end.

        until: on the monotonic clock; raises TimeoutError when nothing has come by then.
        """
        while True:
            line, ended, rest = self._heard.partition(b"\n")
            if ended:
                self._heard = rest
                with contextlib.suppress(ValueError):  # somebody else's line, or no text
                    if isinstance(message := json.loads(line), dict):
                        return message
            elif heard := self._read(until):
                self._heard += heard
            else:
                return None

    def _read(self, until: float | None) -> bytes:
        """What has come of the child's output, at least a byte of it; empty at its end.

        Lines are cut here, by us: a stream that cut them would keep those that came together with
        the one asked for, where no poll sees them.
        """
        stdout = cast(io.TextIOWrapper, self._process.stdout)
        if until is not None:
            poll = select.poll()  # select() fails for handles above 1023
            poll.register(stdout, select.POLLIN)
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                raise TimeoutError
        return cast(io.BufferedReader, stdout.buffer).read1(READ_BYTES)

    def kill(self) -> None:
        """Ends the child at once."""
        self._killed_here = True
        self._process.kill()

    def close(self, grace_s: float) -> None:
        """Closes the child's input, which asks it to end, and ends it after `grace_s`."""
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._listener.join(grace_s)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def ending(self) -> str:
        """How a child that has closed its output ended, with its last words."""
        self._listener.join(1.0)
        how = f"ended with exit code {self._process.wait()}"
        if self.killer:
            how = f"was ended by {self.killer.name}"
        return f"{how}: {self._words[-1]}" if self._words else how

    def _listen(self, on_stderr: Callable[[str], None]) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(ValueError):
            for line in self._process.stderr:
                self._words.append(line.rstrip())
                on_stderr(line.rstrip())


def start_thread(thread: threading.Thread, process: "subprocess.Popen[str]") -> None:
    """Starts the thread that listens to a child; one that nobody can listen to is ended.

    Raises OSError, as for a process that cannot be started.
    """
    try:
        thread.start()
    except RuntimeError as error:
        process.kill()
        with process:  # closes what leads there
            pass
        raise OSError(errno.EAGAIN, "no thread can be started") from error


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that live still; none where /proc lacks that."""
    found: list[int] = []
    for place in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # that thread has just ended
            found.extend(map(int, place.read_text("utf-8").split()))
    return found


def oom_kills() -> int:
    """How many processes the kernel has ended for want of memory so far; 0 where it does not tell.

    Of the whole machine: a limit of a container or a systemd unit counts too.
    """
    try:
        found = re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def claim_stdout() -> TextIO:
    """In a child: the stream for messages; whatever else prints goes to standard error."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return messages


def say(stream: TextIO, message: Message) -> None:
    """In a child: sends one message."""
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def heed_input(obey: Callable[[Message], object]) -> None:
    """In a child: has each message that comes obeyed, in a thread of its own.

    The end of the input ends the process at once, whatever it does: nobody wants it any more.
    """

    def listen() -> None:
        for line in sys.stdin:
            obey(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, name="input", daemon=True).start()
