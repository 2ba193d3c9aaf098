"""The fleet from the service's side, and what both sides look at: certificates, and who answers."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from daemon.doctor.finding import LackError, found
from daemon.errors import ConfigError
from daemon.fleet.certificates import Role, client_context, role_of, validity
from daemon.host import access
from daemon.settings.config import Config
from daemon.settings.fleet import CERTIFY, FleetPlace, check_fleet
from daemon.state.lock import is_held
from daemon.status.report import Finding

CONNECT_S = 5.0
ANSWER_S = 2.0
REQUEST = b"GET / HTTP/1.1\r\nHost: files\r\nConnection: close\r\n\r\n"
"""What a server of files answers in any case, be it with a refusal."""


def examine_fleet(config: Config, config_file: Path) -> Iterator[Finding]:
    """Whether the extra and the certificates are there and hold, and the scheduler answers."""
    if config.fleet is None:
        return
    place = config.fleet.place(config.state)
    try:
        check_fleet(place, config_file)
    except ConfigError as error:
        yield from (Finding("fleet", False, str(fault)) for fault in error.faults)
        return
    now, renew = datetime.now(UTC), f"{CERTIFY} --renew"
    yield found("fleet: authority", check_validity, place.ca, Role.AUTHORITY, "", now)
    yield found("fleet: certificate", check_validity, place.cert, Role.SERVICE, renew, now)
    if place.scheduler_cert is not None:
        given = (place.scheduler_cert, Role.SCHEDULER, renew, now)
        yield found("fleet: its scheduler's", check_validity, *given)
    if not place.listen or is_held(config.state):  # ours runs beside the service alone
        yield found("fleet: scheduler", check_scheduler, place)


def check_scheduler(place: FleetPlace) -> str:
    """Whether the scheduler answers, and lets the service in."""
    context = client_context(place.ca, place.cert, place.key)
    where = urlsplit(place.scheduler)
    return check_peer(context, (where.hostname or "", where.port or 0), Role.SCHEDULER, b"")


def check_validity(path: Path, role: Role, renew: str, now: datetime) -> str:
    """Whether a certificate holds, and will for a while. renew: what makes another."""
    held = validity(path)
    told = f"{path}, of {held.name or 'nobody'}, holds until {held.ends:%Y-%m-%d}"
    if held.role not in ("", role):
        raise LackError(f"{told}, but for a {held.role}: here belongs that of a {role}")
    if fault := held.fault(now):
        remedy = renew or f"make all of them anew ({CERTIFY}, in another folder)"
        raise LackError(f"{path} {fault}; {remedy}")
    return told


def check_peer(context: ssl.SSLContext, place: tuple[str, int], role: Role, request: bytes) -> str:
    """Connects by TLS, and hears whether our certificate is taken. request: what to say first."""
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
        raise LackError(
            f"{where} and this machine do not trust one another: {error.reason or error}; both "
            f"need certificates of one authority that hold ({CERTIFY}), and clocks that are right"
        ) from error
    except OSError as error:
        raise LackError(
            f"{where} does not answer: {access.reason(error)}; is the {role} running, and does a "
            "firewall let this machine in?"
        ) from error
    if told not in ("", role):
        raise LackError(
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
