"""Moving jobs in the line: this one first, that one before another.

Works beside a running service and without one; only jobs of one queue have an order among them.
"""

import contextlib
from collections.abc import Sequence

from daemon.commands.jobs import Answer, Said, find_job, named, no_ledger
from daemon.errors import StaleJobError
from daemon.job import BULK, Job, State
from daemon.ledger.store import Ledger
from daemon.settings.config import Config


def first_jobs(config: Config, asked: Sequence[str]) -> Said:
    """Puts waiting jobs before all others of their queue, the first named first."""
    if (nothing := no_ledger(config, asked)) is not None:
        return nothing
    answers: Said = []
    with contextlib.closing(Ledger(config.ledger_path)) as ledger:
        for prefix in reversed(asked):
            try:
                job = find_waiting(ledger, prefix)
                ledger.places.put_first(job.id)
                answers.append(Answer(f"{named(job)}: first of the {queue_name(job)} jobs"))
            except StaleJobError as error:
                answers.append(Answer(fault=f"{prefix}: {error}"))
    return answers[::-1]


def move_job(config: Config, asked: str, before: str | None) -> Answer:
    """Puts a waiting job right before another one of its queue; to its end if `before` is None."""
    if (nothing := no_ledger(config, [asked])) is not None:
        return nothing[0]
    with contextlib.closing(Ledger(config.ledger_path)) as ledger:
        try:
            job = find_waiting(ledger, asked)
            if before is None:
                ledger.places.put_last(job.id)
                return Answer(f"{named(job)}: last of the {queue_name(job)} jobs")
            other = find_waiting(ledger, before)
            if job.priority != other.priority:
                raise StaleJobError(
                    f"is one of the {queue_name(job)} jobs, and {other.id[:8]} one of the "
                    f"{queue_name(other)} jobs; only those of one queue have an order among them"
                )
            ledger.places.put_before(job.id, other.id)
            return Answer(f"{named(job)}: before {named(other)}")
        except StaleJobError as error:
            return Answer(fault=f"{asked}: {error}")


def find_waiting(ledger: Ledger, asked: str) -> Job:
    """The one waiting job whose id begins so; raises StaleJobError."""
    job = find_job(ledger, asked)
    if job.state is not State.READY:
        raise StaleJobError(f"{named(job)} is {job.state}; only waiting jobs have a place")
    return job


def queue_name(job: Job) -> str:
    """The queue that a job stands in."""
    return "bulk" if job.priority <= BULK else "ordinary"
