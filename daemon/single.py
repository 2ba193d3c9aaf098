"""One picture without the queue, by the same worker that the service uses."""

import contextlib
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon import files, yamlfile
from daemon.config import Config
from daemon.engine.formats import output_name
from daemon.engine.recipe import Recipe
from daemon.errors import AtelierError, BadInputError
from daemon.presets import Preset, load_presets, override
from daemon.process import Message
from daemon.status.report import in_words
from daemon.worker import retry
from daemon.worker.pool import Cancelled, MemoryRanOut, Pool, WorkerLost


@dataclass(frozen=True)
class Single:
    """The result's file, what was worth a warning, and what a proof says of the full picture."""

    path: Path
    warnings: tuple[str, ...]
    forecast: str | None


def paint_one(
    config: Config, device: str, picture: Path, preset_name: str, settings: Sequence[str], *,
    proof: bool, out: Path | None, on_progress: Callable[[Message], None],
) -> Single:  # fmt: skip
    """Paints `picture`, or a proof of it, and writes the result to `out`, replacing what is there.

    settings: KEY=VALUE fields over the preset's.  Raises AtelierError saying what is wrong.
    """
    if not picture.is_file():
        raise BadInputError(f"there is no picture {files.printable(picture)}")
    preset = load_presets(config.presets, config.schedule.bulk_folder).get(preset_name)
    recipe = override(preset.recipe, settings_document(settings))
    run_id = uuid.uuid4().hex
    pool = Pool(
        [device],
        config.worker_arguments,
        lambda _, event: on_event(event, on_progress),
        threads=config.worker_threads,
        waiting=config.worker_waiting,
    )
    with tempfile.TemporaryDirectory(prefix="atelierd-") as folder:
        result = Path(folder) / "result"
        payload = make_payload(config, picture, preset, recipe, result, proof=proof)
        try:
            account = paint(pool, run_id, payload)
        finally:
            pool.close()
        ending = f"{preset_name}-proof" if proof else preset_name
        target = out or free_name(Path.cwd(), picture, ending)
        content = result.read_bytes()
        files.write_bytes(target, content, replace=True)
    forecast = describe_full(account["full"], account["device"]) if proof else None
    return Single(target, tuple(account["warnings"]), forecast)


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
    config: Config, picture: Path, preset: Preset, recipe: Recipe, result: Path, *, proof: bool
) -> Message:
    """What the worker needs to know."""
    return {
        "name": picture.name,
        "picture": str(picture.absolute()),
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
        "proof": proof,
        "note": {"preset": preset.name, "seed": recipe.seed} | ({"proof": True} if proof else {}),
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
            raise AtelierError("stopped; nothing was written") from error
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


def free_name(folder: Path, picture: Path, ending: str) -> Path:
    """`photo-starry.jpg`, or `photo-starry-2.jpg` if that is taken; `starry` being the ending."""
    name = Path(output_name(picture.name))
    target = folder / f"{name.stem}-{ending}{name.suffix}"
    number = 2
    while target.exists():
        target = folder / f"{name.stem}-{ending}-{number}{name.suffix}"
        number += 1
    return target
