"""What the service and its workers say to each other: settings, orders, events, outcomes.

Torch-free and frozen: made once, and read by attribute. On the wire, in the ledger and in records
they are plain data, of which the fields that a newer version added are passed over.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from daemon.engine.faces import Face
from daemon.engine.schedule import Pass
from daemon.engine.vgg.timings import Precision

Data = dict[str, Any]
Losses = Mapping[str, float]
FailureKind = Literal["input", "surroundings", "device", "bug"]
Known = TypeVar("Known")


def plain(message: Any) -> Data:
    """Turns a dataclass into plain data, its paths into text."""
    data = asdict(message)
    return {name: str(one) if isinstance(one, Path) else one for name, one in data.items()}


def known(kind: type[Known], data: Mapping[str, Any], **read: Any) -> Known:
    """Makes a dataclass from those of its fields that plain data has, text into paths.

    read: in place of the data's own, fields that are no plain ones.
    """
    for place in fields(kind):  # type: ignore[arg-type]
        if place.name in data and place.name not in read:
            value = data[place.name]
            is_path = value is not None and place.type in (Path, Path | None)
            read[place.name] = Path(value) if is_path else value
    return kind(**read)


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is started with.

    device: such as `cpu` or `cuda:0`.  memory_bytes: what it may take; None: four fifths of what
    is free.  checkpoint_s: seconds between checkpoints.  threads: what it computes with; None: as
    many as its pool grants it.  adaptive_threads: whether it takes fewer of them while other
    programs use the processors.  number, sharers: which worker of its device it is, from 1, and of
    how many.  on_trial: how many of them work at once is found out.
    """

    device: str
    weights: str
    engine_folder: Path
    precision: Precision = "auto"
    memory_bytes: int | None = None
    checkpoint_s: float = 60.0
    threads: int | None = None
    adaptive_threads: bool = False
    number: int = 1
    sharers: int = 1
    on_trial: bool = False


@dataclass(frozen=True)
class Blob:
    """A file that is known by its hash, and where it lies on this machine.

    sha256: empty where it is of no use: in a worker, and for a picture that `stylize` paints here.
    """

    sha256: str
    path: Path


@dataclass(frozen=True)
class OrderedStyle:
    """A style image of an order, its weight among them, and the region it is for, if any."""

    name: str
    file: Blob
    weight: float
    region: str = ""


@dataclass(frozen=True)
class OrderedMask:
    """The mask of an order. own: it has the picture's proportions; else it is stretched."""

    name: str
    file: Blob
    own: bool


@dataclass(frozen=True)
class RunOrder:
    """Everything that a worker needs to know to paint a picture.

    name: the picture's, as dropped.  recipe: the fields of a `JobRecipe`.  result: where what is
    painted goes, in the format that the ending of result_name says, or of `name` if that is empty.
    checkpoint, preview, timelapse: where they go, None for none.  memory_bytes: what this run may
    take, None: as much as its worker.  note: what the result tells of itself.  proof: a smaller
    version.  profiles: the files of the colour profiles that the recipe names, by those names.
    mask: what says where the styles go, None for none.  shared: what is the same for orders of one
    painting, which differ in the result's form alone; else empty.  course, small: a file for the
    losses of the steps, and a folder for small versions of photograph and painting; None for none.
    sharers: among how many the memory of the device is divided that several jobs share, 1: nothing
    else is painted meanwhile; 0: as many as its worker was told.  beside: how many others it has
    when the run begins.
    """

    name: str
    picture: Blob
    max_pixels: int
    recipe: Mapping[str, Any]
    styles: tuple[OrderedStyle, ...]
    result: Path
    checkpoint: Path | None
    preview: Path | None
    memory_bytes: int | None
    note: Mapping[str, Any]
    result_name: str = ""
    proof: bool = False
    profiles: Mapping[str, Path] = field(default_factory=dict)
    mask: OrderedMask | None = None
    timelapse: Path | None = None
    shared: str = ""
    course: Path | None = None
    small: Path | None = None
    sharers: int = 0
    beside: int = 0


def frames_of(timelapse: Path) -> Path:
    """The folder beside a time-lapse whose frames it is made of in the end."""
    return timelapse.with_name("frames")


USUALLY_EMPTY = (
    "result_name",
    "proof",
    "profiles",
    "mask",
    "timelapse",
    "shared",
    "course",
    "small",
    "sharers",
    "beside",
)
"""Fields of an order that are left out where they say nothing."""


def order_data(order: RunOrder) -> Data:
    """Turns an order into plain data."""
    data = plain(order) | {
        "picture": str(order.picture.path),
        "styles": [
            {"name": one.name, "sha256": one.file.sha256, "weight": one.weight}
            | {"path": str(one.file.path)}
            | ({"region": one.region} if one.region else {})
            for one in order.styles
        ],
        "mask": mask_data(order.mask),
        "profiles": {name: str(path) for name, path in order.profiles.items()},
    }
    usual = {name for name in USUALLY_EMPTY if not data[name]}
    return {name: value for name, value in data.items() if name not in usual}


def mask_data(mask: OrderedMask | None) -> Data:
    """Turns the mask of an order into plain data; empty for none."""
    if mask is None:
        return {}
    place = {"sha256": mask.file.sha256, "path": str(mask.file.path)}
    return {"name": mask.name, "own": mask.own} | place


def to_mask(data: Data) -> OrderedMask | None:
    """Reads the mask of `mask_data`."""
    if not data:
        return None
    return OrderedMask(data["name"], Blob(data["sha256"], Path(data["path"])), data["own"])


def to_order(data: Data) -> RunOrder:
    """Reads the order of `order_data`."""
    styles = tuple(
        OrderedStyle(
            one["name"],
            Blob(one["sha256"], Path(one["path"])),
            one["weight"],
            one.get("region", ""),
        )
        for one in data["styles"]
    )
    profiles = {name: Path(path) for name, path in data.get("profiles", {}).items()}
    picture = Blob("", Path(data["picture"]))
    mask = to_mask(data.get("mask", {}))
    return known(RunOrder, data, picture=picture, styles=styles, profiles=profiles, mask=mask)


@dataclass(frozen=True)
class PassAccount:
    """What a run tells of one pass. loss: of its last step.  plan: how it was computed."""

    width_px: int
    height_px: int
    steps: int = 0
    seconds: float = 0.0
    converged: bool = False
    plan: Mapping[str, Any] = field(default_factory=dict)
    loss: Losses = field(default_factory=dict)


@dataclass(frozen=True)
class ThreadCount:
    """With how many threads steps were computed, from one of them on; both count from 1."""

    threads: int
    from_pass: int
    from_step: int

    @property
    def begins(self) -> tuple[int, int]:
        """The pass and the step."""
        return self.from_pass, self.from_step


@dataclass(frozen=True)
class FullPicture:
    """What a proof foretells: the full picture's size and seconds; None: the proof is the full."""

    width_px: int
    height_px: int
    seconds: int | None


@dataclass(frozen=True)
class Done:
    """The outcome of a run that went well, which becomes the job's in ledger and record.

    result_sha256, result_bytes: of the file of the result.  full: what a proof foretells.
    same_as: the job whose result was taken, where nothing had to be painted.  regions: what share
    of the picture each has, 0 to 1, where a mask drew them.  judge: the figures of the painting by
    name.  faces: those found in the picture; None where none were looked for.  node: the fleet's
    that painted it, if one did.  threads: on the CPU, of its steps; sums in another order round
    otherwise.  A field that an earlier version did not tell is None, 0 or empty.
    """

    width_px: int = 0
    height_px: int = 0
    weights: Mapping[str, str] | None = None
    device: str | None = None
    dtype: str | None = None
    passes: tuple[PassAccount, ...] = ()
    first_loss: Losses | None = None
    last_loss: Losses | None = None
    seconds: float | None = None
    peak_memory_bytes: int = 0
    warnings: tuple[str, ...] = ()
    result_sha256: str = ""
    result_bytes: int = 0
    full: FullPicture | None = None
    same_as: str | None = None
    regions: Mapping[str, float] = field(default_factory=dict)
    judge: Mapping[str, Any] | None = None
    faces: tuple[Face, ...] | None = None
    node: str = ""
    threads: tuple[ThreadCount, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The outcome of a run that failed by itself: whose fault it is, and why.

    painted: what it came to, where that was refused.
    """

    kind: FailureKind
    reason: str
    painted: Done | None = None


@dataclass(frozen=True)
class Cancelled:
    """The outcome of a run that was stopped because somebody asked for it."""


@dataclass(frozen=True)
class PassPlan:
    """How a worker was going to compute a pass: its size and tiles in words, and its peak.

    held_bytes: what it held before; that part cannot be halved.  budget_bytes: what it might take.
    """

    size: str
    tiles: str
    predicted_bytes: int
    held_bytes: int
    budget_bytes: int

    def __str__(self) -> str:
        return f"{self.size} ({self.tiles}, {self.predicted_bytes / 1e9:.1f} GB expected)"


@dataclass(frozen=True)
class OutOfMemory:
    """The outcome of a run whose worker had no memory left; `how` says how that came out.

    plan: of the pass under way, None if there was none yet.
    """

    how: str
    plan: PassPlan | None = None


@dataclass(frozen=True)
class Lost:
    """The outcome of a run whose worker is gone; `how` says how that ended."""

    how: str


Told = Done | Failed | Cancelled | OutOfMemory
"""An outcome that a worker tells itself."""

Outcome = Told | Lost


def done_data(done: Done) -> Data:
    """Turns the outcome of a run that went well into plain data."""
    data = asdict(done)
    full, same_as, judge, faces = (data.pop(name) for name in ("full", "same_as", "judge", "faces"))
    before = {"same_as": same_as} if same_as else {}
    for name in ("regions", "node", "threads"):
        if not data[name]:
            del data[name]
    after = {name: one for name, one in {"full": full, "judge": judge}.items() if one}
    after |= {} if faces is None else {"faces": faces}
    return before | {"ok": True} | data | after


def failed_data(failed: Failed) -> Data:
    """Turns the outcome of a run that failed into plain data."""
    painted = {"painted": done_data(failed.painted)} if failed.painted else {}
    return {"ok": False, "kind": failed.kind, "reason": failed.reason} | painted


def to_done(data: Mapping[str, Any]) -> Done:
    """Reads the outcome of `done_data`, of an earlier version too."""
    full, faces = data.get("full"), data.get("faces")
    return known(
        Done,
        data,
        passes=tuple(known(PassAccount, one) for one in data.get("passes", ())),
        warnings=tuple(data.get("warnings", ())),
        full=known(FullPicture, full) if full else None,
        threads=tuple(known(ThreadCount, one) for one in data.get("threads", ())),
        faces=None if faces is None else tuple(known(Face, one) for one in faces),
    )


@dataclass(frozen=True)
class Hello:
    """The event that a worker is there."""


@dataclass(frozen=True)
class LogLine:
    """The event of a line for the job's log."""

    level: str
    text: str


@dataclass(frozen=True)
class Progress:
    """The event of a step. number: from 1, in its pass; pass_number: likewise, of the passes.

    total: the loss that is minimised.  losses: its terms by name, without their weights.
    """

    pass_number: int
    passes: tuple[Pass, ...]
    number: int
    total: float
    losses: Losses
    seconds: float

    @property
    def left_s(self) -> float:
        """Seconds until the last pass ends, from this step's; they grow with a pass's pixels."""
        current = self.passes[self.pass_number - 1]
        per_pixel = self.seconds / (current.width_px * current.height_px)
        left = (current.steps - self.number) * self.seconds
        for later in self.passes[self.pass_number :]:
            left += later.steps * later.width_px * later.height_px * per_pixel
        return left


@dataclass(frozen=True)
class Preview:
    """The event that the preview has been drawn anew."""

    path: Path


@dataclass(frozen=True)
class CheckpointWritten:
    """The event that the run can be gone on from here."""


@dataclass(frozen=True)
class Ended:
    """The event that a run is over. spent: the worker ends itself now, being of no more use."""

    outcome: Told
    spent: bool = False


Event = Hello | LogLine | PassPlan | Progress | Preview | CheckpointWritten | Ended

OF_A_STEP = {"event", "run", "pass", "passes", "number", "total", "seconds"}
"""What a step's message tells beside the losses."""


def event_data(run_id: str, event: Event) -> Data:
    """Turns an event of a run into plain data."""
    of_run = {"run": run_id}
    match event:
        case Hello():
            return {"event": "hello"}
        case LogLine():
            return {"event": "log"} | of_run | plain(event)
        case PassPlan():
            return {"event": "plan"} | of_run | {"plan": plain(event)}
        case Progress():
            place = {"pass": event.pass_number, "passes": [plain(one) for one in event.passes]}
            step = {"number": event.number, "total": event.total, **event.losses}
            return {"event": "progress"} | of_run | place | step | {"seconds": event.seconds}
        case Preview():
            return {"event": "preview"} | of_run | plain(event)
        case CheckpointWritten():
            return {"event": "checkpoint"} | of_run
        case Ended():
            return of_run | {"spent": event.spent} | outcome_data(event.outcome)


def outcome_data(outcome: Told) -> Data:
    """Turns an outcome into plain data; the plan of one without memory was told before."""
    match outcome:
        case Done():
            return {"event": "ended", "result": done_data(outcome)}
        case Failed():
            return {"event": "ended", "result": failed_data(outcome)}
        case Cancelled():
            return {"event": "cancelled"}
        case OutOfMemory():
            return {"event": "short", "reason": outcome.how}


def to_event(data: Data) -> Event | None:
    """Reads the event of `event_data`; None for one that this version does not know."""
    match data.get("event"):
        case "hello":
            return Hello()
        case "log":
            return known(LogLine, data)
        case "plan":
            return known(PassPlan, data["plan"])
        case "progress":
            return to_progress(data)
        case "preview":
            return known(Preview, data)
        case "checkpoint":
            return CheckpointWritten()
        case "ended" | "cancelled" | "short":
            return Ended(to_outcome(data), bool(data.get("spent")))
        case _:
            return None


def to_outcome(data: Data) -> Told:
    """Reads the outcome of `outcome_data`."""
    match data["event"]:
        case "cancelled":
            return Cancelled()
        case "short":
            return OutOfMemory(data["reason"])
    result = data["result"]
    if result["ok"]:
        return to_done(result)
    painted = result.get("painted")
    return known(Failed, result, painted=to_done(painted) if painted else None)


def to_progress(data: Data) -> Progress:
    """Reads a step; the numbers that it tells beside what is known are losses by name."""
    others = {name: value for name, value in data.items() if name not in OF_A_STEP}
    return Progress(
        data["pass"],
        tuple(known(Pass, one) for one in data["passes"]),
        data["number"],
        data["total"],
        {name: value for name, value in others.items() if isinstance(value, float)},
        data["seconds"],
    )
