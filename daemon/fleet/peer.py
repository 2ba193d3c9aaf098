"""Whether somebody of the fleet is where he is to be, and trusts us: said before Dask says it."""

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from daemon.errors import SurroundingsError
from daemon.fleet.certificates import Role, client_context, role_of
from daemon.host import access
from daemon.settings.fleet import CERTIFY

CONNECT_S = 5.0
ANSWER_S = 2.0


def check_scheduler(scheduler: str, ca: Path, cert: Path, key: Path) -> str:
    """Connects to a scheduler, tls://HOST:PORT, as `check_peer` does."""
    where = urlsplit(scheduler)
    place = (where.hostname or "", where.port or 0)
    return check_peer(client_context(ca, cert, key), place, Role.SCHEDULER, b"")


def check_peer(context: ssl.SSLContext, place: tuple[str, int], role: Role, request: bytes) -> str:
    """Connects by TLS, and hears whether our certificate is taken; returns that in words.

    request: what to say first.  Raises SurroundingsError that says what is wrong.
    """
    where = f"{place[0]}:{place[1]}"
    try:
        with (
            socket.create_connection(place, timeout=CONNECT_S) as plain,
            context.wrap_socket(plain) as connection,
        ):
            told = role_of(connection.getpeercert() or {})
            connection.settimeout(ANSWER_S)
            connection.sendall(request)
            hear(connection)
    except ssl.SSLError as error:
        raise SurroundingsError(
            f"{where} and this machine do not trust one another: {error.reason or error}; both "
            f"need certificates of one authority that hold ({CERTIFY}), and clocks that are right"
        ) from error
    except OSError as error:
        raise SurroundingsError(
            f"{where} does not answer: {access.reason(error)}; is the {role} running, and does a "
            "firewall let this machine in?"
        ) from error
    if told not in ("", role):
        raise SurroundingsError(
            f"{where} is a {told}, not the {role}: look at its address in the configuration"
        )
    return f"{where} answers, and lets us in"


def hear(connection: ssl.SSLSocket) -> None:
    """Waits for a first word: in TLS 1.3 a refusal comes after the handshake. Raises SSLError."""
    try:
        if not connection.recv(1):
            raise ConnectionResetError(0, "it hung up")
    except TimeoutError:
        return  # it has nothing to say to us yet, and nothing against us
