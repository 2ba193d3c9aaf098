"""What the account must know beside the last ledger: what was asked for, and ledgers that are lost.

A lost ledger costs what docs/faults.md says: pictures that lie in the claimed folder are dropped
again, also where some of their jobs stand in the outbox already.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.state.claimed import claimed_folder
from tests.support.atelier import Studio

BESIDE = ("", "-wal", "-shm")
DELETIONS = ("deleted", "deleted alone")
JOBS = """
    SELECT job.id, job.state, job.verdict, job.preset, picture.sha256, picture.path,
           picture.id AS picture
    FROM job JOIN picture ON picture.id = job.picture_id"""


@dataclass(frozen=True)
class Known:
    """A job as a ledger knows it. state: its verdict, where it is being published.

    path: of its picture below the inbox.  claimed: whether that still lies in the claimed folder.
    """

    id: str
    state: str
    preset: str
    sha256: str
    path: Path
    claimed: bool


@dataclass
class Past:
    """Jobs of ledgers that were lost, and ids of jobs that somebody asked to be cancelled."""

    lost: list[Known] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    @property
    def over(self) -> int:
        """How many jobs were over for good in the ledgers that are lost."""
        return sum(not job.claimed and job.state != "retried" for job in self.lost)


def read_jobs(studio: Studio, ledger_path: Path) -> list[Known]:
    """Every job of a ledger that nobody writes to."""
    with closing(sqlite3.connect(ledger_path)) as ledger:
        ledger.row_factory = sqlite3.Row
        rows = ledger.execute(JOBS).fetchall()
    found = []
    for row in rows:
        path = Path(os.fsdecode(row["path"]))
        claimed = os.path.lexists(claimed_folder(studio.inbox, row["picture"]) / path)
        state = row["verdict"] if row["state"] == "publishing" else row["state"]
        found.append(Known(row["id"], state, row["preset"], row["sha256"], path, claimed))
    return found


def ended_jobs(studio: Studio, ledger_path: Path) -> list[Known]:
    """The jobs of a ledger that is about to be lost and have left a trace: a record, or a retry.

    Reads a copy, so that the ledger stays as its service left it.
    """
    copy = studio.root / "ledger-copy" / ledger_path.name
    copy.parent.mkdir()
    for beside in existing(ledger_path):
        shutil.copy(f"{ledger_path}{beside}", f"{copy}{beside}")
    recorded = {json.loads(path.read_bytes())["id"] for path in studio.outbox.rglob("*.json")}
    try:
        jobs = read_jobs(studio, copy)
    finally:
        shutil.rmtree(copy.parent)
    return [job for job in jobs if job.id in recorded or job.state == "retried"]


def lose(ledger_path: Path, pick: float) -> str:
    """Deletes or damages a ledger whose service has ended; how, in words. pick: 0 to 1."""
    ways = (*DELETIONS, "header overwritten", "cut")
    way = ways[int(pick * len(ways))]
    if way == "deleted":
        for beside in existing(ledger_path):
            Path(f"{ledger_path}{beside}").unlink()
    elif way == "deleted alone":
        ledger_path.unlink()
    elif way == "cut":
        os.truncate(ledger_path, ledger_path.stat().st_size // 2)
    else:
        with ledger_path.open("r+b") as file:
            file.write(bytes(1024))
    return way


def existing(ledger_path: Path) -> Iterator[str]:
    """The endings of the files that a ledger consists of now."""
    return (beside for beside in BESIDE if Path(f"{ledger_path}{beside}").exists())


def damaged(ledger_path: Path) -> list[Path]:
    """The ledgers that were put aside."""
    return sorted(ledger_path.parent.glob(f"{ledger_path.name}.damaged-*"))
