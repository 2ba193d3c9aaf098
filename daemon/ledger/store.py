"""The only SQL. Every change of state names the state it comes from, and whose job it is."""

import importlib.resources
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.errors import StaleJobError, SurroundingsError
from daemon.host import files
from daemon.job import QUEUES, ClaimedPicture, Draft, Job, PictureState, State
from daemon.ledger.rows import Backlog, Waiting, draft_row, to_job, to_picture

SCHEMA_VERSION = 4
BUSY_TIMEOUT_S = 10.0
Line = tuple[int, int]
"""The least and the highest priority of jobs that stand in a line together."""

EVERY: Line = (-(1 << 31), 1 << 31)
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
QUERY = re.compile(r"-- name: (\w+)\n(.*?)(?=\n-- name: |\Z)", re.DOTALL)


def utc_now() -> str:
    """The time as the ledger and the records write it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sql_file(name: str) -> str:
    """The text of an SQL file of this room."""
    return (importlib.resources.files("daemon.ledger") / name).read_text("utf-8")


def scripts_since(version: int) -> list[str]:
    """What brings a ledger of an older version up to this one's, in order; 0 is an empty file."""
    if version == 0:
        return [sql_file("schema.sql")]
    migrations = dict(QUERY.findall(sql_file("migrations.sql")))
    return [migrations[f"from_{number}"] for number in range(version, SCHEMA_VERSION)]


class DamagedLedgerError(SurroundingsError):
    """The ledger's file is not, or no longer, a sound database."""


class Ledger:
    """One thread's connection to the queue.

    Every method is one transaction, committed when it returns, or with `together`. A transition
    that finds the job in another state, or another's, raises StaleJobError and changes nothing. A
    full disk or a damaged file raises SurroundingsError.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._queries = dict(QUERY.findall(sql_file("queries.sql")))
        self._path = path
        with self._translated():
            mode = "ro" if read_only else "rwc"
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
            )
            self._db.row_factory = sqlite3.Row
            if not read_only:
                self._prepare()

    @property
    def is_current(self) -> bool:
        """Whether it is of this version; one that was opened read-only may be older."""
        with self._translated():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return bool(version == SCHEMA_VERSION)

    def _prepare(self) -> None:
        """WAL: readers never wait. FULL: a committed transition survives a power cut."""
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._keep_older()
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise SurroundingsError(
                    f"{self._path} has ledger version {version}, this atelierd knows "
                    f"{SCHEMA_VERSION}; install the newer atelierd that wrote it"
                )
            for script in scripts_since(version):
                for statement in script.split(";\n"):
                    self._db.execute(statement)
            if version < SCHEMA_VERSION:  # nothing is written where nothing is new
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _keep_older(self) -> None:
        """A copy of a ledger of an older version, `ledger.sqlite3.version-N`, to go back to."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        kept = self._path.with_name(f"{self._path.name}.version-{version}")
        if not 0 < version < SCHEMA_VERSION or kept.exists():
            return
        making = files.temporary_beside(kept)
        try:
            self._db.execute("VACUUM INTO ?", (str(making),))
            making.replace(kept)
        finally:
            making.unlink(missing_ok=True)

    def check(self) -> None:
        """Reads all of it; raises DamagedLedgerError if it is not sound."""
        with self._translated():
            (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DamagedLedgerError(f"the ledger {self._path} is damaged: {found}")

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE:
                raise DamagedLedgerError(
                    f"the ledger {self._path} is damaged ({error}); at its next start the service "
                    "puts it aside and finds what waits by the claimed files"
                ) from error
            raise SurroundingsError(f"the ledger {self._path} cannot be used: {error}") from error

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is called within is one transaction: done as a whole, or not at all."""
        with self._transaction():
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._db.in_transaction:  # within `together`
            yield
            return
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # also where the commit was refused
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, **values: Any) -> list[sqlite3.Row]:
        with self._translated():
            return self._db.execute(self._queries[query], values).fetchall()

    def _change(self, query: str, **values: Any) -> None:
        """A guarded transition of exactly one row, in its own transaction."""
        with self._transaction():
            self._change_within(query, **values)

    def _change_within(self, query: str, **values: Any) -> None:
        changed = self._db.execute(self._queries[query], values).rowcount
        if changed != 1:
            raise StaleJobError(f"{query}: {values.get('id')} is not in the state this needs")

    # Pictures

    def add_picture(self, picture_id: str, path: Path, sidecar: Path | None) -> None:
        """Notes that a file is about to be claimed."""
        encoded = os.fsencode(sidecar) if sidecar else None
        self._change("add_picture", id=picture_id, path=os.fsencode(path), sidecar=encoded)

    def forget_picture(self, picture_id: str) -> None:
        """Takes back `add_picture`: claiming -> nothing."""
        self._change("forget_picture", id=picture_id)

    def admit(
        self,
        picture_id: str,
        *,
        sha256: str,
        size: int,
        width_px: int,
        height_px: int,
        drafts: Sequence[Draft],
    ) -> None:
        """Claiming -> claimed, with all of the picture's jobs, in one transaction.

        A draft with a reason is failed and only waits to be published; the others are ready.
        """
        with self._transaction():
            self._change_within(
                "admit_picture",
                id=picture_id,
                sha256=sha256,
                bytes=size,
                width_px=width_px,
                height_px=height_px,
            )
            for draft in drafts:
                self._change_within("add_job", **draft_row(draft, picture_id, utc_now()))

    def file_picture(self, picture_id: str) -> None:
        """Claimed -> filed: the original has left the claimed folder."""
        self._change("file_picture", id=picture_id)

    def release_picture(self, picture_id: str) -> list[Job] | None:
        """Claimed -> filed, with its jobs that are not over -> retried: it is painted elsewhere.

        Returns those jobs; None, and nothing is changed, while a job of it runs.  A picture that is
        filed already has none.
        """
        with self._transaction():
            changed = self._db.execute(self._queries["release_picture"], {"id": picture_id})
            if changed.rowcount != 1:
                found = self.find_picture(picture_id)
                return [] if found and found.state is PictureState.FILED else None
            rows = self._rows("release_jobs_of_picture", id=picture_id)
        return [to_job(row) for row in rows]

    def picture(self, picture_id: str) -> ClaimedPicture:
        """A picture by its id; raises StaleJobError if there is none."""
        found = self.find_picture(picture_id)
        if found is None:
            raise StaleJobError(f"no picture {picture_id} in the ledger")
        return found

    def find_picture(self, picture_id: str) -> ClaimedPicture | None:
        """A picture by its id, None if there is none and never was."""
        rows = self._rows("picture", id=picture_id)
        return to_picture(rows[0]) if rows else None

    def claiming(self) -> list[ClaimedPicture]:
        """Pictures whose claim was begun and not ended."""
        return [to_picture(row) for row in self._rows("claiming")]

    def unfiled(self) -> list[ClaimedPicture]:
        """Claimed pictures whose jobs are all over."""
        return [to_picture(row) for row in self._rows("unfiled")]

    def open_pictures(self) -> set[str]:
        """Ids of pictures that are not filed yet."""
        return {row["id"] for row in self._rows("open_pictures")}

    # Jobs

    def claim_job(self, owner: str, line: Line = EVERY) -> Job | None:
        """Ready -> running: the first in line is now the owner's; None if nothing waits there."""
        with self._transaction():
            first = self.first_in(line)
            rows = self._rows("claim_job", id=first, owner=owner, now=utc_now()) if first else []
        return to_job(rows[0]) if rows else None

    def first_in(self, line: Line) -> str | None:
        """The id of the job that would be claimed next; None if none would."""
        rows = self._rows("first_in_line", least=line[0], most=line[1])
        return rows[0]["id"] if rows else None

    def release_job(self, job_id: str, owner: str) -> None:
        """Running -> ready, with nothing charged."""
        self._change("release_job", id=job_id, owner=owner)

    def return_job(self, job_id: str, owner: str) -> None:
        """Running -> ready, the start counted as one that got no further."""
        self._change("return_job", id=job_id, owner=owner)

    def return_short(
        self, job_id: str, owner: str, *, memory_bytes: int | None, warning: str
    ) -> None:
        """Running -> ready after memory ran out, with nothing charged.

        Its next run may take `memory_bytes`, None: as much as ever. The warning stays with it.
        """
        self._change(
            "return_short", id=job_id, owner=owner, memory_bytes=memory_bytes, warning=warning
        )

    def memory_of(self, job_id: str) -> tuple[int, int | None]:
        """How often memory ran out during a job, and what its runs may take since then."""
        (row,) = self._rows("memory_of_job", id=job_id)
        return row["shortages"], row["memory_bytes"]

    def note_progress(self, job_id: str, owner: str) -> None:
        """A running job left a checkpoint: this start got further."""
        self._change("note_progress", id=job_id, owner=owner)

    def finish_job(
        self,
        job_id: str,
        owner: str,
        verdict: State,
        *,
        outcome: Mapping[str, Any],
        reason: str = "",
        warnings: Sequence[str] = (),
    ) -> None:
        """Running -> publishing: the run ended with `verdict` (done, failed or cancelled).

        Its warnings follow those that the job had before.
        """
        self._change(
            "finish_job",
            id=job_id,
            owner=owner,
            verdict=verdict,
            outcome=json.dumps(outcome),
            reason=reason,
            warnings=json.dumps(list(warnings)),
            now=utc_now(),
        )

    def cancel_waiting(self, reason: str) -> list[Job]:
        """Ready -> publishing for every job whose cancelling was asked for."""
        with self._transaction():
            rows = self._rows("cancel_waiting", reason=reason, now=utc_now())
        return [to_job(row) for row in rows]

    def request_cancel(self, job_id: str) -> None:
        """Asks for a waiting or running job to be cancelled; the service does it."""
        self._change("request_cancel", id=job_id)

    def cancel_requests(self) -> list[str]:
        """Ids of running jobs that should be stopped."""
        return [row["id"] for row in self._rows("cancel_requests")]

    def plan_outputs(self, job_id: str, outputs: Mapping[str, str]) -> None:
        """Keeps the names a job in `publishing` is published under."""
        self._change("plan_outputs", id=job_id, outputs=json.dumps(outputs))

    def publish_job(self, job_id: str, *, tell: bool = False) -> None:
        """Publishing -> its verdict: everything is in the outbox, for jobs like it to share.

        tell: whether it is `untold` from now on, until `mark_told`.
        """
        with self._transaction():
            self._change_within("publish_job", id=job_id, tell=int(tell))
            self._db.execute(self._queries["share_result"], {"id": job_id})

    def untold(self, limit: int) -> list[Job]:
        """Jobs that are over and whose hooks have not been run, in the order they were queued.

        One that was put back into the inbox meanwhile is among them.
        """
        return [to_job(row) for row in self._rows("untold", limit=limit)]

    def mark_told(self, job_id: str) -> None:
        """The hooks of a job that is over were run."""
        self._change("mark_told", id=job_id)

    def twinned(self, limit: int) -> list[tuple[Job, Job]]:
        """Waiting jobs, each with the done job whose result is its own too."""
        rows = self._rows("twinned", limit=limit)
        return [(to_job(row), self.job(row["twin"])) for row in rows]

    def answer_job(self, job_id: str, outcome: Mapping[str, Any], started_at: str) -> None:
        """Ready -> publishing, done: its twin's result lies in the spool."""
        self._change(
            "answer_job",
            id=job_id,
            outcome=json.dumps(outcome),
            started_at=started_at,
            now=utc_now(),
        )

    def forget_twin(self, job_id: str) -> None:
        """Ready -> ready: to be painted after all."""
        self._change("forget_twin", id=job_id)

    def retry_job(self, job_id: str) -> None:
        """Failed or cancelled -> retried."""
        self._change("retry_job", id=job_id)

    def recover(self, owner: str) -> list[tuple[Job, int]]:
        """Takes over the running jobs of services that are gone; with their fruitless starts.

        Call only while holding the state folder's lock.
        """
        found = self._rows("orphans", owner=owner)
        for row in found:
            self._change("adopt", id=row["id"], owner=owner, former=row["owner"])
        return [(to_job(row), row["fruitless"]) for row in found]

    def fruitless_starts(self, job_id: str) -> int:
        """Starts in a row that got no further."""
        rows = self._rows("job", id=job_id)
        return int(rows[0]["fruitless"]) if rows else 0

    def job(self, job_id: str) -> Job:
        """A job by its whole id; raises StaleJobError if there is none."""
        rows = self._rows("job", id=job_id)
        if not rows:
            raise StaleJobError(f"no job {job_id} in the ledger")
        return to_job(rows[0])

    def waiting(self) -> int:
        """How many jobs wait."""
        return int(self._rows("count_waiting")[0]["count"])

    def writable(self) -> bool:
        """Whether something could be written now."""
        try:
            with self._transaction():
                return True
        except SurroundingsError:
            return False

    def owed(self) -> bool:
        """Whether there is anything to publish, to answer, or to cancel that waits."""
        return bool(self._rows("owed")[0]["owed"])

    def reached(self) -> tuple[int, ...]:
        """How far everything has come, to be compared: it changes with every step of any job."""
        return tuple(self._rows("reached")[0])

    def waiting_work(self) -> list[Backlog]:
        """What waits, by queue and preset."""
        return [Backlog(**row) for row in self._rows("waiting_work")]

    def pace(self, limit: int = 50) -> list[tuple[str, int, float]]:
        """Preset, work and seconds of the jobs that were painted last."""
        return [tuple(row) for row in self._rows("pace", limit=limit)]

    def open_jobs(self) -> set[str]:
        """Ids of jobs that are not over."""
        return {row["id"] for row in self._rows("open_jobs")}

    def jobs_of_picture(self, picture_id: str) -> list[Job]:
        """All jobs of one picture, oldest first."""
        return [to_job(row) for row in self._rows("jobs_of_picture", id=picture_id)]

    def jobs_in(self, state: State, limit: int = -1) -> list[Job]:
        """Jobs in a state, in the order of the line."""
        return [to_job(row) for row in self._rows("jobs_in_state", state=state, limit=limit)]

    def recent(self, limit: int) -> list[Job]:
        """Jobs that ended last, newest first."""
        return [to_job(row) for row in self._rows("recent", limit=limit)]

    def jobs_by_prefix(self, prefix: str) -> list[Job]:
        """Up to two jobs whose id begins so: one is a match, two are ambiguous."""
        return [to_job(row) for row in self._rows("jobs_by_prefix", prefix=prefix)]

    def counts(self) -> dict[State, int]:
        """Jobs by state; states nobody is in count 0."""
        found = {State(row["state"]): row["count"] for row in self._rows("count_states")}
        return {state: found.get(state, 0) for state in State}

    def waiting_by_queue(self) -> dict[str, Waiting]:
        """What waits in the queues `ordinary` and `bulk`."""
        found = {
            "bulk" if row["bulk"] else "ordinary": Waiting(
                row["jobs"], row["work"], row["bytes"], row["oldest"]
            )
            for row in self._rows("waiting_by_queue")
        }
        return {queue: found.get(queue, Waiting()) for queue in QUEUES}
