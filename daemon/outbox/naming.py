"""What a job's files are called in the outbox: as dropped, or as its file system allows.

Shares and disks refuse names that others hold: `Rome 10:30.jpg` on SMB and exFAT, 144 bytes on
eCryptfs, bytes that are no UTF-8. Whether one does is found by trying, not by its error: they do
not agree on one.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from daemon.host import files
from daemon.job import JOBS_FOLDER, PROOFS, Job, Outputs, State
from daemon.pictures.companions import own_of
from daemon.pictures.formats import output_name

SWEEP_ENDING = ".sweep"
ROOM_BYTES = 48
"""For a mark and an ending after a cell's label, which would be cut off else."""

MARK_LENGTH = 8
SHORT_BYTES = 60
PLAIN_BYTES = 100
PLAIN = re.compile(r"[A-Za-z0-9._ ()+,=@#&-]+")
REFUSED = re.compile(r'[:?*"<>|\\\x00-\x1f\x7f\ud800-\udfff]')
RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)(\..*)?", re.IGNORECASE)

Form = Callable[[str], str]


def as_dropped(name: str) -> str:
    """The name itself."""
    return name


def portable(name: str) -> str:
    """A name with the same letters that Windows, its shares and its disks hold too."""
    name = REFUSED.sub("_", unicodedata.normalize("NFC", name))
    kept = name.rstrip(". ")
    name = kept + "_" * (len(name) - len(kept))
    return f"_{name}" if RESERVED.fullmatch(name) else name


def short(name: str) -> str:
    """A portable name of few plain letters."""
    path = Path(re.sub(r"[^\x20-\x7e]", "_", portable(name)))
    return files.cut(path.stem, SHORT_BYTES).rstrip(" .") + files.cut(path.suffix, SHORT_BYTES)


FORMS: tuple[Form, ...] = (as_dropped, portable, short)


def is_plain(name: str) -> bool:
    """Whether every file system holds a name, so that it need not be tried."""
    return len(name) <= PLAIN_BYTES and PLAIN.fullmatch(name) is not None and portable(name) == name


def held_layouts(outbox: Path, job: Job) -> Iterator[Outputs]:
    """Every way to call a job's files that the outbox holds, the best first.

    The last is its id, and no sub-folder. Raises OSError if the outbox holds nothing now.
    """
    for form in FORMS:
        for mark in marks(job):
            outputs = past_files(outbox, layout(job, form, mark), job)
            if refuses(outbox, outputs, doubtful=form is not as_dropped):
                break  # the others of this form are longer
            yield outputs
    by_id = Path(job.id + short(job.below.suffix))
    yield past_files(outbox, layout(job, short, "", below=by_id), job)


def marks(job: Job) -> tuple[str, str, str]:
    """What may stand before a name's suffix, for want of a free one."""
    return "", job.id[:MARK_LENGTH], job.id


def layout(job: Job, form: Form, mark: str, *, below: Path | None = None) -> Outputs:
    """Where a job's files go, relative to the outbox, all their names with the same mark.

    But for the picture that the cells of a sweep were made from: were it marked as each of them is,
    there would be a copy of it for each.
    """

    def marked(name: str, mark: str = mark) -> str:
        return files.with_mark(name, mark) if mark else name

    original = Path(*map(form, (below or job.below).parts))
    painted = Path(*map(form, (below or cell(job.below, job.label)).parts))
    preset = form(job.preset)
    common = job.picture_id[-len(mark) :] if mark and job.label else mark
    filed_as = str(Path(preset) / original.with_name(marked(original.name, common)))
    if job.verdict in (State.DONE, State.AWAITING):
        waits = job.verdict is State.AWAITING
        name = marked(output_name(painted.name, job.suffix))
        folder = Path(PROOFS if waits else "", preset, painted.parent)
        beside = folder / JOBS_FOLDER
        return Outputs(
            record=str(beside / files.with_ending(name, ".json")),
            log=str(beside / files.with_ending(name, ".log")),
            original="" if waits else str(Path("originals") / filed_as),
            result=str(folder / name),
        )
    name = marked(painted.name)
    folder = Path("failed") / preset / painted.parent
    return Outputs(
        record=str(folder / files.with_ending(name, ".json")),
        log=str(folder / files.with_ending(name, ".log")),
        original=str(Path("failed") / filed_as),
        reason=str(folder / files.with_ending(name, ".reason.txt")),
    )


def cell(below: Path, label: str) -> Path:
    """Where a labelled job's result goes: `photo.sweep/photo.LABEL.jpg`; without one as dropped."""
    if not label:
        return below
    ending = f".{label.replace(', ', ',').replace(' ', '=').replace(',', ' ')}{below.suffix}"
    stem = files.cut(below.stem, files.NAME_MAX_BYTES - len(os.fsencode(ending)) - ROOM_BYTES)
    return below.with_name(files.with_ending(below.stem, SWEEP_ENDING)) / (stem + ending)


def past_files(outbox: Path, outputs: Outputs, job: Job) -> Outputs:
    """The same names, with a mark on every folder whose place something else has."""
    named = {kind: past_file(outbox, Path(path), job) for kind, path in outputs.by_kind().items()}
    return Outputs(**named)


def past_file(outbox: Path, path: Path, job: Job) -> str:
    """`past_files` for one of them."""
    at = Path()
    for part in path.parent.parts:
        names = (f"{part}-{mark}" if mark else part for mark in marks(job))
        places = ((name, outbox / at / name) for name in names)
        free = (name for name, to in places if is_folder(to) or not os.path.lexists(to))
        at /= next(free, part)
    return str(at / path.name)


def is_folder(path: Path) -> bool:
    """Whether a folder is there; what cannot be looked at, or not be called so, is none."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def refuses(outbox: Path, outputs: Outputs, *, doubtful: bool) -> bool:
    """Whether the outbox's file system does not hold one of the names, or one that follows.

    That is a copy of the original, if there is to be one, with its mark, and its companions.
    doubtful: plain names are tried too.  Raises OSError if it holds nothing now, whatever its name.
    """
    paths = [*map(Path, outputs.by_kind().values())]
    if outputs.original:
        original = Path(outputs.original)
        copy = original.with_name(files.with_mark(original.name, "0" * MARK_LENGTH))
        paths += own_of(copy).values()
    tried: dict[Path, set[str]] = {}
    for path in paths:
        folder = outbox
        parts = list(path.parts)
        while len(parts) > 1 and is_folder(folder / parts[0]):
            folder /= parts.pop(0)
        tried.setdefault(folder, set()).update(
            name for name in parts if doubtful or not is_plain(name)
        )
    return any(refuses_names(folder, names) for folder, names in tried.items() if names)


def refuses_names(folder: Path, names: Iterable[str]) -> bool:
    """Whether one of the names cannot be given in a folder where another one can."""
    files.make_folder(folder)
    trial = files.temporary_beside(folder / "trial")
    trial.mkdir()
    try:
        (trial / "trial").touch()  # raises where nothing can be made
        for name in names:
            try:
                (trial / name).touch(exist_ok=False)
            except FileExistsError:  # one name for both: so it is held
                continue
            except OSError:
                (trial / "again").touch()  # raises if it was not the name
                return True
    finally:
        files.remove_tree(trial)
    return False


def renamed(job: Job, outputs: Outputs) -> list[str]:
    """A warning for the record if a job's files are not called as it was dropped."""
    usual = [layout(job, as_dropped, mark).main for mark in marks(job)]
    if not outputs.main or outputs.main in usual:
        return []
    return [
        f"the outbox has no place for the name {files.printable(job.below)}: this job's files are "
        f"called as {files.printable(outputs.main)} is"
    ]
