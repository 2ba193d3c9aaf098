"""A fleet among strangers, with nodes that go: refused with a reason, and nothing lost."""

import os
import shutil
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from daemon.fleet.authority import CertificateOrder, make_certificates
from daemon.fleet.certificates import client_context
from daemon.messages import Cancelled, Done, Lost, WorkerSettings
from daemon.pool.dask import DaskPool
from tests.support.atelier import PATIENCE_S, wait_for
from tests.support.fleet import Fleet
from tests.support.pools import PICTURE, order


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    found = Fleet(tmp_path_factory.mktemp("fleet"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def pool(fleet: Fleet) -> Iterator[DaskPool]:
    """A service's pool with a scheduler of its own, and one good node."""
    settings = WorkerSettings("cpu", "classic", fleet.folder, threads=1)
    found = DaskPool(fleet.place(), settings, lambda run_id, event: None)
    fleet.start_node("cpu", "good")
    wait_for("the good node", lambda: seats_of(found) == ["good/cpu"])
    yield found
    found.close(grace_s=1.0)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Where an order's files lie."""
    (tmp_path / "picture").write_bytes(PICTURE)
    return tmp_path


def seats_of(pool: DaskPool) -> list[str]:
    return [seat.device for seat in pool.seats()]


def still_paints(pool: DaskPool, desk: Path) -> bool:
    done = pool.submit("good/cpu", "r-after", order(desk)).result(PATIENCE_S)
    return isinstance(done, Done) and (desk / "result").read_bytes() == b"painted"


def strangers_pair(folder: Path, days: int = 30) -> Path:
    """A node's files, signed by an authority of somebody else's."""
    asked = CertificateOrder(folder, (), ("desk",), "tls://127.0.0.1:1", "https://x", days)
    for _ in make_certificates(asked):
        pass
    return folder / "nodes" / "desk"


def test_node_of_another_authority_gets_no_seat_and_is_told_why(
    fleet: Fleet, pool: DaskPool, desk: Path
) -> None:
    theirs = strangers_pair(desk / "theirs")
    mine = fleet.seat("cpu").ca
    before = len(fleet.lines)
    node = fleet.start_node(
        "cpu", "stranger", ca=mine, cert=theirs / "node.pem", key=theirs / "node.key"
    )
    wait_for("a reason", lambda: any("cannot work" in line for line in fleet.lines[before:]))
    told = next(line for line in fleet.lines[before:] if "cannot work" in line)
    assert "do not trust one another" in told
    assert seats_of(pool) == ["good/cpu"] and still_paints(pool, desk)
    node.retire()
    node.close(0.0)


def test_plain_talk_to_scheduler_and_depot_is_hung_up_on(
    fleet: Fleet, pool: DaskPool, desk: Path
) -> None:
    for port in (fleet.port, fleet.files_port):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n" + b"\0" * 4096)
            said = read_all(plain)
            assert b"200" not in said and b"distributed" not in said
    assert still_paints(pool, desk)


def test_strangers_certificate_opens_neither_scheduler_nor_depot(
    fleet: Fleet, pool: DaskPool, desk: Path
) -> None:
    theirs = strangers_pair(desk / "theirs")
    context = client_context(fleet.seat("cpu").ca, theirs / "node.pem", theirs / "node.key")
    for port in (fleet.port, fleet.files_port):
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port)) as plain:
            plain.settimeout(PATIENCE_S)
            with context.wrap_socket(plain) as secure:  # in TLS 1.3 the refusal comes afterwards
                secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if not secure.recv(100):
                    raise ssl.SSLError("hung up")
    assert still_paints(pool, desk)


def test_expired_certificate_is_refused(fleet: Fleet, pool: DaskPool, desk: Path) -> None:
    copy = desk / "fleet"
    shutil.copytree(fleet.folder / "fleet", copy)
    late = CertificateOrder(copy, (), ("late",), "tls://127.0.0.1:1", "https://x", days=0)
    for _ in make_certificates(late):
        pass
    pair = copy / "nodes" / "late"
    before = len(fleet.lines)
    node = fleet.start_node("cpu", "late", cert=pair / "node.pem", key=pair / "node.key")
    wait_for("a reason", lambda: any("cannot work" in line for line in fleet.lines[before:]))
    assert seats_of(pool) == ["good/cpu"] and still_paints(pool, desk)
    node.retire()
    node.close(0.0)


def test_node_of_another_version_gets_no_work_and_both_sides_say_so(
    fleet: Fleet, pool: DaskPool, desk: Path
) -> None:
    before = len(fleet.lines)
    node = fleet.start_node("cpu", "old", module="tests.support.old_node")
    wait_for("a word", lambda: "old has atelierd 0.0.1" in (pool.trouble or ""))
    wait_for("a word there", lambda: any("0.0.1" in line for line in fleet.lines[before:]))
    assert seats_of(pool) == ["good/cpu"] and still_paints(pool, desk)
    node.retire()
    node.close(0.0)
    wait_for("no more trouble", lambda: pool.trouble is None)


def test_run_on_a_node_that_is_killed_is_lost_and_what_comes_late_changes_nothing(
    fleet: Fleet, pool: DaskPool, desk: Path
) -> None:
    node = fleet.start_node("cpu", "doomed")
    wait_for("the node", lambda: "doomed/cpu" in seats_of(pool))
    run = pool.submit("doomed/cpu", "r1", order(desk, "wait"))
    wait_for("its worker", lambda: psutil.Process(node.pid).children())
    node.end()
    assert isinstance(run.result(PATIENCE_S), Lost)
    assert not (desk / "result").exists()
    assert isinstance(pool.submit("good/cpu", "r1", order(desk)).result(PATIENCE_S), Done)
    node.retire()
    node.close(0.0)


def test_killed_scheduler_and_bridge_come_back_and_no_job_is_charged(
    fleet: Fleet, pool: DaskPool, desk: Path
) -> None:
    for name in ("scheduler", "bridge"):
        run = pool.submit("good/cpu", f"r-{name}", order(desk, "wait"))
        taken = fleet.seat("cpu", "good").own_folder
        wait_for("the node to take it", lambda taken=taken: any(taken.rglob("*")))  # type: ignore[misc]
        killed, before = pool.pids()[name], len(fleet.lines)
        os.kill(killed, signal.SIGKILL)
        assert run.result(PATIENCE_S) == Cancelled()  # back into the line, as it stands
        wait_for(
            "the node again",
            lambda killed=killed, name=name: (  # type: ignore[misc]
                pool.pids().get(name, killed) != killed and seats_of(pool) == ["good/cpu"]
            ),
        )
        assert still_paints(pool, desk)
        # Without this the node's process waits half a minute for the run that nobody waits for.
        why = {
            "scheduler": "ended: the scheduler is gone",
            "bridge": "stopped: nobody wants it any more",
        }
        told = f"the run at hand is {why[name]}"
        assert any(told in line for line in fleet.lines[before:])


def read_all(plain: socket.socket) -> bytes:
    """What is said until the other side hangs up."""
    said = b""
    try:
        while piece := plain.recv(4096):
            said += piece
    except OSError:
        pass
    return said
