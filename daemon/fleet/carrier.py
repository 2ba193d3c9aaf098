"""The node's end of the carriage: fetches an order's files from the depot, and gives results."""

from collections.abc import Callable
from pathlib import Path
import time

from daemon.errors import SurroundingsError


class CarriageError(SurroundingsError):
    """A file could not be fetched or given; says which, why, and what to do."""


class RevokedError(CarriageError):
    """The run is over or given up for the service: nothing of it is taken or given any more."""


class Carrier:
    """Fetches and gives files over HTTPS with mutual TLS. May be used by many threads at once."""

    def __init__(
        self,
        url: str,
        ca: Path,
        cert: Path,
        key: Path,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """url: the depot's, such as https://studio:8787.  sleep: waits between two tries."""
        raise NotImplementedError

    def fetch(self, token: str, name: str, to: Path, sha256: str = "") -> str:
        """Puts a granted file at `to`, whole or not at all; returns its sha256.

        sha256: what it must be, empty where that is not known.  A broken link is gone on from a few
        times.  Raises RevokedError at once, CarriageError in the end, and OSError for `to`.
        """
        raise NotImplementedError

    def give(self, token: str, name: str, path: Path) -> None:
        """Gives a file under a granted name, where it appears whole or not at all.

        Raises RevokedError at once, CarriageError after a few tries, and OSError for `path`.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Ends the connections that are kept."""
        raise NotImplementedError
