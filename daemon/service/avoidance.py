"""Which seats jobs are tried on no more: a node that is broken must not use up a job's starts."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from daemon.job import Job
from daemon.pool.face import Seat

MOST_LOSSES = 2
"""How often a job may be lost on one seat of a node before it is tried on others only."""


@dataclass
class LostJob:
    """A job that was lost on seats of nodes. losses: how often, by their devices."""

    runs_on: str
    losses: Counter[str] = field(default_factory=Counter)

    def avoids(self, seat: Seat) -> bool:
        """Whether it was lost there too often."""
        return self.losses[seat.device] >= MOST_LOSSES


class Avoidance:
    """Keeps what was lost where since a job got on. One thread's."""

    def __init__(self) -> None:
        self._lost: dict[str, LostJob] = {}

    def note_loss(self, job: Job, device: str) -> None:
        """Notes that a job was lost on a seat of a node."""
        self._lost.setdefault(job.id, LostJob(job.runs_on)).losses[device] += 1

    def forget(self, job_id: str) -> None:
        """Forgets a job that has got on, or is over."""
        self._lost.pop(job_id, None)

    def put_off(self, free: Sequence[Seat], seats: Collection[Seat]) -> list[str]:
        """The ids of jobs that wait for another seat than those that are free.

        seats: all there are. Where none but the avoided will do for a job, it avoids none.
        """
        ids = []
        for job_id, lost in self._lost.items():
            fit = {seat.device for seat in seats if seat.will_do(lost.runs_on)}
            elsewhere = fit - {seat.device for seat in seats if lost.avoids(seat)}
            if elsewhere and elsewhere.isdisjoint(seat.device for seat in free):
                ids.append(job_id)
        return ids

    def better(self, job_id: str, free: Sequence[Seat]) -> list[Seat]:
        """The free seats that a job does not avoid; all of them if that leaves none for it."""
        lost = self._lost.get(job_id)
        if lost is None:
            return list(free)
        others = [seat for seat in free if not lost.avoids(seat)]
        return others if any(seat.will_do(lost.runs_on) for seat in others) else list(free)
