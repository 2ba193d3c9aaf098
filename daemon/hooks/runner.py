"""The thread that runs hooks, one after another, so that nothing else waits for them.

It knows no ledger: what it has ended lies ready for the service's own loop, which marks it there.
"""

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger

from daemon.hooks.attempt import Attempt, CutShortError
from daemon.hooks.command import OUTPUT_BYTES, run_command
from daemon.hooks.request import headers_of, post
from daemon.host.files import printable
from daemon.host.loop import Loop
from daemon.settings.hooks import Event, Hook, Hooks

MOST_IN_FLIGHT = 16
FIRST_PAUSE_S = 1.0
CUT_S = 2.0


@dataclass(frozen=True)
class Notice:
    """Something hooks are told. id: the job's, or another that is like no other's.

    body: the record as JSON.  environment: for commands; a path is left out if nothing is there.
    """

    event: Event
    id: str
    body: bytes
    environment: Mapping[str, str | Path]


class HookRunner:
    """Runs the hooks of what it is offered. All but the thread's own is for one caller's thread.

    A hook that fails is a warning in the log: its notice counts as delivered all the same.
    count: told the event of each hook that was run, and `fine` or `failed`.
    """

    def __init__(
        self, hooks: Hooks, count: Callable[[str, str], object] = lambda event, outcome: None
    ) -> None:
        self._hooks = hooks
        self._count = count
        self._waiting: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        self._in_flight: dict[str, Notice] = {}
        self._ended: dict[str, Notice] = {}  # the thread adds, its caller removes
        self._cut = threading.Event()
        self._loop = Loop("hooks", lambda _: self._deliver_all, note_stumble, retry_s=0.0)
        self.stop = self._loop.stop

    def start(self) -> None:
        """Begins; where no thread can be had now, `offer` tries again."""
        try:
            self._loop.start()
        except RuntimeError as error:
            logger.bind(action="hook").error("nobody can be told of jobs now: {}", error)

    def change(self, hooks: Hooks) -> None:
        """Runs these from the next notice on."""
        self._hooks = hooks

    @property
    def busy(self) -> bool:
        """Whether anything offered has not been forgotten yet."""
        return bool(self._in_flight)

    def holds(self, notice_id: str) -> bool:
        """Whether it was offered and has not been forgotten yet."""
        return notice_id in self._in_flight

    def offer(
        self,
        event: Event,
        notice_id: str,
        record: Mapping[str, Any],
        environment: Mapping[str, str | Path],
    ) -> bool:
        """Takes something to be told; False if there is no room for it now. Never waits.

        What it already holds is not taken a second time.
        """
        if notice_id in self._in_flight:
            return True
        if len(self._in_flight) >= MOST_IN_FLIGHT or self._loop.stopping:
            return False
        if not self._loop.alive:
            self.start()
            return False
        notice = Notice(event, notice_id, json.dumps(record).encode(), environment)
        self._in_flight[notice_id] = notice
        self._waiting.put(notice)
        self._loop.wake()
        return True

    def finished(self) -> list[Notice]:
        """What has ended and was not forgotten; to be marked first, and then forgotten."""
        return list(self._ended.copy().values())

    def forget(self, notice_id: str) -> None:
        """Lets go of what has ended: from now on it could be offered again."""
        del self._ended[notice_id], self._in_flight[notice_id]

    def join(self, grace_s: float) -> None:
        """Ends what is going on unless it ends within `grace_s`.

        What was ended so, or not begun before `stop`, is never `finished`.
        """
        self._loop.join(grace_s)
        self._cut.set()
        self._loop.join(CUT_S)

    def _deliver_all(self) -> None:
        """Runs the hooks of all that waits, and rests until there is more."""
        while not self._waiting.empty() and not self._loop.stopping:
            notice = self._waiting.get()
            try:
                self._deliver(notice)
            except CutShortError:
                return
            except Exception as error:  # it counts as delivered: the next try would stumble again
                note_stumble(error)
            self._ended[notice.id] = notice
        self._loop.rest()

    def _deliver(self, notice: Notice) -> None:
        """Runs an event's hooks in their order; one that fails keeps no other from its turn."""
        for hook in self._hooks.of(notice.event):
            if self._loop.stopping:
                raise CutShortError
            began_s = time.monotonic()
            attempt = self._run_hook(hook, notice)
            seconds = time.monotonic() - began_s
            self._count(notice.event, "failed" if attempt.fault else "fine")
            if attempt.fault:
                say(hook, notice, f"failed: {attempt.fault}", level="WARNING")
            else:
                say(hook, notice, f"told in {seconds:.1f} s")

    def _run_hook(self, hook: Hook, notice: Notice) -> Attempt:
        """One hook with its tries."""
        for number in range(hook.tries):
            attempt = self._try(hook, notice)
            if not attempt.again or number + 1 == hook.tries:
                break
            pause_s = FIRST_PAUSE_S * 2**number
            say(hook, notice, f"{attempt.fault}; again in {pause_s:g} s")
            if self._loop.pause(pause_s):
                raise CutShortError
        return attempt

    def _try(self, hook: Hook, notice: Notice) -> Attempt:
        """One try; whatever is raised on the way is this hook's failure, and no other's."""
        try:
            return self._attempt(hook, notice)
        except CutShortError:
            raise
        except Exception as error:
            note_stumble(error)
            return Attempt(f"could not be tried: {error!r}")

    def _attempt(self, hook: Hook, notice: Notice) -> Attempt:
        """One try, its output logged."""
        if hook.command is not None:
            attempt = run_command(
                hook.command,
                notice.body,
                notice.environment,
                timeout_s=hook.limit_s,
                cut=self._cut,
            )
            say_output(hook, notice, attempt.output)
            return attempt
        try:
            headers = headers_of(notice.event, notice.id, notice.body, hook.secret_file)
        except (OSError, ValueError) as error:
            what = getattr(error, "strerror", None) or error
            return Attempt(f"its secret {hook.secret_file} cannot be used: {what}")
        url = hook.url or ""
        return post(url, headers, notice.body, timeout_s=hook.limit_s, cut=self._cut)


def note_stumble(error: Exception) -> None:
    """Logs a bug; the hooks go on."""
    logger.bind(action="hook").opt(exception=error).error("the hooks stumbled; they go on")


def say(hook: Hook, notice: Notice, what: str, *, level: str = "INFO") -> None:
    """A line of the log about a hook.

    Not bound to the job: its log has been published, and is not to begin anew.
    """
    about = f"{notice.event} {notice.id[:8]}"
    logger.bind(action="hook").log(level, "hook {} ({}): {}", hook.name, about, what)


def say_output(hook: Hook, notice: Notice, output: bytes) -> None:
    """What a command said, line by line, in characters that cannot break the log."""
    for line in output.decode(errors="replace").splitlines():
        if line.strip():
            say(hook, notice, printable(line))
    if len(output) >= OUTPUT_BYTES:
        say(hook, notice, f"said more than the {OUTPUT_BYTES} bytes that are kept")
