"""The fleet from the service's side, and what both sides look at: certificates, and who answers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from daemon.doctor.finding import LackError, found
from daemon.errors import ConfigError
from daemon.fleet.certificates import Role, validity
from daemon.fleet.peer import check_scheduler
from daemon.settings.config import Config
from daemon.settings.fleet import CERTIFY, check_fleet
from daemon.state.lock import is_held
from daemon.status.report import Finding

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
        mine = (place.ca, place.cert, place.key)
        yield found("fleet: scheduler", check_scheduler, place.scheduler, *mine)


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
