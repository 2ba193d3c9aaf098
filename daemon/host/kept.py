"""A child process that is there as long as somebody wants it: one that ends is started again."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from loguru import logger

from daemon.host.process import Child, Message

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0
SOUND_S = 5.0
"""A child that has lived for so long was all right: the next is started without a wait. Those that
cannot work end within a second or two, and a start takes about one of a processor."""


class KeptChild:
    """Keeps one child of a module running, in a thread of its own.

    name: of the thread and in the log.  on_message: called with what the child says.  on_end: with
    how it ended, before it is started again; both from the thread.  on_line: with each line of its
    standard error, which goes into the log otherwise.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        name: str,
        on_message: Callable[[Message], None],
        on_end: Callable[[str], None] = lambda how: None,
        on_line: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._module = module
        self._arguments = arguments
        self._name = name
        self._on_message = on_message
        self._on_end = on_end
        self._on_line = on_line or self._log
        self._environment = environment
        self._child: Child | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread, and with it the child. Raises RuntimeError if no thread can be had."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        child = self._child
        return child.pid if child is not None and child.alive else None

    def send(self, message: Message) -> bool:
        """Sends a message to the child; False if there is none to hear it."""
        child = self._child
        if child is None or not child.alive:
            return False
        child.send(message)
        return True

    def end(self) -> None:
        """Ends the child at once; another is started."""
        if child := self._child:
            child.kill()

    def retire(self) -> None:
        """Starts no other child when this one ends."""
        self._closing.set()

    def join(self, timeout_s: float) -> None:
        """Waits so long for the end of a child that is retired."""
        self._thread.join(timeout_s)

    def close(self, grace_s: float) -> None:
        """Ends the child for good, after `grace_s` by force."""
        self._closing.set()
        if child := self._child:
            child.close(grace_s)
        if self._thread.is_alive():
            self._thread.join(grace_s + 1.0)

    def _keep(self) -> None:
        wait_s = 0.0
        while not self._closing.wait(wait_s):
            began_s = time.monotonic()
            how = self._live()
            if self._closing.is_set():
                return
            logger.warning("the {} {}; it is started again", self._name, how)
            sound = time.monotonic() - began_s > SOUND_S
            wait_s = 0.0 if sound else min(max(2 * wait_s, FIRST_WAIT_S), LONGEST_WAIT_S)

    def _log(self, line: str) -> None:
        logger.debug("{}: {}", self._name, line)

    def _live(self) -> str:
        """One child's life; returns how it ended."""
        try:
            child = self._child = Child(
                self._module,
                self._arguments,
                on_stderr=self._on_line,
                environment=self._environment,
            )
        except OSError as error:
            how = f"cannot be started: {error}"
        else:
            if self._closing.is_set():  # it was asked to close before there was a child
                child.close(0.0)
            with contextlib.suppress(ValueError):  # closed while it is read
                for message in child.messages():
                    self._on_message(message)
            how = child.ending()
            child.close(0.0)
        self._on_end(how)
        return how
