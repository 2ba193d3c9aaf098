"""One picture without the queue, by the same worker that the service uses."""

import contextlib
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.commands.result_file import (
    Target,
    default_target,
    deliver,
    named_target,
    try_room,
    work_folder,
)
from daemon.engine.errors import PictureError
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import plan_passes, plan_proof
from daemon.errors import AtelierError, BadInputError, StoppedError
from daemon.host import files
from daemon.host.access import explain
from daemon.host.process import Message
from daemon.pictures.read import read_header
from daemon.pool import retry
from daemon.pool.local import Cancelled, MemoryRanOut, Pool, WorkerLost
from daemon.settings import yamlfile
from daemon.settings.config import Config
from daemon.settings.presets import Preset, Shelf, load_presets, override
from daemon.status.report import in_words


@dataclass(frozen=True)
class Single:
    """The result's file, what was worth a warning, and what a proof says of the full picture."""

    path: Path
    warnings: tuple[str, ...]
    forecast: str | None


@dataclass(frozen=True)
class Wish:
    """What was typed.  settings: KEY=VALUE fields over the preset's.  force: `out` may replace."""

    picture: Path
    preset: str
    settings: tuple[str, ...] = ()
    proof: bool = False
    out: Path | None = None
    force: bool = False

    @property
    def ending(self) -> str:
        """What tells the result's name from the picture's."""
        return f"{self.preset}-proof" if self.proof else self.preset


def paint_one(
    config: Config,
    config_file: Path,
    device: str,
    wish: Wish,
    on_progress: Callable[[Message], None],
) -> Single:
    """Paints a picture, or a proof of it, once all is sure to be well with what was typed.

    Raises AtelierError saying what is wrong.
    """
    check_picture(wish.picture)
    shelf = load_presets(config.presets, config.schedule.bulk_folder)
    preset = shelf.get(wish.preset)
    recipe = override(preset.recipe, settings_document(wish.settings))
    target = find_target(config, config_file, wish, shelf)
    size_bytes = expected_bytes(config, wish, recipe)
    try_room(target.path, size_bytes)
    run_id = uuid.uuid4().hex
    pool = Pool(
        [device],
        config.worker_arguments,
        lambda _, event: on_event(event, on_progress),
        threads=config.worker_threads,
        waiting=config.worker_waiting,
    )
    with work_folder() as folder:
        result = folder / "result"
        try_room(result, size_bytes)
        payload = make_payload(config, wish, preset, recipe, result, target.path.name)
        try:
            account = paint(pool, run_id, payload)
        finally:
            pool.close()
        path = deliver(result, target)
    forecast = describe_full(account["full"], account["device"]) if wish.proof else None
    return Single(path, tuple(account["warnings"]), forecast)


def check_picture(picture: Path) -> None:
    """Raises BadInputError unless there is an ordinary file that may be read."""
    try:
        files.open_ordinary(picture).close()
    except FileNotFoundError as error:
        raise BadInputError(f"there is no picture {files.printable(picture)}") from error
    except OSError as error:
        raise BadInputError(f"the picture cannot be read: {explain(error, picture)}") from error


def find_target(config: Config, config_file: Path, wish: Wish, shelf: Shelf) -> Target:
    """Where the result goes; raises AtelierError if it may not go there."""
    if wish.out is None:
        return default_target(wish.picture, wish.ending, config)
    precious = {config_file: "the configuration"}
    for preset in shelf.good.values():
        precious[preset.file] = f"the preset {preset.name}"
        precious |= {style.path: f"a style image of {preset.name}" for style in preset.styles}
    precious[wish.picture] = "the photograph itself"
    return named_target(wish.out, force=wish.force, precious=precious, config=config)


def expected_bytes(config: Config, wish: Wish, recipe: Recipe) -> int:
    """What the result may take on the disk. Heuristic: a byte a pixel, as JPEG takes about.

    Raises BadInputError if the picture's header, or its size, lets nothing be painted.
    """
    name = files.printable(wish.picture.name)
    try:
        with files.open_ordinary(wish.picture) as file:
            header = read_header(file, name, config.limits.picture_pixels)
        passes = plan_proof if wish.proof else plan_passes
        last = passes(recipe, header.width_px, header.height_px)[-1]
    except PictureError as error:
        raise BadInputError(str(error)) from error
    return last.width_px * last.height_px


def settings_document(settings: Sequence[str]) -> yamlfile.Document:
    """KEY=VALUE pairs as if they stood in a YAML file; raises BadInputError."""
    document = yamlfile.Document("--set")
    for number, setting in enumerate(settings, start=1):
        key, equals, value = setting.partition("=")
        if not equals:
            raise BadInputError(f"--set {setting}: write KEY=VALUE, such as --set size=1024")
        document.lines[(key,)] = number
        try:
            document.data[key] = yamlfile.parse_value(value, (key,), document)
        except yamlfile.VALUE_ERRORS as error:
            raise BadInputError(f"--set {setting}: the value is not YAML") from error
        if document.faults:
            raise BadInputError(f"--set {setting}: {document.faults[0].message}")
    return document


def make_payload(
    config: Config, wish: Wish, preset: Preset, recipe: Recipe, result: Path, result_name: str
) -> Message:
    """What the worker needs to know.  result_name: whose suffix says what is written."""
    return {
        "name": wish.picture.name,
        "result_name": result_name,
        "picture": str(wish.picture.absolute()),
        "max_pixels": config.limits.picture_pixels,
        "recipe": recipe.model_dump(),
        "styles": [
            {
                "name": style.name,
                "path": str(style.path),
                "sha256": files.sha256_of(style.path),
                "weight": style.weight,
            }
            for style in preset.styles
        ],
        "result": str(result),
        "checkpoint": None,
        "preview": None,
        "memory_bytes": None,
        "proof": wish.proof,
        "note": {"preset": preset.name, "seed": recipe.seed}
        | ({"proof": True} if wish.proof else {}),
    }


def paint(pool: Pool, run_id: str, payload: Message) -> Message:
    """The worker's account of a run that went well; begins anew with less memory if it ran out.

    Raises AtelierError if that does not help, or for anything else that goes wrong.
    """
    warnings: list[str] = []
    while True:
        try:
            account = wait(pool, run_id, payload)
        except MemoryRanOut as error:
            match retry.after_shortage(len(warnings), payload["memory_bytes"], error.plan):
                case retry.Smaller(memory_bytes, warning, _):
                    warnings.append(warning)
                    payload = payload | {"memory_bytes": memory_bytes}
                case retry.GiveUp(reason):
                    raise AtelierError(reason) from error
        else:
            return account | {"warnings": [*warnings, *account["warnings"]]}


def wait(pool: Pool, run_id: str, payload: Message) -> Message:
    """The worker's account of a run that went well.

    Raises MemoryRanOut, and AtelierError for any other that did not.
    """
    future = pool.submit(run_id, payload)
    with interruptible(lambda: pool.cancel(run_id)):
        try:
            account = future.result()
        except Cancelled as error:
            raise StoppedError("stopped; nothing was written") from error
        except WorkerLost as error:
            raise AtelierError(f"the worker {error}") from error
    if not account["ok"]:
        raise BadInputError(account["reason"])
    return account


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


def on_event(event: Message, on_progress: Callable[[Message], None]) -> None:
    """Passes progress on; the worker's log lines are for the service."""
    if event.get("event") == "progress":
        on_progress(event)


def describe_full(full: Message, device: str) -> str:
    """The full picture of a proof: its size, and the time it will take."""
    size = f"{full['width_px']}x{full['height_px']} px"
    if full["seconds"] is None:
        return f"the full picture is no larger: this is it, {size}"
    return f"the full picture, {size}: about {in_words(full['seconds'])} on {device}"
