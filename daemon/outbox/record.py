"""The JSON that tells how a job went."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daemon import __version__
from daemon.host import files
from daemon.job import Approval, ClaimedPicture, Job, Outputs, PaintedProof, StyleRef
from daemon.messages import Done, plain
from daemon.outbox.naming import renamed

SCHEMA = 1


def make_record(
    job: Job, picture: ClaimedPicture, outputs: Outputs, course: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The record of a job that is over (or about to be published), schema 1.

    course: of the losses, where it is known: only the file in the outbox tells it.
    Losses are the last step's. A field the run never reached is null, 0 or empty. A warning that
    both intake and worker have is told once.
    """
    done = job.outcome or Done()
    seconds = done.seconds
    if seconds is None:
        seconds = seconds_between(job.started_at, job.finished_at)
    return {
        "schema": SCHEMA,
        "id": job.id,
        "state": job.verdict,
        "picture": {
            "name": files.printable(picture.path.name),
            "path": files.printable(picture.path),
            "sha256": picture.sha256,
            "bytes": picture.bytes,
            "width_px": picture.width_px,
            "height_px": picture.height_px,
            "format": picture.format or None,
            "bits": picture.bits or None,
        },
        "preset": job.preset,
        **({"label": job.label} if job.label else {}),
        "recipe": job.recipe,
        "styles": [style_data(style) for style in job.styles],
        **({"profiles": [vars(one) for one in job.profiles]} if job.profiles else {}),
        **({"regions": {**vars(job.mask), "shares": done.regions}} if job.mask else {}),
        "weights": done.weights,
        **({} if done.faces is None else {"faces": [plain(one) for one in done.faces]}),
        "seed": job.recipe.get("seed"),
        "device": done.device,
        **({"node": done.node} if done.node else {}),
        **({"threads": [plain(one) for one in done.threads]} if done.threads else {}),
        "dtype": done.dtype,
        "version": __version__,
        "passes": [plain(one) for one in done.passes],
        "first_loss": done.first_loss,
        "last_loss": done.last_loss,
        **({"course": course} if course else {}),
        **({"judge": done.judge} if done.judge else {}),
        **({"full": plain(done.full)} if done.full else {}),
        **({"proof": proof_data(job, job.proof)} if job.proof else {}),
        "queued_at": job.queued_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "seconds": seconds,
        "peak_memory_bytes": done.peak_memory_bytes,
        "starts": job.starts,
        "same_as": done.same_as,
        "outputs": {kind: files.printable(path) for kind, path in outputs.by_kind().items()},
        "warnings": list(dict.fromkeys((*job.warnings, *renamed(job, outputs)))),
        "reason": job.reason or None,
    }


def proof_data(job: Job, proof: PaintedProof) -> dict[str, Any]:
    """The proof that a job was decided by, as records tell of it.

    recipe: its fields that the job's own has not, or other values of.
    """
    last = proof.outcome.passes[-1] if proof.outcome.passes else None
    kept = job.recipe
    return {
        "approved": job.approval is Approval.GIVEN,
        "finished_at": proof.finished_at,
        "seconds": proof.outcome.seconds,
        "width_px": last.width_px if last else None,
        "height_px": last.height_px if last else None,
        "sha256": proof.outcome.result_sha256,
        "recipe": {name: one for name, one in proof.recipe.items() if kept.get(name) != one},
    }


def style_data(style: StyleRef) -> dict[str, Any]:
    """A style image as records tell of it; its region only if it has one."""
    return {name: value for name, value in vars(style).items() if value or name != "region"}


def seconds_between(start: str | None, end: str | None) -> float:
    """Seconds between two times of the ledger; 0 if one is missing."""
    if start is None or end is None:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
