"""What happens after a run that did not end by itself. Pure."""

from dataclasses import dataclass

MAX_FRUITLESS_STARTS = 3
LONGEST_BACKOFF_S = 300.0


@dataclass(frozen=True)
class Again:
    """Back into the line; the device waits so long first."""

    wait_s: float


@dataclass(frozen=True)
class GiveUp:
    """The job has failed, for this reason."""

    reason: str


def after_loss(fruitless_starts: int, ending: str) -> Again | GiveUp:
    """After the worker was lost during a job that has begun so often without getting further."""
    if fruitless_starts >= MAX_FRUITLESS_STARTS:
        return GiveUp(
            f"The worker was lost {fruitless_starts} times in a row while painting this picture "
            f"(the last time it {ending}). Other pictures may be fine: try a smaller `size`, look "
            "at the log beside this file, then use `atelierd retry`."
        )
    return Again(wait_s=min(LONGEST_BACKOFF_S, 2.0**fruitless_starts))
