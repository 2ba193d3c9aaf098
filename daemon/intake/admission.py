"""From the claimed folder to jobs in the ledger: the half of a claim that a restart repeats."""

import contextlib
import dataclasses
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake import claim
from daemon.intake.decode import Verdict
from daemon.intake.drafts import Drafting
from daemon.intake.reports import Reports
from daemon.intake.scan import Signature
from daemon.intake.settle import Proof
from daemon.job import Draft
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.settings.presets import Shelf
from daemon.state.claimed import claimed_folder
from daemon.state.spool import Spool

COPIERS = 8
WRITTEN_TO = "was written to while it was claimed; waiting for its end"

Copy = tuple[str, int] | SurroundingsError | None
"""Hash and size of a claimed picture's copy, None if it changed, or what went wrong."""


@dataclass(frozen=True)
class Claim:
    """A picture on its way from the inbox to the ledger.

    expected: what it was like when it was looked at; None if that is not known any more.
    bytes: its size then, 0 if that is not known.
    warnings: of what lies beside it and was not obeyed.
    """

    id: str
    path: Path
    companions: tuple[Path, ...]
    verdict: Verdict
    expected: Proof | None
    bytes: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Admission:
    """Copies claimed pictures into the spool and makes jobs of them.

    on_picture: told the picture that is about to be copied, from several threads, or to become
    jobs.
    on_piece: likewise, with each piece that was copied.
    """

    config: Config
    ledger: Ledger
    spool: Spool
    reports: Reports
    on_picture: Callable[[Path], object]
    on_piece: Callable[[Path], object]

    def admit(self, taken: Sequence[Claim], shelf: Shelf) -> list[Claim]:
        """Admits pictures that lie in the claimed folder: those that have become jobs."""
        if not taken:
            return []
        with ThreadPoolExecutor(COPIERS) as copiers:
            copies = list(copiers.map(self._copy, taken))
        try:
            return self._admit_together(taken, copies, shelf)
        except OSError as error:  # nothing of it is in the ledger; the next round does it again
            if len(taken) > 1:  # it may be the fault of one of them
                return [done for one in taken for done in self.admit([one], shelf)]
            broken = SurroundingsError(f"{error.filename} cannot be used: {error.strerror}")
            self.reports.trouble(broken, taken[0].path)
            return []

    def _admit_together(
        self, taken: Sequence[Claim], copies: Sequence[Copy], shelf: Shelf
    ) -> list[Claim]:
        """All of them in one transaction; raises OSError, and then none is in the ledger.

        What jobs they become is found out before: presets, masks and results to paint like lie on
        shares that may hang, and nobody could write into the ledger meanwhile.
        """
        self._sync_renames(taken)
        admitted: list[tuple[Claim, tuple[str, int], Sequence[Draft]]] = []
        for picture, copied in zip(taken, copies, strict=True):
            if isinstance(copied, SurroundingsError):
                self.reports.trouble(copied, picture.path)
            elif copied is not None:
                admitted.append((picture, copied, self._drafts(picture, copied[0], shelf)))
        with self.ledger.together():
            for picture, copied, drafts in admitted:
                self._add_jobs(picture, *copied, drafts)
            for picture, _, drafts in admitted:  # before they are there, and what failed published
                log_jobs(picture.path, drafts)
        for picture, copy in zip(taken, copies, strict=True):
            if copy is None:
                self.give_back(picture)
        return [picture for picture, _, _ in admitted]

    def _sync_renames(self, taken: Sequence[Claim]) -> None:
        """Makes it durable that pictures have left the inbox: a power cut brings none back."""
        for folder in {(self.config.inbox / one.path).parent for one in taken}:
            with contextlib.suppress(FileNotFoundError):  # it was removed since
                files.sync_folder(folder)

    def _copy(self, picture: Claim) -> Copy:
        """Copies a claimed picture into the spool, if it is what was looked at."""
        self.on_picture(picture.path)
        expected, folder = picture.expected, claimed_folder(self.config.inbox, picture.id)
        source = folder / picture.path
        try:
            if not is_expected(source, expected):
                return None
            copy = self.spool.picture(picture.id)
            copied = claim.copy_hashing(source, copy, lambda: self.on_piece(picture.path))
        except OSError as error:
            return SurroundingsError(
                f"{files.printable(picture.path)} cannot be copied to {self.config.state}: "
                f"{error.strerror}; it waits in {files.printable(folder)}"
            )
        if copied is not None and isinstance(expected, str) and copied[0] != expected:
            self.spool.drop_picture(picture.id)
            return None
        return copied

    def give_back(self, picture: Claim, why: str = WRITTEN_TO) -> None:
        """Puts a picture that changed while it was claimed where it was dropped."""
        logger.info("{} {}", files.printable(picture.path), why)
        claim.give_back_all(self.config.inbox, picture.id)
        self.ledger.forget_picture(picture.id)

    def _drafts(self, picture: Claim, sha256: str, shelf: Shelf) -> Sequence[Draft]:
        """The jobs that a picture becomes whose copy is whole; raises OSError."""
        self.on_picture(picture.path)
        folder = claimed_folder(self.config.inbox, picture.id)
        drafting = Drafting(self.config, self.spool, shelf)
        verdict, companions = picture.verdict, picture.companions
        doubts = (verdict.doubt,) if verdict.doubt else ()
        told = (*picture.warnings, *doubts, *verdict.warnings)
        return [
            dataclasses.replace(draft, warnings=(*told, *draft.warnings))
            for draft in drafting.drafts(
                picture.id, folder, picture.path, companions, verdict, sha256
            )
        ]

    def _add_jobs(self, picture: Claim, sha256: str, size: int, drafts: Sequence[Draft]) -> None:
        """Gives the ledger the jobs of a picture."""
        verdict = picture.verdict
        self.ledger.admit(
            picture.id,
            sha256=sha256,
            size=size,
            width_px=verdict.width_px,
            height_px=verdict.height_px,
            form=verdict.format,
            bits=verdict.bits if verdict.format else 0,
            drafts=drafts,
        )


def log_jobs(path: Path, drafts: Sequence[Draft]) -> None:
    """Logs what a picture has become."""
    for draft in drafts:
        log = logger.bind(job=draft.id, action="queue")
        cell = f" ({draft.label})" if draft.label else ""
        if draft.reason:
            log.error("{}{} failed: {}", files.printable(path), cell, draft.reason)
        else:
            log.info("{} queued for {}{}", files.printable(path), draft.preset, cell)


def is_expected(source: Path, expected: Proof | None) -> bool:
    """Whether a claimed file is what was looked at, as far as it tells without being read."""
    info = source.lstat()
    if not stat.S_ISREG(info.st_mode):
        return False
    if not isinstance(expected, Signature):
        return True
    return (info.st_size, info.st_mtime_ns) == (expected.size, expected.mtime_ns)
