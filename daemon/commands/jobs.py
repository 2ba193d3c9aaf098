"""Asking for a job to be cancelled, or for its picture to be painted once more.

Works beside a running service and without one: both only change the ledger and move files.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from daemon.errors import StaleJobError, SurroundingsError
from daemon.host import files
from daemon.host.access import explain, is_there, refusals
from daemon.intake.preset_choice import Naming
from daemon.job import ClaimedPicture, Job, PictureState, State
from daemon.ledger.store import Ledger
from daemon.outbox.publish import is_another, is_ours
from daemon.pictures.companions import SIDECAR, CompanionKind, own_of
from daemon.pictures.names import lies_in
from daemon.settings import yamlfile
from daemon.settings.config import Config
from daemon.state.mounts import Mounts
from daemon.status.live import read_live

UNFIT = "state this needs"


class Answer(NamedTuple):
    """What was done about a job that was asked for, or else why not."""

    done: str = ""
    fault: str = ""


Said = list[Answer]
"""For each job, in the order they were asked for."""


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


def named(job: Job) -> str:
    """A job in an answer: the beginning of its id, and its picture."""
    return f"{job.id[:8]} {files.printable(job.below)}"


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
    return [Answer(fault=f"{prefix}: there are no jobs yet") for prefix in asked]


def cancel_jobs(config: Config, asked: Sequence[str]) -> Said:
    """Asks the service to cancel jobs that are not over."""
    if (nothing := no_ledger(config, asked)) is not None:
        return nothing
    ledger = Ledger(config.ledger_path)
    answers: Said = []
    for prefix in asked:
        try:
            job = find_job(ledger, prefix)
            ledger.request_cancel(job.id)
        except StaleJobError as error:
            answers.append(Answer(fault=refusal(config, ledger, prefix, error)))
        else:
            answers.append(Answer(f"{named(job)}: will be cancelled"))
    ledger.close()
    return answers


def retry_jobs(config: Config, asked: Sequence[str], *, failed: bool) -> Said:
    """Moves the pictures of failed or cancelled jobs back to the inbox."""
    if (nothing := no_ledger(config, asked)) is not None:
        return nothing
    ledger = Ledger(config.ledger_path)
    answers: Said = []
    prefixes = [*asked, *(job.id for job in ledger.jobs_in(State.FAILED) if failed)]
    wanted = [job for prefix in prefixes for job in jobs_like(ledger, prefix)]
    back: set[str] = set()
    for prefix in prefixes:
        try:
            job = find_job(ledger, prefix)
            if job.id not in back:
                group = with_others(config, ledger, job, wanted)
                put_back(config, ledger, group)
                back |= {one.id for one in group}
            path = files.printable(ledger.picture(job.picture_id).path)
            cell = f" ({job.label})" if job.label else ""
            answers.append(Answer(f"{job.id[:8]} {path}{cell}: back in the inbox"))
        except (StaleJobError, SurroundingsError) as error:
            answers.append(Answer(fault=refusal(config, ledger, prefix, error)))
        except OSError as error:  # a folder that may not be looked into; the others go on
            answers.append(Answer(fault=f"{prefix}: {explain(error)}"))
    ledger.close()
    return answers


def with_others(config: Config, ledger: Ledger, job: Job, wanted: Sequence[Job]) -> list[Job]:
    """A job and those that are put back with it: of one sheet, and asked for as well."""
    picture = ledger.picture(job.picture_id)
    of_all = is_of_all(config, picture) and not job.label

    def goes_along(other: Job) -> bool:
        if other.picture_id != job.picture_id or other.state not in (State.FAILED, State.CANCELLED):
            return False
        same_sweep = bool(job.label and other.label) and other.preset == job.preset
        return same_sweep or (of_all and not other.label)

    others = {other.id: other for other in wanted if other.id != job.id and goes_along(other)}
    return [job, *others.values()]


def is_of_all(config: Config, picture: ClaimedPicture) -> bool:
    """Whether a picture was dropped to be painted in every preset."""
    bulk, every, _ = config.inbox_folders
    path = picture.path
    return lies_in(Path(*path.parts[1:]) if lies_in(path, bulk) else path, every)


def put_back(config: Config, ledger: Ledger, jobs: Sequence[Job]) -> None:
    """Moves the picture of jobs and its companions to where they were dropped, and reasons away.

    Its sidecar then names these cells of a sweep, or these of all presets, and no others; of a job
    that was approved, its preset, what was set at the approval, and that no proof waits. For other
    jobs that failed it stays where it is, too.  The ledger goes first: the picture must never come
    again beside a job that still has it. Repeating finishes what was cut off.
    """
    picture, first = ledger.picture(jobs[0].picture_id), jobs[0]
    for job in jobs:
        check_whole(config, job, picture)
    source, target = config.outbox / first.outputs.original, config.inbox / picture.path
    beside = {
        filed: config.inbox / dropped_again(kind, picture)
        for kind, filed in own_of(source).items()
        if filed.exists()
    }
    sidecar = narrowed(config, jobs, picture, own_of(source)[SIDECAR])
    again = config.inbox / dropped_again(SIDECAR, picture)
    if sidecar is not None:
        beside.pop(own_of(source)[SIDECAR], None)
    taken = [path for path in (target, *beside.values()) if path.exists()]
    if sidecar is not None and again.exists() and again.read_bytes() != sidecar:
        taken.append(again)
    for path in taken:
        raise SurroundingsError(f"{files.printable(path)} is there already; let it be taken first")
    for job in jobs:
        if job.state is not State.RETRIED:
            ledger.retry_job(job.id)
    bring = files.copy_whole if is_needed(ledger, jobs) else files.move
    with refusals(files.printable(source), "; mend that, then retry it again"):
        for filed, dropped in beside.items():
            bring(filed, dropped)
        if sidecar is not None:
            files.write_bytes(again, sidecar, replace=True)
        bring(source, target)
        for dropped in (*beside.values(), *((again,) if sidecar is not None else ())):
            with contextlib.suppress(OSError):  # one that lay alone for long would be another's
                os.utime(dropped)
    clear_away(config, jobs, picture, is_kept=bring is files.copy_whole)


def narrowed(
    config: Config, jobs: Sequence[Job], picture: ClaimedPicture, filed: Path
) -> bytes | None:
    """The sidecar that asks for these jobs alone, of a sheet or approved; None where it comes as it
    was.

    filed: the one that came with the picture, if it had any.  So it comes back of a picture that
    failed before any preset was known, by its own fault or the sidecar's.
    """
    labels = [job.label for job in jobs if job.label]
    approved = jobs[0].approved_settings  # what is approved is of one picture in one preset
    is_partial = labels or approved is not None or is_of_all(config, picture)
    if not is_partial or not all(job.preset for job in jobs):
        return None
    there = files.is_ordinary(filed)
    content = yamlfile.parse(filed.read_bytes(), filed.name).data if there else {}
    replaced = Naming.model_fields.keys() - {"approve", "runs_on"}
    kept = {key: value for key, value in content.items() if key not in replaced}
    presets = list(dict.fromkeys(job.preset for job in jobs))
    source = {"like": content["like"]} if "like" in content else {"presets": presets}
    asked = kept | source | ({"cells": labels} if labels else {})
    if approved is not None:
        asked |= approved | {"approve": False}
    text: str = yaml.safe_dump(asked, allow_unicode=True, sort_keys=False)
    return text.encode()


def is_needed(ledger: Ledger, jobs: Sequence[Job]) -> bool:
    """Whether other jobs that failed have the same filed picture, and may be retried later."""
    ids = {job.id for job in jobs}
    return any(
        other.outputs.original == jobs[0].outputs.original
        for other in ledger.jobs_of_picture(jobs[0].picture_id)
        if other.id not in ids and other.state in (State.FAILED, State.CANCELLED)
    )


def clear_away(
    config: Config, jobs: Sequence[Job], picture: ClaimedPicture, *, is_kept: bool
) -> None:
    """Removes what tells of jobs that were put back, and further copies of their picture.

    is_kept: whether the picture stays for others.
    """
    for job in jobs:
        outputs = job.outputs
        for path in filter(None, (outputs.reason, outputs.record, outputs.log, outputs.proof)):
            with contextlib.suppress(OSError):
                (config.outbox / path).unlink(missing_ok=True)
        copied = config.outbox / outputs.original
        if is_kept or is_another(copied, picture):
            continue
        for file in (copied, *own_of(copied).values()):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)


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
        return f"{prefix}: is {matches[0].state}; only jobs that are not over can be cancelled"
    live = read_live(config.state) or {}
    trouble = live.get("health", {}).get("outbox", "the service has not put it there yet")
    return (
        f"{prefix}: is over ({matches[0].verdict}), and only waits for the outbox "
        f"{config.outbox}: {trouble}"
    )
