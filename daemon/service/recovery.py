"""What a service that is gone has left: running jobs, half-written files, lost copies."""

from loguru import logger

from daemon.errors import SurroundingsError
from daemon.intake.copies import lacking
from daemon.job import State
from daemon.ledger.store import Ledger
from daemon.pool import retry
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health


def recover_jobs(ledger: Ledger, owner: str) -> None:
    """Puts the jobs of a service that is gone back into the line."""
    for job, fruitless in ledger.recover(owner):
        log = logger.bind(job=job.id, action="recover")
        match retry.after_loss(fruitless, "ended with the service"):
            case retry.Again():
                log.info("back into the line: the service ended while it ran")
                ledger.return_job(job.id, owner)
            case retry.GiveUp(reason):
                log.error("failed: {}", reason)
                ledger.finish_job(job.id, owner, State.FAILED, reason=reason)


def sweep_spool(spool: Spool, ledger: Ledger) -> None:
    """Removes what a service that was killed left half-written, or had no more use for."""
    try:
        spool.sweep(ledger.open_jobs(), ledger.open_pictures())
    except OSError as error:  # no harm but lost room
        logger.warning("leftovers cannot be removed: {}: {}", error.strerror, error.filename)


class LostCopies:
    """Copies that the state folder had lost at the start: nothing is painted without them."""

    def __init__(self, config: Config, ledger: Ledger, spool: Spool, health: Health) -> None:
        self._count = len(lacking(ledger, spool))
        self._health = health
        self._trouble = SurroundingsError(
            f"what {self._count} pictures wait for is gone from {config.state}; it is made again "
            f"from {config.inbox}/.claimed, and nothing is painted until then: "
            "that folder must be there"
        )

    def awaited(self, *, restored: bool) -> bool:
        """Whether they are still missing.  restored: whether the intake has made them again."""
        if self._count and restored:
            self._count = 0
            self._health.good("copies")
        if self._count:
            self._health.bad("copies", self._trouble)
        return bool(self._count)
