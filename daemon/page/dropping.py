"""Where a picture that is dropped on the page goes in the inbox, and what goes beside it.

It lands there like any file that somebody puts into the folder: settling, limits and the decoder
apply to it as to all others.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from daemon.errors import BadInputError, SurroundingsError
from daemon.host import files
from daemon.host.access import refusals
from daemon.settings import yamlfile
from daemon.settings.config import Config
from daemon.settings.presets import Shelf, override
from daemon.settings.sweep import SweptRecipe, check_sweep
from daemon.state.mounts import Mounts

MOST_TRIES = 8


@dataclass(frozen=True)
class DropWish:
    """What is asked for with a dropped picture.

    presets: by name; all of them if `every`.  fields: of the recipe, over the presets' own.
    bulk, proof: whether it waits for the night, and for approval.
    """

    name: str
    presets: Sequence[str] = ()
    every: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    bulk: bool = False
    proof: bool = False


@dataclass(frozen=True)
class Landing:
    """Where a picture lands below the inbox, and the sidecar beside it; None for none."""

    folder: Path
    sidecar: bytes | None


def plan_landing(wish: DropWish, config: Config, shelf: Shelf) -> Landing:
    """Where a picture goes; raises BadInputError for presets or fields that are none."""
    if not wish.presets and not wish.every:
        raise BadInputError("choose a preset first")
    unknown = [name for name in wish.presets if name not in shelf.good]
    if unknown:
        there = ", ".join(sorted(shelf.good)) or "none"
        shown = files.printable(", ".join(unknown))
        raise BadInputError(f"there is no preset {shown} that can be used; there are: {there}")
    check_fields(wish, shelf)
    folders = config.inbox_folders
    parts = [folders.bulk] if wish.bulk else []
    if wish.proof and len(wish.presets) == 1:
        parts.append(folders.proof)
    said: dict[str, Any] = dict(wish.fields)
    if wish.every:
        parts.append(folders.every)
    elif len(wish.presets) == 1:
        parts.append(wish.presets[0])
    else:
        said = {"presets": list(wish.presets), **said}
    if wish.proof and len(wish.presets) != 1:
        said["approve"] = True
    if wish.every or "sweep" in wish.fields:
        said["approve"] = False  # what is tried is small already
    text = yaml.safe_dump(said, allow_unicode=True, sort_keys=False) if said else ""
    return Landing(Path(*parts), text.encode() or None)


def check_fields(wish: DropWish, shelf: Shelf) -> None:
    """Raises BadInputError for a field that a preset would refuse."""
    text = yaml.safe_dump(dict(wish.fields), allow_unicode=True)
    document = yamlfile.parse(text.encode(), "what was asked for")
    if "sweep" in document.data:
        swept = yamlfile.check(SweptRecipe, document)
        if swept is not None:
            check_sweep(swept, document)
        if document.faults:
            raise BadInputError("; ".join(fault.message for fault in document.faults))
        return
    for name in wish.presets:
        override(shelf.good[name].recipe, document)


def land(config: Config, landing: Landing, name: str, upload: Path) -> str:
    """Puts a received picture into the inbox, its sidecar first; the name it has there.

    A name that is taken gets a mark. Raises SurroundingsError if the inbox is away or full.
    """
    inbox = config.inbox
    Mounts(config.state).check(inbox)
    if not inbox.is_dir():
        shown = files.printable(inbox)
        raise SurroundingsError(f"the inbox {shown} is away; nothing was taken, try again later")
    with refusals(f"{files.printable(name)} could not be put into the inbox"):
        for _ in range(MOST_TRIES):
            target = inbox / landing.folder / name
            if not target.exists() and place(landing, target, upload):
                return name
            name = files.with_mark(name, secrets.token_hex(3))
    raise SurroundingsError(f"{files.printable(name)} could not be put into the inbox; try again")


def place(landing: Landing, target: Path, upload: Path) -> bool:
    """Moves a picture to a free name; False, and nothing is left there, if that is taken."""
    sidecar = target.with_name(f"{target.name}.yaml")
    try:
        if landing.sidecar is not None:
            files.write_bytes(sidecar, landing.sidecar)
        try:
            files.move(upload, target)
        except BaseException:
            if landing.sidecar is not None:
                sidecar.unlink(missing_ok=True)
            raise
    except FileExistsError:
        return False
    return True
