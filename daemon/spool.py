"""The state folder's inside: where the copies lie that jobs work on."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from daemon import files


@dataclass(frozen=True)
class Spool:
    """Paths in the state folder, by picture and by job."""

    state: Path

    def mark(self) -> str:
        """Eight characters for this machine's state folder, the same even after it was lost.

        Every claim begins with them, so that two services on one inbox know their own.
        """
        name = f"{machine_id()}:{self.state.resolve()}"
        return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]

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

    def log(self, job_id: str) -> Path:
        """The job's log."""
        return self.job(job_id) / "log"

    def style(self, sha256: str) -> Path:
        """A style image by the hash of its file; edits of a preset never reach it."""
        return self.state / "styles" / sha256

    def keep_style(self, source: Path) -> str:
        """Copies a style image here, once, and returns its hash."""
        sha256 = files.sha256_of(source)
        if not self.style(sha256).exists():
            files.write_bytes(self.style(sha256), source.read_bytes(), replace=True)
        return sha256

    def drop_job(self, job_id: str) -> None:
        """Removes what a published job leaves."""
        files.remove_tree(self.job(job_id))

    def drop_picture(self, picture_id: str) -> None:
        """Removes the copy of a filed picture."""
        self.picture(picture_id).unlink(missing_ok=True)


def machine_id() -> str:
    """What tells this machine from others, clones of it too as long as their names differ."""
    try:
        return f"{socket.gethostname()}:{Path('/etc/machine-id').read_text().strip()}"
    except OSError:
        return socket.gethostname()
