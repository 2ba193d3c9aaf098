"""A node as the doctor sees it: its certificates, who answers it, its room."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest

from daemon.doctor import fleet, node
from daemon.doctor.finding import found
from daemon.fleet.authority import CertificateOrder, make_certificates
from daemon.fleet.certificates import Role, server_context, validity
from daemon.fleet.peer import check_peer
from daemon.settings.config import Config
from daemon.settings.fleet import FleetSettings, NodeSettings, load_node
from daemon.status.report import Finding

PAIR = {"ca": "ca.pem", "cert": "service.pem", "key": "service.key"}
Serve = Callable[[ssl.SSLContext], int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("fleet"))


def certificates(folder: Path) -> Path:
    names, urls = ("localhost",), ("tls://localhost:1", "https://localhost:2")
    list(make_certificates(CertificateOrder(folder, names, ("desk2",), *urls, days=730)))
    return folder


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> NodeSettings:
    loaded = load_node(folder / "nodes" / "desk2" / "node.yaml")
    return loaded.model_copy(update={"folder": tmp_path / "cache", "devices": "cpu"})


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that answers one connection as Dask's scheduler does: it speaks first."""
    threads: list[threading.Thread] = []

    def answer(listener: socket.socket, context: ssl.SSLContext) -> None:
        with listener, listener.accept()[0] as plain:
            plain.settimeout(30)
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.sendall(b"?")
                    connection.recv(1)
            except OSError:
                return  # it is the node that is to tell

    def start(context: ssl.SSLContext) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        threads.append(threading.Thread(target=answer, args=(listener, context)))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for thread in threads:
        thread.join()


def context_of(folder: Path, name: str) -> ssl.SSLContext:
    return server_context(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key")


def looked(settings: NodeSettings, port: int, files_port: int) -> list[Finding]:
    update = {
        "scheduler": f"tls://127.0.0.1:{port}",
        "files_url": f"https://127.0.0.1:{files_port}",
    }
    return list(node.check_network(settings.model_copy(update=update)))


def test_sound_node_has_nothing_to_mend(settings: NodeSettings, folder: Path, serve: Serve) -> None:
    ports = serve(context_of(folder, "scheduler")), serve(context_of(folder, "service"))
    findings = [
        *node.check_certificates(settings, folder / "nodes" / "desk2" / "node.yaml"),
        *looked(settings, *ports),
        *node.check_room(settings),
    ]
    assert [finding for finding in findings if not finding.ok] == []
    whats = [finding.what for finding in findings]
    assert whats == [
        "authority",
        "certificate",
        "key",
        "scheduler",
        "files",
        "folder",
        "folder space",
    ]


def test_who_is_somebody_else_is_told(settings: NodeSettings, folder: Path, serve: Serve) -> None:
    ports = serve(context_of(folder, "service")), serve(context_of(folder, "scheduler"))
    scheduler, files = looked(settings, *ports)
    assert not scheduler.ok and "is a service, not the scheduler" in scheduler.detail
    assert not files.ok and "is a scheduler, not the service" in files.detail


def test_other_authority_is_told_by_both_sides(
    settings: NodeSettings, folder: Path, tmp_path: Path, serve: Serve
) -> None:
    other = certificates(tmp_path / "other")
    trusting_others = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # and is one of ours itself
    trusting_others.load_cert_chain(folder / "scheduler.pem", folder / "scheduler.key")
    trusting_others.load_verify_locations(other / "ca.pem")
    trusting_others.verify_mode = ssl.CERT_REQUIRED
    scheduler, files = looked(settings, serve(trusting_others), serve(context_of(other, "service")))
    for finding in (scheduler, files):
        assert not finding.ok
        assert "do not trust one another" in finding.detail
        assert "atelierd fleet certificates" in finding.detail


def test_nobody_there_is_told_with_what_to_look_at(settings: NodeSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    for finding in looked(settings, port, port):
        assert not finding.ok
        assert f"127.0.0.1:{port} does not answer: Connection refused" in finding.detail
        assert "firewall" in finding.detail


def test_server_that_speaks_no_tls_is_told(settings: NodeSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as plain:
                plain.sendall(b"SSH-2.0-OpenSSH\r\n")
                plain.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        context = context_of_client(settings)
        place = ("127.0.0.1", int(listener.getsockname()[1]))
        finding = found("scheduler", check_peer, context, place, Role.SCHEDULER, b"")
        thread.join()
    assert not finding.ok
    assert "do not trust one another" in finding.detail


def context_of_client(settings: NodeSettings) -> ssl.SSLContext:
    return node.client_context(settings.ca, settings.cert, settings.key)


def test_certificate_that_ends_soon_is_told_with_what_renews_it(settings: NodeSettings) -> None:
    ends = validity(settings.cert).ends

    def at(before: timedelta) -> Finding:
        given = (settings.cert, Role.NODE, "RENEW", ends - before)
        return found("certificate", fleet.check_validity, *given)

    assert at(timedelta(days=31)).ok
    assert at(timedelta(days=29, hours=1)).detail.endswith("in 29 days; RENEW")
    assert not at(timedelta(seconds=-1)).ok


def test_certificate_of_another_role_is_told(settings: NodeSettings, folder: Path) -> None:
    now = datetime.now(UTC)
    given = (folder / "service.pem", Role.NODE, "", now)
    finding = found("certificate", fleet.check_validity, *given)
    assert not finding.ok
    assert "but for a service: here belongs that of a node" in finding.detail


def test_missing_certificates_are_told_and_the_rest_is_looked_at(
    settings: NodeSettings, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "check_weights", lambda: "fine")
    gone = settings.model_copy(update={"cert": tmp_path / "gone.pem"})
    findings = node.examine_node(gone, folder / "node.yaml")
    wrong = {finding.what: finding.detail for finding in findings if not finding.ok}
    assert "gone.pem" in wrong["certificates"] and "gone.pem" in wrong["scheduler"]
    fine = {finding.what for finding in findings if finding.ok}
    assert {"node.yaml", "weights", "folder", "clock", "devices"} <= fine


def test_service_of_a_fleet_hears_of_certificates_that_end(
    folder: Path, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve(context_of(folder, "scheduler"))
    pair = {name: str(folder / path) for name, path in PAIR.items()}
    told = FleetSettings.model_validate({"scheduler": f"tls://127.0.0.1:{port}", **pair})
    config = Config().model_copy(update={"fleet": told, "state": tmp_path})

    def faults() -> dict[str, str]:
        found = fleet.examine_fleet(config, tmp_path / "config.yaml")
        return {finding.what: finding.detail for finding in found if not finding.ok}

    assert faults() == {}
    soon = validity(folder / "service.pem").ends - timedelta(days=3, hours=1)
    monkeypatch.setattr(fleet, "datetime", Mock(now=lambda zone: soon))
    (told_certificate,) = (v for k, v in faults().items() if k == "fleet: certificate")
    assert told_certificate.endswith("in 3 days; atelierd fleet certificates --renew")


def test_service_of_a_fleet_hears_of_certificates_that_are_missing(tmp_path: Path) -> None:
    told = FleetSettings(embedded=True)
    config = Config().model_copy(update={"fleet": told, "state": tmp_path})
    findings = list(fleet.examine_fleet(config, tmp_path / "config.yaml"))
    assert len(findings) == 5 and not any(finding.ok for finding in findings)
    assert list(fleet.examine_fleet(Config(), tmp_path / "config.yaml")) == []


def test_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.files, "free_bytes", lambda folder: 5_000_000)
    finding = found("folder space", node.check_cache, tmp_path, 20 << 30)
    assert not finding.ok
    assert finding.detail.startswith("0.0 GB free, the cache may take 21.5 GB in all; make room")
