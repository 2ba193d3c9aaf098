"""Copies that the state folder has lost, as after a restore: made again of claimed pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import refusals
from daemon.intake import claim
from daemon.intake.strays import let_go
from daemon.job import ClaimedPicture, Job, PictureState, State
from daemon.ledger.store import Ledger
from daemon.pictures.companions import MASK
from daemon.settings.config import Config
from daemon.state.claimed import claimed_folder
from daemon.state.spool import Spool

NO_STYLE = "a style image, profile or mask of its preset is gone from the state folder"
OTHER_CONTENT = "it is not what it was when its copy, which is gone, was made"

TO_BE_PAINTED = (State.READY, State.AWAITING)

OTHER_MASK = "its mask is not what it was when its copy, which is gone, was made"


def is_whole(spool: Spool, job: Job) -> bool:
    """Whether all that a job is painted from lies in the state folder."""
    has_picture = spool.picture(job.picture_id).exists() and has_own_mask(spool, job)
    return has_picture and has_styles(spool, job)


def has_own_mask(spool: Spool, job: Job) -> bool:
    """Whether the mask that lay beside a job's picture, if one did, lies in the state folder."""
    own = job.mask is not None and job.mask.own
    return not own or spool.picture_mask(job.picture_id).exists()


def has_styles(spool: Spool, job: Job) -> bool:
    """Whether a job's style images, profiles and preset's mask lie in the state folder."""
    kept = [spool.style(style.sha256) for style in job.styles]
    kept += [spool.profile(profile.sha256) for profile in job.profiles]
    if job.mask is not None and not job.mask.own:
        kept.append(spool.mask(job.mask.sha256))
    return all(path.exists() for path in kept)


def lacking(ledger: Ledger, spool: Spool) -> list[str]:
    """The ids of pictures with a job that lacks its copy or a style image, to be painted still."""
    waiting = [job for state in TO_BE_PAINTED for job in ledger.jobs_in(state)]
    return list(dict.fromkeys(job.picture_id for job in waiting if not is_whole(spool, job)))


@dataclass(frozen=True)
class Copies:
    """Makes copies again. Jobs that run or are published are left as they are.

    on_picture: told the picture that is about to be copied.  on_piece: with each piece of it.
    """

    config: Config
    ledger: Ledger
    spool: Spool
    on_picture: Callable[[Path], object]
    on_piece: Callable[[Path], object]

    def restore(self) -> list[SurroundingsError]:
        """Makes all that is lacking again, or drops its picture again if that cannot be.

        Returns what could not be copied now, and is to be tried again.
        """
        troubles: list[SurroundingsError] = []
        for picture_id in lacking(self.ledger, self.spool):
            picture = self.ledger.find_picture(picture_id)
            if picture is None or picture.state is not PictureState.CLAIMED:
                continue
            self.on_picture(picture.path)
            try:
                self._restore(picture)
            except SurroundingsError as error:
                troubles.append(error)
        return troubles

    def _restore(self, picture: ClaimedPicture) -> None:
        jobs = self.ledger.jobs_of_picture(picture.id)
        waiting = [job for job in jobs if job.state in TO_BE_PAINTED]
        if not all(has_styles(self.spool, job) for job in waiting):
            self._drop_again(picture, jobs, NO_STYLE)
        elif not self.spool.picture(picture.id).exists() and not self._copy(picture):
            self._drop_again(picture, jobs, OTHER_CONTENT)
        elif not all(self._restore_mask(picture, job) for job in waiting):
            self._drop_again(picture, jobs, OTHER_MASK)

    def _restore_mask(self, picture: ClaimedPicture, job: Job) -> bool:
        """Copies the mask of a claimed picture; False if it is not what its job was made for."""
        if job.mask is None or has_own_mask(self.spool, job):
            return True
        beside = MASK.among(picture.companions)
        folder = claimed_folder(self.config.inbox, picture.id)
        if beside is None or not files.is_ordinary(folder / beside):
            return False
        what = f"{files.printable(folder / beside)} cannot be copied to {self.config.state} again"
        with refusals(what, "; nothing is painted before: let the service's user read it"):
            return self.spool.keep_picture_mask(folder / beside, picture.id) == job.mask.sha256

    def _copy(self, picture: ClaimedPicture) -> bool:
        """Copies a claimed picture; False if it is not what its jobs were made for."""
        source = claimed_folder(self.config.inbox, picture.id) / picture.path
        keep_bytes = self.config.limits.free_bytes
        files.ensure_room(self.config.state, picture.bytes, keep_bytes)
        target = self.spool.picture(picture.id)
        what = f"{files.printable(source)} cannot be copied to {self.config.state} again"
        remedy = "; nothing is painted before: let the service's user read it, or take it away"
        with refusals(what, remedy):
            try:
                copied = claim.copy_hashing(source, target, lambda: self.on_piece(picture.path))
            except FileNotFoundError:  # its job fails and says so
                logger.error("{} is gone from state and inbox", files.printable(source))
                return True
        if copied is not None and copied[0] == picture.sha256:
            logger.info("{} was copied again from .claimed", files.printable(picture.path))
            return True
        self.spool.drop_picture(picture.id)
        return False

    def _drop_again(self, picture: ClaimedPicture, jobs: list[Job], why: str) -> None:
        """Gives a picture back to the inbox, unless anything of it was painted already."""
        if any(job.state is not State.READY for job in jobs):
            return  # what lacks something fails and says so
        if let_go(self.ledger, self.spool, picture):
            logger.warning(
                "{} goes back to the inbox to be painted anew: {}",
                files.printable(picture.path),
                why,
            )
            claim.give_back_all(self.config.inbox, picture.id)
