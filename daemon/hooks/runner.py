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
from daemon.settings.hooks import Event, Hook, Hooks

MOST_IN_FLIGHT = 16
FIRST_PAUSE_S = 1.0
CUT_S = 2.0


@dataclass(frozen=True)
class Delivery:
    """Something to be told. id: the job's, or another that is like no other's.

    body: the record as JSON.  environment: for commands; a path is left out if nothing is there.
    """

    event: Event
    id: str
    body: bytes
    environment: Mapping[str, str | Path]


class HookRunner:
    """Runs the hooks of what it is offered. All but the thread's own is for one caller's thread.

    A hook that fails is a warning in the log: its delivery counts as ended all the same.
    count: told the event of each hook that was run, and `fine` or `failed`.
    """

    def __init__(
        self, hooks: Hooks, count: Callable[[str, str], object] = lambda event, outcome: None
    ) -> None:
        self._hooks = hooks
        self._count = count
        self._waiting: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._through: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._in_flight: dict[str, Delivery] = {}
        self._finished: list[Delivery] = []
        self._stopping = threading.Event()
        self._cut = threading.Event()
        self._threadless = False
        self._thread = threading.Thread(target=self._run, name="hooks", daemon=True)

    def start(self) -> None:
        """Begins; where no thread can be had now, `offer` tries again."""
        try:
            self._thread.start()
            self._threadless = False
        except RuntimeError as error:
            self._threadless = True
            logger.bind(action="hook").error("nobody can be told of jobs now: {}", error)

    def obey(self, hooks: Hooks) -> None:
        """Tells these from the next delivery on."""
        self._hooks = hooks

    @property
    def busy(self) -> bool:
        """Whether anything offered has not been forgotten yet."""
        return bool(self._in_flight)

    def holds(self, delivery_id: str) -> bool:
        """Whether it was offered and has not been forgotten yet."""
        return delivery_id in self._in_flight

    def offer(
        self,
        event: Event,
        delivery_id: str,
        record: Mapping[str, Any],
        environment: Mapping[str, str | Path],
    ) -> bool:
        """Takes something to be told; False if there is no room for it now. Never waits.

        What it already holds is not taken a second time.
        """
        if delivery_id in self._in_flight:
            return True
        if len(self._in_flight) >= MOST_IN_FLIGHT or self._stopping.is_set():
            return False
        if self._threadless:
            self.start()
            return False
        body = json.dumps(record).encode()
        self._in_flight[delivery_id] = Delivery(event, delivery_id, body, environment)
        self._waiting.put(self._in_flight[delivery_id])
        return True

    def finished(self) -> list[Delivery]:
        """What has ended and was not forgotten; to be marked first, and then forgotten."""
        while not self._through.empty():
            self._finished.append(self._through.get())
        return list(self._finished)

    def forget(self, delivery_id: str) -> None:
        """Lets go of what has ended: from now on it could be offered again."""
        self._finished = [one for one in self._finished if one.id != delivery_id]
        del self._in_flight[delivery_id]

    def stop(self, grace_s: float) -> None:
        """Begins nothing more, and ends what is going on unless it ends within `grace_s`.

        What was ended so, or not begun, is never `finished`.
        """
        self._stopping.set()
        self._waiting.put(None)
        self._cut_short(grace_s)

    def _cut_short(self, grace_s: float) -> None:
        if self._thread.ident is None:  # it never began
            return
        self._thread.join(grace_s)
        self._cut.set()
        self._thread.join(CUT_S)

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            try:
                self._deliver(delivery)
            except CutShortError:
                return
            except Exception:
                # The thread must outlive a bug: nobody would be told of anything any more.
                logger.bind(action="hook").exception("the hooks stumbled; they go on")
            self._through.put(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        """Runs an event's hooks in their order; one that fails keeps no other from its turn."""
        for hook in self._hooks.of(delivery.event):
            if self._stopping.is_set():
                raise CutShortError
            began_s = time.monotonic()
            attempt = self._run_hook(hook, delivery)
            seconds = time.monotonic() - began_s
            self._count(delivery.event, "failed" if attempt.fault else "fine")
            if attempt.fault:
                say(hook, delivery, f"failed: {attempt.fault}", level="WARNING")
            else:
                say(hook, delivery, f"told in {seconds:.1f} s")

    def _run_hook(self, hook: Hook, delivery: Delivery) -> Attempt:
        """One hook with its tries."""
        for number in range(hook.tries):
            attempt = self._try(hook, delivery)
            if not attempt.again or number + 1 == hook.tries:
                break
            pause_s = FIRST_PAUSE_S * 2**number
            say(hook, delivery, f"{attempt.fault}; again in {pause_s:g} s")
            if self._stopping.wait(pause_s):
                raise CutShortError
        return attempt

    def _try(self, hook: Hook, delivery: Delivery) -> Attempt:
        """One try; whatever is raised on the way is this hook's failure, and no other's."""
        try:
            return self._attempt(hook, delivery)
        except CutShortError:
            raise
        except Exception as error:
            logger.bind(action="hook").exception("the hooks stumbled; they go on")
            return Attempt(f"could not be tried: {error!r}")

    def _attempt(self, hook: Hook, delivery: Delivery) -> Attempt:
        """One try, its output logged."""
        if hook.command is not None:
            attempt = run_command(
                hook.command,
                delivery.body,
                delivery.environment,
                timeout_s=hook.limit_s,
                cut=self._cut,
            )
            say_output(hook, delivery, attempt.output)
            return attempt
        try:
            headers = headers_of(delivery.event, delivery.id, delivery.body, hook.secret_file)
        except (OSError, ValueError) as error:
            what = getattr(error, "strerror", None) or error
            return Attempt(f"its secret {hook.secret_file} cannot be used: {what}")
        url = hook.url or ""
        return post(url, headers, delivery.body, timeout_s=hook.limit_s, cut=self._cut)


def say(hook: Hook, delivery: Delivery, what: str, *, level: str = "INFO") -> None:
    """A line of the log about a hook.

    Not bound to the job: its log has been published, and is not to begin anew.
    """
    about = f"{delivery.event} {delivery.id[:8]}"
    logger.bind(action="hook").log(level, "hook {} ({}): {}", hook.name, about, what)


def say_output(hook: Hook, delivery: Delivery, output: bytes) -> None:
    """What a command said, line by line, in characters that cannot break the log."""
    for line in output.decode(errors="replace").splitlines():
        if line.strip():
            say(hook, delivery, printable(line))
    if len(output) >= OUTPUT_BYTES:
        say(hook, delivery, f"said more than the {OUTPUT_BYTES} bytes that are kept")
