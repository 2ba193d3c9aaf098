"""config.yaml as a checked, frozen object."""

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field

from daemon.errors import ConfigError, Fault
from daemon.host import access
from daemon.host.bounded import ANSWER_S, NoAnswerError, resolved, within
from daemon.job import INBOX_FOLDERS, ORDINARY, OUTBOX_FOLDERS, InboxFolders
from daemon.messages import WorkerSettings
from daemon.pictures.formats import MAX_PIXELS
from daemon.settings import yamlfile
from daemon.settings.address import Address, to_address
from daemon.settings.fleet import FleetSettings
from daemon.settings.hooks import Hooks
from daemon.settings.machine import (
    Bytes,
    LogLevel,
    Memory,
    PerDevice,
    Threads,
    YieldRule,
    check_devices,
)
from daemon.settings.page import PageSettings, check_page, to_page
from daemon.settings.windows import Hours, find_zone, make_hours, parse_window
from daemon.settings.yamlfile import Section

FOLDER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
SYSTEM_CONFIG = Path("/etc/atelierd/config.yaml")
NO_DEVICES = "none"
FOLDERS = ("inbox", "outbox", "presets", "state")


def check_service_devices(value: object) -> object:
    """Raises ValueError unless every device could exist; `none` leaves all work to a fleet."""
    return value if value == NO_DEVICES else check_devices(value)


def to_log_file(value: object) -> Path | Literal["auto"] | None:
    """A log file's path from text; `auto` and null stay what they are."""
    if value is None or value == "auto":
        return value
    return yamlfile.to_path(value, "auto, null or the path of a file")


def check_window(text: object) -> str:
    """Raises ValueError unless it is a window of the week."""
    if not isinstance(text, str):
        raise ValueError(f'must be a window such as "22:00-06:00", not {yamlfile.shortened(text)}')
    parse_window(text)
    return text


def to_windows(value: object) -> object:
    """A list of windows; a single one needs no brackets. Raises ValueError for what is neither."""
    if not isinstance(value, list | tuple | str):
        raise ValueError(
            'must be a window such as "22:00-06:00", or a list of such, not '
            f"{yamlfile.shortened(value)}"
        )
    return [value] if isinstance(value, str) else value


def check_folder_name(value: str) -> str:
    """Raises ValueError unless it can be the name of a folder of the inbox."""
    if not FOLDER_NAME.fullmatch(value):
        raise ValueError(
            "must have only letters, digits, dots, _ and -, and not begin with a dot or -, not "
            f"{yamlfile.shortened(value)}"
        )
    return value


def check_zone(name: str | None) -> str | None:
    """Raises ValueError unless it is the name of a time zone."""
    find_zone(name)
    return name


Folder = Annotated[Path, BeforeValidator(yamlfile.to_path)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
HourAtMost = Annotated[float, Field(gt=0, le=3600)]
Windows = Annotated[
    tuple[Annotated[str, BeforeValidator(check_window)], ...],
    BeforeValidator(to_windows),
    Field(strict=False),
]


class Limits(Section):
    """What a picture may ask of the service."""

    picture_bytes: Count = 1 << 30  # larger files are refused
    picture_pixels: Count = MAX_PIXELS  # pictures with more are refused from their header
    decode_s: HourAtMost = 60.0  # a picture may take to decode
    job_s: SomeSeconds = 172_800.0  # one start of a job may take
    stall_s: SomeSeconds = 600.0  # a worker may say nothing, and as long for each 4 megapixels
    waiting: Count = 100_000  # jobs that may wait; more pictures stay in the inbox
    free_bytes: Bytes = ByteSize(1 << 30)  # room to keep free on the disks of state and outbox


class Schedule(Section):
    """When which queue may run. No window of a queue: always."""

    time_zone: Annotated[str | None, AfterValidator(check_zone)] = None  # else the machine's
    ordinary: Windows = ()  # in which ordinary jobs run
    bulk: Windows = ()  # in which runs what was dropped in the bulk folder
    bulk_folder: Annotated[str, AfterValidator(check_folder_name)] = (
        INBOX_FOLDERS.bulk
    )  # of the inbox

    proofs: Literal["own", "ordinary"] = "own"  # the queue in which bulk jobs' proofs are painted

    def hours(self, priority: int) -> Hours:
        """When jobs of a priority may run."""
        return make_hours(self.bulk if priority < ORDINARY else self.ordinary, self.time_zone)


class Log(Section):
    """Where the service's log goes beside standard error, and what its lines look like.

    file: `auto` is none under journald, else log/atelierd.log in the state folder.
    """

    file: Annotated[Literal["auto"] | Path | None, BeforeValidator(to_log_file)] = "auto"
    rotate_bytes: Annotated[Bytes, Field(ge=10_000)] = ByteSize(10_000_000)  # then a new file
    keep: Annotated[int, Field(ge=0, le=1000)] = 10  # older files, as .1, .2 and so on
    format: Literal["text", "json"] = "text"  # lines for people, or one JSON object a line


class Config(Section):
    """The service's settings, as docs/reference.md describes them. Every path is absolute."""

    inbox: Folder = Path("inbox")  # where pictures are dropped
    outbox: Folder = Path("outbox")  # where results appear
    presets: Folder = Path("presets")  # YAML files and style images
    state: Folder = Path("state")  # ledger, spool and caches; must be a local disk
    default_preset: str | None = None  # of pictures whose folder names none
    all_presets: Annotated[str, AfterValidator(check_folder_name)] = (
        INBOX_FOLDERS.every
    )  # of the inbox
    proof_folder: Annotated[str, AfterValidator(check_folder_name)] = (
        INBOX_FOLDERS.proof
    )  # of the inbox
    settle_s: Seconds | None = None  # a file must not change: 5, on network mounts 15
    settle_give_up_s: Seconds = 600.0  # until a file that does not decode has failed
    sidecar_wait_s: Seconds = 30.0  # a picture outside every preset's folder waits for its sidecar
    scan_s: HourAtMost | None = None  # between scans at most: 60; 5 where nothing tells of changes
    devices: Annotated[str | list[str], BeforeValidator(check_service_devices)] = "auto"
    per_device: PerDevice = "auto"  # jobs at once on a GPU, or on the CPU
    weights: Literal["classic", "torchvision"] = "classic"  # which VGG-19 weights judge
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # the fastest, by a trial
    memory: Memory = "auto"  # of a worker: four fifths of what is free
    threads: Threads = "auto"  # by quota, affinity
    checkpoint_every: Seconds = 60.0  # between checkpoints of a running job
    dedupe: bool = True  # the same picture, recipe and name of preset is painted only once
    limits: Limits = Limits()
    schedule: Schedule = Schedule()
    yield_gpu_when: YieldRule | None = None
    hooks: Hooks = Hooks()
    log_level: LogLevel = "INFO"
    log: Log = Log()
    gallery: bool = True  # pages in the outbox that show what was painted
    metrics: Annotated[Address | None, BeforeValidator(to_address)] = None  # for Prometheus
    page: Annotated[PageSettings | None, BeforeValidator(to_page)] = None  # to look at and drop on
    fleet: FleetSettings | None = None  # other machines that paint, too

    @property
    def inbox_folders(self) -> InboxFolders:
        """The inbox's folders that have another meaning than a preset's."""
        return InboxFolders(self.schedule.bulk_folder, self.all_presets, self.proof_folder)

    @property
    def ledger_path(self) -> Path:
        return self.state / "ledger.sqlite3"

    def worker(self, device: str) -> WorkerSettings:
        """What a device's worker is started with."""
        return WorkerSettings(
            device,
            self.weights,
            self.engine_folder,
            self.precision,
            memory_bytes=None if self.memory == "auto" else int(self.memory),
            checkpoint_s=self.checkpoint_every,
            threads=self.worker_threads,
        )

    @property
    def worker_threads(self) -> int | None:
        """How many threads each worker computes with; None: as many as it is granted."""
        return None if self.threads == "auto" else self.threads

    @property
    def engine_folder(self) -> Path:
        """What the engine keeps between runs: fetched weights, timings, Gram matrices."""
        return self.state / "engine"


def find_config(given: Path | None, environment: Mapping[str, str]) -> Path:
    """The configuration file in force; raises ConfigError if there is none."""
    if given is not None:
        candidates = [given]
    elif environment.get("ATELIERD_CONFIG"):
        candidates = [Path(environment["ATELIERD_CONFIG"])]
    else:
        candidates = [Path("config.yaml"), SYSTEM_CONFIG]
    looked = []
    for candidate in candidates:
        try:
            if stat.S_ISREG(candidate.stat().st_mode):
                return candidate.absolute()
            looked.append(f"{candidate} (no ordinary file)")
        except FileNotFoundError:
            looked.append(str(candidate))
        except OSError as error:  # the folder one stands in may be closed: root's to a service
            looked.append(f"{candidate} ({error.strerror}{access.advice(error)})")
    told = f"no configuration: looked for {' and '.join(looked)}; use --config"
    raise ConfigError([Fault(str(candidates[0]), 1, "", told)])


def load_config(path: Path) -> Config:
    """The settings of a file, paths relative to it; raises ConfigError naming every fault."""
    document = yamlfile.read(path)
    config = yamlfile.check(Config, document)
    if config is not None:
        config = absolute(config, path.parent)
        check_apart(config, document)
        check_inbox_folders(config, document)
        if config.page is not None:
            check_page(config.page, document)
        if config.devices == NO_DEVICES and config.fleet is None:
            document.fault("is for a service whose pictures a `fleet:` paints", ("devices",))
    if config is None or document.faults:
        raise ConfigError(document.faults)
    return config


def absolute(config: Config, base: Path) -> Config:
    """The same settings with every path absolute."""
    changed: dict[str, object] = {
        name: Path(os.path.normpath(base / getattr(config, name))) for name in FOLDERS
    }
    changed["hooks"] = config.hooks.below(base)
    if config.page is not None:
        changed["page"] = config.page.below(base)
    if config.fleet is not None:
        changed["fleet"] = config.fleet.below(base)
    if isinstance(config.log.file, Path):
        file = Path(os.path.normpath(base / config.log.file))
        changed["log"] = config.log.model_copy(update={"file": file})
    return config.model_copy(update=changed)


def check_apart(config: Config, document: yamlfile.Document) -> None:
    """Notes a fault for each folder that lies in another: results would be painted again.

    Nor may the program lie in one of them, where droppings or clean-ups could change it.
    """
    folders = {name: resolved(getattr(config, name)) for name in FOLDERS}
    check_log(config, folders, document)
    code = Path(__file__).resolve().parents[1]
    for name, folder in folders.items():
        if folder == code or folder in code.parents or code in folder.parents:
            told = f"{folder} and the program's own folder {code} lie in one another; move it"
            document.fault(told, (name,))
        for other, outer in folders.items():
            if name != other and (folder == outer or outer in folder.parents):
                document.fault(f"{folder} lies in {other} ({outer}); move it out", (name,))


def check_inbox_folders(config: Config, document: yamlfile.Document) -> None:
    """Notes a fault if two of the inbox's folders have one name, or one that the outbox keeps."""
    bulk, every, proof = map(str.casefold, config.inbox_folders)
    if bulk == every:
        document.fault("is the bulk folder's name (schedule: bulk_folder)", ("all_presets",))
    if proof in (bulk, every):
        document.fault(
            "is another folder's (schedule: bulk_folder, all_presets)", ("proof_folder",)
        )
    if every in OUTBOX_FOLDERS:
        document.fault("is a folder of the outbox, where sheets would mix", ("all_presets",))


def real(path: Path) -> Path:
    """Where a path leads, links seen through; one that leads to itself leads nowhere."""
    return Path(os.path.realpath(path))


def check_log(config: Config, folders: Mapping[str, Path], document: yamlfile.Document) -> None:
    """Notes a fault for a log that would lie where pictures or presets do, or is a folder."""
    if not isinstance(config.log.file, Path):
        return
    file, key = real(config.log.file), ("log", "file")
    for name in ("inbox", "outbox", "presets"):
        if folders[name] in file.parents:
            document.fault(f"lies in {name} ({folders[name]}); move it out", key)
    if os.path.isdir(file):  # noqa: PTH112  # False for what may not be looked at
        document.fault(f"is a folder: {file}; name a file in it", key)


def check_guarded(config: Config, config_file: Path) -> None:
    """Raises ConfigError if just anybody may change what the service obeys, or read its secrets.

    That is config.yaml, the presets and their style images, the programs and secrets of hooks,
    and the folders they lie in (where a sticky bit keeps others from replacing them).
    """
    obeyed = [config_file, config_file.parent]
    secrets = [hook.secret_file for _, hook in config.hooks.all() if hook.secret_file]
    if config.fleet is not None:
        place = config.fleet.place(config.state)
        obeyed += [place.ca, place.cert, place.ca.parent, place.cert.parent]
    for path in (*secrets, *(hook.program for _, hook in config.hooks.all() if hook.program)):
        obeyed += [path, path.parent, real(path).parent]
    faults = [
        Fault(str(path), 1, "", "everybody may write here; take that right away (chmod o-w)")
        for path in (
            *filter(access.is_open_to_all, dict.fromkeys(obeyed)),
            *open_presets(config.presets),
        )
    ]
    told = {path: secret_fault(path) for path in secrets}
    faults += [Fault(str(path), 1, "", fault) for path, fault in told.items() if fault]
    if faults:
        raise ConfigError(faults)


def open_presets(folder: Path) -> list[Path]:
    """What anybody may change of the presets folder and what lies in it.

    While it is away, closed or does not answer, nothing there is obeyed.
    """
    found: list[Path] = []

    def look() -> None:
        found.extend(filter(access.is_open_to_all, [folder]))
        found.extend(filter(access.is_open_to_all, sorted(folder.iterdir())))

    with contextlib.suppress(OSError, NoAnswerError):
        within(ANSWER_S, look)
    return list(found)


def secret_fault(path: Path) -> str:
    """What is wrong with a file that holds a secret; empty if nothing is."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"cannot be read: {error.strerror}; put the secret there (hooks: secret_file)"
    if not stat.S_ISREG(mode):
        return "is no file; put the secret into one (hooks: secret_file)"
    if mode & stat.S_IROTH:
        return "everybody may read this secret; take that right away (chmod o-r)"
    return ""
