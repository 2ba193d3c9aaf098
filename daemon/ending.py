"""When a service that is to end by itself gives up on what it cannot do."""

import time
from collections.abc import Callable, Hashable

ONCE_GIVE_UP_S = 30.0


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
    """How far each of several things has got; what is begun again does not count twice."""

    def __init__(self) -> None:
        self._now: dict[str, int] = {}
        self._furthest: dict[str, int] = {}

    def begin(self, name: str) -> None:
        """It is at its beginning."""
        self._now[name] = 0

    def step(self, name: str) -> None:
        """It got a piece further."""
        self.reach(name, self._now.get(name, 0) + 1)

    def reach(self, name: str, steps: int) -> None:
        """It got so far."""
        self._now[name] = steps
        self._furthest[name] = max(self._furthest.get(name, 0), steps)

    @property
    def total(self) -> int:
        """To be compared: grows when one of them gets further than it ever was."""
        return sum(list(self._furthest.values()))
