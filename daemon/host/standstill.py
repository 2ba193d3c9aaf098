"""When a service that is to end by itself gives up on what it cannot do."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

ONCE_GIVE_UP_S = 30.0
HANGING_S = 120.0
"""What takes so long at one picture, or one look, hangs."""

MOST_NAMES = 20_000
"""Of how many things is remembered how far they got; a service runs for months."""


class Standstill:
    """Notices that nothing gets further any more.

    Only the time counts in which nothing was active: what is active has limits of its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reached: Hashable = None
        self._looked_s: float | None = None
        self._idle_s = 0.0

    def lasts_s(self, reached: Hashable, *, active: bool) -> float:
        """Seconds of doing nothing since `reached`, how far everything has come, last changed."""
        now_s = self._clock()
        if self._looked_s is None or reached != self._reached:
            self._idle_s = 0.0
        elif not active:
            self._idle_s += now_s - self._looked_s
        self._reached, self._looked_s = reached, now_s
        return self._idle_s


class Furthest:
    """How far each of several things has got; what is begun again does not count twice.

    For several threads. Beyond `most` names the one that was longest not heard of is forgotten, and
    counts anew should it be begun again.
    """

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._steps: OrderedDict[str, tuple[int, int]] = OrderedDict()  # now, and at the furthest
        self._total = 0

    def begin(self, name: str) -> None:
        """It is at its beginning."""
        with self._lock:
            self._note(name, 0)

    def step(self, name: str) -> None:
        """It got a piece further."""
        with self._lock:
            now, _ = self._steps.get(name, (0, 0))
            self._note(name, now + 1)

    def reach(self, name: str, steps: int) -> None:
        """It got so far."""
        with self._lock:
            self._note(name, steps)

    def _note(self, name: str, steps: int) -> None:
        _, furthest = self._steps.pop(name, (0, 0))
        self._steps[name] = (steps, max(furthest, steps))
        self._total += max(0, steps - furthest)
        if len(self._steps) > self._most:
            self._steps.popitem(last=False)

    @property
    def total(self) -> int:
        """To be compared: grows when one of them gets further than it ever was."""
        return self._total
