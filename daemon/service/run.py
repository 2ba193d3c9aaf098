"""One run: what is known of it, and what its worker is told, before it begins."""

from dataclasses import dataclass
from enum import Enum, auto

from daemon.engine.schedule import PROOF_PX, fit
from daemon.host import files
from daemon.job import ClaimedPicture, Job
from daemon.ledger.store import Ledger
from daemon.messages import Blob, OrderedMask, OrderedStyle, RunOrder
from daemon.pictures.form import ResultForm
from daemon.pictures.formats import output_format, output_name
from daemon.pictures.limits import expected_bytes
from daemon.settings.config import Config
from daemon.settings.sweep import label_of, values_of
from daemon.state.spool import Spool
from daemon.status.live import RunningJob

STALL_PX = 4_000_000
"""A picture of so many pixels may be silent for twice as long as a small one."""


class StopReason(Enum):
    """What a run was stopped for that does not put its job back into the line."""

    CANCELLED = auto()
    LATE = auto()


@dataclass
class Run:
    """A job that runs: what is shown of it, until when it may, and what it was stopped for.

    stop: a text says why it goes back into the line.  stalled: it said nothing, and was ended.
    node: where it runs, empty for this machine.  pixels: of its result, 0 if that is not known.
    """

    job: Job
    shown: RunningJob
    limit_s: float
    deadline_s: float
    stall_s: float
    heard_s: float
    stop: StopReason | str | None = None
    stalled: bool = False
    node: str = ""
    pixels: int = 0


def make_run(config: Config, device: str, job: Job, picture: ClaimedPicture, now_s: float) -> Run:
    """What is known of a run before it begins; a large picture may be silent for longer."""
    width, height = result_size(job, picture)
    pixels, limits = width * height, config.limits
    shown = RunningJob(job.id, files.printable(picture.path), job.preset, device, label=job.label)
    shown.proof = job.paints_proof
    stall_s = limits.stall_s * (1 + pixels / STALL_PX)
    deadline_s = now_s + limits.job_s
    return Run(job, shown, limits.job_s, deadline_s, stall_s, now_s, pixels=pixels)


def coming_bytes(ledger: Ledger, job_id: str | None) -> int:
    """How large the result of a job may be, None: of none; once painted it must find room."""
    if job_id is None:
        return 0
    job = ledger.job(job_id)
    return result_bytes(job, ledger.picture(job.picture_id))


def result_bytes(job: Job, picture: ClaimedPicture) -> int:
    """How large a job's result will be at most, roughly."""
    width, height = result_size(job, picture)
    depth = job.recipe.get("depth", "same")
    bits = picture.bits if depth == "same" else depth
    form = output_format(output_name(job.below.name, job.suffix))
    return expected_bytes(form, width, height, bits=bits)


def result_size(job: Job, picture: ClaimedPicture) -> tuple[int, int]:
    """Width and height that a job is painted at, its proof or the full picture; 0 if not known."""
    width, height, size = picture.width_px, picture.height_px, job.recipe["size"]
    longest = max(width, height) if size == "original" else size
    if job.paints_proof:
        longest = min(longest, PROOF_PX)
    return fit(width, height, longest) if width and height else (width, height)


def make_order(
    config: Config, spool: Spool, job: Job, picture: ClaimedPicture, memory_bytes: int | None
) -> RunOrder:
    """Everything a worker needs to know of a job."""
    styles = tuple(
        OrderedStyle(
            style.name,
            Blob(style.sha256, spool.style(style.sha256)),
            style.weight,
            style.region,
        )
        for style in job.styles
    )
    mask = None
    if job.mask is not None:
        own, sha256 = job.mask.own, job.mask.sha256
        path = spool.picture_mask(picture.id) if own else spool.mask(sha256)
        mask = OrderedMask(job.mask.name, Blob(sha256, path), own)
    is_proof = job.paints_proof
    checkpoint = spool.proof_checkpoint if is_proof else spool.checkpoint
    films = job.recipe.get("timelapse") and not is_proof
    return RunOrder(
        name=job.below.name,
        picture=Blob(picture.sha256, spool.picture(picture.id)),
        max_pixels=config.limits.picture_pixels,
        recipe=job.recipe,
        styles=styles,
        result=(spool.proof if is_proof else spool.result)(job.id),
        checkpoint=checkpoint(job.id),
        preview=spool.preview(job.id),
        memory_bytes=memory_bytes,
        note={"id": job.id, "preset": job.preset, "seed": job.recipe["seed"]}
        | ({"proof": True} if is_proof else {}),
        result_name=output_name(job.below.name, job.suffix) if job.suffix else "",
        profiles={one.name: spool.profile(one.sha256) for one in job.profiles},
        mask=mask,
        timelapse=spool.timelapse(job.id) if films else None,
        shared=shared_painting(job),
        proof=is_proof,
        course=spool.course(job.id),
        small=spool.small(job.id) if config.gallery else None,
    )


def shared_painting(job: Job) -> str:
    """What is the same for a sweep's jobs that differ in the result's form alone; empty for others.

    All else is the same within one picture and preset but what the label tells of. Whoever asks for
    a time-lapse of each has each painted: there is none of what is not painted.
    """
    if job.recipe.get("timelapse"):
        return ""
    swept = values_of(job.label)
    painted = {name: text for name, text in swept.items() if name not in ResultForm.model_fields}
    if painted == swept:
        return ""
    return " ".join([job.picture_id, job.preset, label_of(painted)])
