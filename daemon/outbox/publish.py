"""Putting a finished job into the outbox. Every step may be repeated after a crash.

The record goes first: once it stands under a name, that name is the job's. Then the log, and
last the result, so that whoever sees a result finds its record beside it.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import reason, refusals
from daemon.job import ClaimedPicture, Job, Outputs, State
from daemon.messages import Done
from daemon.outbox.naming import MARK_LENGTH, held_layouts
from daemon.outbox.record import make_record
from daemon.state.spool import Spool


def publish(
    outbox: Path,
    spool: Spool,
    job: Job,
    picture: ClaimedPicture,
    plan: Callable[[Outputs], None],
    on_piece: Callable[[], object] = lambda: None,
) -> Outputs:
    """Publishes a job in `publishing`; returns its files, relative to the outbox.

    plan: called with those names before anything but the record is written; must keep them.
    on_piece: called with each piece that is copied.
    Raises SurroundingsError if the outbox cannot be written; repeating it later is harmless.
    """
    what = f"{files.printable(job.below)} cannot be put into the outbox {outbox}"
    kept = "; what is painted is kept, and put there when it can"
    log, result, beside = spool.log(job.id), painted(spool, job), kept_beside(spool, job)
    with refusals(what, kept, words_of):
        if job.verdict is State.AWAITING and not job.outputs.record:  # it goes in that one's place
            withdraw_decided(outbox, job)
        course = read_course(spool.course(job.id))
        outputs = reserve(outbox, job, picture, result, beside, course=course)
        plan(outputs)  # a job that never ran may have no log
        publish_bytes(outbox / outputs.log, log.read_bytes() if log.exists() else b"")
        for kind in beside.keys() & outputs.by_kind().keys():
            place(beside[kind], outbox / getattr(outputs, kind), on_piece)
        if outputs.result:
            place(result, outbox / outputs.result, on_piece)
        else:
            publish_bytes(outbox / outputs.reason, reason_text(job).encode())
        if job.verdict is not State.AWAITING:  # last: it is to be seen somewhere all the time
            withdraw_decided(outbox, job)
    return outputs


def painted(spool: Spool, job: Job) -> Path:
    """What was painted, in the spool: the result, or a proof that is going to wait."""
    return spool.proof(job.id) if job.verdict is State.AWAITING else spool.result(job.id)


def kept_beside(spool: Spool, job: Job) -> dict[str, Path]:
    """What else of a job goes beside its record: files of the spool by their kinds."""
    found = {}
    if job.verdict is State.DONE and spool.timelapse(job.id).exists():
        found["timelapse"] = spool.timelapse(job.id)
    if job.proof is not None and job.verdict is not State.AWAITING:
        found |= {"proof": spool.proof(job.id)} if spool.proof(job.id).exists() else {}
    return found


def withdraw_decided(outbox: Path, job: Job) -> None:
    """Takes a proof that was decided about from where it waited; what somebody changed stays.

    Raises OSError, or SurroundingsError, if the outbox does not let go of it.
    """
    if job.proof is not None:
        withdraw_proof(outbox, job.id, job.proof.outputs, job.proof.outcome.result_sha256)


def withdraw_proof(outbox: Path, job_id: str, outputs: Outputs, sha256: str) -> None:
    """`withdraw_decided` for a proof by its files and its hash."""
    proof = outbox / outputs.result
    if not outputs.record or not is_ours(outbox / outputs.record, job_id):
        return
    if files.is_ordinary(proof) and files.sha256_of(proof) != sha256:
        return
    with contextlib.suppress(FileNotFoundError):
        proof.unlink()
    withdraw(outbox, outputs)


def words_of(error: OSError) -> str:
    """What went wrong, and with which file."""
    where = f" ({files.printable(error.filename)})" if error.filename else ""
    return f"{reason(error)}{where}"


def reserve(
    outbox: Path,
    job: Job,
    picture: ClaimedPicture,
    result: Path,
    kinds: Collection[str] = (),
    *,
    course: Mapping[str, Any] | None = None,
) -> Outputs:
    """Writes the record under the first names that are free, or already this job's, and held.

    The names that were planned come first, so that publishing again uses them again.  kinds: of
    files beside the record that there are.
    """
    planned = [job.outputs] if job.outputs.record else []
    free = held_layouts(outbox, job)
    more = partial(with_kinds, suffix=job.suffix or job.below.suffix, kinds=kinds)
    for outputs in itertools.chain(planned, map(more, free)):
        record = outbox / outputs.record
        if is_ours(record, job.id):
            if not is_in_the_way(outbox, outputs, result):
                return outputs
            withdraw(outbox, outputs)
            continue
        if outputs in planned or is_taken(outbox, outputs, picture):
            continue
        record_data = make_record(job, picture, outputs, course)
        content = json.dumps(record_data, indent=2).encode() + b"\n"
        with contextlib.suppress(FileExistsError):
            files.write_bytes(record, content)
            return outputs
    raise SurroundingsError(
        f"no name is free in {outbox} for {files.printable(job.below)}, job {job.id}; tidy the "
        "outbox"
    )


def with_kinds(outputs: Outputs, suffix: str, kinds: Collection[str]) -> Outputs:
    """The same files, and beside the record a time-lapse and a proof, as far as they are there."""
    endings, record = {"timelapse": ".webp", "proof": f".proof{suffix}"}, Path(outputs.record)
    names = {kind: files.with_ending(record.stem, endings[kind]) for kind in kinds}
    return replace(outputs, **{kind: str(record.with_name(name)) for kind, name in names.items()})


def read_course(path: Path) -> Mapping[str, Any] | None:
    """The course of the losses that a run left; None where there is none to be understood."""
    try:
        course = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return course if isinstance(course, dict) else None


def keep_course(record: Path, target: Path) -> None:
    """Takes the course of the losses over from a record, for the job that has the same result."""
    told = read_course(record) or {}
    if isinstance(told.get("course"), dict):
        files.write_bytes(target, json.dumps(told["course"]).encode(), replace=True)


def amend_record(outbox: Path, job: Job, warning: str) -> None:
    """Adds a warning to a job's record that is in the outbox already; once, however often called.

    Raises SurroundingsError if the outbox cannot be written.
    """
    record = outbox / job.outputs.record
    if not job.outputs.record or not is_ours(record, job.id):
        return
    with refusals(f"the outbox {outbox} cannot be written"):
        content = with_warning(record.read_bytes(), warning)
        if content is not None:
            files.write_bytes(record, content, replace=True)


def with_warning(record: bytes, warning: str) -> bytes | None:
    """A record with one more warning; None if it has it, or is none any more.

    Whoever reads records may have rewritten them: what was made of the warnings is not relied on.
    """
    try:
        content: dict[str, Any] = json.loads(record)
    except ValueError:
        return None
    known = content.get("warnings")
    warnings = known if isinstance(known, list) else []
    if warning in warnings:
        return None
    return json.dumps({**content, "warnings": [*warnings, warning]}, indent=2).encode() + b"\n"


def take_back(outbox: Path, job: Job) -> bool:
    """Withdraws the record and log of a job that is not to be published any more, and its proof.

    False if there are none, or what they tell of lies beside them already.
    """
    outputs = job.outputs
    withdraw_decided(outbox, job)
    if State.AWAITING in (job.state, job.verdict):
        withdraw_proof(outbox, job.id, outputs, (job.outcome or Done()).result_sha256)
        return True
    if job.state is not State.PUBLISHING or not outputs.record:
        return False
    if os.path.lexists(outbox / outputs.main) or not is_ours(outbox / outputs.record, job.id):
        return False
    withdraw(outbox, outputs)
    return True


def is_taken(outbox: Path, outputs: Outputs, picture: ClaimedPicture) -> bool:
    """Whether something lies under one of the names; a filed original may be the same picture."""
    paths = set(outputs.by_kind().values())
    if outputs.result:
        paths.discard(outputs.original)
    return any(os.path.lexists(outbox / path) for path in paths) or (
        bool(outputs.original) and is_another(outbox / outputs.original, picture)
    )


def is_in_the_way(outbox: Path, outputs: Outputs, result: Path) -> bool:
    """Whether another's file has taken the result's name since the record was written."""
    target = outbox / outputs.result
    return bool(outputs.result) and os.path.lexists(target) and not is_same(target, result)


def withdraw(outbox: Path, outputs: Outputs) -> None:
    """Takes a record and its log back, whose names turned out not to do."""
    for path in filter(None, (outputs.timelapse, outputs.proof, outputs.log, outputs.record)):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            (outbox / path).unlink()


def is_another(original: Path, picture: ClaimedPicture) -> bool:
    """Whether the name of a filed original is taken by anything but the same picture."""
    if not os.path.lexists(original):
        return False
    try:
        return files.sha256_of(original) != picture.sha256
    except OSError:  # a folder, or closed to us
        return True


def is_same(one: Path, other: Path) -> bool:
    """Whether two files have the same content."""
    return files.is_ordinary(one) and files.sha256_of(one) == files.sha256_of(other)


def is_ours(record: Path, job_id: str) -> bool:
    """Whether a record is this job's."""
    try:
        content: dict[str, Any] = json.loads(record.read_bytes())
    except ValueError:
        return False
    except OSError as error:
        if error.errno in files.OUT_OF_SIGHT:
            raise SurroundingsError(f"{files.printable(record)}: {error.strerror}") from error
        return False
    return isinstance(content, dict) and content.get("id") == job_id


def place(source: Path, target: Path, on_piece: Callable[[], object]) -> None:
    """Copies a spool file to its name in the outbox; there already is fine, if it is the same."""
    try:
        files.copy_whole(source, target, on_piece=on_piece)
    except FileExistsError:
        if not is_same(target, source):
            raise


def publish_bytes(target: Path, content: bytes) -> None:
    """A small file; there already is fine."""
    with contextlib.suppress(FileExistsError):
        files.write_bytes(target, content)


def reason_text(job: Job) -> str:
    """One paragraph a person understands."""
    again = f"To try again: atelierd retry {job.id[:MARK_LENGTH]}, or drop the picture again."
    why = job.reason.strip()
    stop = "" if why.endswith((".", "!", "?")) else "."
    return f"{why}{stop} {again}\n"
