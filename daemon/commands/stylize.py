"""One picture without the queue, by the same worker that the service uses."""

import contextlib
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.commands.result_file import (
    ResultFile,
    default_target,
    deliver,
    named_target,
    try_room,
    work_folder,
)
from daemon.engine.errors import PictureError
from daemon.engine.recipe import decided_by
from daemon.engine.schedule import plan_passes, plan_proof
from daemon.errors import AtelierError, BadInputError, StoppedError, SurroundingsError
from daemon.host import files
from daemon.host.access import explain
from daemon.messages import (
    Blob,
    Cancelled,
    Done,
    Event,
    Failed,
    FullPicture,
    Lost,
    OrderedMask,
    OrderedStyle,
    OutOfMemory,
    Progress,
    RunOrder,
)
from daemon.pictures.form import JobRecipe
from daemon.pictures.formats import output_format, result_suffix
from daemon.pictures.limits import check_result, expected_bytes
from daemon.pictures.read import Header, read_header
from daemon.pictures.regions import described
from daemon.pool import retry
from daemon.pool.face import WorkerPool
from daemon.pool.local import LocalPool
from daemon.settings import yamlfile
from daemon.settings.assignments import settings_document
from daemon.settings.config import Config
from daemon.settings.like import preset_like
from daemon.settings.masks import MaskSource, regions_of
from daemon.settings.presets import (
    Preset,
    Shelf,
    load_presets,
    mask_of,
    override,
    profiles_of,
)
from daemon.settings.profiles import ProfileSource, mode_of, mode_of_results
from daemon.settings.provenance import read_provenance
from daemon.state.spool import Spool
from daemon.status.report import in_words

STOP_S = 8.0
"""How long a worker may take to stop after Ctrl-C."""


@dataclass(frozen=True)
class Single:
    """The result's file, what was worth a warning, and what a proof says of the full picture."""

    path: Path
    warnings: tuple[str, ...]
    forecast: str | None


@dataclass(frozen=True)
class Wish:
    """What was typed.  settings: KEY=VALUE fields over the preset's.  force: `out` may replace.

    mask: beside the picture, in the place of the preset's.
    like: a result whose recipe is used in the place of a preset's.
    """

    picture: Path
    preset: str = ""
    settings: tuple[str, ...] = ()
    proof: bool = False
    out: Path | None = None
    force: bool = False
    mask: Path | None = None
    like: Path | None = None

    @property
    def ending(self) -> str:
        """What tells the result's name from the picture's."""
        return f"{self.preset}-proof" if self.proof else self.preset


def paint_one(
    config: Config,
    config_file: Path,
    device: str,
    wish: Wish,
    on_progress: Callable[[Progress], None],
) -> Single:
    """Paints a picture, or a proof of it, once all is sure to be well with what was typed.

    Raises AtelierError saying what is wrong.
    """
    check_picture(wish.picture)
    shelf = load_presets(config.presets, config.inbox_folders)
    preset = preset_wished(config, wish, shelf)
    wish = replace(wish, preset=preset.name)
    document = settings_document(wish.settings)
    recipe = override(preset.recipe, document)
    check_not_swept(preset, document)
    profiles = profiles_of(recipe, preset, shelf.folder, document)
    mask = find_mask(wish, mask_of(recipe, preset, shelf.folder, document), preset)
    header = look_at(wish.picture, config.limits.picture_pixels)
    mode = mode_of_results(recipe, profiles)
    suffix = result_suffix(
        wish.picture.name, recipe.format, form=header.format, alpha=header.alpha, mode=mode
    )
    target = find_target(config, config_file, wish, shelf, suffix)
    form = output_format(target.path.name)
    if "format" in document.data:
        check_formats_agree(target.path, recipe.format)
    size_bytes = checked_bytes(form, header, wish, recipe, profiles)
    try_room(target.path, size_bytes)
    pool = LocalPool([config.worker(device)], lambda _, event: on_event(event, on_progress))
    with work_folder() as folder:
        result = folder / "result"
        try_room(result, size_bytes)
        film = folder / "timelapse.webp" if recipe.timelapse else None
        order = make_order(config, wish, preset, recipe, result, target.path.name)
        of_profiles = {one.name: one.path.absolute() for one in profiles}
        order = replace(order, profiles=of_profiles, mask=mask, timelapse=film)
        try:
            done = paint(pool, order)
        finally:
            pool.close(grace_s=2.0)
        path = deliver(result, target)
        warnings = (*done.warnings, *deliver_film(film, path)) if film else done.warnings
    forecast = describe_proof(done, done.full) if done.full else None
    return Single(path, (*filter(None, (preset.warning,)), *warnings), forecast)


def deliver_film(film: Path, result: Path) -> tuple[str, ...]:
    """Puts a time-lapse beside its result, `photo.jpg.webp`; a warning if that cannot be."""
    if not film.exists():  # which the worker has told
        return ()
    try:
        deliver(film, ResultFile(result.with_name(files.with_ending(result.name, ".webp"))))
    except SurroundingsError as error:
        return (f"time-lapse: {error}",)
    return ()


def preset_wished(config: Config, wish: Wish, shelf: Shelf) -> Preset:
    """The preset that was named, or one like a result's; raises BadInputError if there is none."""
    if wish.like is None:
        return shelf.get(wish.preset)
    made = read_provenance(wish.like)
    return preset_like(made, config.presets, Spool(config.state), config.weights)


def check_picture(picture: Path) -> None:
    """Raises BadInputError unless there is an ordinary file that may be read."""
    try:
        files.open_ordinary(picture).close()
    except FileNotFoundError as error:
        raise BadInputError(f"there is no picture {files.printable(picture)}") from error
    except OSError as error:
        raise BadInputError(f"the picture cannot be read: {explain(error, picture)}") from error


def find_mask(wish: Wish, named: MaskSource | None, preset: Preset) -> OrderedMask | None:
    """The mask that was typed, or else the preset's; raises BadInputError if there must be one.

    named: the preset's, or that of its settings.
    """
    if wish.mask is not None:
        check_picture(wish.mask)
        return OrderedMask(wish.mask.name, Blob("", wish.mask.absolute()), own=True)
    if named is not None:
        return OrderedMask(named.name, Blob("", named.path.absolute()), own=False)
    if regions := regions_of(preset.styles):
        raise BadInputError(
            f"the preset {preset.name} paints by regions, and nothing says where they are: give "
            f"--mask FILE, drawn in {described(regions)}"
        )
    return None


def check_formats_agree(out: Path, said: str) -> None:
    """Raises BadInputError if a name's ending and `--set format` are of two formats."""
    form = output_format(out.name)
    if said not in ("same", form.lower()):
        raise BadInputError(
            f"--out {files.printable(out.name)} is to be {form}, and --set format says {said}; "
            "leave one of them out"
        )


def check_not_swept(preset: Preset, document: yamlfile.Document) -> None:
    """Raises BadInputError if the preset would make several pictures of one."""
    given = decided_by(document.data)
    swept = [name for name in preset.sweep if name not in given]
    if swept:
        cell = " ".join(f"--set {name}={preset.sweep[name][0]}" for name in swept)
        raise BadInputError(
            f"the preset {preset.name} is a sweep of {' and '.join(swept)}, for the service; say "
            f"which is to be painted, such as {cell}"
        )


def find_target(
    config: Config, config_file: Path, wish: Wish, shelf: Shelf, suffix: str
) -> ResultFile:
    """Where the result goes; raises AtelierError if it may not go there.

    suffix: how its name ends where none was typed.
    """
    if wish.out is None:
        return default_target(wish.picture, wish.ending, config, suffix)
    precious = {config_file: "the configuration"}
    for preset in shelf.good.values():
        precious[preset.file] = f"the preset {preset.name}"
        precious |= {style.path: f"a style image of {preset.name}" for style in preset.styles}
        precious |= {one.path: f"a profile of {preset.name}" for one in preset.profiles}
        precious |= {preset.mask.path: f"the mask of {preset.name}"} if preset.mask else {}
    precious |= {wish.mask: "the mask itself"} if wish.mask else {}
    precious[wish.picture] = "the photograph itself"
    if wish.like is not None:
        precious[wish.like] = "the result whose recipe is used"
    return named_target(wish.out, force=wish.force, precious=precious, config=config)


def look_at(picture: Path, max_pixels: int) -> Header:
    """What a picture's header says; raises BadInputError if that lets nothing be painted."""
    try:
        with files.open_ordinary(picture) as file:
            return read_header(file, files.printable(picture.name), max_pixels)
    except PictureError as error:
        raise BadInputError(str(error)) from error


def checked_bytes(
    form: str, header: Header, wish: Wish, recipe: JobRecipe, profiles: Sequence[ProfileSource]
) -> int:
    """What the result may take on the disk in some format.

    Raises BadInputError if the picture's size lets nothing be painted, or if the format cannot hold
    the result.
    """
    try:
        passes = plan_proof if wish.proof else plan_passes
        last = passes(recipe, header.width_px, header.height_px)[-1]
        check_result(form, last.width_px, last.height_px)
        for source in profiles:
            if source.name == recipe.profile:
                mode_of(source, form)
    except PictureError as error:
        raise BadInputError(str(error)) from error
    bits = 16 if recipe.depth == 16 else 8
    return expected_bytes(form, last.width_px, last.height_px, bits=bits)


def make_order(
    config: Config, wish: Wish, preset: Preset, recipe: JobRecipe, result: Path, result_name: str
) -> RunOrder:
    """What the worker needs to know.  result_name: whose suffix says what is written."""
    styles = tuple(
        OrderedStyle(
            style.name,
            Blob(files.sha256_of(style.path), style.path),
            style.weight,
            style.region,
        )
        for style in preset.styles
    )
    of_proof = {"proof": True} if wish.proof else {}
    return RunOrder(
        name=wish.picture.name,
        picture=Blob("", wish.picture.absolute()),
        max_pixels=config.limits.picture_pixels,
        recipe=recipe.model_dump(),
        styles=styles,
        result=result,
        checkpoint=None,
        preview=None,
        memory_bytes=None,
        note={"preset": preset.name, "seed": recipe.seed} | of_proof,
        result_name=result_name,
        proof=wish.proof,
    )


def paint(pool: WorkerPool, order: RunOrder) -> Done:
    """The outcome of a run that went well; begins anew with less memory if it ran out.

    Raises AtelierError if that does not help, or for anything else that goes wrong.
    """
    warnings: list[str] = []
    while True:
        done = run_once(pool, order)
        if isinstance(done, Done):
            return replace(done, warnings=(*warnings, *done.warnings))
        match retry.after_out_of_memory(len(warnings), order.memory_bytes, done.plan):
            case retry.Smaller(memory_bytes, warning, _):
                warnings.append(warning)
                order = replace(order, memory_bytes=memory_bytes)
            case retry.GiveUp(reason):
                raise AtelierError(reason)


def run_once(pool: WorkerPool, order: RunOrder) -> Done | OutOfMemory:
    """The outcome of one run; raises AtelierError unless it went well, or memory ran out."""
    (seat,) = pool.seats()
    run_id = uuid.uuid4().hex
    future = pool.submit(seat.device, run_id, order)
    with interruptible(lambda: pool.cancel(run_id, grace_s=STOP_S)):
        outcome = future.result()
    match outcome:
        case Done() | OutOfMemory():
            return outcome
        case Failed():
            raise BadInputError(outcome.reason)
        case Cancelled():
            raise StoppedError("stopped; nothing was written")
        case Lost():
            raise AtelierError(f"the worker {outcome.how}")


@contextlib.contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop` meanwhile."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def on_event(event: Event, on_progress: Callable[[Progress], None]) -> None:
    """Passes progress on; the worker's log lines are for the service."""
    if isinstance(event, Progress):
        on_progress(event)


def describe_proof(done: Done, full: FullPicture) -> str:
    """What a proof says of the full picture, and of the faces, if they were looked for."""
    said = describe_full(full, str(done.device))
    if done.faces is None:
        return said
    if not done.faces:
        return f"{said}\nno face was found: `faces` will change nothing"
    return f"{said}\nfaces found, framed in the proof: {len(done.faces)}"


def describe_full(full: FullPicture, device: str) -> str:
    """The full picture of a proof: its size, and the time it will take."""
    size = f"{full.width_px}x{full.height_px} px"
    if full.seconds is None:
        return f"the full picture is no larger: this is it, {size}"
    return f"the full picture, {size}: about {in_words(full.seconds)} on {device}"
