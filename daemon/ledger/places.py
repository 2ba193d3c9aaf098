"""Where jobs stand in the line. A place is a number; what was never moved stands by its order of
coming. Only among jobs of one priority does it count.
"""

from daemon.errors import StaleJobError
from daemon.ledger.database import Database


class Places:
    """Moves waiting jobs in the line, each time in one transaction.

    A job that does not wait raises StaleJobError, and nothing is changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_first(self, job_id: str) -> None:
        """Puts a job before all that wait in its priority."""
        with self._database.transaction():
            priority, _ = self._standing(job_id)
            head = self._database.rows("head", id=job_id, priority=priority)
            if head:
                self._put(job_id, head[0]["place"] - 1.0)

    def put_before(self, job_id: str, other_id: str) -> None:
        """Puts a job right before another one of its priority."""
        with self._database.transaction():
            priority, _ = self._standing(job_id)
            if self._standing(other_id)[0] != priority:
                raise StaleJobError(f"{other_id} is in another queue than {job_id}")
            if job_id != other_id and not self._squeeze(job_id, other_id, priority):
                self._database.run("settle_places", priority=priority)
                self._squeeze(job_id, other_id, priority)

    def put_last(self, job_id: str) -> None:
        """Puts a job behind all that wait in its priority, and before all that come later."""
        with self._database.transaction():
            priority, _ = self._standing(job_id)
            ((tail,),) = self._database.rows("tail")
            before = self._place_before(job_id, priority, tail)
            self._put(job_id, (before + tail) / 2 if before is not None else tail - 0.5)

    def _squeeze(self, job_id: str, other_id: str, priority: int) -> bool:
        """Puts a job between another and the one before that; False if there is no room."""
        _, place = self._standing(other_id)
        before = self._place_before(job_id, priority, place)
        between = place - 1.0 if before is None else (before + place) / 2
        if before is not None and not before < between < place:
            return False
        self._put(job_id, between)
        return True

    def _standing(self, job_id: str) -> tuple[int, float]:
        """The priority and place of a job that waits."""
        rows = self._database.rows("place", id=job_id)
        if not rows:
            raise StaleJobError(f"place: {job_id} is not in the state this needs")
        return rows[0]["priority"], rows[0]["place"]

    def _place_before(self, job_id: str, priority: int, place: float) -> float | None:
        """The place of the one that waits before a place, the job itself apart; None for none."""
        rows = self._database.rows("place_before", id=job_id, priority=priority, place=place)
        return float(rows[0]["place"]) if rows else None

    def _put(self, job_id: str, place: float) -> None:
        self._database.change("put_in_place", id=job_id, place=place)
