"""Who is who in the fleet: mutual TLS with certificates of its own authority, and their roles."""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from daemon.errors import SurroundingsError

RENEWAL = timedelta(days=30)
"""So long before its end a certificate is to be renewed."""


class Role(StrEnum):
    """What a certificate lets its holder be, as its subject's organisational unit has it."""

    AUTHORITY = "authority"
    SERVICE = "service"
    SCHEDULER = "scheduler"
    NODE = "node"


@dataclass(frozen=True)
class Validity:
    """Whom a certificate is for, what that one may be, and from when to when it holds.

    role: as in `Role`; empty for certificates that are not of our making.
    """

    name: str
    role: str
    begins: datetime
    ends: datetime

    def fault(self, now: datetime) -> str:
        """What is wrong with it at a moment; empty if nothing is."""
        if now < self.begins:
            return f"holds from {self.begins:%Y-%m-%d %H:%M} UTC only: is the clock right?"
        if now >= self.ends:
            return f"ended on {self.ends:%Y-%m-%d}"
        if now >= self.ends - RENEWAL:
            return f"ends on {self.ends:%Y-%m-%d}, in {(self.ends - now).days} days"
        return ""


def role_of(peer_certificate: Mapping[str, Any]) -> str:
    """The role in what `ssl.SSLSocket.getpeercert()` returns; empty where it has none."""
    return subject_field(peer_certificate, "organizationalUnitName")


def name_of(peer_certificate: Mapping[str, Any]) -> str:
    """The name in what `ssl.SSLSocket.getpeercert()` returns; empty where it has none."""
    return subject_field(peer_certificate, "commonName")


def subject_field(peer_certificate: Mapping[str, Any], wanted: str) -> str:
    """A field of the subject; empty where it has none, or several."""
    values = [value for key, value in subject(peer_certificate) if key == wanted]
    return values[0] if len(values) == 1 else ""


def subject(peer_certificate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of the subject, with their names."""
    for relative in peer_certificate.get("subject", ()):
        yield from relative


def server_context(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """What a server of the fleet listens with: only certificates of the authority come in.

    Raises SurroundingsError for files that are no such things.
    """
    return loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ca, cert, key)


def client_context(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """What a client of the fleet connects with; only to who has a certificate of the authority.

    Host names are not checked: the authority is private and issues for the fleet alone. Who is
    there is told by `role_of`. Raises SurroundingsError for files that are no such things.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return loaded(context, ca, cert, key)


def loaded(context: ssl.SSLContext, ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """A context with our certificates, that takes nobody without one of the same authority."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(ca)
    except OSError as error:  # SSLError is one
        raise SurroundingsError(f"{ca} is no certificate that can be read: {error}") from error
    try:
        # A key with a passphrase would ask at a terminal that no daemon has.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except OSError as error:
        raise SurroundingsError(
            f"{cert} and {key} are no certificate with its key that can be read: {error}"
        ) from error
    return context


def validity(path: Path) -> Validity:
    """Reads whom a certificate's file is for, and how long it holds.

    Raises OSError where it cannot be read, SurroundingsError for what is no certificate.
    """
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise SurroundingsError(f"{path} is no certificate in PEM") from error
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    roles = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    return Validity(
        name=str(names[0].value) if names else "",
        role=str(roles[0].value) if len(roles) == 1 else "",
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
    )
