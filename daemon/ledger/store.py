"""The jobs and pictures of the queue, and every transition between their states.

Every change of state names the state it comes from, and whose job it is.
"""

import json
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from daemon.errors import StaleJobError, SurroundingsError
from daemon.job import ClaimedPicture, Draft, Job, Outputs, PictureState, State
from daemon.ledger.database import Database
from daemon.ledger.places import Places
from daemon.ledger.proofs import Proofs
from daemon.ledger.rows import draft_row, to_column, to_job, to_picture
from daemon.ledger.views import Views
from daemon.messages import Done, done_data

Line = tuple[int, int]
"""The least and the highest priority of jobs that stand in a line together."""

EVERY: Line = (-(1 << 31), 1 << 31)


def utc_now() -> str:
    """The time as the ledger and the records write it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Ledger:
    """One thread's connection to the queue. views: what it shows of itself to people.

    places: moves jobs in the line.  proofs: decides about those that wait for approval.

    Every method is one transaction, committed when it returns, or with `together`. A transition
    that finds the job in another state, or another's, raises StaleJobError and changes nothing. A
    full disk or a damaged file raises SurroundingsError.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.database = Database(path, read_only=read_only)
        self.views = Views(self.database)
        self.places = Places(self.database)
        self.proofs = Proofs(self.database)

    def close(self) -> None:
        """Closes the connection."""
        self.database.close()

    def together(self) -> AbstractContextManager[None]:
        """All that is called within is one transaction: done as a whole, or not at all."""
        return self.database.transaction()

    # Pictures

    def add_picture(self, picture_id: str, path: Path, companions: Iterable[Path] = ()) -> None:
        """Notes that a file is about to be claimed, and what goes with it."""
        beside = to_column(companions)
        self.database.change(
            "add_picture", id=picture_id, path=os.fsencode(path), companions=beside
        )

    def forget_picture(self, picture_id: str) -> None:
        """Takes back `add_picture`: claiming -> nothing."""
        self.database.change("forget_picture", id=picture_id)

    def admit(
        self,
        picture_id: str,
        *,
        sha256: str,
        size: int,
        width_px: int,
        height_px: int,
        drafts: Sequence[Draft],
        form: str = "",
        bits: int = 0,
    ) -> None:
        """Claiming -> claimed, with all of the picture's jobs, in one transaction.

        A draft with a reason is failed and only waits to be published; the others are ready.
        form, bits: the picture's `format` and bits, as far as they are known.
        """
        with self.database.transaction():
            self.database.change(
                "admit_picture",
                id=picture_id,
                sha256=sha256,
                bytes=size,
                width_px=width_px,
                height_px=height_px,
                format=form,
                bits=bits,
            )
            for draft in drafts:
                self.database.change("add_job", **draft_row(draft, picture_id, utc_now()))

    def file_picture(self, picture_id: str) -> None:
        """Claimed -> filed: the original has left the claimed folder."""
        self.database.change("file_picture", id=picture_id)

    def release_picture(self, picture_id: str) -> list[Job] | None:
        """Claimed -> filed, with its jobs that are not over -> retried: it is painted elsewhere.

        Returns those jobs; None, and nothing is changed, while a job of it runs.  A picture that is
        filed already has none.
        """
        with self.database.transaction():
            if self.database.run("release_picture", id=picture_id) != 1:
                found = self.find_picture(picture_id)
                return [] if found and found.state is PictureState.FILED else None
            rows = self.database.rows("release_jobs_of_picture", id=picture_id)
        return [to_job(row) for row in rows]

    def picture(self, picture_id: str) -> ClaimedPicture:
        """A picture by its id; raises StaleJobError if there is none."""
        found = self.find_picture(picture_id)
        if found is None:
            raise StaleJobError(f"no picture {picture_id} in the ledger")
        return found

    def find_picture(self, picture_id: str) -> ClaimedPicture | None:
        """A picture by its id, None if there is none and never was."""
        rows = self.database.rows("picture", id=picture_id)
        return to_picture(rows[0]) if rows else None

    def claiming(self) -> list[ClaimedPicture]:
        """Pictures whose claim was begun and not ended."""
        return [to_picture(row) for row in self.database.rows("claiming")]

    def unfiled(self) -> list[ClaimedPicture]:
        """Claimed pictures whose jobs are all over."""
        return [to_picture(row) for row in self.database.rows("unfiled")]

    def open_pictures(self) -> set[str]:
        """Ids of pictures that are not filed yet."""
        return {row["id"] for row in self.database.rows("open_pictures")}

    # Jobs

    def claim_job(
        self,
        owner: str,
        line: Line = EVERY,
        offers: Collection[str] | None = None,
        put_off: Collection[str] = (),
    ) -> Job | None:
        """Ready -> running: the `first_in` line is now the owner's; None if nothing waits there."""
        with self.database.transaction():
            first = self.first_in(line, offers, put_off)
            if first is None:
                return None
            (row,) = self.database.rows("claim_job", id=first, owner=owner, now=utc_now())
        return to_job(row)

    def first_in(
        self,
        line: Line,
        offers: Collection[str] | None = None,
        put_off: Collection[str] = (),
    ) -> str | None:
        """The id of the job that would be claimed next; None if none would.

        offers: what jobs may ask for (`runs_on`), the empty text being that of those that ask for
        nothing; None: for whatever.  put_off: ids of jobs that are passed over.
        """
        within = {"least": line[0], "most": line[1], "put_off": json.dumps(list(put_off))}
        firsts = [
            row
            for name in self.asked_for()
            if offers is None or name in offers
            for row in self.database.rows("first_in_line", runs_on=name, **within)
        ]
        first = min(firsts, key=lambda row: (-row["priority"], row["place"]), default=None)
        return None if first is None else str(first["id"])

    def asked_for(self) -> list[str]:
        """What waiting jobs ask for (`runs_on`), each once; empty is that of all others."""
        return [row["name"] for row in self.database.rows("asked_for")]

    def release_job(self, job_id: str, owner: str) -> None:
        """Running -> ready, with nothing charged."""
        self.database.change("release_job", id=job_id, owner=owner)

    def return_job(self, job_id: str, owner: str) -> None:
        """Running -> ready, the start counted as one that got no further."""
        self.database.change("return_job", id=job_id, owner=owner)

    def return_out_of_memory(
        self, job_id: str, owner: str, *, memory_bytes: int | None, warning: str
    ) -> None:
        """Running -> ready after memory ran out, with nothing charged.

        Its next run may take `memory_bytes`, None: as much as ever. The warning stays with it.
        """
        self.database.change(
            "return_out_of_memory",
            id=job_id,
            owner=owner,
            memory_bytes=memory_bytes,
            warning=warning,
        )

    def memory_of(self, job_id: str) -> tuple[int, int | None]:
        """How often memory ran out during a job, and what its runs may take since then."""
        (row,) = self.database.rows("memory_of_job", id=job_id)
        return row["shortages"], row["memory_bytes"]

    def note_progress(self, job_id: str, owner: str) -> None:
        """A running job left a checkpoint: this start got further."""
        self.database.change("note_progress", id=job_id, owner=owner)

    def finish_job(
        self,
        job_id: str,
        owner: str,
        verdict: State,
        *,
        outcome: Done | None = None,
        reason: str = "",
        warnings: Sequence[str] = (),
    ) -> None:
        """Running -> publishing: the run ended with `verdict` (done, failed, cancelled).

        Of a proof that is well the verdict is awaiting: as such it is published.

        Its warnings follow those that the job had before.
        """
        self.database.change(
            "finish_job",
            id=job_id,
            owner=owner,
            verdict=verdict,
            outcome=json.dumps(done_data(outcome) if outcome else {}),
            reason=reason,
            warnings=json.dumps(list(warnings)),
            now=utc_now(),
        )

    def cancel_waiting(self, reason: str) -> list[Job]:
        """Ready or awaiting -> publishing for every job whose cancelling was asked for."""
        with self.database.transaction():
            self.proofs.cancel()
            rows = self.database.rows("cancel_waiting", reason=reason, now=utc_now())
        return [to_job(row) for row in rows]

    def request_cancel(self, job_id: str) -> None:
        """Asks for a job that is not over to be cancelled; the service does it."""
        self.database.change("request_cancel", id=job_id)

    def cancel_requests(self) -> list[str]:
        """Ids of running jobs that should be stopped."""
        return [row["id"] for row in self.database.rows("cancel_requests")]

    def plan_outputs(self, job_id: str, outputs: Outputs) -> None:
        """Keeps the names a job in `publishing` is published under."""
        self.database.change("plan_outputs", id=job_id, outputs=json.dumps(outputs.by_kind()))

    def publish_job(self, job_id: str, *, tell: bool = False) -> None:
        """Publishing -> its verdict: everything is in the outbox, for jobs like it to share.

        tell: whether it is `untold` from now on, until `mark_told`.
        """
        with self.database.transaction():
            self.database.change("publish_job", id=job_id, tell=int(tell))
            self.database.run("share_result", id=job_id)

    def untold(self, limit: int) -> list[Job]:
        """Jobs that are over and whose hooks have not been run, in the order they were queued.

        One that was put back into the inbox meanwhile is among them.
        """
        return [to_job(row) for row in self.database.rows("untold", limit=limit)]

    def mark_told(self, job_id: str) -> None:
        """The hooks of a job that is over were run."""
        self.database.change("mark_told", id=job_id)

    def twinned(self, limit: int) -> list[tuple[Job, Job]]:
        """Waiting jobs, each with the done job whose result is its own too."""
        rows = self.database.rows("twinned", limit=limit)
        return [(to_job(row), self.job(row["twin"])) for row in rows]

    def answer_job(self, job_id: str, outcome: Done, started_at: str) -> None:
        """Ready -> publishing, done: its twin's result lies in the spool."""
        self.database.change(
            "answer_job",
            id=job_id,
            outcome=json.dumps(done_data(outcome)),
            started_at=started_at,
            now=utc_now(),
        )

    def forget_twin(self, job_id: str) -> None:
        """Ready -> ready: to be painted after all."""
        self.database.change("forget_twin", id=job_id)

    def retry_job(self, job_id: str) -> None:
        """Failed or cancelled -> retried."""
        self.database.change("retry_job", id=job_id)

    def recover(self, owner: str) -> list[tuple[Job, int]]:
        """Takes over the running jobs of services that are gone; with their fruitless starts.

        Call only while holding the state folder's lock.
        """
        found = self.database.rows("orphans", owner=owner)
        for row in found:
            self.database.change("adopt", id=row["id"], owner=owner, former=row["owner"])
        return [(to_job(row), row["fruitless"]) for row in found]

    def fruitless_starts(self, job_id: str) -> int:
        """Starts in a row that got no further."""
        rows = self.database.rows("job", id=job_id)
        return int(rows[0]["fruitless"]) if rows else 0

    def job(self, job_id: str) -> Job:
        """A job by its whole id; raises StaleJobError if there is none."""
        rows = self.database.rows("job", id=job_id)
        if not rows:
            raise StaleJobError(f"no job {job_id} in the ledger")
        return to_job(rows[0])

    def waiting(self) -> int:
        """How many jobs wait."""
        return int(self.database.rows("count_waiting")[0]["count"])

    def writable(self) -> bool:
        """Whether something could be written now."""
        try:
            with self.database.transaction():
                return True
        except SurroundingsError:
            return False

    def owed(self) -> bool:
        """Whether there is anything to publish, to answer, or to cancel that waits."""
        return bool(self.database.rows("owed")[0]["owed"])

    def reached(self) -> tuple[int, ...]:
        """How far everything has come, to be compared: it changes with every step of any job."""
        return tuple(self.database.rows("reached")[0])

    def open_jobs(self) -> set[str]:
        """Ids of jobs that are not over."""
        return {row["id"] for row in self.database.rows("open_jobs")}

    def jobs_of_picture(self, picture_id: str) -> list[Job]:
        """All jobs of one picture, oldest first."""
        return [to_job(row) for row in self.database.rows("jobs_of_picture", id=picture_id)]

    def jobs_in(self, state: State, limit: int = -1) -> list[Job]:
        """Jobs in a state, by priority and then as they came."""
        rows = self.database.rows("jobs_in_state", state=state, limit=limit)
        return [to_job(row) for row in rows]

    def jobs_by_prefix(self, prefix: str) -> list[Job]:
        """Up to two jobs whose id begins so: one is a match, two are ambiguous."""
        return [to_job(row) for row in self.database.rows("jobs_by_prefix", prefix=prefix)]

    def counts(self) -> dict[State, int]:
        """Jobs by state; states nobody is in count 0."""
        found = {State(row["state"]): row["count"] for row in self.database.rows("count_states")}
        return {state: found.get(state, 0) for state in State}
