"""Presets: named styles in YAML beside their images, and the sidecars that override them."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from daemon.engine.recipe import Positive, decided_by, overlaid
from daemon.errors import Fault, PresetError, SurroundingsError
from daemon.host import files
from daemon.host.access import refusals
from daemon.job import INBOX_FOLDERS, OUTBOX_FOLDERS
from daemon.pictures.form import JobRecipe
from daemon.pictures.formats import FORMAT_OF_SUFFIX
from daemon.pictures.ignored import is_ignored
from daemon.pictures.names import folded, nearest, yaml_stem
from daemon.pictures.regions import region_colour
from daemon.settings import yamlfile
from daemon.settings.extras import check_extras
from daemon.settings.last_good import LAST_GOOD_FILE, LastGood, read_last_good, stand_in_text
from daemon.settings.masks import MaskSource, check_mask
from daemon.settings.profiles import ProfileSource, check_profiles
from daemon.settings.runs_on import RunsOn
from daemon.settings.sources import (
    MOST_STYLES,
    Stamp,
    StyleSource,
    check_image,
    check_styles,
    stamp,
)
from daemon.settings.sweep import Sweep, SweptRecipe, cells_of, check_sweep, without_sweep
from daemon.settings.yamlfile import Document, Section
from daemon.state.spool import Spool

NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
"""As long as a file's name may be, since results tell of presets by whatever anybody wrote."""


class StyleEntry(Section):
    """One style image of a preset."""

    image: str = Field(description="file name, relative to the presets folder")
    weight: Positive = Field(default=1.0, description="its share among the styles")
    region: Annotated[str, AfterValidator(lambda name: name and region_colour(name))] = Field(
        default="", description="the colour that masks have where it goes: red, or '#ff0000'"
    )


class PresetFile(SweptRecipe):
    """What a preset's YAML may say: the styles, every setting of a job's recipe, and a sweep."""

    styles: Annotated[list[StyleEntry], Field(min_length=1, max_length=MOST_STYLES)] = Field(
        description="style images and their weights"
    )
    approve: bool = Field(
        default=False,
        description="true: only a proof of 512 px is painted, and the rest once that is approved",
    )
    runs_on: RunsOn = Field(
        default=None, description="a node's name, a tag, cpu, cuda or local; null: anywhere"
    )


@dataclass(frozen=True)
class Preset:
    """A named style, checked: what to paint after, and how.

    warning: what the record of a job made from it is to tell; empty for one that is in order.
    sweep: which of the recipe's fields are tried with several values.  approve: whether a proof is
    painted first, and waits for approval.  runs_on: what a device must offer; empty for any.
    """

    name: str
    file: Path
    recipe: JobRecipe
    styles: tuple[StyleSource, ...]
    warning: str = ""
    profiles: tuple[ProfileSource, ...] = ()
    mask: MaskSource | None = None
    sweep: Sweep = field(default_factory=dict)
    approve: bool = False
    runs_on: str = ""


@dataclass(frozen=True)
class Reading:
    """What the files of one name came to, and what those files were like before they were read.

    stamps: the first is its own file's.  None for one that could not be read, too, so that it is
    tried again.
    """

    preset: Preset | None
    faults: tuple[Fault, ...]
    stamps: Mapping[Path, Stamp]

    @property
    def file(self) -> Path:
        """Its own file."""
        return next(iter(self.stamps))

    @property
    def is_current(self) -> bool:
        """Whether none of the files has changed since."""
        return all(stamp(path) == before for path, before in self.stamps.items())


@dataclass(frozen=True)
class Shelf:
    """All presets of a folder: the good by name, and the faults of the others by name.

    last_good: what stands in for faulty ones.  waiting: those that pictures wait for, and what is
    to be told of it; nothing if they are just being written.  readings: of all that are there.
    """

    folder: Path
    good: Mapping[str, Preset]
    faulty: Mapping[str, tuple[Fault, ...]]
    last_good: Mapping[str, Preset] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every preset's name, good or not, sorted."""
        return sorted({*self.good, *self.faulty, *self.waiting})

    @property
    def usable(self) -> list[str]:
        """The names of all that can be painted with, sorted."""
        return sorted({*self.good, *self.last_good})

    def known(self, name: str) -> str | None:
        """The preset that a name means: exactly, or because only one is like it."""
        return nearest(name, self.names)

    def get(self, name: str) -> Preset:
        """The preset that `name` means; raises PresetError saying what is wrong with it."""
        known = self.known(name) or name
        if known in self.good:
            return self.good[known]
        if known in self.last_good:
            return self.last_good[known]
        if known in self.faulty:
            raise PresetError(self.faulty[known])
        there = ", ".join(self.usable) or "none"
        message = f"there is no preset {yamlfile.shortened(name)}; there are: {there}"
        raise PresetError([Fault(str(self.folder), 1, "", message)])


class ShelfReader:
    """Reads a presets folder again and again, and of it only what has changed.

    inbox_folders: the inbox's folders of other meanings, whose names no preset may have.
    """

    def __init__(self, folder: Path, inbox_folders: Collection[str] = INBOX_FOLDERS) -> None:
        self._folder = folder
        self._inbox_folders = inbox_folders
        self._cache: dict[Path, Reading] = {}

    def read(self) -> Shelf:
        """Every preset of the folder; one that is wrong does not disturb the others.

        Raises SurroundingsError if the folder is away or may not be read.
        """
        entries = [path for path in list_folder(self._folder) if not is_ignored(path.name)]
        files_of = together((yaml_stem(path.name), path) for path in entries)
        readings = self._read_all(files_of, "keep one")
        used = {path for reading in readings.values() for path in reading.stamps}
        bare = together(
            (path.stem, path)
            for path in entries
            if path.suffix.lower() in FORMAT_OF_SUFFIX and path not in used
        )
        alone = {key: paths for key, paths in bare.items() if key not in files_of}
        readings |= self._read_all(alone, "keep one, or say in a YAML file which is meant")
        self._cache = {one.file: one for one in readings.values()}
        good = {name: one.preset for name, one in readings.items() if one.preset is not None}
        faulty = {name: one.faults for name, one in readings.items() if one.preset is None}
        return Shelf(self._folder, good, faulty, readings=readings)

    def _read_all(self, files_of: Mapping[str, list[Path]], mend: str) -> dict[str, Reading]:
        """The readings by name; files that would make one preset are a fault of each's name."""
        readings = {}
        for paths in files_of.values():
            if len(paths) == 1:
                readings[preset_name(paths[0])] = self._read(paths[0])
                continue
            names = " and ".join(files.printable(path.name) for path in paths)
            fault = Fault(str(paths[0]), 1, "", f"{names} would be one and the same preset; {mend}")
            clash = Reading(None, (fault,), {path: stamp(path) for path in paths})
            readings |= {preset_name(path): clash for path in paths}
        return readings

    def _read(self, path: Path) -> Reading:
        known = self._cache.get(path)
        if known is not None and known.is_current:
            return known
        return read_preset(path, self._inbox_folders)


def load_presets(folder: Path, inbox_folders: Collection[str] = INBOX_FOLDERS) -> Shelf:
    """Every preset of a folder as it is now; raises SurroundingsError if it cannot be read."""
    return ShelfReader(folder, inbox_folders).read()


def shelf_in_use(folder: Path, inbox_folders: Collection[str], state: Path) -> Shelf:
    """Every preset as the service uses it: for a faulty one its last good version, if it had one.

    Raises SurroundingsError if the folder cannot be read.
    """
    shelf = load_presets(folder, inbox_folders)
    kept = read_last_good(state, folder)
    ensure_there(shelf, kept, state)
    found = {
        name: recall(name, kept[name], folder, Spool(state)) for name in shelf.faulty.keys() & kept
    }
    last_good = {name: preset for name, preset in found.items() if preset is not None}
    return Shelf(folder, shelf.good, shelf.faulty, last_good, readings=shelf.readings)


def ensure_there(shelf: Shelf, known: Collection[str], state: Path) -> None:
    """Raises SurroundingsError for a folder without any preset that once had some.

    So looks a mount point where nothing is mounted, or a folder that is just being replaced.
    """
    if known and not shelf.names:
        raise SurroundingsError(
            f"the presets folder {files.printable(shelf.folder)} is empty, and held "
            f"{', '.join(sorted(known))}: mount it or put them back; if they are to be gone, stop "
            f"the service and delete {state / LAST_GOOD_FILE}; until then pictures wait"
        )


def recall(name: str, kept: LastGood, folder: Path, spool: Spool) -> Preset | None:
    """A preset from its last good version, or None if that is of no use any more."""
    styles = tuple(
        StyleSource(spool.style(style.sha256), style.weight, style.name, style.sha256, style.region)
        for style in kept.styles
    )
    try:
        recipe = JobRecipe.model_validate(dict(kept.recipe))
        cells_of(kept.sweep, recipe)
    except ValidationError:  # written by another version
        return None
    profiles = tuple(
        ProfileSource(spool.profile(profile.sha256), profile.name, profile.sha256)
        for profile in kept.profiles
    )
    mask = None
    if kept.mask is not None:
        mask = MaskSource(spool.mask(kept.mask.sha256), kept.mask.name, kept.mask.sha256)
    sources = [*styles, *profiles, *((mask,) if mask else ())]
    paths = [source.path for source in sources]
    if not all(path.is_file() for path in paths):
        return None
    warning = stand_in_text(name, kept)
    made = Preset(name, folder / kept.file, recipe, styles, warning, profiles, mask, kept.sweep)
    return replace(made, approve=kept.approve, runs_on=kept.runs_on)


def list_folder(folder: Path) -> list[Path]:
    """What lies in the presets folder, sorted; raises SurroundingsError if it cannot be read."""
    remedy = (
        "; put it back, mount it, or give the service the right to read it (chmod g+rx); until "
        "then pictures wait in the inbox"
    )
    with refusals(f"the presets folder {files.printable(folder)} is unavailable", remedy):
        (folder / "..").stat()  # a folder may be listed without the right to enter it
        return sorted(folder.iterdir())


def together(named: Iterable[tuple[str | None, Path]]) -> dict[str, list[Path]]:
    """Files by what their names have in common where case and Unicode form do not matter.

    So it is on a share, where folders of the inbox and the outbox are called after presets.
    """
    alike: dict[str, list[Path]] = defaultdict(list)
    for name, path in named:
        if name is not None:
            alike[folded(name)].append(path)
    return dict(alike)


def preset_name(path: Path) -> str:
    """The name of the preset that a file makes."""
    return yaml_stem(path.name) or path.stem


def read_preset(path: Path, inbox_folders: Collection[str] = INBOX_FOLDERS) -> Reading:
    """One preset from its YAML, or from a picture with the default recipe."""
    stamps = {path: stamp(path)}
    document = Document(str(path))
    recipe: JobRecipe | None = JobRecipe()
    profiles: tuple[ProfileSource, ...] = ()
    mask: MaskSource | None = None
    sweep: Sweep = {}
    approve, runs_on = False, ""
    styles = [StyleSource(path, 1.0, path.name)]
    if yaml_stem(path.name) is None:
        check_image(path, (), document, stamps)
    else:
        document = read_document(path, stamps)
        if stamps[path] is None:
            return Reading(None, PresetError(document.faults).faults, stamps)
        found = yamlfile.check(PresetFile, document)
        recipe = without_sweep(found) if found else None
        sweep = check_sweep(found, document) if found else {}
        if found is not None:
            approve, runs_on = found.approve, found.runs_on or ""
        if approve and sweep:
            document.fault("is for one picture, and `sweep` makes several; keep one", ("approve",))
        styles = check_styles(path.parent, document, stamps)
        mask = check_mask(document.data.get("mask"), path.parent, document, stamps)
        if recipe is not None:
            profiles = check_profiles(recipe, path.parent, document, stamps)
            check_extras(recipe, document)
    check_name(path, inbox_folders, document)
    if recipe is None or document.faults:
        return Reading(None, PresetError(document.faults).faults, stamps)
    name = preset_name(path)
    made = (tuple(styles), "", profiles, mask, sweep, approve, runs_on)
    preset = Preset(name, path, recipe, *made)
    return Reading(preset, (), stamps)


def read_document(path: Path, stamps: dict[Path, Stamp]) -> Document:
    """A preset's YAML; that it cannot be read is a fault of the document."""
    try:
        with files.open_ordinary(path) as file:
            return yamlfile.parse(file.read(), str(path))
    except OSError as error:
        stamps[path] = None
        document = Document(str(path))
        remedy = "let the service's user or group read it (chmod g+r)"
        document.fault(f"cannot be read: {error.strerror}; {remedy}")
        return document


def check_name(path: Path, inbox_folders: Collection[str], document: Document) -> None:
    """Notes a fault unless the file's name can be a preset's."""
    name = preset_name(path)
    if not NAME.fullmatch(name):
        document.fault("a preset's name may only have letters, digits, dots, _ and -")
    elif folded(name) in (*OUTBOX_FOLDERS, *map(folded, inbox_folders)):
        document.fault(f"a preset may not be called {name}; give the file another name")
    elif is_ignored(name):
        document.fault(
            f"a preset may not be called {name}: nothing is taken from a folder of that name; "
            "give the file another name"
        )


def override(recipe: JobRecipe, document: Document) -> JobRecipe:
    """The recipe with a document's fields in place of its own; raises PresetError."""
    if "sweep" in document.data:
        document.fault(
            "is for presets and for sidecars of one preset's pictures; here each paints one",
            ("sweep",),
        )
    merged = overlaid(recipe, document.data)
    found = yamlfile.check(SweptRecipe, document, merged)
    if found is not None:
        check_extras(found, document)
    if found is None or document.faults:
        raise PresetError(document.faults)
    return without_sweep(found)


def override_swept(preset: Preset, document: Document) -> tuple[JobRecipe, Sweep]:
    """`override` where a sweep may be asked for; raises PresetError.

    The document's takes the place of the preset's own, in which a field that the document gives is
    swept no more.
    """
    given = decided_by(document.data)
    own = {name: list(values) for name, values in preset.sweep.items() if name not in given}
    merged = overlaid(preset.recipe, {"sweep": own or None, **document.data})
    found = yamlfile.check(SweptRecipe, document, merged)
    sweep = check_sweep(found, document) if found else {}
    if found is not None:
        check_extras(found, document)
    if found is None or document.faults:
        raise PresetError(document.faults)
    return without_sweep(found), sweep


def profiles_of(
    recipe: JobRecipe, preset: Preset, folder: Path, document: Document
) -> tuple[ProfileSource, ...]:
    """The profiles that a preset's recipe names, after a document's fields took their places.

    folder: where those lie that the preset itself does not name.  Raises PresetError.
    """
    found = check_profiles(recipe, folder, document, known=preset.profiles)
    if document.faults:
        raise PresetError(document.faults)
    return found


def mask_of(
    recipe: JobRecipe, preset: Preset, folder: Path, document: Document
) -> MaskSource | None:
    """Likewise the mask, None for none."""
    found = check_mask(recipe.mask, folder, document, known=preset.mask)
    if document.faults:
        raise PresetError(document.faults)
    return found
