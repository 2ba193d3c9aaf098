"""Asking for a job to be cancelled, or for its picture to be painted once more.

Works beside a running service and without one: both only change the ledger and move files.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from daemon.errors import StaleJobError, SurroundingsError
from daemon.host import files
from daemon.host.access import explain, is_there, refusals
from daemon.job import ClaimedPicture, Job, PictureState, State
from daemon.ledger.store import Ledger
from daemon.outbox.publish import is_ours
from daemon.pictures.companions import CompanionKind, own_of
from daemon.settings.config import Config
from daemon.state.mounts import Mounts
from daemon.status.live import read_live

UNFIT = "state this needs"

Said = list[tuple[str, str]]
"""For each job, what was done, or else why not."""


def find_job(ledger: Ledger, asked: str) -> Job:
    """The one job whose id begins so; raises StaleJobError if there is none, or several."""
    if not asked.strip():  # every id begins so
        raise StaleJobError("an empty word names no job; see atelierd status")
    matches = jobs_like(ledger, asked)
    if len(matches) == 1:
        return matches[0]
    word = f"'{files.printable(asked)}'"
    raise StaleJobError(
        f"no job begins with {word}; see atelierd status"
        if not matches
        else f"several jobs begin with {word}; give more of the id"
    )


def jobs_like(ledger: Ledger, asked: str) -> list[Job]:
    """Up to two jobs whose ids begin so, blanks around it and capitals apart."""
    prefix = asked.strip().lower()
    return ledger.jobs_by_prefix(prefix) if re.fullmatch(r"[\w-]{1,64}", prefix, re.ASCII) else []


def no_ledger(config: Config, asked: Sequence[str]) -> Said | None:
    """What to say where no ledger is there yet, which only the service makes; None if one is.

    Raises SurroundingsError where the state folder may not be looked into.
    """
    if is_there(config.state) and config.ledger_path.exists():
        return None
    return [("", f"{prefix}: there are no jobs yet") for prefix in asked]


def cancel_jobs(config: Config, asked: Sequence[str]) -> Said:
    """Asks the service to cancel jobs that wait or run."""
    if (nothing := no_ledger(config, asked)) is not None:
        return nothing
    ledger = Ledger(config.ledger_path)
    answers: Said = []
    for prefix in asked:
        try:
            job = find_job(ledger, prefix)
            ledger.request_cancel(job.id)
        except StaleJobError as error:
            answers.append(("", refusal(config, ledger, prefix, error)))
        else:
            answers.append((f"{job.id[:8]} {files.printable(job.below)}: will be cancelled", ""))
    ledger.close()
    return answers


def retry_jobs(config: Config, asked: Sequence[str], *, failed: bool) -> Said:
    """Moves the pictures of failed or cancelled jobs back to the inbox."""
    if (nothing := no_ledger(config, asked)) is not None:
        return nothing
    ledger = Ledger(config.ledger_path)
    answers: Said = []
    prefixes = [*asked, *(job.id for job in ledger.jobs_in(State.FAILED) if failed)]
    for prefix in prefixes:
        try:
            job = find_job(ledger, prefix)
            answers.append((put_back(config, ledger, job), ""))
        except (StaleJobError, SurroundingsError) as error:
            answers.append(("", refusal(config, ledger, prefix, error)))
        except OSError as error:  # a folder that may not be looked into; the others go on
            answers.append(("", f"{prefix}: {explain(error)}"))
    ledger.close()
    return answers


def put_back(config: Config, ledger: Ledger, job: Job) -> str:
    """Moves one job's picture and companions to where they were dropped, and its reason away.

    The ledger goes first: the picture must never come again beside a job that still has it.
    Repeating finishes what was cut off.
    """
    picture = ledger.picture(job.picture_id)
    check_whole(config, job, picture)
    outputs = job.outputs
    source, target = config.outbox / outputs.original, config.inbox / picture.path
    beside = {
        filed: config.inbox / dropped_again(kind, picture)
        for kind, filed in own_of(source).items()
        if filed.exists()
    }
    for taken in (path for path in (target, *beside.values()) if path.exists()):
        raise SurroundingsError(f"{files.printable(taken)} is there already; let it be taken first")
    if job.state is not State.RETRIED:
        ledger.retry_job(job.id)
    with refusals(files.printable(source), "; mend that, then retry it again"):
        for filed, dropped in beside.items():
            files.move(filed, dropped)
        files.move(source, target)
        for dropped in beside.values():  # one that lay alone for long would pass for another's
            with contextlib.suppress(OSError):
                os.utime(dropped)
    for path in (outputs.reason, outputs.record, outputs.log):
        with contextlib.suppress(OSError):
            (config.outbox / path).unlink(missing_ok=True)
    return f"{job.id[:8]} {files.printable(picture.path)}: back in the inbox"


def check_whole(config: Config, job: Job, picture: ClaimedPicture) -> None:
    """Raises StaleJobError or SurroundingsError unless a job's picture can be put back now."""
    record = config.outbox / job.outputs.record
    unfinished = job.state is State.RETRIED and is_ours(record, job.id)
    if job.state not in (State.FAILED, State.CANCELLED) and not unfinished:
        raise StaleJobError(f"{job.id[:8]} is {job.state}; only failed or cancelled jobs")
    if picture.state is not PictureState.FILED:
        raise StaleJobError(
            f"the picture of {job.id[:8]} is not filed yet; try again when its other jobs are "
            "over and it lies in the outbox"
        )
    mounts = Mounts(config.state)
    for folder in (config.outbox, config.inbox):
        mounts.check(folder)
        if not folder.is_dir():
            raise SurroundingsError(
                f"{files.printable(folder)} is unavailable: there is no such folder"
            )
    original = config.outbox / job.outputs.original
    if not original.exists():
        raise SurroundingsError(f"the picture is not at {files.printable(original)} any more")


def dropped_again(kind: CompanionKind, picture: ClaimedPicture) -> Path:
    """The name a companion comes again under: the one that no other picture shares, if it fits."""
    before = kind.among(picture.companions)
    own = kind.own(picture.path)
    return own if before is None or own.name == picture.path.name + kind.ending else before


def refusal(config: Config, ledger: Ledger, prefix: str, error: Exception) -> str:
    """Why a job was left alone."""
    matches = jobs_like(ledger, prefix)
    if not isinstance(error, StaleJobError) or len(matches) != 1 or UNFIT not in str(error):
        return f"{prefix}: {error}"
    if matches[0].state is not State.PUBLISHING:
        return f"{prefix}: is {matches[0].state}; only waiting or running jobs can be cancelled"
    live = read_live(config.state) or {}
    trouble = live.get("health", {}).get("outbox", "the service has not put it there yet")
    return (
        f"{prefix}: is over ({matches[0].verdict}), and only waits for the outbox "
        f"{config.outbox}: {trouble}"
    )
