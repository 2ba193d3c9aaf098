"""Asking for a job to be cancelled, or for its picture to be painted once more.

Works beside a running service and without one: both only change the ledger and move files.
"""

import contextlib
from collections.abc import Sequence

from daemon import files
from daemon.config import Config
from daemon.errors import StaleJobError, SurroundingsError
from daemon.job import ClaimedPicture, Job, State
from daemon.ledger.store import Ledger
from daemon.mounts import Mounts
from daemon.outbox.publish import filed_sidecar

Said = list[tuple[str, str]]
"""For each job, what was done, or else why not."""


def find_job(ledger: Ledger, asked: str) -> Job:
    """The one job whose id begins so; raises StaleJobError if there is none, or several."""
    found = ledger.jobs_by_prefix(asked)
    if len(found) == 1:
        return found[0]
    raise StaleJobError(
        f"no job begins with {asked!r}; see atelierd status"
        if not found
        else f"several jobs begin with {asked!r}; give more of the id"
    )


def cancel_jobs(config: Config, asked: Sequence[str]) -> Said:
    """Asks the service to cancel jobs that wait or run."""
    ledger = Ledger(config.ledger_path)
    said: Said = []
    for prefix in asked:
        try:
            job = find_job(ledger, prefix)
            ledger.request_cancel(job.id)
        except StaleJobError as error:
            said.append(("", refusal(ledger, prefix, error)))
        else:
            said.append((f"{job.id[:8]} {files.printable(job.below)}: will be cancelled", ""))
    ledger.close()
    return said


def retry_jobs(config: Config, asked: Sequence[str], *, failed: bool) -> Said:
    """Moves the pictures of failed or cancelled jobs back to the inbox."""
    ledger = Ledger(config.ledger_path)
    said: Said = []
    prefixes = [*asked, *(job.id for job in ledger.jobs_in(State.FAILED) if failed)]
    for prefix in prefixes:
        try:
            job = find_job(ledger, prefix)
            said.append((put_back(config, ledger, job), ""))
        except (StaleJobError, SurroundingsError) as error:
            said.append(("", refusal(ledger, prefix, error)))
    ledger.close()
    return said


def put_back(config: Config, ledger: Ledger, job: Job) -> str:
    """Moves one job's picture and sidecar to where they were dropped, and its reason away."""
    if job.state not in (State.FAILED, State.CANCELLED):
        raise StaleJobError(f"{job.id[:8]} is {job.state}; only failed or cancelled jobs")
    for folder in (config.outbox, config.inbox):
        Mounts(config.state).check(folder)
    picture = ledger.picture(job.picture_id)
    source = config.outbox / job.outputs["original"]
    target = config.inbox / picture.path
    if not source.exists():
        raise SurroundingsError(f"the picture is not at {files.printable(source)} any more")
    if target.exists():
        raise SurroundingsError(
            f"{files.printable(target)} is there already; let it be taken first"
        )
    try:
        put_sidecar_back(config, ledger, job, picture)
        files.move(source, target)
    except OSError as error:
        raise SurroundingsError(f"{files.printable(source)}: {error.strerror}") from error
    ledger.retry_job(job.id)
    for kind in ("reason", "record", "log"):
        with contextlib.suppress(OSError):
            (config.outbox / job.outputs[kind]).unlink(missing_ok=True)
    return f"{job.id[:8]} {files.printable(picture.path)}: back in the inbox"


def put_sidecar_back(config: Config, ledger: Ledger, job: Job, picture: ClaimedPicture) -> None:
    """Moves a picture's sidecar to where it was dropped; a copy, if other jobs may need it too."""
    jobs = ledger.jobs_of_picture(picture.id)
    sidecar = filed_sidecar(config.outbox, picture, jobs)
    if sidecar is None or picture.sidecar is None:
        return
    needed = any(one.state is not State.RETRIED for one in jobs if one.id != job.id)
    (files.copy_whole if needed else files.move)(sidecar, config.inbox / picture.sidecar)


def refusal(ledger: Ledger, prefix: str, error: Exception) -> str:
    """Why a job was left alone."""
    found = ledger.jobs_by_prefix(prefix)
    if isinstance(error, StaleJobError) and len(found) == 1 and "state this needs" in str(error):
        return f"{prefix}: is {found[0].state}; only waiting or running jobs can be cancelled"
    return f"{prefix}: {error}"
