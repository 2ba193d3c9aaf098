"""What becomes of proofs that wait for approval. A job keeps its id from proof to result."""

from collections.abc import Sequence
from dataclasses import replace

from daemon.job import Draft
from daemon.ledger.database import Database
from daemon.ledger.rows import draft_row

REDRAFTED = (
    *("approval", "recipe", "profiles", "mask", "suffix"),
    *("priority", "work", "fingerprint", "warnings"),
)
"""What a decision may change of a job."""


class Proofs:
    """The decisions about proofs, each one transaction.

    A job whose proof does not wait raises StaleJobError, and nothing is changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def repaint(self, job_id: str, draft: Draft, warnings: Sequence[str]) -> None:
        """Awaiting -> ready, to be painted as the draft says: the full picture, or a proof anew.

        The proof that was decided about stays with the job.  warnings: in the place of its own.
        """
        columns = draft_row(replace(draft, warnings=tuple(warnings)), "", "")
        with self._database.transaction():
            self._database.change("decide", id=job_id)
            changed = {name: columns[name] for name in REDRAFTED}
            self._database.change("redraft", id=job_id, **changed)

    def reject(self, job_id: str, reason: str) -> None:
        """Awaiting -> publishing, cancelled."""
        with self._database.transaction():
            self._database.change("decide", id=job_id)
            self._database.change("end_waiting", id=job_id, reason=reason)

    def cancel(self) -> None:
        """Awaiting -> ready for every job whose cancelling was asked for, to end as such do."""
        for row in self._database.rows("cancelled_proofs"):
            self._database.change("decide", id=row["id"])
