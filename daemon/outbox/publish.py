"""Putting a finished job into the outbox. Every step may be repeated after a crash.

The record goes first: once it stands under a name, that name is the job's. Then the log, and
last the result, so that whoever sees a result finds its record beside it.
"""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon import files
from daemon.engine.formats import output_name
from daemon.errors import SurroundingsError
from daemon.job import ClaimedPicture, Job, State
from daemon.outbox.record import make_record
from daemon.spool import Spool

JOBS_FOLDER = ".jobs"
MARK_LENGTH = 8


def publish(
    outbox: Path,
    spool: Spool,
    job: Job,
    picture: ClaimedPicture,
    plan: Callable[[Mapping[str, str]], None],
) -> dict[str, str]:
    """Publishes a job in `publishing`; returns its files, relative to the outbox.

    plan: called with those names before anything but the record is written; must keep them.
    Raises SurroundingsError if the outbox cannot be written; repeating it later is harmless.
    """
    try:
        outputs = reserve(outbox, job, picture)
        plan(outputs)
        publish_log(outbox / outputs["log"], spool.log(job.id))
        if job.verdict is State.DONE:
            place(spool.result(job.id), outbox / outputs["result"])
        else:
            publish_bytes(outbox / outputs["reason"], reason_text(job).encode())
    except OSError as error:
        raise SurroundingsError(
            f"{files.printable(job.below)} cannot be put into the outbox {outbox}: "
            f"{told(error)}; what is painted is kept, and put there when it can"
        ) from error
    return outputs


def told(error: OSError) -> str:
    """What went wrong, and with which file."""
    where = f" ({files.printable(error.filename)})" if error.filename else ""
    return f"{error.strerror or error}{where}"


def reserve(outbox: Path, job: Job, picture: ClaimedPicture) -> dict[str, str]:
    """Writes the record under the first name that is free or already this job's."""
    for mark in ("", job.id[:MARK_LENGTH], job.id):
        outputs = layout(job, mark)
        taken = any((outbox / path).exists() for path in exclusive(outputs))
        taken = taken or is_another(outbox / outputs["original"], picture)
        if taken and not is_ours(outbox / outputs["record"], job.id):
            continue
        content = json.dumps(make_record(job, picture, outputs), indent=2).encode() + b"\n"
        with contextlib.suppress(FileExistsError):
            files.write_bytes(outbox / outputs["record"], content)
            return outputs
        if is_ours(outbox / outputs["record"], job.id):
            return outputs
    raise SurroundingsError(f"no name is free in {outbox} for job {job.id}; tidy the outbox")


def layout(job: Job, mark: str) -> dict[str, str]:
    """Where a job's files go, relative to the outbox, all their names with the same mark."""
    name = files.with_mark(job.below.name, mark) if mark else job.below.name
    if job.verdict is State.DONE:
        original = job.below.with_name(name)
        result = output_name(job.below.name)
        name = files.with_mark(result, mark) if mark else result
        folder = Path(job.preset) / job.below.parent
        beside = folder / JOBS_FOLDER
        return {
            "result": str(folder / name),
            "record": str(beside / files.with_ending(name, ".json")),
            "log": str(beside / files.with_ending(name, ".log")),
            "original": str(Path("originals") / job.preset / original),
        }
    folder = Path("failed") / job.preset / job.below.parent
    return {
        "original": str(folder / name),
        "reason": str(folder / files.with_ending(name, ".reason.txt")),
        "record": str(folder / files.with_ending(name, ".json")),
        "log": str(folder / files.with_ending(name, ".log")),
    }


def exclusive(outputs: Mapping[str, str]) -> list[str]:
    """The files whose existence makes a name taken; a filed original may be the same picture."""
    kinds = ("result", "record", "log") if "result" in outputs else tuple(outputs)
    return [outputs[kind] for kind in kinds]


def is_another(original: Path, picture: ClaimedPicture) -> bool:
    """Whether the name of a filed original is taken by anything but the same picture."""
    return original.exists() and (
        not original.is_file() or files.sha256_of(original) != picture.sha256
    )


def is_ours(record: Path, job_id: str) -> bool:
    """Whether a record is this job's."""
    try:
        found: dict[str, Any] = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("id") == job_id


def place(source: Path, target: Path) -> None:
    """Copies a spool file to its name in the outbox; there already is fine, if it is the same."""
    try:
        files.copy_whole(source, target)
    except FileExistsError:
        if not target.is_file() or files.sha256_of(target) != files.sha256_of(source):
            raise


def publish_log(target: Path, source: Path) -> None:
    """The job's log; a job that never ran may have none."""
    content = source.read_bytes() if source.exists() else b""
    publish_bytes(target, content)


def publish_bytes(target: Path, content: bytes) -> None:
    """A small file; there already is fine."""
    with contextlib.suppress(FileExistsError):
        files.write_bytes(target, content)


def reason_text(job: Job) -> str:
    """One paragraph a person understands."""
    again = f"To try again: atelierd retry {job.id[:MARK_LENGTH]}, or drop the picture again."
    reason = job.reason.strip()
    stop = "" if reason.endswith((".", "!", "?")) else "."
    return f"{reason}{stop} {again}\n"


def file_original(
    outbox: Path, claimed: Path, spool_copy: Path, picture: ClaimedPicture, jobs: Sequence[Job]
) -> None:
    """Moves a claimed picture and its sidecar to where its jobs' outcomes send it.

    claimed: the claimed folder of the picture.  To `originals/` for each job that is done, and
    to `failed/` for each that is not; where several want it, all but one get copies. Beside each
    lies the sidecar under its name, `photo.jpg.yaml`.
    Raises SurroundingsError if the outbox cannot be written, or while the inbox is away (the
    original would come back with it and be left over); repeating it is harmless.
    """
    source = claimed / picture.path
    inbox = claimed.parent.parent
    if not inbox.is_dir():
        raise SurroundingsError(
            f"the inbox {inbox} is unavailable; {files.printable(picture.path)} is filed when it "
            "is back"
        )
    try:
        if not source.exists() and not spool_copy.exists():
            return
        sidecar = claimed / picture.sidecar if picture.sidecar else None
        targets = destinations(jobs)
        for number, target in enumerate(targets, start=1):
            final = settle_name(outbox / target, picture, jobs[0].id)
            if sidecar is not None and files.is_ordinary(sidecar):
                keep_sidecar(sidecar, final, jobs[0].id)
            if final.exists():
                continue
            if number == len(targets) and source.exists():
                files.move(source, final)
            else:
                files.copy_whole(source if source.exists() else spool_copy, final)
        source.unlink(missing_ok=True)
        if sidecar is not None and files.is_ordinary(sidecar):
            sidecar.unlink()
    except OSError as error:
        raise SurroundingsError(
            f"the picture {files.printable(picture.path)} cannot be moved to the outbox "
            f"{outbox}: {told(error)}"
        ) from error


def destinations(jobs: Sequence[Job]) -> list[str]:
    """Where a picture goes after its jobs, relative to the outbox, without repetition."""
    return list(dict.fromkeys(job.outputs["original"] for job in jobs))


def settle_name(target: Path, picture: ClaimedPicture, job_id: str) -> Path:
    """The name an original gets: its own, unless another picture has it already."""
    marked = target.with_name(files.with_mark(target.name, job_id[:MARK_LENGTH]))
    if marked.exists() or is_another(target, picture):
        return marked
    return target


def keep_sidecar(source: Path, original: Path, job_id: str) -> None:
    """Copies a sidecar beside an original, where `retry` finds it; there already is fine."""
    target = files.sidecar_of(original)
    if target.exists() and files.sha256_of(target) != files.sha256_of(source):
        target = target.with_name(files.with_mark(target.name, job_id[:MARK_LENGTH]))
    with contextlib.suppress(FileExistsError):
        files.copy_whole(source, target)
