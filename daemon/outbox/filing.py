"""Filing the original: a picture whose jobs are all over leaves the inbox, with its companions."""

import contextlib
import errno
import itertools
import os
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import refusals
from daemon.job import ClaimedPicture
from daemon.outbox.finishers import FinishedPicture
from daemon.outbox.naming import MARK_LENGTH
from daemon.outbox.publish import is_another, is_same, words_of
from daemon.pictures.companions import CompanionKind, by_kind


def file_original(finished: FinishedPicture) -> None:
    """Moves a claimed picture and its companions to where its jobs' outcomes send it.

    To `originals/` for each job that is done, and to `failed/` for each that is not; where several
    want it, all but one get copies. Beside each lies what lay beside it, as `photo.jpg.yaml`.
    Raises SurroundingsError if the outbox cannot be written, or while the inbox is away (the
    original would come back with it and be left over); repeating it is harmless.
    """
    name = files.printable(finished.picture.path)
    if not finished.inbox.is_dir():
        raise SurroundingsError(
            f"the inbox {finished.inbox} is unavailable; {name} is filed when it is back"
        )
    what = f"the picture {name} cannot be moved to the outbox {finished.outbox}"
    with refusals(what, words=words_of):
        lay_in_places(finished)


def lay_in_places(finished: FinishedPicture) -> None:
    """Brings the original to every place it goes to, and takes it out of the inbox then."""
    picture, job_id = finished.picture, finished.jobs[0].id
    source = finished.folder / picture.path
    if not source.exists() and not finished.copy.exists():
        return
    companions = by_kind(finished.folder / path for path in picture.companions)
    kept = {kind: path for kind, path in companions.items() if files.is_ordinary(path)}
    targets = dict.fromkeys(job.outputs.original for job in finished.jobs)
    for number, target in enumerate(targets, start=1):
        final = settle_name(finished.outbox / target, picture, job_id)
        for kind, companion in kept.items():
            keep_companion(kind, companion, final, job_id)
        if final.exists():
            continue
        if number == len(targets) and source.exists():
            files.move(source, final, on_piece=finished.on_piece)
        else:
            original = source if source.exists() else finished.copy
            files.copy_whole(original, final, on_piece=finished.on_piece)
    source.unlink(missing_ok=True)
    for companion in kept.values():
        companion.unlink()


def settle_name(target: Path, picture: ClaimedPicture, job_id: str) -> Path:
    """The name an original gets: where it lies already, or the first that is free."""
    marked = (files.with_mark(target.name, mark) for mark in (job_id[:MARK_LENGTH], job_id))
    names = [target, *map(target.with_name, marked)]
    ours = (name for name in names if os.path.lexists(name) and not is_another(name, picture))
    free = (name for name in names if not os.path.lexists(name))
    for name in itertools.chain(ours, free):
        return name
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(names[-1]))


def keep_companion(kind: CompanionKind, source: Path, original: Path, job_id: str) -> None:
    """Copies a companion beside an original, where `retry` finds it; there already is fine."""
    target = kind.own(original)
    if os.path.lexists(target) and not is_same(target, source):
        target = target.with_name(files.with_mark(target.name, job_id[:MARK_LENGTH]))
    with contextlib.suppress(FileExistsError):
        files.copy_whole(source, target)
