"""Rows of the ledger as the other rooms know them, and drafts as rows."""

import json
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.job import (
    Approval,
    ClaimedPicture,
    Draft,
    Job,
    MaskRef,
    Outputs,
    PaintedProof,
    PictureState,
    ProfileRef,
    State,
    StyleRef,
)
from daemon.messages import known, to_done


@dataclass(frozen=True)
class Backlog:
    """Waiting jobs of one priority and preset. work: pixels times steps of all their passes."""

    priority: int
    preset: str
    count: int
    work: int


@dataclass(frozen=True)
class Waiting:
    """What waits in a queue.

    work: pixels times steps.  bytes: of the jobs' pictures.  oldest: when the job that waits
    longest was queued, ISO 8601 in UTC; None if none waits.
    """

    jobs: int = 0
    work: int = 0
    bytes: int = 0
    oldest: str | None = None


@dataclass(frozen=True)
class Asking:
    """Waiting jobs that ask for the same seats.  first: the id of the one that would begin next."""

    runs_on: str
    count: int
    first: str


def draft_row(draft: Draft, picture_id: str, now: str) -> dict[str, Any]:
    """The columns of a new job."""
    failed = bool(draft.reason)
    return {
        "id": draft.id,
        "picture_id": picture_id,
        "preset": draft.preset,
        "below": os.fsencode(draft.below),
        "label": draft.label,
        "recipe": json.dumps(draft.recipe),
        "styles": json.dumps([vars(style) for style in draft.styles]),
        "profiles": json.dumps([vars(profile) for profile in draft.profiles]),
        "mask": json.dumps(vars(draft.mask) if draft.mask else None),
        "suffix": draft.suffix,
        "approval": draft.approval,
        "runs_on": draft.runs_on,
        "state": State.PUBLISHING if failed else State.READY,
        "verdict": State.FAILED if failed else None,
        "queued_at": now,
        "finished_at": now if failed else None,
        "reason": draft.reason,
        "priority": draft.priority,
        "work": draft.work,
        "fingerprint": draft.fingerprint,
        "warnings": json.dumps(draft.warnings),
    }


def to_column(companions: Iterable[Path]) -> bytes | None:
    """Companions as the column `sidecar` has them, which is of a time when there was one kind."""
    return b"\0".join(map(os.fsencode, companions)) or None


def from_column(column: bytes | None) -> tuple[Path, ...]:
    """The companions that the column `sidecar` tells of."""
    return tuple(Path(os.fsdecode(path)) for path in column.split(b"\0")) if column else ()


def to_picture(row: sqlite3.Row) -> ClaimedPicture:
    """A row as the other rooms know it."""
    return ClaimedPicture(
        id=row["id"],
        path=Path(os.fsdecode(row["path"])),
        companions=from_column(row["sidecar"]),
        state=PictureState(row["state"]),
        sha256=row["sha256"],
        bytes=row["bytes"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        format=value_of(row, "format", ""),
        bits=value_of(row, "bits", 0),
    )


def to_job(row: sqlite3.Row) -> Job:
    """A row as the other rooms know it."""
    return Job(
        id=row["id"],
        picture_id=row["picture_id"],
        preset=row["preset"],
        below=Path(os.fsdecode(row["below"])),
        recipe=json.loads(row["recipe"]),
        styles=tuple(StyleRef(**style) for style in json.loads(row["styles"])),
        priority=row["priority"],
        state=State(row["state"]),
        verdict=State(row["verdict"]) if row["verdict"] else None,
        starts=row["starts"],
        cancel_requested=bool(row["cancel_requested"]),
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        outcome=to_done(outcome) if (outcome := json.loads(row["outcome"])) else None,
        outputs=known(Outputs, json.loads(row["outputs"])),
        reason=row["reason"],
        warnings=tuple(json.loads(row["warnings"])),
        label=value_of(row, "label", ""),
        suffix=value_of(row, "suffix", ""),
        profiles=tuple(ProfileRef(**one) for one in json.loads(value_of(row, "profiles", "[]"))),
        mask=MaskRef(**mask) if (mask := json.loads(value_of(row, "mask", "null"))) else None,
        approval=Approval(value_of(row, "approval", "")),
        proof=to_proof(json.loads(value_of(row, "proof", "null"))),
        runs_on=value_of(row, "runs_on", ""),
    )


def to_proof(data: dict[str, Any] | None) -> PaintedProof | None:
    """A proof that was decided about, None for none."""
    if data is None:
        return None
    outputs, outcome = known(Outputs, data["outputs"]), to_done(data["outcome"])
    return known(PaintedProof, data, outputs=outputs, outcome=outcome)


def value_of(row: sqlite3.Row, column: str, default: Any) -> Any:
    """A value of a row; the default where the ledger is older and was opened read-only."""
    return row[column] if column in row.keys() else default
