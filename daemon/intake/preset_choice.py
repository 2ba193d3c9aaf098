"""Which presets a picture is painted with. Nothing is looked at but what a sidecar names.

First match wins: its sidecar (`pair.py`); the folder below the inbox, one preset's or that of all;
the default preset. Of a sweep every cell is a choice.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from daemon.errors import BadInputError, PresetError
from daemon.job import ALL_FOLDER, BULK, ORDINARY, InboxFolders
from daemon.pictures.form import JobRecipe
from daemon.pictures.names import lies_in, nearest
from daemon.settings import yamlfile
from daemon.settings.masks import MaskSource, regions_of
from daemon.settings.presets import (
    Preset,
    Shelf,
    mask_of,
    override,
    override_swept,
    profiles_of,
)
from daemon.settings.profiles import ProfileSource
from daemon.settings.runs_on import RunsOn
from daemon.settings.sweep import Cell, Sweep, cells_of

APPROVES_ONE = (
    "{}: a proof that waits for approval is of one picture in one preset, and this is to become "
    "several. Say `approve: false` or `sweep: null` in its sidecar, or drop it in the folder of a "
    "preset"
)


class Naming(BaseModel):
    """The part of a sidecar that says which presets, and which cells of their sweeps."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    preset: str | None = None
    presets: list[str] | None = None
    like: str | None = None
    cells: Annotated[list[str], Field(min_length=1)] | None = None
    approve: bool | None = None
    runs_on: RunsOn = None


@dataclass(frozen=True)
class SidecarWords:
    """What a sidecar says: presets, or a result of the outbox to paint like, and fields over it.

    cells: the labels of those of a sweep that are asked for; None for all.  approve: whether a
    proof is to wait for approval; None where it does not say.  runs_on: likewise, what a device
    must offer; empty for any.
    """

    presets: Sequence[str]
    like: str | None
    overrides: yamlfile.Document
    cells: Sequence[str] | None = None
    approve: bool | None = None
    runs_on: str | None = None


Liken = Callable[[str, str | None], Preset]
"""The preset of a result that a sidecar names, sought first in a preset's folder.

Raises BadInputError, or OSError if the outbox is away."""


def no_results(name: str, preset: str | None) -> Preset:
    """What there is to paint like where no outbox is known: nothing."""
    raise BadInputError(f"like: {name}: no outbox is known")


@dataclass(frozen=True)
class Choice:
    """A preset to paint with, the resolved recipe, or why it cannot be (`fault`).

    preset: the name that becomes a folder of the outbox; empty if none is known.  profiles, mask:
    those that the recipe names.  label: which cell of a sweep it is; empty if of none.  approve:
    whether a proof is painted first, and waits for approval.  runs_on: what a device must offer.
    """

    preset: str
    recipe: JobRecipe | None
    source: Preset | None
    fault: str = ""
    profiles: tuple[ProfileSource, ...] = ()
    mask: MaskSource | None = None
    label: str = ""
    approve: bool = False
    runs_on: str = ""


@dataclass(frozen=True)
class DropPlace:
    """What the folders say that a picture was dropped in.

    inner: its path without those of the bulk queue and of proofs.  approve: it lies in the latter.
    """

    priority: int
    inner: Path
    approve: bool = False


def place_of(picture: Path, folders: InboxFolders) -> DropPlace:
    """Where a picture was dropped, by its path below the inbox."""
    priority, approve = ORDINARY, False
    if lies_in(picture, folders.bulk):
        priority, picture = BULK, Path(*picture.parts[1:])
    if lies_in(picture, folders.proof):
        approve, picture = True, Path(*picture.parts[1:])
    return DropPlace(priority, picture, approve)


def folder_preset(picture: Path, names: Collection[str]) -> str | None:
    """The preset that the picture's top folder names, or is like if only one is."""
    return nearest(picture.parts[0], names) if len(picture.parts) > 1 else None


def folder_presets(picture: Path, shelf: Shelf, all_presets: str) -> list[str]:
    """The presets that the picture's top folder means: one, all that are of use, or none."""
    if lies_in(picture, all_presets):
        return sorted({*shelf.usable, *shelf.waiting})
    name = folder_preset(picture, shelf.names)
    return [name] if name else []


def below_preset(picture: Path, names: Collection[str], all_presets: str = ALL_FOLDER) -> Path:
    """The picture's path below the outbox's preset folder; sub-folders are kept."""
    if lies_in(picture, all_presets) or folder_preset(picture, names) is not None:
        return Path(*picture.parts[1:])
    return picture


def choose(
    picture: Path,
    sidecar: bytes | None,
    sidecar_name: str,
    shelf: Shelf,
    default: str | None,
    liken: Liken = no_results,
    all_presets: str = ALL_FOLDER,
    *,
    approve: bool = False,
) -> list[Choice]:
    """The presets of one picture, resolved; every choice that cannot be made says why.

    approve: whether its folder asks for a proof that waits for approval.
    """
    by_folder = folder_presets(picture, shelf, all_presets)
    dropped_for = by_folder[0] if len(by_folder) == 1 else ""
    try:
        said = read_sidecar(sidecar, sidecar_name)
    except PresetError as error:
        return [Choice(dropped_for, None, None, f"The sidecar is wrong. {error}")]
    if said.approve is None and approve:
        said = dataclasses.replace(said, approve=True)
    if said.like is not None:
        return resolve_like(said.like, said, shelf, dropped_for or None, liken)
    names = wanted(said.presets, by_folder, shelf, default)
    if not names:
        known = ", ".join(shelf.usable) or "none"
        fault = (
            "Nothing says how to paint this: it lies in no preset's folder, has no sidecar, and "
            f"no default_preset is configured. Drop it into one of these folders: {known}."
        )
        return [Choice(dropped_for, None, None, fault)]
    once = lies_in(picture, all_presets)
    if once and said.approve:  # one reason, and not one for each preset
        return [Choice(dropped_for, None, None, APPROVES_ONE.format(all_presets))]
    return [
        choice for name in names for choice in resolve(name, said, shelf, dropped_for, once=once)
    ]


def wanted(
    named: Sequence[str], by_folder: Sequence[str], shelf: Shelf, default: str | None
) -> list[str]:
    """The presets that a picture is for, each once; named: what its sidecar says."""
    names = named or by_folder or ([default] if default else [])
    return list(dict.fromkeys(shelf.known(name) or name for name in names))


def awaited(
    picture: Path,
    sidecar: bytes | None,
    shelf: Shelf,
    default: str | None,
    all_presets: str = ALL_FOLDER,
) -> list[str]:
    """Which of a picture's presets are away or being written, so that it has to wait."""
    named: Sequence[str] = ()
    with contextlib.suppress(PresetError):
        said = read_sidecar(sidecar, "")
        if said.like is not None:  # which asks for no preset
            return []
        named = said.presets
    names = wanted(named, folder_presets(picture, shelf, all_presets), shelf, default)
    return [name for name in names if name in shelf.waiting]


def lacks_mask(
    picture: Path,
    sidecar: bytes | None,
    shelf: Shelf,
    default: str | None,
    all_presets: str = ALL_FOLDER,
) -> bool:
    """Whether a picture cannot be painted without a mask beside it: its presets have regions, and
    neither they nor its sidecar name one.
    """
    presets = (*shelf.good.values(), *shelf.last_good.values())
    if not any(regions_of(preset.styles) for preset in presets):
        return False
    choices = choose(picture, sidecar, "", shelf, default, all_presets=all_presets)
    return any(
        choice.source is not None and choice.mask is None and regions_of(choice.source.styles)
        for choice in choices
    )


def resolve(
    name: str, said: SidecarWords, shelf: Shelf, dropped_for: str, *, once: bool = False
) -> list[Choice]:
    """One preset by name with the sidecar's settings over it, a choice for each cell of a sweep.

    once: the preset is not swept.
    """
    known = shelf.known(name) or dropped_for
    try:
        return overridden(known, shelf.get(name), said, shelf.folder, once=once)
    except BadInputError as error:
        return [Choice(known, None, None, f"The preset cannot be used. {error}")]


def resolve_like(
    name: str, said: SidecarWords, shelf: Shelf, folder: str | None, liken: Liken
) -> list[Choice]:
    """What a result was painted with, with the sidecar's settings over it."""
    try:
        preset = liken(name, folder)
        return overridden(preset.name, preset, said, shelf.folder)
    except BadInputError as error:
        words = f"The result that the sidecar names cannot be painted like. {error}"
        return [Choice(folder or "", None, None, words)]


def overridden(
    name: str, preset: Preset, said: SidecarWords, folder: Path, *, once: bool = False
) -> list[Choice]:
    """A preset with the sidecar's settings over it; raises BadInputError.

    folder: where profiles lie that the preset itself does not name.  once: it is not swept.
    """
    fresh = fresh_copy(said.overrides)
    varied = (override(preset.recipe, fresh), {}) if once else override_swept(preset, fresh)
    cells = picked(*varied, said.cells, fresh)
    approve = preset.approve if said.approve is None else said.approve
    runs_on = preset.runs_on if said.runs_on is None else said.runs_on
    if approve and (once or cells[0].label):
        raise BadInputError(APPROVES_ONE.format(name))
    made = (with_files(cell, name, preset, folder, fresh_copy(said.overrides)) for cell in cells)
    return [dataclasses.replace(choice, approve=approve, runs_on=runs_on) for choice in made]


def fresh_copy(document: yamlfile.Document) -> yamlfile.Document:
    """The same document, of which nothing wrong is known."""
    return yamlfile.Document(document.file, document.data, document.lines)


def picked(
    recipe: JobRecipe, sweep: Sweep, labels: Sequence[str] | None, document: yamlfile.Document
) -> list[Cell]:
    """The cells of a sweep that are asked for; raises PresetError for one that it has not."""
    cells = cells_of(sweep, recipe)
    if labels is None:
        return cells
    by_label = {cell.label: cell for cell in cells if cell.label}
    for label in (label for label in labels if label not in by_label):
        there = "; there are: " + " · ".join(by_label) if by_label else ": nothing is swept"
        document.fault(f"there is no cell {yamlfile.shortened(label)}{there}", ("cells",))
    if document.faults:
        raise PresetError(document.faults)
    return [by_label[label] for label in dict.fromkeys(labels)]


def with_files(
    cell: Cell, known: str, preset: Preset, folder: Path, document: yamlfile.Document
) -> Choice:
    """A cell as a choice with the profiles and mask that its recipe names, or why it cannot be."""
    try:
        profiles = profiles_of(cell.recipe, preset, folder, document)
        mask = mask_of(cell.recipe, preset, folder, document)
    except BadInputError as error:
        fault = f"The preset cannot be used. {error}"
        return Choice(known, None, None, fault, label=cell.label)
    return Choice(known, cell.recipe, preset, profiles=profiles, mask=mask, label=cell.label)


def read_sidecar(content: bytes | None, name: str) -> SidecarWords:
    """What a sidecar says; raises PresetError."""
    if content is None:
        return SidecarWords((), None, yamlfile.Document(name))
    document = yamlfile.parse(content, name)
    naming = {key: document.data[key] for key in Naming.model_fields if key in document.data}
    named = yamlfile.check(Naming, document, naming)
    asked = {"cells", "approve", "runs_on"}
    sources = list(named.model_dump(exclude_none=True, exclude=asked)) if named else []
    if len(sources) > 1:
        said = " or ".join(f"`{key}`" for key in sources)
        document.fault(f"give {said}", (sources[1],))
    if named is None or document.faults:
        raise PresetError(document.faults)
    rest: Mapping[str, object] = {k: v for k, v in document.data.items() if k not in naming}
    names = named.presets or ([named.preset] if named.preset else [])
    rest_of = yamlfile.Document(name, dict(rest), document.lines)
    runs_on = named.runs_on or "" if "runs_on" in naming else None
    return SidecarWords(names, named.like, rest_of, named.cells, named.approve, runs_on)
