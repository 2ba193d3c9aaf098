"""The service's own word on what it is doing, in a small file others may read at any time."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from daemon.host import files
from daemon.messages import Progress

LIVE_FILE = "live.json"
UNKNOWN: dict[str, None] = {"content": None, "style": None}


@dataclass
class RunningJob:
    """A job at work. step counts over all passes; eta_s is None until a step was measured.

    losses: by name, of the last step.  preview: a small JPEG of its picture, None until it was
    first written.  label: which cell of a sweep it is, empty if of none.  proof: only the proof is
    painted.
    """

    id: str
    picture: str
    preset: str
    device: str
    pass_number: int = 0
    passes: int = 0
    step: int = 0
    steps: int = 0
    total: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    step_s: float | None = None
    eta_s: float | None = None
    preview: str | None = None
    label: str = ""
    proof: bool = False


@dataclass
class Live:
    """Everything the file says. health: what is wrong now, by part; empty when all is well.

    devices: the seats there are now, such as `cpu`, or `desk2/cuda:0` of a node.  lacking: what
    waiting jobs ask for that none of them offers.  left: devices that others need now.  waits: the
    first of what lies in the inbox and does not get on; waits_more: how many others do so.
    others: who else has claimed pictures in it.  foreign: how many files lie there that are no
    pictures.
    """

    pid: int
    started_at: str
    written_at: str = ""
    devices: list[str] = field(default_factory=list)
    running: list[RunningJob] = field(default_factory=list)
    health: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    waits: list[dict[str, Any]] = field(default_factory=list)
    waits_more: int = 0
    others: list[str] = field(default_factory=list)
    foreign: int = 0

    def as_data(self) -> dict[str, Any]:
        """All of it as plain data; each job's losses stand beside its total, too.

        Before its first step the two that every reader asks for are None.
        """
        data = asdict(self)
        data["running"] = [{**job, **UNKNOWN, **job["losses"]} for job in data["running"]]
        return data


def write_live(state: Path, live: Live) -> None:
    """Replaces the file, whole or not at all; not synced, since a crash makes it untrue anyway."""
    target = state / LIVE_FILE
    temporary = files.temporary_beside(target)
    try:
        temporary.write_text(json.dumps(live.as_data()), "utf-8")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def read_live(state: Path) -> dict[str, Any] | None:
    """What the service wrote last, or None: nothing, or nothing that this version understands."""
    try:
        return TypeAdapter(Live).validate_json((state / LIVE_FILE).read_bytes()).as_data()
    except (OSError, ValueError):  # pydantic's is a ValueError
        return None


def follow(job: RunningJob, progress: Progress) -> None:
    """Brings a running job up to a step of its worker."""
    passes, number = progress.passes, progress.pass_number
    job.pass_number, job.passes = number, len(passes)
    job.step = sum(one.steps for one in passes[: number - 1]) + progress.number
    job.steps = sum(one.steps for one in passes)
    job.total, job.losses = progress.total, dict(progress.losses)
    job.step_s = progress.seconds
    job.eta_s = progress.left_s


def loss_text(job: RunningJob) -> str:
    """The losses in a few characters."""
    if job.total is None:
        return "starting"
    parts = ", ".join(f"{name} {loss:.3g}" for name, loss in job.losses.items())
    return f"loss {job.total:.3g} ({parts})"
