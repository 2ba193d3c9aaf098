"""A thread that works round after round: set up, told when it hangs, and ended by no fault."""

import contextlib
import threading
import time
from collections.abc import Callable

from daemon.host.standstill import Furthest

BROKEN_WAIT_S = 5.0
Round = Callable[[], object]


class Loop:
    """Does round after round in a thread of its own until it is stopped; no fault ends it.

    set_up: makes ready what the rounds need, has the stack close it, and returns the round, which
    rests by itself (`rest`, `pause`).  on_fault: told what that or a round raised; after `retry_s`
    all is set up anew.  on_end: the last the thread does once it was stopped.
    """

    def __init__(
        self,
        name: str,
        set_up: Callable[[contextlib.ExitStack], Round],
        on_fault: Callable[[Exception], object],
        *,
        retry_s: float = BROKEN_WAIT_S,
        on_end: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.woken = threading.Event()
        """Set: the next round begins at once."""
        self._set_up = set_up
        self._on_fault = on_fault
        self._on_end = on_end
        self._retry_s = retry_s
        self._clock = clock
        self._stopping = threading.Event()
        self._renewed = threading.Event()
        self._thread: threading.Thread | None = None
        self._began_s: float | None = None
        self._at = ""
        self._furthest = Furthest()

    # For those who own the thread

    def start(self) -> None:
        """Starts the thread, also after its end; raises RuntimeError where none can be had."""
        self._stopping, self._began_s = threading.Event(), None
        thread = threading.Thread(
            target=self._run, args=(self._stopping,), name=self.name, daemon=True
        )
        thread.start()
        self._thread = thread

    def wake(self) -> None:
        """Lets the next round begin at once."""
        self.woken.set()

    def renew(self) -> None:
        """Has everything set up anew after the round at hand."""
        self._renewed.set()
        self.woken.set()

    def stop(self) -> None:
        """Asks the thread to end after the round at hand."""
        self._stopping.set()
        self.woken.set()

    def join(self, timeout_s: float) -> None:
        """Waits for the thread's end; one that hangs is left behind."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def at(self) -> str:
        """What the thread has at hand, or had last; empty while it only looks around."""
        return self._at

    @property
    def reached(self) -> int:
        """How far all has got so far: what is slow and gets further is no standstill."""
        return self._furthest.total

    def hangs_s(self) -> float:
        """Seconds since what is at hand was begun or got further; 0 if there is nothing."""
        began_s = self._began_s
        return self._clock() - began_s if began_s is not None else 0.0

    # For the rounds

    @property
    def stopping(self) -> bool:
        """Whether the thread was asked to end."""
        return self._stopping.is_set()

    def begin(self, what: str = "") -> None:
        """Notes what is at hand from now on; the end of the round ends that too."""
        self._at, self._began_s = what, self._clock()
        self._furthest.begin(what)

    def step(self, what: str) -> None:
        """Notes that something got a piece further."""
        self._began_s = self._clock()
        self._furthest.step(what)

    def end(self) -> None:
        """Notes that nothing is at hand."""
        self._began_s = None

    def rest(self, seconds: float | None = None) -> bool:
        """Waits until something wakes the thread; whether that was within so many seconds."""
        return self.woken.wait(seconds)

    def pause(self, seconds: float) -> bool:
        """Waits that long, whatever wakes the thread; whether it was asked to end."""
        return self._stopping.wait(seconds)

    # The thread's own

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self._renewed.clear()
                with contextlib.ExitStack() as opened:
                    self._go_round(self._set_up(opened), stopping)
            except Exception as error:  # a thread that ended would leave its work undone unseen
                self.end()
                self._on_fault(error)
                stopping.wait(self._retry_s)
        self._on_end()

    def _go_round(self, work: Round, stopping: threading.Event) -> None:
        while not stopping.is_set() and not self._renewed.is_set():
            self.woken.clear()
            work()
            self.end()
