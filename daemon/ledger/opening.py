"""Opening the ledger for a service, which a damaged file must not keep from starting.

Apart from the store, since the logger takes a tenth of a second to load and `status` needs none.
"""

import contextlib
from pathlib import Path

from loguru import logger

from daemon.ledger.database import DamagedLedgerError
from daemon.ledger.store import Ledger


def open_sound(path: Path) -> Ledger:
    """The ledger for a service that starts; one that is damaged is put aside for an empty one.

    Call only while holding the state folder's lock. Raises SurroundingsError for all but damage.
    """
    ledger = None
    try:
        ledger = Ledger(path)
        ledger.database.check()
    except DamagedLedgerError as error:
        if ledger is not None:
            ledger.close()
        aside = put_aside(path)
        logger.error(
            "{}; it was put aside as {}, and what waits is found by the claimed files", error, aside
        )
        return Ledger(path)
    return ledger


def put_aside(path: Path) -> Path:
    """Renames a damaged ledger, and what SQLite keeps beside it, to names that are free."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for beside in ("-wal", "-shm", ""):  # the ledger itself last: then nothing is left to do
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{beside}").rename(f"{aside}{beside}")
    return aside
