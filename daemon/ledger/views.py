"""What status and metrics show of the queue. Nothing here changes anything."""

import os

from daemon.job import QUEUES, ClaimedPicture, Job, State
from daemon.ledger.database import Database
from daemon.ledger.rows import Asking, Backlog, Waiting, to_job, to_picture


class Views:
    """Reads the queue for people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting_work(self) -> list[Backlog]:
        """What waits, by queue and preset."""
        return [Backlog(**row) for row in self._database.rows("waiting_work")]

    def asking(self) -> list[Asking]:
        """Jobs that wait and ask for something, by that."""
        return [Asking(**row) for row in self._database.rows("count_asking")]

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

    def version(self) -> int:
        """A number that is another one whenever somebody else has changed the ledger."""
        return int(self._database.rows("data_version")[0][0])

    def ended(self, state: State, limit: int, offset: int = 0, preset: str = "") -> list[Job]:
        """Jobs that ended so, the newest first; of FAILED those that were cancelled, too."""
        found = self._database.rows(
            "ended",
            state=state,
            unlucky=state is State.FAILED,
            preset=preset,
            limit=limit,
            offset=offset,
        )
        return [to_job(row) for row in found]

    def count_ended(self, state: State) -> dict[str, int]:
        """How many jobs ended so, by preset; of FAILED those that were cancelled, too."""
        rows = self._database.rows("count_ended", state=state, unlucky=state is State.FAILED)
        return {row["preset"]: row["count"] for row in rows}

    def beside(self, job: Job) -> tuple[Job | None, Job | None]:
        """The jobs that ended as a job did just after it, and just before it."""
        place = {"state": job.state, "finished_at": job.finished_at, "id": job.id}
        after = self._database.rows("ended_after", **place)
        before = self._database.rows("ended_before", **place)
        return (to_job(after[0]) if after else None, to_job(before[0]) if before else None)

    def named_pictures(self, part: str, limit: int) -> list[ClaimedPicture]:
        """Pictures in whose path below the inbox a text stands, the newest first."""
        rows = self._database.rows("named_pictures", part=os.fsencode(part), limit=limit)
        return [to_picture(row) for row in rows]

    def work(self, job_id: str) -> int:
        """The work that a job was planned to be: pixels times steps of all its passes."""
        rows = self._database.rows("work_of_job", id=job_id)
        return int(rows[0]["work"]) if rows else 0

    def work_before(self, count: int) -> dict[str, int]:
        """The work of the first `count` jobs of the line, by preset."""
        rows = self._database.rows("work_before", count=count)
        return {row["preset"]: row["work"] for row in rows}
