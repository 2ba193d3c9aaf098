"""Which devices are left to other programs that need them: the rule of `yield_gpu_when`."""

import time
from collections.abc import Callable


class Crowding:
    """Devices of whose memory others take more than they may, and for a while after that.

    limit_bytes: what they may take; None: anything.  calm_s: how long they must have taken no more,
    so that work is not begun between two of theirs.
    """

    def __init__(
        self,
        limit_bytes: int | None,
        calm_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_bytes = limit_bytes
        self._calm_s = calm_s
        self._clock = clock
        self._crowded_s: dict[str, float] = {}

    def look(self, device: str, others_bytes: int) -> bool:
        """Takes in what others take of a device now; returns whether that is more than they may."""
        is_over = self._limit_bytes is not None and others_bytes > self._limit_bytes
        if is_over:
            self._crowded_s[device] = self._clock()
        return is_over

    def left(self) -> frozenset[str]:
        """The devices that others need, or needed a moment ago. May be called from any thread."""
        now_s = self._clock()
        crowded = dict(self._crowded_s)
        return frozenset(name for name, then_s in crowded.items() if now_s - then_s < self._calm_s)
