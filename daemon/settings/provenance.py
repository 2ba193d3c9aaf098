"""How a result was made: by the note in its file, or else by the record that lies beside it.

Both are what anybody may have written: nothing of them is used before it was checked.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from daemon import __version__
from daemon.errors import BadInputError
from daemon.host import files
from daemon.host.access import explain
from daemon.job import JOBS_FOLDER
from daemon.pictures.form import JobRecipe
from daemon.pictures.note import read_note
from daemon.settings.sources import MOST_STYLES

MOST_RECORD_BYTES = 16 << 20
MOST_LEVELS = 32
"""Of lists and maps within one another; our own have six."""

MOST_VERSION, MOST_NAME = 40, 4096
"""Letters of a version, and of a file's name: what is told goes into ledger and records."""

SHA256 = re.compile(r"[0-9a-f]{64}")
REGION = re.compile(r"(#[0-9a-f]{6})?")


@dataclass(frozen=True)
class Provenance:
    """What is known of how a result was made.

    facts: the record's fields, as far as they are known.  told_by: where they come from.  path: of
    the result, or of whatever else tells of it.
    """

    path: Path
    facts: Mapping[str, Any]
    told_by: Literal["note", "record", "ledger"]

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return files.printable(self.path.name)


def read_provenance(path: Path) -> Provenance:
    """How a result was made.  path: of the result, or of a record.

    What its note tells comes first; a record beside it adds the rest, if it is of the same job.
    Raises BadInputError if there is no such file, or nothing tells; OSError if its share is away.
    """
    check_there(path)
    if path.suffix.lower() == ".json":
        record = read_record(path)
        if record is None:
            raise BadInputError(f"{files.printable(path)} is no record of a job; name a result")
        return Provenance(path, record, "record")
    note = note_of(path)
    record = read_record(record_beside(path))
    if note is None and record is None:
        raise BadInputError(
            f"{files.printable(path)} does not tell how it was made: there is no note in it, as in "
            "results of atelierd that no other program has saved anew, and no record beside it "
            f"({JOBS_FOLDER}/{files.printable(record_beside(path).name)})"
        )
    if note is None or record is None:
        return Provenance(path, note or record or {}, "note" if note else "record")
    is_same = note.get("id") in (record.get("id"), record.get("same_as")) and "id" in note
    return Provenance(path, {**record, **note} if is_same else note, "note")


def check_there(path: Path) -> None:
    """Raises BadInputError unless there is an ordinary file that may be read."""
    try:
        files.open_ordinary(path).close()
    except FileNotFoundError as error:
        raise BadInputError(f"there is no file {files.printable(path)}") from error
    except (OSError, ValueError) as error:
        check_in_sight(error)
        why = explain(error, path) if isinstance(error, OSError) else str(error)
        raise BadInputError(f"{files.printable(path)} cannot be read: {why}") from error


def check_in_sight(error: Exception) -> None:
    """Raises an error again that tells of a disk or share, and nothing of the file."""
    if isinstance(error, OSError) and error.errno in files.OUT_OF_SIGHT:
        raise error


def note_of(path: Path) -> Mapping[str, Any] | None:
    """The note in a file; None if there is none that can be understood."""
    try:
        note = read_note(path)
    except Exception as error:  # whatever readers stumble over in what anybody may have made
        check_in_sight(error)
        return None
    return note if is_account(note) else None


def record_beside(path: Path) -> Path:
    """Where the record of a result lies."""
    return path.parent / JOBS_FOLDER / files.with_ending(path.name, ".json")


def read_record(path: Path) -> Mapping[str, Any] | None:
    """A record; None if it is not there, or none."""
    try:
        with files.open_ordinary(path) as file:
            content = json.loads(file.read(MOST_RECORD_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        check_in_sight(error)
        return None
    return content if is_account(content) else None


def is_account(content: object) -> bool:
    """Whether what was read tells of a job: its recipe and preset."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("recipe"), dict)
        and bool(content["recipe"])
        and isinstance(content.get("preset"), str)
        and is_shallow(content, MOST_LEVELS)
    )


def is_shallow(content: object, levels: int) -> bool:
    """Whether lists and maps lie within one another no deeper, so that all may walk through."""
    if not isinstance(content, dict | list):
        return True
    inner = content.values() if isinstance(content, dict) else content
    return levels > 0 and all(is_shallow(one, levels - 1) for one in inner)


def recipe_of(made: Provenance) -> JobRecipe:
    """The recipe of a result; raises BadInputError if this version does not know such a one."""
    try:
        return JobRecipe.model_validate(dict(made.facts["recipe"]))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise BadInputError(
            f"{made.name} was made by atelierd {version_of(made)}, and this is {__version__}, "
            f"which does not understand its recipe ({field}: {first['msg']}); use that version, or "
            "write a preset"
        ) from error


def version_of(made: Provenance) -> str:
    """The version that made a result, in no more letters than a version has."""
    return str(made.facts.get("version", "of another version"))[:MOST_VERSION]


@dataclass(frozen=True)
class ToldFile:
    """A file that a result was made with, by its own word; weight, region: of a style image."""

    name: str
    sha256: str
    weight: float = 1.0
    region: str = ""


def told_styles(made: Provenance) -> list[ToldFile]:
    """The style images of a result; raises BadInputError if they are not told."""
    styles = told_files(made, "styles")
    if not styles:
        raise BadInputError(
            f"{made.name} does not tell its style images: earlier versions wrote them into the "
            f"record alone ({JOBS_FOLDER}/{files.printable(record_beside(made.path).name)}), which "
            "is not there"
        )
    return styles


def told_files(made: Provenance, kind: Literal["styles", "profiles"]) -> list[ToldFile]:
    """What a result tells of its files; raises BadInputError for what cannot be right."""
    told = made.facts.get(kind) or []
    found = [told_file(one) for one in (told if isinstance(told, list) else [None])]
    known = [one for one in found if one is not None]
    is_odd = len(known) < len(found) or len({bool(one.region) for one in known}) > 1
    if is_odd or len(known) > MOST_STYLES:
        raise BadInputError(f"{made.name} tells of its {kind} what cannot be understood")
    return known


def told_mask(made: Provenance) -> ToldFile | None:
    """The preset's mask that a result was painted with; None for none, or the picture's own.

    Raises BadInputError for what cannot be right.
    """
    told = made.facts.get("regions")
    if told is None or (isinstance(told, dict) and told.get("own")):
        return None
    mask = told_file(told)
    if mask is None:
        raise BadInputError(f"{made.name} tells of its mask what cannot be understood")
    return mask


def told_file(told: object) -> ToldFile | None:
    """What is told of a file; None if that cannot be right."""
    entry: Mapping[str, object] = told if isinstance(told, dict) else {}
    name, sha256, weight = entry.get("name"), entry.get("sha256"), entry.get("weight", 1.0)
    region = entry.get("region", "")
    if (
        not (isinstance(name, str) and len(name) <= MOST_NAME)
        or not (isinstance(sha256, str) and SHA256.fullmatch(sha256))
        or not (isinstance(weight, int | float) and 0 < weight <= 1e9)
        or not (isinstance(region, str) and REGION.fullmatch(region))
    ):
        return None
    return ToldFile(name, sha256, float(weight), region)
