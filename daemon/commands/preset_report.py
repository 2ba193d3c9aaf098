"""What one preset asks for: of its style images, of time and of memory."""

from collections.abc import Sequence
from typing import Any

from daemon.engine.recipe import LEAST_SCALE, Recipe
from daemon.engine.schedule import Pass, plan_passes, style_size
from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import is_there
from daemon.job import Job, State
from daemon.ledger.rows import Backlog
from daemon.ledger.store import Ledger
from daemon.pictures.form import JobRecipe
from daemon.pictures.read import Header, read_header
from daemon.settings.config import Config
from daemon.settings.presets import Preset, Shelf
from daemon.settings.sources import StyleSource
from daemon.settings.sweep import cells_of
from daemon.status.forecast import seconds_of

USUAL_PICTURE_PX = 6000, 4000
"""Of a camera: what `size: original` is told for, and whose proportions other sizes have."""

OF_LATE = 200
"""Jobs that are looked at for the memory that a size takes."""


def report_on(config: Config, shelf: Shelf, name: str) -> dict[str, Any]:
    """What `presets NAME` tells, as plain data.

    sweep: the values of each field that is swept.  pictures: how many are painted of one; result,
    seconds and memory are of the largest.  faults: of one whose last good version stands in for it.
    Raises PresetError if there is no such preset, or a faulty one that was never good.
    """
    preset = shelf.get(name)
    usual = JobRecipe().model_dump()
    recipe = preset.recipe.model_dump()
    cells = [cell.recipe for cell in cells_of(preset.sweep, preset.recipe)]
    planned = [(cell, plan_passes(cell, *USUAL_PICTURE_PX)) for cell in cells]
    largest = max((passes for _, passes in planned), key=lambda passes: pixels_of(passes[-1]))
    return {
        "preset": preset.name,
        "file": str(preset.file),
        "settings": {key: value for key, value in recipe.items() if usual[key] != value},
        "recipe": recipe,
        "sweep": {name: list(values) for name, values in preset.sweep.items()},
        "pictures": len(cells),
        "styles": [style_report(style, planned) for style in preset.styles],
        "result": {"width_px": largest[-1].width_px, "height_px": largest[-1].height_px},
        **expected(config, preset, largest),
        "faults": [str(fault) for fault in shelf.faulty.get(preset.name, ())],
        "warning": preset.warning,
    }


def pixels_of(size: Pass) -> int:
    """How many pixels a pass paints."""
    return size.width_px * size.height_px


def style_report(
    style: StyleSource, planned: Sequence[tuple[Recipe, Sequence[Pass]]]
) -> dict[str, Any]:
    """A style image, its longest side, and what the result asks for.

    planned: recipes and their passes, of which the one counts that asks for most.  advice: empty
    where the image is large enough.
    """
    with files.open_ordinary(style.path) as file:
        header = read_header(file, style.name)
    size = header.width_px, header.height_px
    asked = [
        (max(style_size(passes[-1], size, max(recipe.style_scales))), recipe)
        for recipe, passes in planned
    ]
    needs_px, recipe = max(asked, key=lambda one: one[0])
    return {
        "image": style.name,
        "weight": style.weight,
        **({"region": style.region} if style.region else {}),
        "width_px": header.width_px,
        "height_px": header.height_px,
        "needs_px": needs_px,
        "advice": advice(style.name, header, needs_px, recipe) if needs_px > max(size) else "",
    }


def advice(name: str, header: Header, needs_px: int, recipe: Recipe) -> str:
    """What to do about a style image that is smaller than the result asks for."""
    has_px = max(header.width_px, header.height_px)
    scale = max(recipe.style_scales)
    largest_px, smaller_scale = int(has_px / scale), scale * has_px / needs_px
    smaller = [f"size {largest_px}"] if largest_px >= 64 else []
    smaller += [f"style_scale {smaller_scale:.2g}"] if smaller_scale >= LEAST_SCALE else []
    otherwise = f", or {' or '.join(smaller)}" if smaller else ""
    return (
        f"{name} is {has_px} px and is seen at {needs_px} px: enlarged {needs_px / has_px:.1f} "
        f"times, its strokes come out soft. Take a larger image{otherwise}"
    )


def expected(config: Config, preset: Preset, passes: Sequence[Pass]) -> dict[str, Any]:
    """Seconds and memory of a job, by those that were painted of late; None where none tells.

    alike: how many of the jobs were painted with this very preset.
    """
    nothing = {"seconds": None, "memory_bytes": None, "alike": 0}
    if not is_there(config.state) or not config.ledger_path.exists():
        return nothing
    ledger = Ledger(config.ledger_path, read_only=True)
    try:
        if not ledger.database.is_current:  # no service of this version has brought it up yet
            return nothing
        pace = ledger.views.pace()
        recent = ledger.views.recent(OF_LATE)
    except SurroundingsError:
        return nothing
    finally:
        ledger.close()
    work = sum(one.width_px * one.height_px * one.steps for one in passes)
    seconds = seconds_of([Backlog(0, preset.name, 1, work)], pace)
    return {
        "seconds": None if seconds is None else round(seconds),
        "memory_bytes": memory_bytes(recent, preset, passes[-1]),
        "alike": sum(name == preset.name for name, _, _ in pace),
    }


def memory_bytes(recent: Sequence[Job], preset: Preset, last: Pass) -> int | None:
    """The most that jobs of late took whose results were about as large; own ones before others."""
    pixels = pixels_of(last)
    peaks: dict[bool, list[int]] = {True: [], False: []}
    for job in recent:
        done = job.outcome
        if job.state is State.DONE and done and done.peak_memory_bytes and done.passes:
            painted = done.passes[-1].width_px * done.passes[-1].height_px
            if 0.5 < painted / pixels < 2.0:
                peaks[job.preset == preset.name].append(done.peak_memory_bytes)
    return max(peaks[True] or peaks[False], default=None)
