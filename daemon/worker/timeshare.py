"""What is done beside the painting, now and then, without slowing it by more than its share."""

import time
from collections.abc import Callable


class TimeShare:
    """Lets something happen every `every_s` seconds, for at most one part in `parts` of the time.

    The first time after `every_s`.
    """

    def __init__(
        self, every_s: float, parts: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_s = every_s
        self._parts = parts
        self._clock = clock
        self._due_s = clock() + every_s

    def offer(self, work: Callable[[], None], *, now: bool = False) -> bool:
        """Does `work` if it is time, or `now`, and tells whether. Raises what `work` raises."""
        began = self._clock()
        if not now and began < self._due_s:
            return False
        try:
            work()
        finally:  # what fails takes its time too
            ended = self._clock()
            self._due_s = ended + max(self._every_s, self._parts * (ended - began))
        return True
