"""One picture in every preset, small, on a contact sheet: what the presets are like."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.commands.result_file import ResultFile, default_target, deliver, try_room, work_folder
from daemon.commands.stylize import (
    Wish,
    check_picture,
    find_mask,
    look_at,
    make_order,
    on_event,
    paint,
)
from daemon.errors import BadInputError, StoppedError
from daemon.host import files
from daemon.messages import Progress
from daemon.outbox.laying import laid
from daemon.outbox.sheet_plan import SheetEntry, plan_all
from daemon.pictures.form import JobRecipe
from daemon.pool.local import LocalPool
from daemon.settings.config import Config
from daemon.settings.masks import regions_of
from daemon.settings.presets import Preset, Shelf, load_presets

USUAL_PX = 256
"""The longest side of a picture on the sheet."""

SHEET_BYTES = 4 << 20
"""What a sheet may take on the disk, to be tried before hours are spent."""

Follow = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]
"""Shows the progress of a picture by that name, while it is painted."""


@dataclass(frozen=True)
class PresetSheet:
    """The sheet's file, and why presets are not on it as pictures, by name."""

    path: Path
    failed: dict[str, str]


def paint_sheet(
    config: Config,
    device: str,
    picture: Path,
    size: int | None,
    follow: Follow,
    mask: Path | None = None,
) -> PresetSheet:
    """Paints a picture in every preset at `size` px and lays the sheet in the working directory.

    mask: where which style goes, for presets with regions; where none has any, for all.  A preset
    that cannot be used or painted has its reason there instead.  Raises AtelierError saying what is
    wrong; StoppedError leaves nothing.
    """
    check_picture(picture)
    if mask is not None:
        check_picture(mask)
    look_at(picture, config.limits.picture_pixels)
    shelf = load_presets(config.presets, config.inbox_folders)
    if not shelf.good:
        raise BadInputError(f"there is no preset to be used in {files.printable(shelf.folder)}")
    target = default_target(picture, "presets", config, ".jpg")
    try_room(target.path, SHEET_BYTES)
    with work_folder() as folder:
        entries = paint_all(
            config, device, Wish(picture, mask=mask), shelf, size or USUAL_PX, folder, follow
        )
        path = lay(picture, entries, folder, target)
    return PresetSheet(path, {one.preset: one.reason for one in entries if not one.result})


def paint_all(
    config: Config,
    device: str,
    wish: Wish,
    shelf: Shelf,
    size: int,
    folder: Path,
    follow: Follow,
) -> list[SheetEntry]:
    """Every preset's picture in a folder, by one worker whose network stays warm."""
    entries = [
        SheetEntry("", name, state="failed", reason=str(faults[0]))
        for name, faults in shelf.faulty.items()
    ]
    of_regions = {name for name, one in shelf.good.items() if regions_of(one.styles)}
    heard: list[Callable[[Progress], None]] = []
    pool = LocalPool([config.worker(device)], lambda _, event: on_event(event, heard[-1]))
    try:
        for name, preset in sorted(shelf.good.items()):
            with follow(f"{files.printable(wish.picture.name)} in {name}") as on_progress:
                heard.append(on_progress)
                fits = not of_regions or name in of_regions
                own = wish if fits else replace(wish, mask=None)
                entries.append(paint_preset(config, pool, own, preset, size, folder))
    finally:
        pool.close(grace_s=2.0)
    return entries


def paint_preset(
    config: Config, pool: LocalPool, wish: Wish, preset: Preset, size: int, folder: Path
) -> SheetEntry:
    """One preset's picture, or why there is none; raises what is not the picture's fault."""
    name = f"{preset.name}.jpg"
    order = make_order(config, wish, preset, small(preset.recipe, size), folder / name, name)
    of_profiles = {one.name: one.path.absolute() for one in preset.profiles}
    try:
        mask = find_mask(wish, preset.mask, preset)
        paint(pool, replace(order, profiles=of_profiles, mask=mask))
    except StoppedError:
        raise
    except BadInputError as error:
        return SheetEntry("", preset.name, state="failed", reason=str(error))
    return SheetEntry("", preset.name, result=name, styles=(str(preset.styles[0].path.absolute()),))


def small(recipe: JobRecipe, size: int) -> JobRecipe:
    """The recipe at the size of a sheet, written as a screen shows it."""
    form = {"format": "jpeg", "profile": "srgb", "depth": 8, "metadata": "none"}
    return recipe.model_copy(update={"size": size, **form})


def lay(picture: Path, entries: list[SheetEntry], folder: Path, target: ResultFile) -> Path:
    """Lays the sheet of what was painted; returns where it is."""
    sheet = plan_all(files.printable(picture.name), picture.absolute(), entries, folder, Path)
    content = laid(sheet, lambda: None)
    result = folder / "sheet"  # with an ending it could be a preset's
    files.write_bytes(result, content)
    return deliver(result, target)
