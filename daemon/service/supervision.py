"""What is to be done about runs and free seats at this moment. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from daemon.job import BULK
from daemon.pool.face import CUDA, Seat
from daemon.service.permit import Permit
from daemon.service.run import Run, StopReason

STOP_S = 8.0
"""How long a worker may take to stop where somebody waits for it."""

PATIENCE_S = 60.0
"""How long a worker may take to its next step and checkpoint where nobody waits for it to stop."""


@dataclass(frozen=True)
class Stop:
    """A run is to end after its step; its worker is ended where that takes too long."""

    run: Run
    why: StopReason | str
    grace_s: float = STOP_S


@dataclass(frozen=True)
class Kill:
    """A run is to end at once, since its worker has said nothing for too long."""

    run: Run


@dataclass(frozen=True)
class Rest:
    """A free seat's worker is to end, whose memory others may need."""

    device: str


@dataclass(frozen=True)
class Start:
    """A free seat may take a job."""

    seat: Seat


Instruction = Stop | Kill | Rest | Start


def decide(
    runs: Iterable[Run],
    seats: Sequence[Seat],
    cancelled: Collection[str],
    permit: Permit,
    now_s: float,
) -> list[Instruction]:
    """Says what is to be done now.  cancelled: ids of jobs that somebody asked to be stopped."""
    told = [instruct(run, run.job.id in cancelled, permit, now_s) for run in runs]
    free = [seat for seat in seats if seat.run_id is None]
    return [
        *(instruction for instruction in told if instruction is not None),
        *(Start(one) if permit.lets_start_on(one.device) else Rest(one.device) for one in free),
    ]


def seat_for(runs_on: str, seats: Collection[Seat], asked: Collection[str] = ()) -> Seat:
    """Chooses the seat of a job from those of which at least one will do for it.

    asked: what waiting jobs ask for; seats that offer it are left to them where others will do.
    Where nodes are among them GPUs come first, since nobody chose the order in which nodes came.
    """
    others, any_node = {*asked} - {runs_on, ""}, any(seat.node for seat in seats)
    return min(
        (seat for seat in seats if seat.will_do(runs_on)),
        key=lambda seat: (not others.isdisjoint(seat.offers), any_node and CUDA not in seat.offers),
    )


def instruct(run: Run, is_cancelled: bool, permit: Permit, now_s: float) -> Stop | Kill | None:
    """Says what is to be done about a run; None: it goes on, or is about to stop already."""
    is_late, is_open = now_s > run.deadline_s, run.stop is None
    if is_open and is_cancelled:
        return Stop(run, StopReason.CANCELLED)
    if is_open and is_late:
        return Stop(run, StopReason.LATE)
    if now_s - run.heard_s > run.stall_s and not (run.stalled or is_late):
        return Kill(run)
    why = permit.forbids(run.job.priority, run.shown.device)
    return Stop(run, why, PATIENCE_S) if is_open and why else None


def giving_way(runs: Collection[Run]) -> Stop | None:
    """Says which bulk job lets an ordinary one go first; None if none can, or one does already.

    runs: those on whose seats it would be painted.
    """
    bulk = [run for run in runs if run.job.priority <= BULK]
    if not bulk or any(run.stop for run in bulk):
        return None
    return Stop(bulk[-1], "an ordinary job goes first", PATIENCE_S)
