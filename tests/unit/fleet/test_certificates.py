"""Certificates of the fleet: made once, fit together, and let in whom they should."""

import dataclasses
import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from daemon.errors import SurroundingsError
from daemon.fleet.authority import CertificateOrder, make_certificates
from daemon.fleet.certificates import (
    Validity,
    client_context,
    name_of,
    role_of,
    server_context,
    validity,
)
from daemon.settings.fleet import load_node

NOW = datetime.now(UTC)


@pytest.fixture
def order(tmp_path: Path) -> CertificateOrder:
    return CertificateOrder(
        tmp_path / "fleet",
        ("studio.example", "192.0.2.7"),
        ("desk2",),
        "tls://studio.example:8786",
        "https://studio.example:8787",
        days=730,
    )


def made(order: CertificateOrder) -> dict[str, bool]:
    """What was made of the order, by path below its folder, and whether it was new."""
    done = make_certificates(order)
    return {str(one.path.relative_to(order.folder)): one.is_new for one in done}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_everybody_gets_what_is_theirs_and_a_node_a_folder(order: CertificateOrder) -> None:
    assert made(order) == {
        "ca.pem": True,
        "service.pem": True,
        "scheduler.pem": True,
        "nodes/desk2/node.pem": True,
    }
    node = order.folder / "nodes" / "desk2"
    names = {"ca.pem", "node.pem", "node.key", "node.yaml"}
    assert {path.name for path in node.iterdir()} == names
    settings = load_node(node / "node.yaml")
    assert (settings.name, settings.scheduler) == ("desk2", "tls://studio.example:8786")
    assert settings.files_url == "https://studio.example:8787"
    assert (settings.ca, settings.key) == (node / "ca.pem", node / "node.key")


def test_keys_are_closed_to_others_from_the_start(order: CertificateOrder) -> None:
    before = os.umask(0)
    try:
        made(order)
    finally:
        os.umask(before)
    for key in order.folder.rglob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600, key
    for folder in (order.folder, order.folder / "nodes", order.folder / "nodes" / "desk2"):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


def test_second_time_changes_nothing_and_adds_who_is_new(order: CertificateOrder) -> None:
    made(order)
    before = contents(order.folder)
    assert not any(made(order).values())
    assert contents(order.folder) == before
    assert made(dataclasses.replace(order, nodes=("desk3",)))["nodes/desk3/node.pem"]
    after = contents(order.folder)
    assert {name: after[name] for name in before} == before


def test_renewal_makes_pairs_anew_and_never_the_authority(order: CertificateOrder) -> None:
    made(order)
    settings = order.folder / "nodes" / "desk2" / "node.yaml"
    settings.write_text(settings.read_text() + "tags: [fast]\n")
    before = contents(order.folder)
    made(dataclasses.replace(order, renew=True))
    after = contents(order.folder)
    same = {name for name in before if before[name] == after[name]}
    assert same == {"ca.pem", "ca.key", "nodes/desk2/ca.pem", "nodes/desk2/node.yaml"}


def test_certificates_say_who_they_are_for_and_how_long(order: CertificateOrder) -> None:
    made(dataclasses.replace(order, days=90))
    node = validity(order.folder / "nodes" / "desk2" / "node.pem")
    assert (node.role, node.name) == ("node", "desk2")
    assert timedelta(days=89) < node.ends - NOW < timedelta(days=91)
    ca = validity(order.folder / "ca.pem")
    assert ca.role == "authority"
    assert timedelta(days=3649) < ca.ends - NOW < timedelta(days=3651)
    service = x509.load_pem_x509_certificate((order.folder / "service.pem").read_bytes())
    extension = service.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    names: Any = extension.value
    assert names.get_values_for_type(x509.DNSName) == ["studio.example", "localhost"]
    addresses = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["192.0.2.7", "127.0.0.1", "::1"]


def test_no_certificate_outlives_the_authority(order: CertificateOrder) -> None:
    made(dataclasses.replace(order, days=100_000))
    ends = {validity(order.folder / f"{name}.pem").ends for name in ("ca", "service")}
    assert len(ends) == 1


@pytest.mark.parametrize("lost", ["service.key", "service.pem", "nodes/desk2/node.key"])
def test_half_a_pair_is_made_anew(order: CertificateOrder, lost: str) -> None:
    made(order)
    (order.folder / lost).unlink()
    stem = lost.rpartition(".")[0]
    assert [name for name, new in made(order).items() if new] == [f"{stem}.pem"]
    assert (order.folder / lost).exists()


def test_key_of_another_pair_is_made_good(order: CertificateOrder) -> None:
    made(order)  # as after a crash between the two files of a renewal
    (order.folder / "service.key").write_bytes((order.folder / "scheduler.key").read_bytes())
    assert [name for name, new in made(order).items() if new] == ["service.pem"]


def test_authority_without_its_key_is_not_made_anew(order: CertificateOrder) -> None:
    made(order)
    (order.folder / "ca.key").unlink()
    before = contents(order.folder)
    with pytest.raises(SurroundingsError, match="name the folder that has it with --folder"):
        made(order)
    assert contents(order.folder) == before


def test_crash_after_the_authoritys_key_loses_nothing(order: CertificateOrder) -> None:
    made(dataclasses.replace(order, nodes=()))
    key = (order.folder / "ca.key").read_bytes()
    for path in order.folder.glob("*.pem"):
        path.unlink()
    assert made(order)["ca.pem"]
    assert (order.folder / "ca.key").read_bytes() == key


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("ca.pem", b"nothing", "is no certificate in PEM"),
        ("ca.key", b"nothing", "is no key in PEM without a passphrase"),
    ],
)
def test_damage_is_told_and_nothing_replaced(
    order: CertificateOrder, name: str, content: bytes, told: str
) -> None:
    made(order)
    (order.folder / name).write_bytes(content)
    with pytest.raises(SurroundingsError, match=f"{name} {told}"):
        made(order)
    assert (order.folder / name).read_bytes() == content


def test_key_of_another_authority_signs_nothing(order: CertificateOrder, tmp_path: Path) -> None:
    made(order)
    other = dataclasses.replace(order, folder=tmp_path / "other")
    made(other)
    (order.folder / "ca.key").write_bytes((other.folder / "ca.key").read_bytes())
    with pytest.raises(SurroundingsError, match=r"is not the key of .*ca\.pem"):
        made(order)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_what_root_makes_for_the_service_is_the_services(order: CertificateOrder) -> None:
    os.chown(order.folder.parent, 1234, 1235)
    made(order)
    owners = {path.name: path.stat().st_uid for path in order.folder.iterdir()}
    assert owners == {
        "ca.pem": 1234,
        "ca.key": 0,
        "service.pem": 1234,
        "service.key": 1234,
        "scheduler.pem": 1234,
        "scheduler.key": 1234,
        "nodes": 0,
    }
    assert order.folder.stat().st_uid == 1234


@pytest.mark.parametrize(
    ("days", "told"),
    [(-1, "holds from"), (40, ""), (735, "in 25 days"), (765, "ended on")],
)
def test_end_is_told_thirty_days_before(days: int, told: str) -> None:
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    held = Validity("desk2", "node", begins, begins + timedelta(days=760))
    fault = held.fault(begins + timedelta(days=days))
    assert told in fault
    assert bool(fault) is bool(told)


def test_what_is_no_certificate_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    path.write_text("nothing")
    with pytest.raises(SurroundingsError, match=r"a\.pem is no certificate in PEM"):
        validity(path)


def speak(server: ssl.SSLContext, client: ssl.SSLContext) -> list[str]:
    """What role and name each side hears of the other: the client's of the server first."""
    heard: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as plain:
            plain.settimeout(30)
            try:
                with server.wrap_socket(plain, server_side=True) as connection:
                    connection.sendall(b"?")
                    peer = connection.getpeercert() or {}
                    heard.append(f"{role_of(peer)} {name_of(peer)}")
            except OSError as error:
                heard.append(str(error))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with (
            socket.create_connection(listener.getsockname(), timeout=30) as plain,
            client.wrap_socket(plain) as connection,
        ):
            peer = connection.getpeercert() or {}
            assert connection.recv(1) == b"?"
            heard.insert(0, f"{role_of(peer)} {name_of(peer)}")
    finally:
        thread.join()
    return heard


def pair(order: CertificateOrder, stem: str) -> tuple[Path, Path, Path]:
    """The files of a member: the authority's certificate, its own, its key."""
    folder = order.folder
    return folder / "ca.pem", folder / f"{stem}.pem", folder / f"{stem}.key"


def test_both_sides_know_who_is_there(order: CertificateOrder) -> None:
    made(order)
    server = server_context(*pair(order, "service"))
    client = client_context(*pair(order, "nodes/desk2/node"))
    assert sorted(speak(server, client)) == ["node desk2", "service service"]


def test_certificate_of_another_authority_does_not_get_in(
    order: CertificateOrder, tmp_path: Path
) -> None:
    made(order)
    other = dataclasses.replace(order, folder=tmp_path / "other")
    made(other)
    stranger = client_context(*pair(other, "nodes/desk2/node"))
    ours = client_context(*pair(order, "nodes/desk2/node"))
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        speak(server_context(*pair(order, "service")), stranger)
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        speak(server_context(*pair(other, "service")), ours)


def test_nobody_gets_in_without_a_certificate(order: CertificateOrder) -> None:
    made(order)
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.load_verify_locations(order.folder / "ca.pem")
    with pytest.raises(OSError, match=r"certificate required|reset"):
        speak(server_context(*pair(order, "service")), nobody)


def test_nothing_older_than_tls_1_2_is_spoken(order: CertificateOrder) -> None:
    made(order)
    for context in (server_context, client_context):
        ours = context(*pair(order, "service"))
        assert ours.minimum_version == ssl.TLSVersion.TLSv1_2
        assert ours.verify_mode == ssl.CERT_REQUIRED


def test_files_that_do_not_fit_together_are_told(order: CertificateOrder) -> None:
    made(order)
    ca, cert, _ = pair(order, "service")
    with pytest.raises(SurroundingsError, match=r"scheduler\.key are no certificate with its key"):
        server_context(ca, cert, order.folder / "scheduler.key")
    with pytest.raises(SurroundingsError, match=r"gone\.pem is no certificate"):
        client_context(order.folder / "gone.pem", cert, cert)


def test_role_of_a_certificate_without_one_is_empty() -> None:
    assert role_of({}) == ""
    subject = ((("organizationalUnitName", "node"),), (("organizationalUnitName", "service"),))
    assert role_of({"subject": subject}) == ""
