"""The seats a pool has at this moment: which rest after trouble, and what is wrong with any."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from daemon.errors import SurroundingsError
from daemon.pool.face import Seat
from daemon.status.health import Health

NO_NODE = "waits for a node: none is connected"
NODES_COME_S = 10.0
"""How long scheduler and nodes may take to come, or to come back, before that is told."""

LONGEST_REST_S = 300.0
"""How long a node rests at most that stumbles again and again."""

LEAVES_S = 60.0
"""How long a node that leaves is given nothing more, unless it has gone and come back before."""

HERE = ""
"""What this machine's seats rest as: whatever one of them met with the others would, too."""


class Seating:
    """Keeps what is known of seats beyond their pool. One thread's."""

    def __init__(self, health: Health, clock: Callable[[], float] = time.monotonic) -> None:
        self._health = health
        self._clock = clock
        self._seats: dict[str, Seat] = {}
        self._broken: dict[str, SurroundingsError] = {}  # by device
        self._resting_until_s: dict[str, float] = {}  # by device of a node, or HERE
        self._told_to_rest: set[str] = set()  # devices of nodes
        self._stumbles: Counter[str] = Counter()  # in a row, by device of a node
        self._well_s = clock()

    @property
    def seats(self) -> list[Seat]:
        """The seats as they were at the last look."""
        return list(self._seats.values())

    def look(self, seats: Sequence[Seat], trouble: str | None) -> None:
        """Takes in the seats as they are now; of one that is gone nothing is wrong any more.

        trouble: what keeps others away, if anything does; told once it has lasted.
        """
        self._seats = {seat.device: seat for seat in seats}
        for device in self._broken.keys() - self._seats.keys():
            self.note_worker(device, None)
        for device in self._resting_until_s.keys() - self._seats.keys() - {HERE}:
            del self._resting_until_s[device]
            self._stumbles.pop(device, None)
        self._told_to_rest -= {seat.device for seat in seats if seat.run_id is not None}
        self._told_to_rest &= self._seats.keys()
        self._tell(trouble or (None if seats else NO_NODE))

    def _tell(self, trouble: str | None) -> None:
        if trouble is None:
            self._well_s = self._clock()
            self._health.good("fleet")
        elif self._clock() - self._well_s >= NODES_COME_S:
            self._health.bad("fleet", SurroundingsError(trouble))

    def note_worker(self, device: str, trouble: str | None) -> None:
        """Notes what is wrong with a seat's worker, None: nothing; the others keep theirs."""
        self._broken.pop(device, None)
        if trouble is None:
            self._stumbles.pop(device, None)
        elif device in self._seats:
            self._broken[device] = SurroundingsError(f"{device}: {trouble}")
        if self._broken:
            self._health.bad("worker", *self._broken.values())
        else:
            self._health.good("worker")

    def rest(self, device: str, seconds: float) -> None:
        """Lets a seat rest, of this machine all of them; one that is gone needs none.

        A node rests an eighth of that at first, for one loss makes no broken machine, and each time
        twice as long until it has painted: a broken one would draw job after job to itself.
        """
        seat = self._seats.get(device)
        if seat is not None and seat.node:
            seconds = min(LONGEST_REST_S, seconds / 8 * 2 ** min(12, self._stumbles[device]))
            self._stumbles[device] += 1
            self._resting_until_s[device] = self._clock() + seconds
        elif seat is not None:
            self._resting_until_s[HERE] = self._clock() + seconds

    def rest_node(self, node: str) -> None:
        """Lets all seats of a node rest that has begun to leave, or its devices are others' now."""
        for seat in self.seats:
            if seat.node == node:
                self._resting_until_s[seat.device] = self._clock() + LEAVES_S

    def rested(self, seats: Sequence[Seat]) -> list[Seat]:
        """Those of some seats that do not rest."""
        now_s, until_s = self._clock(), self._resting_until_s
        return [
            seat for seat in seats if now_s >= until_s.get(seat.device if seat.node else HERE, 0.0)
        ]

    def is_to_rest(self, device: str) -> bool:
        """Whether a free seat's worker is to be ended now; of a node that is said once.

        It is said again when the seat has painted since.
        """
        seat = self._seats.get(device)
        if seat is None or not seat.node:
            return seat is not None
        is_news = device not in self._told_to_rest
        self._told_to_rest.add(device)
        return is_news

    def seats_of(self, devices: Sequence[str]) -> list[Seat]:
        """The seats of these names that are there still."""
        return [self._seats[device] for device in devices if device in self._seats]

    def forget(self) -> None:
        """Begins anew with another pool."""
        self._seats.clear()
        self._broken.clear()
        self._well_s = self._clock()
