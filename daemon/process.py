"""A child process that speaks JSON lines on its standard input and output.

Started fresh (`sys.executable -m MODULE`), never forked. Its standard error is kept, so that
its last words can be told when it dies.
"""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

Message = dict[str, Any]
LAST_WORDS = 20


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
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",  # what C libraries complain of need not be text
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        self._lock = threading.Lock()
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._listener = threading.Thread(
            target=self._listen, args=(on_stderr,), name=f"{module} stderr", daemon=True
        )
        self._listener.start()

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

    def send(self, message: Message) -> None:
        """Sends one message; a child that is gone is found out by reading, not here."""
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            stdin = self._process.stdin
            assert stdin is not None
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()

    def messages(self) -> Iterator[Message]:
        """Yields what the child says, until it closes its output."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)

    def receive(self) -> Message | None:
        """The child's next message, or None when it has closed its output."""
        return next(self.messages(), None)

    def receive_within(self, timeout_s: float) -> Message | None:
        """The answer to the one request under way; a child that is too slow is ended.

        None when the child has ended, by itself or so.
        """
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], timeout_s)
        if not ready:
            self.kill()
            return None
        return self.receive()

    def kill(self) -> None:
        """Ends the child at once."""
        self._process.kill()

    def close(self, grace_s: float) -> None:
        """Closes the child's input, which asks it to end, and ends it after `grace_s`."""
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
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


def oom_kills() -> int:
    """How many processes the kernel has ended for want of memory so far; 0 where it does not tell.

    Of the whole machine: a limit of a container or a systemd unit counts too.
    """
    try:
        found = re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def claim_stdout() -> TextIO:
    """In a child: the stream for messages; whatever else prints goes to standard error."""
    messages = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return messages


def say(stream: TextIO, message: Message) -> None:
    """In a child: sends one message."""
    stream.write(json.dumps(message) + "\n")
    stream.flush()
