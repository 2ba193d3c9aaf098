"""The ledger's file: opened, brought up to this version, and read and changed by named queries."""

import importlib.resources
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.errors import StaleJobError, SurroundingsError
from daemon.host import files

SCHEMA_VERSION = 10
BUSY_TIMEOUT_S = 10.0
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
QUERY = re.compile(r"-- name: (\w+)\n(.*?)(?=\n-- name: |\Z)", re.DOTALL)


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


class Database:
    """One thread's connection to the ledger's file. queries: the SQL of `queries.sql`, by name.

    A full disk or a damaged file raises SurroundingsError.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.queries = dict(QUERY.findall(sql_file("queries.sql")))
        self._path = path
        with self._translated():
            mode = "ro" if read_only else "rwc"
            self.connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
            )
            self.connection.row_factory = sqlite3.Row
            if not read_only:
                self._prepare()

    @property
    def is_current(self) -> bool:
        """Whether it is of this version; one that was opened read-only may be older."""
        with self._translated():
            (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        return bool(version == SCHEMA_VERSION)

    def _prepare(self) -> None:
        """WAL: readers never wait. FULL: a committed transition survives a power cut."""
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("PRAGMA foreign_keys = ON")
        self._keep_older()
        with self.transaction():
            (version,) = self.connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise SurroundingsError(
                    f"{self._path} has ledger version {version}, this atelierd knows "
                    f"{SCHEMA_VERSION}; install the newer atelierd that wrote it"
                )
            for script in scripts_since(version):
                for statement in script.split(";\n"):
                    self.connection.execute(statement)
            if version < SCHEMA_VERSION:  # nothing is written where nothing is new
                self.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _keep_older(self) -> None:
        """A copy of a ledger of an older version, `ledger.sqlite3.version-N`, to go back to."""
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        kept = self._path.with_name(f"{self._path.name}.version-{version}")
        if not 0 < version < SCHEMA_VERSION or kept.exists():
            return
        making = files.temporary_beside(kept)
        try:
            self.connection.execute("VACUUM INTO ?", (str(making),))
            making.replace(kept)
        finally:
            making.unlink(missing_ok=True)

    def check(self) -> None:
        """Reads all of it; raises DamagedLedgerError if it is not sound."""
        with self._translated():
            (found,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DamagedLedgerError(f"the ledger {self._path} is damaged: {found}")

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

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
    def transaction(self) -> Iterator[None]:
        """All that is called within is one transaction: done as a whole, or not at all."""
        if self.connection.in_transaction:  # within another one
            yield
            return
        with self._translated():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # also where the commit was refused
                    self.connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, **values: Any) -> list[sqlite3.Row]:
        """The rows that a query answers with."""
        with self._translated():
            return self.connection.execute(self.queries[query], values).fetchall()

    def run(self, query: str, **values: Any) -> int:
        """Runs a query in a transaction, and returns how many rows it changed."""
        with self.transaction():
            return self.connection.execute(self.queries[query], values).rowcount

    def change(self, query: str, **values: Any) -> None:
        """A guarded transition of exactly one row; raises StaleJobError if there is none such."""
        if self.run(query, **values) != 1:
            raise StaleJobError(f"{query}: {values.get('id')} is not in the state this needs")
