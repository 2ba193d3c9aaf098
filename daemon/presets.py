"""Presets: named styles in YAML beside their images, and the sidecars that override them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from daemon import files, yamlfile
from daemon.engine.errors import PictureError
from daemon.engine.formats import FORMAT_OF_SUFFIX
from daemon.engine.picture import read_header
from daemon.engine.recipe import Positive, Recipe
from daemon.errors import Fault, PresetError
from daemon.job import BULK_FOLDER
from daemon.yamlfile import Document

NAME = re.compile(r"[A-Za-z0-9._-]+")
YAML_SUFFIX = ".yaml"
RESERVED = ("originals", "failed")
"""Folders of the outbox that a preset's results would mix with."""


class StyleEntry(BaseModel):
    """One style image of a preset."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    image: str = Field(description="file name, relative to the presets folder")
    weight: Positive = Field(default=1.0, description="its share among the styles")


class PresetFile(Recipe):
    """What a preset's YAML may say: the styles, and every setting of a recipe."""

    styles: Annotated[list[StyleEntry], Field(min_length=1, max_length=16)] = Field(
        description="style images and their weights"
    )


@dataclass(frozen=True)
class StyleSource:
    """A style image on disk and its weight."""

    path: Path
    weight: float


@dataclass(frozen=True)
class Preset:
    """A named style, checked: what to paint after, and how."""

    name: str
    file: Path
    recipe: Recipe
    styles: tuple[StyleSource, ...]


@dataclass(frozen=True)
class Shelf:
    """All presets of a folder: the good by name, and the faults of the others by name."""

    folder: Path
    good: Mapping[str, Preset]
    faulty: Mapping[str, tuple[Fault, ...]]

    @property
    def names(self) -> list[str]:
        """Every preset's name, good or not, sorted."""
        return sorted({*self.good, *self.faulty})

    def get(self, name: str) -> Preset:
        """The preset called `name`; raises PresetError saying what is wrong with it."""
        if name in self.good:
            return self.good[name]
        if name in self.faulty:
            raise PresetError(self.faulty[name])
        known = ", ".join(sorted(self.good)) or "none"
        message = f"there is no preset {yamlfile.shortened(name)}; there are: {known}"
        raise PresetError([Fault(str(self.folder), 1, "", message)])


def load_presets(folder: Path, bulk_folder: str = BULK_FOLDER) -> Shelf:
    """Reads every preset of a folder; one that is wrong does not disturb the others.

    bulk_folder: the inbox's folder of that name, which no preset may have.
    """
    good: dict[str, Preset] = {}
    faulty: dict[str, tuple[Fault, ...]] = {}
    used: set[Path] = set()
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in entries:
        if path.suffix != YAML_SUFFIX or path.name.startswith("."):
            continue
        try:
            good[path.stem] = read_preset(path, bulk_folder)
            used |= {style.path for style in good[path.stem].styles}
        except PresetError as error:
            faulty[path.stem] = error.faults
    for path in entries:
        bare = path.suffix.lower() in FORMAT_OF_SUFFIX and not path.name.startswith(".")
        if bare and path not in used and path.stem not in {*good, *faulty}:
            try:
                good[path.stem] = bare_preset(path, bulk_folder)
            except PresetError as error:
                faulty[path.stem] = error.faults
    return Shelf(folder, good, faulty)


def read_preset(path: Path, bulk_folder: str = BULK_FOLDER) -> Preset:
    """One preset from its YAML; raises PresetError with every fault."""
    try:
        with files.open_ordinary(path) as file:
            document = yamlfile.parse(file.read(), str(path))
    except OSError as error:
        raise PresetError([Fault(str(path), 1, "", f"cannot be read: {error.strerror}")]) from error
    check_name(path, bulk_folder, document)
    found = yamlfile.check(PresetFile, document)
    styles = check_styles(path.parent, document)
    if found is None or document.faults:
        raise PresetError(document.faults)
    recipe = Recipe(**found.model_dump(exclude={"styles"}))
    return Preset(path.stem, path, recipe, tuple(styles))


def bare_preset(path: Path, bulk_folder: str) -> Preset:
    """A preset that is only a picture, with the default recipe."""
    document = Document(str(path))
    check_name(path, bulk_folder, document)
    check_image(path, 1, (), document)
    if document.faults:
        raise PresetError(document.faults)
    return Preset(path.stem, path, Recipe(), (StyleSource(path, 1.0),))


def check_name(path: Path, bulk_folder: str, document: Document) -> None:
    """Notes a fault unless the file's name can be a preset's."""
    if not NAME.fullmatch(path.stem):
        document.fault(1, (), "a preset's name may only have letters, digits, dots, _ and -")
    if path.stem.lower() in (*RESERVED, bulk_folder.lower()):
        document.fault(1, (), f"a preset may not be called {path.stem}; give the file another name")


def check_styles(folder: Path, document: Document) -> list[StyleSource]:
    """The style images a document names, as far as they are usable; faults for the others."""
    sources = []
    entries = document.data.get("styles")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        name = entry.get("image") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue  # already a fault of the model's
        where = ("styles", index, "image")
        path = folder / name
        if not lies_in(folder, path):
            document.fault(document.line_of(where), where, "must lie in the presets folder")
            continue
        check_image(path, document.line_of(where), where, document)
        weight = entry.get("weight", 1.0)
        sources.append(StyleSource(path, float(weight) if isinstance(weight, int | float) else 1.0))
    return sources


def lies_in(folder: Path, path: Path) -> bool:
    """Whether a path leads to something inside the folder, links seen through."""
    try:
        return folder.resolve() in path.resolve().parents
    except (ValueError, RuntimeError):
        return False  # a name that no file system can hold, or a link that leads to itself


def check_image(path: Path, line: int, where: yamlfile.KeyPath, document: Document) -> None:
    """Notes a fault unless `path` is a picture by its header."""
    try:
        with files.open_ordinary(path) as file:
            read_header(file, path.name)
    except FileNotFoundError:
        document.fault(line, where, f"style image {path} is missing; put it there")
    except OSError as error:
        document.fault(line, where, f"style image {path} cannot be read: {error.strerror}")
    except PictureError as error:
        document.fault(line, where, str(error))


def override(recipe: Recipe, document: Document) -> Recipe:
    """The recipe with a document's fields in place of its own; raises PresetError."""
    merged: dict[str, Any] = recipe.model_dump() | document.data
    found = yamlfile.check(Recipe, document, merged)
    if found is None:
        raise PresetError(document.faults)
    return found
