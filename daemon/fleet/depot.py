"""The service's end of the carriage: nodes fetch an order's files here, and give results.

HTTPS with mutual TLS: whoever has no node's certificate is refused, and a node gets at the files of
those runs alone whose token it was told. GET /TOKEN/NAME reads a file, PUT /TOKEN/NAME with the
header X-Sha256 writes one, whole or not at all. Anything else is not there; nothing is ever listed.
"""

from collections.abc import Mapping
from pathlib import Path


class Depot:
    """Serves the files of runs to nodes, from threads of its own."""

    def __init__(
        self, listen: str, ca: Path, cert: Path, key: Path, *, keep_bytes: int = 1 << 30
    ) -> None:
        """listen: HOST:PORT or [IPv6]:PORT, port 0 for any that is free.

        keep_bytes: room that stays free where files are given.
        """
        raise NotImplementedError

    def start(self) -> int:
        """Begins to serve; returns the port. Raises SurroundingsError where it cannot listen."""
        raise NotImplementedError

    def grant(self, token: str, takes: Mapping[str, Path], gives: Mapping[str, Path]) -> None:
        """Lets who knows `token` read and write these files by their names.

        A name that ends in `/` is a folder, which has plain names only. token: of at least 32
        characters of A-Za-z0-9_-, not to be guessed (`secrets.token_urlsafe`).
        """
        raise NotImplementedError

    def revoke(self, token: str) -> None:
        """Ends a grant: once this has returned, no file of that token appears any more."""
        raise NotImplementedError

    def given(self, token: str) -> dict[str, str]:
        """The names that have arrived by a token, each with the sha256 of its file there now."""
        raise NotImplementedError

    def close(self) -> None:
        """Serves nobody any more; files half given do not appear."""
        raise NotImplementedError
