"""What status and metrics show of the queue. Nothing here changes anything."""

from daemon.job import QUEUES, Job
from daemon.ledger.database import Database
from daemon.ledger.rows import Backlog, Waiting, to_job


class Views:
    """Reads the queue for people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting_work(self) -> list[Backlog]:
        """What waits, by queue and preset."""
        return [Backlog(**row) for row in self._database.rows("waiting_work")]

    def pace(self, limit: int = 50) -> list[tuple[str, int, float]]:
        """Preset, work and seconds of the jobs that were painted last."""
        return [tuple(row) for row in self._database.rows("pace", limit=limit)]

    def line(self, limit: int, offset: int = 0) -> list[Job]:
        """Jobs that wait, in the order in which they are painted."""
        return [to_job(row) for row in self._database.rows("line", limit=limit, offset=offset)]

    def awaiting(self, limit: int, offset: int = 0) -> list[Job]:
        """Jobs whose proofs wait for approval, the oldest first."""
        return [to_job(row) for row in self._database.rows("awaiting", limit=limit, offset=offset)]

    def recent(self, limit: int) -> list[Job]:
        """Jobs that ended last, newest first."""
        return [to_job(row) for row in self._database.rows("recent", limit=limit)]

    def waiting_by_queue(self) -> dict[str, Waiting]:
        """What waits in the queues `ordinary` and `bulk`."""
        waiting = {
            "bulk" if row["bulk"] else "ordinary": Waiting(
                row["jobs"], row["work"], row["bytes"], row["oldest"]
            )
            for row in self._database.rows("waiting_by_queue")
        }
        return {queue: waiting.get(queue, Waiting()) for queue in QUEUES}
