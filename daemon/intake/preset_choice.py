"""Which presets a picture is painted with. Nothing is looked at but what a sidecar names.

First match wins: its sidecar (`pair.py`); the folder below the inbox; the default preset.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from daemon.errors import BadInputError, PresetError
from daemon.job import BULK, ORDINARY
from daemon.pictures.form import JobRecipe
from daemon.pictures.names import folded, nearest
from daemon.settings import yamlfile
from daemon.settings.masks import MaskSource, regions_of
from daemon.settings.presets import Preset, Shelf, mask_of, override, profiles_of
from daemon.settings.profiles import ProfileSource


class Naming(BaseModel):
    """The part of a sidecar that says which presets."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    preset: str | None = None
    presets: list[str] | None = None
    like: str | None = None


@dataclass(frozen=True)
class SidecarWords:
    """What a sidecar says: presets, or a result of the outbox to paint like, and fields over it."""

    presets: Sequence[str]
    like: str | None
    overrides: yamlfile.Document


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
    those that the recipe names.
    """

    preset: str
    recipe: JobRecipe | None
    source: Preset | None
    fault: str = ""
    profiles: tuple[ProfileSource, ...] = ()
    mask: MaskSource | None = None


def queue_of(picture: Path, bulk_folder: str) -> tuple[int, Path]:
    """The priority of a picture, and its path without the bulk folder it may lie in."""
    if len(picture.parts) > 1 and folded(picture.parts[0]) == folded(bulk_folder):
        return BULK, Path(*picture.parts[1:])
    return ORDINARY, picture


def folder_preset(picture: Path, names: Collection[str]) -> str | None:
    """The preset that the picture's top folder names, or is like if only one is."""
    return nearest(picture.parts[0], names) if len(picture.parts) > 1 else None


def below_preset(picture: Path, names: Collection[str]) -> Path:
    """The picture's path below the outbox's preset folder; sub-folders are kept."""
    if folder_preset(picture, names) is not None:
        return Path(*picture.parts[1:])
    return picture


def choose(
    picture: Path,
    sidecar: bytes | None,
    sidecar_name: str,
    shelf: Shelf,
    default: str | None,
    liken: Liken = no_results,
) -> list[Choice]:
    """The presets of one picture, resolved; every choice that cannot be made says why."""
    folder = folder_preset(picture, shelf.names)
    dropped_for = folder or ""
    try:
        said = read_sidecar(sidecar, sidecar_name)
    except PresetError as error:
        return [Choice(dropped_for, None, None, f"The sidecar is wrong. {error}")]
    if said.like is not None:
        return [resolve_like(said.like, said.overrides, shelf, folder, liken)]
    names = wanted(said.presets, folder, shelf, default)
    if not names:
        known = ", ".join(shelf.usable) or "none"
        fault = (
            "Nothing says how to paint this: it lies in no preset's folder, has no sidecar, and "
            f"no default_preset is configured. Drop it into one of these folders: {known}."
        )
        return [Choice(dropped_for, None, None, fault)]
    return [resolve(name, said.overrides, shelf, dropped_for) for name in names]


def wanted(
    named: Sequence[str], folder: str | None, shelf: Shelf, default: str | None
) -> list[str]:
    """The presets that a picture is for, each once; named: what its sidecar says."""
    names = named or [name for name in (folder or default,) if name]
    return list(dict.fromkeys(shelf.known(name) or name for name in names))


def awaited(picture: Path, sidecar: bytes | None, shelf: Shelf, default: str | None) -> list[str]:
    """Which of a picture's presets are away or being written, so that it has to wait."""
    named: Sequence[str] = ()
    with contextlib.suppress(PresetError):
        said = read_sidecar(sidecar, "")
        if said.like is not None:  # which asks for no preset
            return []
        named = said.presets
    names = wanted(named, folder_preset(picture, shelf.names), shelf, default)
    return [name for name in names if name in shelf.waiting]


def lacks_mask(picture: Path, sidecar: bytes | None, shelf: Shelf, default: str | None) -> bool:
    """Whether a picture cannot be painted without a mask beside it: its presets have regions, and
    neither they nor its sidecar name one.
    """
    presets = (*shelf.good.values(), *shelf.last_good.values())
    if not any(regions_of(preset.styles) for preset in presets):
        return False
    choices = choose(picture, sidecar, "", shelf, default)
    return any(
        choice.source is not None and choice.mask is None and regions_of(choice.source.styles)
        for choice in choices
    )


def resolve(name: str, overrides: yamlfile.Document, shelf: Shelf, dropped_for: str) -> Choice:
    """One preset by name with the sidecar's settings over it."""
    known = shelf.known(name) or dropped_for
    try:
        return overridden(known, shelf.get(name), overrides, shelf.folder)
    except BadInputError as error:
        return Choice(known, None, None, f"The preset cannot be used. {error}")


def resolve_like(
    name: str, overrides: yamlfile.Document, shelf: Shelf, folder: str | None, liken: Liken
) -> Choice:
    """What a result was painted with, with the sidecar's settings over it."""
    try:
        preset = liken(name, folder)
        return overridden(preset.name, preset, overrides, shelf.folder)
    except BadInputError as error:
        words = f"The result that the sidecar names cannot be painted like. {error}"
        return Choice(folder or "", None, None, words)


def overridden(name: str, preset: Preset, overrides: yamlfile.Document, folder: Path) -> Choice:
    """A preset with the sidecar's settings over it; raises BadInputError.

    folder: where profiles lie that the preset itself does not name.
    """
    fresh = yamlfile.Document(overrides.file, overrides.data, overrides.lines)
    recipe = override(preset.recipe, fresh)
    profiles = profiles_of(recipe, preset, folder, fresh)
    mask = mask_of(recipe, preset, folder, fresh)
    return Choice(name, recipe, preset, profiles=profiles, mask=mask)


def read_sidecar(content: bytes | None, name: str) -> SidecarWords:
    """What a sidecar says; raises PresetError."""
    if content is None:
        return SidecarWords((), None, yamlfile.Document(name))
    document = yamlfile.parse(content, name)
    naming = {key: document.data[key] for key in Naming.model_fields if key in document.data}
    named = yamlfile.check(Naming, document, naming)
    if named is not None and len(named.model_dump(exclude_none=True)) > 1:
        said = " or ".join(f"`{key}`" for key in naming)
        document.fault(f"give {said}", tuple(naming)[1:2])
    if named is None or document.faults:
        raise PresetError(document.faults)
    rest: Mapping[str, object] = {k: v for k, v in document.data.items() if k not in naming}
    names = named.presets or ([named.preset] if named.preset else [])
    return SidecarWords(names, named.like, yamlfile.Document(name, dict(rest), document.lines))
