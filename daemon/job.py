"""Jobs and claimed pictures: the words that intake, ledger, worker and outbox share."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from daemon.messages import Done  # with it the recipe is loaded, and what checks it

ORDINARY, BULK = 0, -1
"""Priorities: what was dropped in the bulk folder comes after all that was not."""

QUEUES: Mapping[str, int] = {"ordinary": ORDINARY, "bulk": BULK}

BULK_FOLDER, ALL_FOLDER, PROOF_FOLDER = "bulk", "all", "proof"


class InboxFolders(NamedTuple):
    """What the inbox's folders are called that are no preset's.

    bulk: what comes after all else.  every: painted in every preset.  proof: painted as a proof,
    which waits for approval.
    """

    bulk: str = BULK_FOLDER
    every: str = ALL_FOLDER
    proof: str = PROOF_FOLDER


INBOX_FOLDERS = InboxFolders()
"""What they are called unless config.yaml says otherwise."""

PROOFS = "proof"
"""Folder of the outbox with the proofs that wait for approval, and nothing else."""

GALLERY_FOLDER, GALLERY_INDEX = ".gallery", "index.html"
"""The gallery in the outbox: its own files, and its first page."""

OUTBOX_FOLDERS = ("originals", "failed", PROOFS, GALLERY_FOLDER, GALLERY_INDEX)
"""Names in the outbox that no preset may have: its results would mix with what lies there."""

JOBS_FOLDER = ".jobs"
"""Beside results, with the record and log of each."""


class State(StrEnum):
    """Where a job stands; docs/architecture.md draws the transitions."""

    READY = "ready"
    RUNNING = "running"
    PUBLISHING = "publishing"
    AWAITING = "awaiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"


OVER = (State.DONE, State.FAILED, State.CANCELLED)
"""States of jobs that nothing more comes of, unless somebody tries them again."""


class Approval(StrEnum):
    """Whether a job is painted as a proof first: not at all, as its next run, or no longer."""

    NONE = ""
    ASKED = "asked"
    GIVEN = "given"


class PictureState(StrEnum):
    """Where a dropped picture stands."""

    CLAIMING = "claiming"
    CLAIMED = "claimed"
    FILED = "filed"


@dataclass(frozen=True)
class StyleRef:
    """A style image as a job carries it: the preset's file may change, the hash may not.

    region: the colour, `#rrggbb`, that masks have for its part of pictures; empty if it has none.
    """

    name: str
    sha256: str
    weight: float
    region: str = ""


@dataclass(frozen=True)
class ProfileRef:
    """A colour profile as a job carries it: its file's name in the presets folder, and its hash."""

    name: str
    sha256: str


@dataclass(frozen=True)
class MaskRef:
    """A mask as a job carries it: its file's name and hash.

    own: whether it lay beside the picture, whose proportions it then has; else it is the preset's,
    and stretched.
    """

    name: str
    sha256: str
    own: bool = False


@dataclass(frozen=True)
class ClaimedPicture:
    """A picture taken from the inbox.

    path: as dropped, relative to the inbox.  companions: likewise, what lay beside it for it.
    format: by its content, as Pillow calls it.  bits: of a channel, 8 or 16.  Of a picture that
    could not be read, or that an earlier version took, they are empty and 0.
    """

    id: str
    path: Path
    companions: tuple[Path, ...]
    state: PictureState
    sha256: str
    bytes: int
    width_px: int
    height_px: int
    format: str = ""
    bits: int = 0


@dataclass(frozen=True)
class Outputs:
    """A job's files, relative to the outbox; empty are those it has not, or not yet.

    result: of a job that is done.  reason: of one that is not: why.  timelapse: how a result came
    about, where that was asked for.  proof: by which the job was approved, or was not.
    """

    record: str = ""
    log: str = ""
    original: str = ""
    result: str = ""
    reason: str = ""
    timelapse: str = ""
    proof: str = ""

    @property
    def main(self) -> str:
        """The file that people look for: the result, or the reason why there is none."""
        return self.result or self.reason

    def by_kind(self) -> dict[str, str]:
        """The files there are, in the order that ledger and record always had them in."""
        beside = {"record": self.record, "log": self.log}
        filed = {"original": self.original}
        if self.result:
            every = {"result": self.result} | beside | filed | {"timelapse": self.timelapse}
        else:
            every = filed | {"reason": self.reason} | beside
        every |= {"proof": self.proof}
        return {kind: path for kind, path in every.items() if path}


@dataclass(frozen=True)
class PaintedProof:
    """A proof that somebody has decided about.

    outputs: where it was published to wait.  outcome: what the worker reported.  recipe: it was
    painted with, as plain data.  finished_at: ISO 8601 in UTC.  first_recipe: of the job's first
    proof, as it was dropped; None where an earlier version kept none.
    """

    outputs: Outputs
    outcome: "Done"
    recipe: Mapping[str, Any]
    finished_at: str
    first_recipe: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """One picture to be painted after one preset, with all that was decided about it.

    below: the picture's folder and name under outbox/PRESET.  recipe: resolved, as plain data.
    label: which cell of a sweep it is, among the jobs of one picture and preset; empty if of none.
    suffix: how its result's name ends; empty if an earlier version queued it, or if it has none.
    profiles: the files that its recipe names as `profile` and `proof_profile`.
    outcome: what the worker reported, of a job that was painted or took another's result.
    mask: what says where its styles go; None for none.
    approval: whether its next run paints the proof.  proof: the last one that was decided about.
    runs_on: what a seat must offer for it, such as a node's name; empty if any will do.
    Times are ISO 8601 in UTC.
    """

    id: str
    picture_id: str
    preset: str
    below: Path
    recipe: Mapping[str, Any]
    styles: tuple[StyleRef, ...]
    priority: int
    state: State
    verdict: State | None
    starts: int
    cancel_requested: bool
    queued_at: str
    started_at: str | None
    finished_at: str | None
    outcome: "Done | None"
    outputs: Outputs
    reason: str
    warnings: tuple[str, ...]
    label: str = ""
    suffix: str = ""
    profiles: tuple[ProfileRef, ...] = ()
    mask: MaskRef | None = None
    approval: Approval = Approval.NONE
    proof: PaintedProof | None = None
    runs_on: str = ""

    @property
    def paints_proof(self) -> bool:
        """Whether what is painted next, or was painted last, is a proof."""
        return self.approval is Approval.ASKED

    @property
    def approved_settings(self) -> dict[str, Any] | None:
        """What decisions about its proofs have changed of its recipe; None without an approval."""
        if self.approval is not Approval.GIVEN or self.proof is None:
            return None
        before = self.proof.first_recipe or self.proof.recipe
        return {key: value for key, value in self.recipe.items() if before.get(key) != value}


@dataclass(frozen=True)
class Draft:
    """A job about to be queued; with a `reason` it has failed before it began.

    fingerprint: of all that makes its result; None if it is to be painted whatever there is.
    priority: ORDINARY or BULK.  work: pixels times steps, of all passes that are planned.
    warnings: what its record is to tell, whatever becomes of it.  label, suffix, profiles, mask,
    approval, runs_on: as a `Job`'s.
    """

    id: str
    preset: str
    below: Path
    recipe: Mapping[str, Any]
    styles: tuple[StyleRef, ...]
    reason: str = ""
    fingerprint: str | None = None
    priority: int = ORDINARY
    work: int = 0
    warnings: tuple[str, ...] = ()
    label: str = ""
    suffix: str = ""
    profiles: tuple[ProfileRef, ...] = ()
    mask: MaskRef | None = None
    approval: Approval = Approval.NONE
    runs_on: str = ""
