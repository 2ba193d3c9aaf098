"""How a result or a job was made, from the result itself, its record, or the ledger."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.commands.jobs import find_job, no_ledger
from daemon.engine.errors import PictureError
from daemon.errors import BadInputError, StaleJobError
from daemon.host import files
from daemon.job import Job, State
from daemon.ledger.store import Ledger
from daemon.outbox.record import make_record
from daemon.pictures.form import JobRecipe
from daemon.pictures.read import read_header
from daemon.settings.config import Config
from daemon.settings.like import difference, find_by_hash
from daemon.settings.provenance import Provenance, read_provenance, told_files
from daemon.settings.sources import lies_in, stamp
from daemon.state.spool import Spool

TOLD: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "state", "preset", "label", "version", "device", "dtype"), str),
    **dict.fromkeys(("finished_at", "reason", "same_as", "node", "runs_on"), str),
    **dict.fromkeys(("seed", "seconds"), (int, float)),
    **dict.fromkeys(("first_loss", "last_loss", "weights"), dict),
    "proof": bool,
    "warnings": list,
}
"""What is shown of a record as it stands there, and what each has to be."""


TYPED = {*range(0x20, 0x7F)} - {*b"'\\"}
"""Bytes that stand for themselves between the quotes of `$'...'`."""


def find_made(config: Config, asked: str) -> Provenance:
    """What was asked for: a file, if there is one of that name, else a job by its id.

    Raises BadInputError if there is neither, or the file does not tell.
    """
    path = Path(asked)
    if os.path.lexists(path) or os.sep in asked:
        return read_provenance(path)
    shown = files.printable(asked)
    if no_ledger(config, [asked]) is not None:
        raise BadInputError(f"there is no file {shown} here, and there are no jobs yet")
    ledger = Ledger(config.ledger_path, read_only=True)
    try:
        return made_of_job(config, ledger, find_job(ledger, asked))
    except StaleJobError as error:
        raise BadInputError(f"there is no file {shown} here, and {error}") from error
    finally:
        ledger.close()


def made_of_job(config: Config, ledger: Ledger, job: Job) -> Provenance:
    """What the ledger knows of a job, over or not."""
    record = make_record(job, ledger.picture(job.picture_id), job.outputs)
    outputs = job.outputs
    paths = (config.outbox / path for path in (outputs.result, outputs.record) if path)
    path = next((path for path in paths if path.is_file()), Path(job.below.name))
    asked = {"runs_on": job.runs_on} if job.runs_on else {}
    return Provenance(path, record | asked | {"state": str(job.state)}, "ledger")


def describe(config: Config, made: Provenance, config_file: Path | None) -> dict[str, Any]:
    """What `show` tells, as plain data.

    settings: the fields of the recipe that are not the default.  found: where a style image lies
    by its hash, None if it is nowhere.  command: makes the same again; None if nothing can.
    config_file: as it was typed.
    """
    facts = made.facts
    usual = JobRecipe().model_dump()
    recipe: Mapping[str, Any] = facts.get("recipe") or {}
    settings = {key: value for key, value in recipe.items() if usual.get(key) != value}
    spool = Spool(config.state)
    styles = [
        {"name": one.name, "sha256": one.sha256, "weight": one.weight}
        | ({"region": one.region} if one.region else {})
        | {"found": text_of(find_by_hash(one, config.presets, spool))}
        for one in told_files(made, "styles")
    ]
    return {
        "file": str(made.path),
        "told_by": made.told_by,
        **size_of(made.path),
        **{key: told(facts, key) for key in TOLD},
        "settings": settings,
        "recipe": recipe,
        "styles": styles,
        "difference": difference(made, config.weights) if recipe else "",
        "command": command(config, made, config_file) if recipe else None,
    }


def told(facts: Mapping[str, Any], key: str) -> Any:
    """A field of a record that is what it should be, else None: anybody may have written it."""
    value = facts.get(key)
    if key.endswith("_loss") and isinstance(value, dict):
        return {name: one for name, one in value.items() if is_number(one)}
    if isinstance(value, int | float) and not is_number(value):
        return None
    return value if isinstance(value, TOLD[key]) else None


def is_number(value: object) -> bool:
    """Whether a value is a number that can be told: finite, and no whole number beyond all floats.

    JSON may hold others.
    """
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def text_of(path: Path | None) -> str | None:
    """A path as text."""
    return None if path is None else str(path)


def size_of(path: Path) -> dict[str, Any]:
    """Format and size of a result; nothing for what is no picture."""
    try:
        with files.open_ordinary(path) as file:
            header = read_header(file, path.name)
    except (OSError, PictureError):
        return {"format": None, "width_px": None, "height_px": None}
    return {
        "format": header.format,
        "width_px": header.width_px,
        "height_px": header.height_px,
    }


def command(config: Config, made: Provenance, config_file: Path | None) -> str | None:
    """What to type to have the same again; None while there is no file that tells how."""
    if not made.path.is_file():
        return None
    picture = filed_original(config, made)
    words = ["atelierd", *(["--config", str(config_file)] if config_file else []), "stylize"]
    result = str(made.path)
    words += ["--like", f"./{result}" if result.startswith("-") else result]
    is_proof = made.facts.get("proof") is True or made.facts.get("state") == State.AWAITING
    words += ["--proof"] if is_proof else []
    words += [str(picture)] if picture else ["PICTURE"]
    return " ".join(map(shell_word, words))


def shell_word(text: str) -> str:
    """A word as it is to be typed; bytes that cannot be are written as bash and zsh read them."""
    if files.printable(text) == text:
        return shlex.quote(text)
    quoted = "".join(chr(byte) if byte in TYPED else f"\\x{byte:02x}" for byte in os.fsencode(text))
    return f"$'{quoted}'"


def filed_original(config: Config, made: Provenance) -> Path | None:
    """The picture that a result was painted from, if it lies in the outbox as was told."""
    outputs = made.facts.get("outputs")
    original = outputs.get("original") if isinstance(outputs, dict) else None
    if not isinstance(original, str) or not lies_in(config.outbox, config.outbox / original):
        return None
    picture = config.outbox / original
    return picture if stamp(picture) and picture.is_file() else None
