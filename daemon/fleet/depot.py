"""The service's end of the carriage: nodes fetch an order's files here, and give results.

HTTPS with mutual TLS: whoever has no node's certificate is refused, and a node gets at the files of
those runs alone whose token it was told. GET /TOKEN/NAME reads a file, PUT /TOKEN/NAME with the
header X-Sha256 writes one, whole or not at all. Anything else is not there; nothing is ever listed.
"""

import re
import socket
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.fleet.certificates import server_context
from daemon.fleet.depot_server import DepotServer
from daemon.fleet.grants import Grant, Grants
from daemon.host import files

LOOK_S = 60.0
"""Nothing is waited for so long: callers and the end wake it."""

TOKEN = re.compile(r"[A-Za-z0-9_-]{32,}")


class Depot:
    """Serves the files of runs to nodes, from threads of its own."""

    def __init__(
        self, listen: str, ca: Path, cert: Path, key: Path, *, keep_bytes: int = 1 << 30
    ) -> None:
        """listen: HOST:PORT or [IPv6]:PORT, port 0 for any that is free.

        keep_bytes: room that stays free where files are given.
        """
        self._listen = listen
        self._context = server_context(ca, cert, key)
        self._grants = Grants(keep_bytes)
        self._server: DepotServer | None = None

    def start(self) -> int:
        """Begins to serve; returns the port. Raises SurroundingsError where it cannot listen."""
        listening = listen(self._listen)
        self._server = DepotServer(listening, self._context, self._grants)
        serve = partial(self._server.serve_forever, poll_interval=LOOK_S)
        threading.Thread(target=serve, name="depot", daemon=True).start()
        return int(listening.getsockname()[1])

    def grant(self, token: str, takes: Mapping[str, Path], gives: Mapping[str, Path]) -> None:
        """Lets who knows `token` read and write these files by their names.

        A name that ends in `/` is a folder, which has plain names only. token: of at least 32
        characters of A-Za-z0-9_-, not to be guessed (`secrets.token_urlsafe`), never used before.
        """
        if not TOKEN.fullmatch(token):
            raise ValueError("a token is of at least 32 characters of A-Za-z0-9_-")
        self._grants.add(token, Grant(dict(takes), dict(gives)))

    def revoke(self, token: str) -> None:
        """Ends a grant: once this has returned, no file of that token appears any more."""
        self._grants.revoke(token)

    def given(self, token: str) -> dict[str, str]:
        """The names that have arrived by a token, each with the sha256 of its file there now.

        Nothing once it is revoked: ask before.
        """
        return self._grants.given(token)

    def close(self) -> None:
        """Serves nobody any more; files half given do not appear."""
        self._grants.revoke_all()
        if self._server is not None:
            self._server.end()


def listen(address: str) -> socket.socket:
    """A socket that listens at HOST:PORT; raises SurroundingsError if there can be none."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        # `localhost` is both; nodes are mostly told an IPv4 address
        family, *_, place = min(found, key=lambda each: each[0] != socket.AF_INET)
        return socket.create_server(place[:2], family=family, backlog=128)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SurroundingsError(
            f"the fleet's files cannot be served at {files.printable(address)}: {why}; free that "
            "address, or change it below `fleet` in config.yaml"
        ) from error
