"""The last good version of every preset, kept in the state folder as a job would carry it.

Presets are edited while pictures come in: what is half saved, or away with its share, is no reason
to fail them. The bytes of the style images are in the spool's style store.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.host import files
from daemon.job import MaskRef, ProfileRef, StyleRef

LAST_GOOD_FILE = "presets.json"


@dataclass(frozen=True)
class LastGood:
    """A preset as it was when it was right.

    file: its name in the presets folder.  recipe: as plain data.  faulty_since: when its file was
    first found wrong since, ISO 8601 in UTC, and `fault` how; None while it is right.
    """

    file: str
    recipe: Mapping[str, Any]
    styles: tuple[StyleRef, ...]
    faulty_since: str | None = None
    fault: str = ""
    profiles: tuple[ProfileRef, ...] = ()
    mask: MaskRef | None = None
    sweep: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    approve: bool = False
    runs_on: str = ""


def read_last_good(state: Path, folder: Path) -> dict[str, LastGood]:
    """What is kept of the presets of a folder, by name.

    Empty if it is of another folder, or damaged: it is written anew while the presets are right.
    """
    try:
        found = json.loads((state / LAST_GOOD_FILE).read_bytes())
        if found["folder"] != os.fspath(folder):
            return {}
        return {name: from_data(entry) for name, entry in found["presets"].items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return {}


def from_data(entry: Mapping[str, Any]) -> LastGood:
    """One preset from the file; raises TypeError or LookupError if it is not what was written."""
    styles = tuple(StyleRef(**style) for style in entry["styles"])
    profiles = tuple(ProfileRef(**profile) for profile in entry.get("profiles", ()))
    mask = MaskRef(**entry["mask"]) if entry.get("mask") else None
    sweep = {name: tuple(values) for name, values in entry.get("sweep", {}).items()}
    recipe = dict(entry["recipe"])
    read = {"styles": styles, "profiles": profiles, "recipe": recipe, "sweep": sweep, "mask": mask}
    return LastGood(**{**entry, **read})


def write_last_good(state: Path, folder: Path, presets: Mapping[str, LastGood]) -> None:
    """Replaces what is kept, whole or not at all; raises OSError."""
    data = {
        "folder": os.fspath(folder),
        "presets": {name: dataclasses.asdict(presets[name]) for name in sorted(presets)},
    }
    files.write_bytes(state / LAST_GOOD_FILE, json.dumps(data, indent=2).encode(), replace=True)


def faulty_presets(state: Path, folder: Path) -> dict[str, str]:
    """What to tell of each preset whose last good version stands in for it, by name."""
    return {
        name: stand_in_text(name, kept)
        for name, kept in read_last_good(state, folder).items()
        if kept.faulty_since is not None
    }


def stand_in_text(name: str, kept: LastGood) -> str:
    """Since when a preset is faulty, how, and what is used in its place."""
    since = f" since {kept.faulty_since}" if kept.faulty_since else ""
    fault = f" ({kept.fault})" if kept.fault else ""
    return f"preset {name} is faulty{since}{fault}: its last good version is used"
