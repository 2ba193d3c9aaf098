"""The fleet's own authority: makes itself once, then a certificate and key for each member."""

import ipaddress
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daemon.errors import SurroundingsError
from daemon.fleet.certificates import Role, Validity, validity
from daemon.host import files

AUTHORITY_DAYS = 3650
BEFORE = timedelta(days=1)
"""So long before it was made a certificate holds: clocks of a studio differ."""

SECRET, PUBLIC, CLOSED = 0o600, 0o644, 0o700
PAIRS = (Role.SERVICE, Role.SCHEDULER)
NODES = "nodes"
NODE_FILE = """\
# A node of the fleet. Every key: docs/reference.md. Try it with: atelierd doctor --node --config \
node.yaml
name: {name}
scheduler: {scheduler}
files_url: {files_url}
"""


@dataclass(frozen=True)
class CertificateOrder:
    """What certificates are asked for.

    folder: where the authority lies, or will.  service_names: of the host of service and
    scheduler.  nodes: the names of those that get a pair.  scheduler, files_url: where nodes
    find them.  days: how long pairs hold.  renew: whether pairs that are there are made anew.
    """

    folder: Path
    service_names: tuple[str, ...]
    nodes: tuple[str, ...]
    scheduler: str
    files_url: str
    days: int
    renew: bool = False


@dataclass(frozen=True)
class Certificate:
    """A certificate's file, whether it has been made just now, and how long it holds."""

    path: Path
    is_new: bool
    validity: Validity


@dataclass(frozen=True)
class Authority:
    """Who signs all certificates of a fleet."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(order: CertificateOrder) -> Iterator[Certificate]:
    """Makes what is not there yet, and tells of all of it, the authority first.

    Safe to repeat, after a crash too. Raises SurroundingsError where the authority's key is not
    there, or no longer good.
    """
    make_closed(order.folder)
    ca = order.folder / "ca.pem"
    is_new = not ca.exists()
    authority = open_authority(order.folder, datetime.now(UTC))
    yield Certificate(ca, is_new, validity(ca))
    for role in PAIRS:
        names = (*order.service_names, "localhost", "127.0.0.1", "::1")
        yield make_pair(order, authority, order.folder / role, (role, role), names)
    hand_over(order.folder)
    for name in order.nodes:
        yield make_node(order, authority, name)


def make_node(order: CertificateOrder, authority: Authority, name: str) -> Certificate:
    """Makes a folder that has all a node needs, ready to be copied to it."""
    folder = order.folder / NODES / name
    make_closed(folder.parent)
    make_closed(folder)
    made = make_pair(order, authority, folder / "node", (Role.NODE, name), (name,))
    write(folder / "ca.pem", pem(authority.certificate), PUBLIC)
    settings = folder / "node.yaml"
    if not settings.exists():  # somebody may have written more into it
        text = NODE_FILE.format(
            name=json.dumps(name), scheduler=order.scheduler, files_url=order.files_url
        )
        write(settings, text.encode(), PUBLIC)
    return made


def make_closed(folder: Path) -> None:
    """Makes a folder that nobody else may look into."""
    if not folder.is_dir():
        files.make_folder(folder.parent)
        folder.mkdir(CLOSED)
        files.sync_folder(folder.parent)


def open_authority(folder: Path, now: datetime) -> Authority:
    """The authority of a folder, made if there is none. Raises SurroundingsError for half one."""
    file, key_file = folder / "ca.pem", folder / "ca.key"
    if file.exists() and not key_file.exists():
        raise SurroundingsError(
            f"{key_file} is not there, and only with it can {file} sign: name the folder that has "
            "it with --folder; or move the whole folder away, and give every machine new ones"
        )
    key = read_key(key_file) if key_file.exists() else make_key(key_file)
    if not file.exists():
        write(file, pem(self_signed(key, now)), PUBLIC)
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as error:
        raise SurroundingsError(f"{file} is no certificate in PEM") from error
    if certificate.public_key() != key.public_key():
        raise SurroundingsError(f"{key_file} is not the key of {file}: bring back the right one")
    if now >= certificate.not_valid_after_utc:
        raise SurroundingsError(
            f"{file} ended on {certificate.not_valid_after_utc:%Y-%m-%d}: move {folder} away, make "
            "all certificates anew, and copy them to every node"
        )
    return Authority(certificate, key)


def make_key(file: Path) -> ec.EllipticCurvePrivateKey:
    """Makes a key, and a file of it that nobody else may read."""
    key = ec.generate_private_key(ec.SECP256R1())
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write(file, content, SECRET)
    return key


def read_key(file: Path) -> ec.EllipticCurvePrivateKey:
    """Reads a key that `make_key` has made. Raises SurroundingsError for anything else."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        raise SurroundingsError(f"{file} is no key in PEM without a passphrase") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SurroundingsError(f"{file} is no key of `atelierd fleet certificates`")
    return key


def make_pair(
    order: CertificateOrder,
    authority: Authority,
    stem: Path,
    who: tuple[Role, str],
    names: Sequence[str],
) -> Certificate:
    """Makes STEM.key and STEM.pem for a member, unless they are there and not to be renewed.

    who: its role and its name.  names: by which hosts reach it.
    """
    file, key_file = stem.with_name(f"{stem.name}.pem"), stem.with_name(f"{stem.name}.key")
    is_new = order.renew or not is_pair(authority, file, key_file)
    if is_new:
        key = make_key(key_file)
        signed = signed_by(authority, key.public_key(), subject(*who), names, order.days)
        write(file, pem(signed), PUBLIC)
    return Certificate(file, is_new, validity(file))


def is_pair(authority: Authority, file: Path, key_file: Path) -> bool:
    """Whether both are there, belong together, and are of this authority."""
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        certificate.verify_directly_issued_by(authority.certificate)
        return certificate.public_key() == read_key(key_file).public_key()
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature, SurroundingsError):
        return False


def subject(role: Role, name: str) -> x509.Name:
    """What a certificate says of its holder."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "atelierd"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """The authority's own certificate."""
    name = subject(Role.AUTHORITY, f"atelierd fleet {secrets.token_hex(4)}")
    usage = key_usage(signs_certificates=True)
    return (
        begun(name, key.public_key(), now, now + timedelta(days=AUTHORITY_DAYS))
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def signed_by(
    authority: Authority,
    key: ec.EllipticCurvePublicKey,
    name: x509.Name,
    hosts: Sequence[str],
    days: int,
) -> x509.Certificate:
    """A member's certificate, which ends with the authority's at the latest."""
    now = datetime.now(UTC)
    ends = min(now + timedelta(days=days), authority.certificate.not_valid_after_utc)
    alternatives = [alternative(host) for host in dict.fromkeys(hosts)]
    # Dask's nodes listen and connect, both with one certificate.
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        begun(name, key, now, ends)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def begun(
    name: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    """What all our certificates have."""
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What a key may do: sign certificates, or what is said over a connection."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def alternative(host: str) -> x509.GeneralName:
    """A host as certificates name it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as its file has it."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def write(target: Path, content: bytes, mode: int) -> None:
    """Writes a file whole, whose rights are these from its first byte on."""

    def fill(file: BinaryIO) -> None:
        os.fchmod(file.fileno(), mode)
        file.write(content)

    files.write_whole(target, fill, replace=True)


def hand_over(folder: Path) -> None:
    """Gives what the service reads to the owner of the folder around, where root has made it.

    The authority's key and the nodes' stay root's.
    """
    if os.geteuid() != 0:
        return
    owner = folder.parent.stat()
    own = partial(os.chown, uid=owner.st_uid, gid=owner.st_gid)
    own(folder)
    for name in ("ca.pem", *(f"{role}.{kind}" for role in PAIRS for kind in ("pem", "key"))):
        own(folder / name)
