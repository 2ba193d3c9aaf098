"""Pictures that the seats of a pool paint one after the other, each as it becomes free."""

import queue
import time
from collections.abc import Callable

from daemon.messages import Done, Outcome, RunOrder
from daemon.pool.face import WorkerPool


class Line:
    """Gives a pool's seats one order after the other. make_order: by the picture's number."""

    def __init__(self, pool: WorkerPool, make_order: Callable[[int], RunOrder]) -> None:
        self._pool = pool
        self._make_order = make_order
        self._ended: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
        self._begun = 0

    def paint(self, pictures: int, clock: Callable[[], float] = time.perf_counter) -> float:
        """Seconds that so many pictures take. Raises RuntimeError if one is not painted."""
        seats = [seat.device for seat in self._pool.seats()][:pictures]
        began = clock()
        for seat in seats:
            self._begin(seat)
        for number in range(pictures):
            seat, outcome = self._ended.get()
            if not isinstance(outcome, Done):
                raise RuntimeError(f"{seat}: {outcome}")
            if number + len(seats) < pictures:
                self._begin(seat)
        return clock() - began

    def _begin(self, seat: str) -> None:
        self._begun += 1
        future = self._pool.submit(seat, f"run-{self._begun}", self._make_order(self._begun))
        future.add_done_callback(lambda done: self._ended.put((seat, done.result())))
