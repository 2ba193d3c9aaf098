"""Contact sheets of sweeps, and of pictures that every preset has painted: a finisher.

A sheet is made from what lies in the outbox. What is on it stands in a small file beside the
records, written before the sheet itself: so a cell that is tried again takes its place on the sheet
that is there, and no file that is not ours is ever replaced.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loguru import logger
from pydantic import ValidationError

from daemon.host import files
from daemon.host.access import refusals
from daemon.job import JOBS_FOLDER, Job, Outputs
from daemon.outbox.finishers import FinishedPicture
from daemon.outbox.laying import LayingError, laid
from daemon.outbox.naming import FORMS, MARK_LENGTH, as_dropped, past_file, refuses
from daemon.outbox.publish import words_of
from daemon.outbox.sheet_plan import SheetEntry, plan_all, plan_sweep
from daemon.pictures.form import JobRecipe
from daemon.pictures.names import lies_in
from daemon.pictures.sheet import ContactSheet
from daemon.settings.sweep import values_of

ALL_ENDING, SWEEP_ENDING = ".presets.jpg", ".sweep.jpg"


@dataclass(frozen=True)
class Listing:
    """What is on a sheet, as the file beside it tells.

    subject: a hash of what all cells have in common.  cells: by label, or by preset.
    sheets: the hashes of the files that the sheet is, or was before it was made again.
    """

    subject: str
    cells: Mapping[str, SheetEntry]
    sheets: tuple[str, ...] = ()


def lay_sheets(finished: FinishedPicture) -> None:
    """Lays the sheets of a picture whose jobs are all over; most pictures have none.

    Raises SurroundingsError if the outbox cannot be written; repeating it is harmless.
    """
    path = finished.picture.path
    bulk, every, _ = finished.inbox_folders
    path = Path(*path.parts[1:]) if lies_in(path, bulk) else path
    plain = [job for job in finished.jobs if not job.label and job.preset]
    if lies_in(path, every) and plain:
        target = Path(every, *plain[0].below.parts)
        lay_one(finished, plain, target, ALL_ENDING)
    labelled = [job for job in finished.jobs if job.label]
    for preset in dict.fromkeys(job.preset for job in labelled):
        cells = [job for job in labelled if job.preset == preset]
        lay_one(finished, cells, Path(preset, *cells[0].below.parts), SWEEP_ENDING)


def lay_one(finished: FinishedPicture, jobs: Sequence[Job], like: Path, ending: str) -> None:
    """Lays one sheet and says so; where that cannot be, its results are there all the same.

    like: the path that a result would have, below the outbox.
    """
    name = files.printable(finished.picture.path)
    what = f"the sheet of {name} cannot be put into the outbox {finished.outbox}"
    try:
        with refusals(what, "; it is made when it can", words_of):
            put = put_sheet(finished, jobs, like.with_name(files.with_ending(like.stem, ending)))
    except LayingError as error:
        logger.error("no sheet of {} could be laid, and its results are there: {}", name, error)
        return
    if put is not None:
        logger.info("{}: the sheet of its {} results", files.printable(put), len(jobs))
        finished.on_sheet(listing_of(put))


def put_sheet(finished: FinishedPicture, jobs: Sequence[Job], name: Path) -> Path | None:
    """Puts a sheet under the first name that is free or its own; returns it, below the outbox.

    None where none is called for: nothing was painted, or one preset alone.
    """
    outbox, subject = finished.outbox, subject_of(finished, jobs)
    cells = {cell_key(job): cell_of(job) for job in jobs}
    for target in names_of(outbox, name, jobs[0], subject):
        known = read_listing(outbox / listing_of(target))
        if known is None and (
            os.path.lexists(outbox / target) or os.path.lexists(outbox / listing_of(target))
        ):
            continue
        if known is not None and known.subject != subject:
            continue
        merged = {**(known.cells if known else {}), **cells}
        if not any(cell.result for cell in merged.values()) or (
            known is None and len(merged) == 1 and not jobs[0].label
        ):
            return None
        if publish_sheet(finished, target, known, Listing(subject, merged)):
            return target
    return None


def publish_sheet(
    finished: FinishedPicture, target: Path, known: Listing | None, listing: Listing
) -> bool:
    """Lays and writes a sheet; False if another's file lies under its name.

    The listing comes first: it tells whose the name is, and which files may be replaced.
    """
    files.ensure_room(finished.outbox, 0, finished.keep_bytes)  # before each try takes long
    content = laid(plan(finished, listing.cells), finished.on_piece)
    coming = hashlib.sha256(content).hexdigest()
    place, beside = finished.outbox / target, finished.outbox / listing_of(target)
    lying = ""
    if os.path.lexists(place):
        lying = files.sha256_of(place) if files.is_ordinary(place) else ""
        if lying not in (*(known.sheets if known else ()), coming):
            return False
        if known and known.cells == listing.cells and lying == coming:
            return True
    files.ensure_room(finished.outbox, len(content), finished.keep_bytes)
    sheets = list(dict.fromkeys(filter(None, (lying, coming))))
    text = json.dumps({"schema": 1, **asdict(listing), "sheets": sheets}, indent=2).encode() + b"\n"
    files.write_bytes(beside, text, replace=known is not None)
    files.write_bytes(place, content, replace=bool(lying))
    return True


def plan(finished: FinishedPicture, cells: Mapping[str, SheetEntry]) -> ContactSheet:
    """What the sheet is to show, for the process that lays it."""
    name = files.printable(finished.picture.path.name)
    make = plan_sweep if any(cell.label for cell in cells.values()) else plan_all
    return make(name, finished.copy, list(cells.values()), finished.outbox, finished.style)


def cell_key(job: Job) -> str:
    """What tells a job from the others of its sheet."""
    return job.label or job.preset


def cell_of(job: Job) -> SheetEntry:
    """A job as a sheet has it."""
    return SheetEntry(
        job=job.id,
        preset=job.preset,
        label=job.label,
        state=str(job.verdict or job.state),
        result=job.outputs.result,
        reason=job.reason,
        styles=tuple(style.sha256 for style in job.styles),
    )


def subject_of(finished: FinishedPicture, jobs: Sequence[Job]) -> str:
    """A hash of what the cells of a sheet have in common: cells of other settings are another's.

    Of a sweep that is all of the recipe but the fields that are swept; of all presets the picture.
    """
    made_of: list[Any] = [finished.picture.sha256]
    painted = [job for job in jobs if job.recipe]
    if jobs[0].label:
        swept = list(values_of(jobs[0].label))
        recipe = settled(painted[0].recipe) if painted else {}
        kept = {key: value for key, value in recipe.items() if key not in swept}
        styles = [style.sha256 for style in painted[0].styles] if painted else []
        mask = painted[0].mask.sha256 if painted and painted[0].mask else ""
        made_of += [swept, kept, styles, mask]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def settled(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with the fields that it did not have yet when an earlier version queued it."""
    with contextlib.suppress(ValidationError):
        return JobRecipe.model_validate(dict(recipe)).model_dump()
    return dict(recipe)


def names_of(outbox: Path, name: Path, job: Job, subject: str) -> Iterator[Path]:
    """The names a sheet may have, the best first, as the outbox's file system holds them."""
    for mark in ("", subject[:MARK_LENGTH], subject[:32]):
        marked = name.with_name(files.with_mark(name.name, mark)) if mark else name
        for form in FORMS:
            shaped = Path(*map(form, marked.parts))
            beside, path = str(listing_of(shaped)), str(shaped)
            outputs = Outputs(record=beside, result=path, original=path)
            if not refuses(outbox, outputs, doubtful=form is not as_dropped):
                yield Path(past_file(outbox, shaped, job))
                break


def listing_of(sheet: Path) -> Path:
    """Where it stands what is on a sheet."""
    return sheet.parent / JOBS_FOLDER / files.with_ending(sheet.stem, ".sheet.json")


def read_listing(path: Path) -> Listing | None:
    """What is on a sheet; None where there is none, or what lies there is no listing."""
    try:
        data = json.loads(path.read_bytes())
        cells = {
            key: SheetEntry(**{**cell, "styles": tuple(cell["styles"])})
            for key, cell in data["cells"].items()
        }
        return Listing(data["subject"], cells, tuple(data["sheets"]))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
