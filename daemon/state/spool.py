"""The state folder's inside: where the copies lie that jobs work on."""

import errno
import hashlib
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from daemon.host import files
from daemon.host.access import refusals

NOT_TO_BE_HAD = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EACCES)
"""What opening a file says that was taken away, replaced or closed to us, now and later."""

MARK_LENGTH = 8
MASK_ENDING = ".mask"
IDENTITY = re.compile(r"[0-9a-f]{8,}")


@dataclass(frozen=True)
class Spool:
    """Paths in the state folder, by picture and by job."""

    state: Path

    @property
    def identity(self) -> Path:
        """The file that tells this state folder from all others, wherever it is moved."""
        return self.state / "identity"

    @property
    def shares_inbox(self) -> Path:
        """The empty file that says that another service was seen on our inbox, once."""
        return self.state / "shared-inbox"

    def mark(self) -> str:
        """Eight characters for this state folder, made when first asked for and kept with it.

        Every claim begins with them, so that services on one inbox know their own. Neither host
        nor path go in: containers of one image have the same, and a folder that is moved keeps
        what is its own.  Raises SurroundingsError if they can be neither read nor kept.
        """
        return self.known_mark() or self.renew_mark()

    def known_mark(self) -> str | None:
        """The mark if there is one; nothing is made."""
        with refusals(f"{self.identity} cannot be read", "; let the service's user read it"):
            try:
                token = self.identity.read_text("ascii", "replace").strip()
            except FileNotFoundError:
                return None
        return token[:MARK_LENGTH] if IDENTITY.fullmatch(token) else None

    def renew_mark(self) -> str:
        """A fresh mark, kept durably in the place of the one before."""
        token = secrets.token_hex(16)
        with refusals(f"{self.identity} cannot be written"):
            files.write_bytes(self.identity, f"{token}\n".encode(), replace=True)
        return token[:MARK_LENGTH]

    def picture(self, picture_id: str) -> Path:
        """The job's own copy of a dropped picture."""
        return self.state / "spool" / "pictures" / picture_id

    def job(self, job_id: str) -> Path:
        """The folder of one job: its checkpoint, preview, result and log until it is published."""
        return self.state / "spool" / "jobs" / job_id

    def result(self, job_id: str) -> Path:
        """The painted picture, whole or absent."""
        return self.job(job_id) / "result"

    def checkpoint(self, job_id: str) -> Path:
        """Where a job's painting stands, for the child that goes on with it."""
        return self.job(job_id) / "checkpoint.safetensors"

    def preview(self, job_id: str) -> Path:
        """What a running job looked like a few seconds ago, a small JPEG, whole or absent."""
        return self.job(job_id) / "preview.jpg"

    def proof(self, job_id: str) -> Path:
        """The painted proof of a job, whole or absent; it stays until the job is over."""
        return self.job(job_id) / "proof"

    def proof_checkpoint(self, job_id: str) -> Path:
        """Where the painting of a job's proof stands; nothing of it is of use to the full one."""
        return self.job(job_id) / "proof-checkpoint.safetensors"

    def timelapse(self, job_id: str) -> Path:
        """How a job's painting came about, an animated WebP, whole or absent."""
        return self.job(job_id) / "timelapse.webp"

    def course(self, job_id: str) -> Path:
        """The losses of a job's steps, as JSON, whole or absent."""
        return self.job(job_id) / "course.json"

    def small(self, job_id: str) -> Path:
        """The folder of the small versions of a job's photograph and painting."""
        return self.job(job_id) / "small"

    @property
    def handed(self) -> Path:
        """Where small versions wait for the gallery, in a folder of each job's own."""
        return self.state / "gallery"

    def hand_small(self, job_id: str) -> None:
        """Moves a published job's small versions to where they wait. Raises OSError."""
        if not self.small(job_id).is_dir():
            return
        self.handed.mkdir(exist_ok=True)
        files.remove_tree(self.handed / job_id)
        self.small(job_id).rename(self.handed / job_id)

    def log(self, job_id: str) -> Path:
        """The job's log."""
        return self.job(job_id) / "log"

    def style(self, sha256: str) -> Path:
        """A style image by the hash of its file; edits of a preset never reach it."""
        return self.state / "styles" / sha256

    def profile(self, sha256: str) -> Path:
        """A colour profile by the hash of its file, which stays as a style image does."""
        return self.state / "profiles" / sha256

    def mask(self, sha256: str) -> Path:
        """A preset's mask by the hash of its file, which stays as a style image does."""
        return self.state / "masks" / sha256

    def picture_mask(self, picture_id: str) -> Path:
        """The job's own copy of the mask that lay beside a dropped picture."""
        return self.state / "spool" / "pictures" / f"{picture_id}{MASK_ENDING}"

    def keep_style(self, source: Path) -> str:
        """Copies a style image here, once, and returns its hash."""
        return keep(source, self.style)

    def keep_profile(self, source: Path) -> str:
        """Copies a colour profile here, once, and returns its hash."""
        return keep(source, self.profile)

    def keep_mask(self, source: Path) -> str:
        """Copies a preset's mask here, once, and returns its hash."""
        return keep(source, self.mask)

    def keep_picture_mask(self, source: Path, picture_id: str) -> str:
        """Copies the mask beside a picture here, and returns its hash. Raises OSError."""
        target = self.picture_mask(picture_id)
        files.copy_whole(source, target, replace=True)
        return files.sha256_of(target)

    def keep_result(self, job_id: str, painted: Path, sha256: str) -> bool:
        """Copies a finished result here for another job; False if it is not there unchanged.

        Raises SurroundingsError if the disk is full, or that of the result does not answer.
        """
        try:
            files.open_ordinary(painted).close()
        except OSError as error:
            if error.errno in NOT_TO_BE_HAD:
                return False
        with refusals(f"{files.printable(painted)} cannot be copied to {self.state}"):
            files.copy_whole(painted, self.result(job_id), replace=True)
        return files.sha256_of(self.result(job_id)) == sha256

    def keep_timelapse(self, job_id: str, film: Path) -> None:
        """Copies the time-lapse of a finished result here for another job; raises OSError."""
        files.copy_whole(film, self.timelapse(job_id), replace=True)

    def sweep(self, jobs: Collection[str], pictures: Collection[str]) -> None:
        """Removes what is of no job and no picture that is still open, and half-written files.

        jobs, pictures: the ids of the open ones. To be called before anything is written here.
        """
        for folder, known in ((self.job("x").parent, jobs), (self.picture("x").parent, pictures)):
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.name.removesuffix(MASK_ENDING) not in known:
                    files.remove(path)
        files.sweep(self.state)

    def drop_run(self, job_id: str) -> None:
        """Removes what only the painting of a proof needed."""
        for path in (self.proof_checkpoint, self.preview, self.course):
            path(job_id).unlink(missing_ok=True)

    def drop_job(self, job_id: str) -> None:
        """Removes what a published job leaves."""
        files.remove_tree(self.job(job_id))

    def drop_picture(self, picture_id: str) -> None:
        """Removes the copies of a filed picture and its mask."""
        self.picture(picture_id).unlink(missing_ok=True)
        self.picture_mask(picture_id).unlink(missing_ok=True)


def keep(source: Path, place: Callable[[str], Path]) -> str:
    """Copies a file to the place of its hash, unless it is there, and returns that hash."""
    with files.open_ordinary(source) as file:
        content = file.read()
    sha256 = hashlib.sha256(content).hexdigest()
    if not place(sha256).exists():
        files.write_bytes(place(sha256), content, replace=True)
    return sha256
