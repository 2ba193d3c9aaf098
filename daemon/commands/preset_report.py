"""What one preset asks for: of its style images, of time and of memory."""

from collections.abc import Sequence
from typing import Any

from daemon.engine.recipe import Recipe
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
from daemon.status.forecast import seconds_of

USUAL_PICTURE_PX = 6000, 4000
"""Of a camera: what `size: original` is told for, and whose proportions other sizes have."""

OF_LATE = 200
"""Jobs that are looked at for the memory that a size takes."""


def report_on(config: Config, shelf: Shelf, name: str) -> dict[str, Any]:
    """What `presets NAME` tells, as plain data.

    faults: of one whose last good version stands in for it.  Raises PresetError if there is no
    such preset, or a faulty one that was never good.
    """
    preset = shelf.get(name)
    usual = JobRecipe().model_dump()
    recipe = preset.recipe.model_dump()
    passes = plan_passes(preset.recipe, *USUAL_PICTURE_PX)
    return {
        "preset": preset.name,
        "file": str(preset.file),
        "settings": {key: value for key, value in recipe.items() if usual[key] != value},
        "recipe": recipe,
        "styles": [style_report(style, preset.recipe, passes[-1]) for style in preset.styles],
        "result": {"width_px": passes[-1].width_px, "height_px": passes[-1].height_px},
        **expected(config, preset, passes),
        "faults": [str(fault) for fault in shelf.faulty.get(preset.name, ())],
        "warning": preset.warning,
    }


def style_report(style: StyleSource, recipe: Recipe, last: Pass) -> dict[str, Any]:
    """A style image, its longest side, and what the result asks for.

    last: the pass of the result's size.  advice: empty where the image is large enough.
    """
    with files.open_ordinary(style.path) as file:
        header = read_header(file, style.name)
    has_px = max(header.width_px, header.height_px)
    size = header.width_px, header.height_px
    needs_px = max(style_size(last, size, max(recipe.style_scales)))
    return {
        "image": style.name,
        "weight": style.weight,
        "width_px": header.width_px,
        "height_px": header.height_px,
        "needs_px": needs_px,
        "advice": advice(style.name, header, needs_px, recipe) if needs_px > has_px else "",
    }


def advice(name: str, header: Header, needs_px: int, recipe: Recipe) -> str:
    """What to do about a style image that is smaller than the result asks for."""
    has_px = max(header.width_px, header.height_px)
    scale = max(recipe.style_scales)
    largest_px = int(has_px / scale)
    smaller = [f"style_scale {scale * has_px / needs_px:.2g}"]
    if largest_px >= 64:
        smaller = [f"size {largest_px}", *smaller]
    return (
        f"{name} is {has_px} px and is seen at {needs_px} px: enlarged {needs_px / has_px:.1f} "
        f"times, its strokes come out soft. Take a larger image, or {' or '.join(smaller)}"
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
    pixels = last.width_px * last.height_px
    peaks: dict[bool, list[int]] = {True: [], False: []}
    for job in recent:
        done = job.outcome
        if job.state is State.DONE and done and done.peak_memory_bytes and done.passes:
            painted = done.passes[-1].width_px * done.passes[-1].height_px
            if 0.5 < painted / pixels < 2.0:
                peaks[job.preset == preset.name].append(done.peak_memory_bytes)
    return max(peaks[True] or peaks[False], default=None)
