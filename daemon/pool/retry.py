"""What happens after a run that did not end by itself. Pure."""

from dataclasses import dataclass

from daemon.messages import PassPlan

MAX_FRUITLESS_STARTS = 3
MAX_OUT_OF_MEMORY = 3
LONGEST_BACKOFF_S = 300.0


@dataclass(frozen=True)
class Again:
    """Back into the line; the device waits so long first."""

    wait_s: float


@dataclass(frozen=True)
class Smaller:
    """Back into the line; the next run takes at most `memory_bytes` (None: as much as ever).

    The device waits so long first, for whoever took the memory may give it back.
    """

    memory_bytes: int | None
    warning: str
    wait_s: float


@dataclass(frozen=True)
class GiveUp:
    """The job has failed, for this reason."""

    reason: str


def after_loss(fruitless_starts: int, ending: str) -> Again | GiveUp:
    """After the worker was lost during a job that has begun so often without getting further.

    The first loss is mostly nobody's fault, and the job begins again at once.
    """
    if fruitless_starts >= MAX_FRUITLESS_STARTS:
        return GiveUp(
            f"The worker was lost {fruitless_starts} times in a row while painting this picture "
            f"(the last time it {ending}). Other pictures may be fine: try a smaller `size`, look "
            "at the log beside this file, then use `atelierd retry`."
        )
    wait_s = 2.0**fruitless_starts if fruitless_starts > 1 else 0.0
    return Again(min(LONGEST_BACKOFF_S, wait_s))


def after_out_of_memory(
    times_before: int, memory_bytes: int | None, plan: PassPlan | None
) -> Smaller | GiveUp:
    """After memory ran out under `plan` (None: before there was one).

    times_before: how often it had run out before.  memory_bytes: what the run was held to, if
    anything.
    """
    where = f"at {plan}" if plan else "before the first pass was planned"
    if times_before >= MAX_OUT_OF_MEMORY:
        return GiveUp(
            f"Memory ran out {times_before + 1} times, the last time {where}. "
            + (
                "Each run was to take less than the one before. Choose a smaller `size`, or set "
                "`memory` in config.yaml to what a worker can really have, and try again."
                if plan
                else "Even opening the picture and the network takes more than there is: end other "
                "programs, or give the machine more memory, and try again."
            )
        )
    wait_s = 2.0**times_before
    if plan is None:
        warning = f"memory ran out {where}; began again in a fresh worker"
        return Smaller(memory_bytes, warning, wait_s)
    took = min(plan.predicted_bytes, plan.budget_bytes)
    half = plan.held_bytes + max(took - plan.held_bytes, 0) // 2
    allowed = half if memory_bytes is None else min(half, memory_bytes)
    warning = f"memory ran out {where}; went on with at most {allowed / 1e9:.1f} GB"
    return Smaller(allowed, warning, wait_s)
