"""Files between the depot of a service and the carrier of a node, over real connections."""

import hashlib
import os
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.fleet import depot_server
from daemon.fleet.carrier import (
    ANSWER_S,
    SLOWEST_DISK_BYTES_S,
    WAITS_S,
    CarriageError,
    Carrier,
    RevokedError,
)
from daemon.fleet.certificates import client_context
from daemon.fleet.depot import Depot
from daemon.host import files
from tests.support.carriage import BreakingLink, Papers, make_papers

LARGE = os.urandom(1 << 20) * 2
MakeCarrier = Callable[..., Carrier]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return make_papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def depot(papers: Papers) -> Iterator[Depot]:
    depot = Depot("127.0.0.1:0", *papers.service, keep_bytes=0)
    yield depot
    depot.close()


@pytest.fixture
def port(depot: Depot) -> int:
    return depot.start()


@pytest.fixture
def waits() -> list[float]:
    """How long the carrier waited between its tries."""
    return []


@pytest.fixture
def make_carrier(papers: Papers, waits: list[float]) -> Iterator[MakeCarrier]:
    made: list[Carrier] = []

    def make(port: int, trio: tuple[Path, Path, Path] | None = None) -> Carrier:
        url = f"https://127.0.0.1:{port}"
        made.append(Carrier(url, *(trio or papers.node), sleep=waits.append))
        return made[-1]

    yield make
    for carrier in made:
        carrier.close()


@pytest.fixture
def carrier(port: int, make_carrier: MakeCarrier) -> Carrier:
    return make_carrier(port)


@pytest.fixture
def token() -> str:
    return secrets.token_urlsafe(32)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The service's folder."""
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "picture").write_bytes(LARGE)
    return tmp_path / "service"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The node's."""
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "result").write_bytes(LARGE[::-1])
    return tmp_path / "node"


def listed(folder: Path) -> list[str]:
    """The names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def begin_upload(
    papers: Papers, port: int, path: str, content: bytes, told: str
) -> HTTPSConnection:
    """A connection that has announced a file, and half of its bytes."""
    context = client_context(*papers.node)
    connection = HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    connection.putrequest("PUT", path)
    connection.putheader("Content-Length", str(len(content)))
    connection.putheader("X-Sha256", told)
    connection.endheaders(content[: len(content) // 2])
    return connection


def test_fetched_file_has_the_bytes_of_the_granted_one(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {})
    to = there / "deep" / "picture"
    assert carrier.fetch(token, "picture", to, sha256(LARGE)) == sha256(LARGE)
    assert (there / "deep" / "picture").read_bytes() == LARGE
    assert listed(there / "deep") == ["picture"]


def test_slow_disk_of_the_service_is_given_the_time_to_take_a_large_file(
    depot: Depot,
    carrier: Carrier,
    token: str,
    here: Path,
    there: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {"result": here / "result"})
    patience_s: list[float | None] = []
    answer = HTTPSConnection.getresponse

    def noted(connection: HTTPSConnection) -> HTTPResponse:
        patience_s.append(connection.sock.gettimeout())
        return answer(connection)

    monkeypatch.setattr(HTTPSConnection, "getresponse", noted)
    carrier.give(token, "result", there / "result")
    carrier.fetch(token, "picture", there / "picture")  # by the same connection
    assert patience_s == [ANSWER_S + len(LARGE) / SLOWEST_DISK_BYTES_S, ANSWER_S]


def test_empty_file_travels_both_ways(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    (here / "empty").touch()
    depot.grant(token, {"empty": here / "empty"}, {"result": here / "result"})
    carrier.fetch(token, "empty", there / "empty", sha256(b""))
    carrier.give(token, "result", there / "empty")
    assert (here / "result").read_bytes() == b"" == (there / "empty").read_bytes()


def test_given_file_appears_where_it_was_granted_and_is_told_with_its_hash(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {}, {"result": here / "new" / "result", "preview": here / "preview"})
    assert depot.given(token) == {}
    carrier.give(token, "result", there / "result")
    assert (here / "new" / "result").read_bytes() == LARGE[::-1]
    assert depot.given(token) == {"result": sha256(LARGE[::-1])}


def test_later_file_takes_the_place_of_an_earlier_one(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {}, {"preview": here / "preview"})
    for content in (b"first", b"second"):
        (there / "preview").write_bytes(content)
        carrier.give(token, "preview", there / "preview")
        assert (here / "preview").read_bytes() == content
        assert depot.given(token) == {"preview": sha256(content)}


def test_folder_takes_plain_names_of_any_bytes(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {}, {"small/": here / "small"})
    names = ["a 'b\" %2F?#.jpg", "größe.jpg", os.fsdecode(b"\xff\xfe.jpg")]
    for name in names:
        carrier.give(token, f"small/{name}", there / "result")
    assert listed(here / "small") == sorted(names)
    assert set(depot.given(token)) == {f"small/{name}" for name in names}


@pytest.mark.parametrize(
    "name",
    ["other", "", "small", "small/", "small/..", "small/../picture", "small/a/b", "small/.hidden",
     "small/a\0b", "/etc/passwd", "../picture", "small/" + "x" * 256],
)  # fmt: skip
def test_what_was_not_granted_is_not_there(
    name: str, depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {"small/": here / "small"})
    with pytest.raises(RevokedError):
        carrier.give(token, name, there / "result")
    with pytest.raises(RevokedError):
        carrier.fetch(token, name, there / "fetched")
    assert listed(here) == ["picture"] and listed(there) == ["result"]


def test_what_may_be_read_may_not_be_written_and_the_other_way_round(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {"result": here / "picture"})
    with pytest.raises(RevokedError):
        carrier.give(token, "picture", there / "result")
    with pytest.raises(RevokedError):
        carrier.fetch(token, "result", there / "fetched")


@pytest.mark.parametrize("token", ["short", "a" * 31, "a" * 31 + "/", "a" * 40 + "\n"])
def test_token_that_could_be_guessed_or_misread_is_not_granted(token: str, depot: Depot) -> None:
    with pytest.raises(ValueError, match="at least 32"):
        depot.grant(token, {}, {})


def test_of_a_revoked_token_nothing_is_taken_or_given_and_nobody_tries_again(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path, waits: list[float]
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {"result": here / "result"})
    depot.revoke(token)
    depot.revoke(token)  # once more changes nothing
    with pytest.raises(RevokedError):
        carrier.give(token, "result", there / "result")
    with pytest.raises(RevokedError):
        carrier.fetch(token, "picture", there / "picture")
    assert waits == [] and listed(here) == ["picture"] and depot.given(token) == {}


def test_upload_under_way_does_not_appear_once_its_token_is_revoked(
    depot: Depot, port: int, papers: Papers, token: str, here: Path
) -> None:
    (here / "result").write_bytes(b"before")
    depot.grant(token, {}, {"result": here / "result"})
    connection = begin_upload(papers, port, f"/{token}/result", LARGE, sha256(LARGE))
    depot.revoke(token)
    try:
        connection.send(LARGE[len(LARGE) // 2 :])
        assert connection.getresponse().status == 404
    except OSError:  # the depot hung up on what still came
        pass
    connection.close()
    depot.close()  # waits for its callers
    assert listed(here) == ["picture", "result"]
    assert (here / "result").read_bytes() == b"before"


def test_revoking_waits_for_the_file_that_gets_its_name(
    depot: Depot,
    carrier: Carrier,
    token: str,
    here: Path,
    there: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is there when `revoke` returns is all there will be, whoever is quicker."""
    depot.grant(token, {}, {"result": here / "result"})
    naming, go_on = threading.Event(), threading.Event()
    give_name = files.give_name

    def slowly(temporary: Path, target: Path, *, replace: bool = False) -> None:
        naming.set()
        assert go_on.wait(20)
        give_name(temporary, target, replace=replace)

    monkeypatch.setattr(files, "give_name", slowly)
    giving = threading.Thread(target=carrier.give, args=(token, "result", there / "result"))
    giving.start()
    assert naming.wait(20)
    revoking = threading.Thread(target=depot.revoke, args=(token,))
    revoking.start()
    assert not (here / "result").exists() and revoking.is_alive()
    go_on.set()
    revoking.join(20)
    assert (here / "result").read_bytes() == LARGE[::-1]
    giving.join(20)


def test_file_with_other_bytes_than_its_hash_does_not_appear(
    depot: Depot, port: int, papers: Papers, token: str, here: Path
) -> None:
    depot.grant(token, {}, {"result": here / "result"})
    connection = begin_upload(papers, port, f"/{token}/result", LARGE, sha256(b"other"))
    connection.send(LARGE[len(LARGE) // 2 :])
    assert connection.getresponse().status == 422
    connection.close()
    assert listed(here) == ["picture"] and depot.given(token) == {}


def test_upload_that_breaks_off_leaves_nothing(
    depot: Depot, port: int, papers: Papers, token: str, here: Path
) -> None:
    depot.grant(token, {}, {"result": here / "result"})
    connection = begin_upload(papers, port, f"/{token}/result", LARGE, sha256(LARGE))
    connection.close()
    depot.close()
    assert listed(here) == ["picture"]


@pytest.mark.parametrize("told", [{}, {"X-Sha256": "abc"}, {"X-Sha256": "a" * 64}])
def test_file_without_its_length_or_hash_is_refused(
    told: dict[str, str], depot: Depot, port: int, papers: Papers, token: str, here: Path
) -> None:
    depot.grant(token, {}, {"result": here / "result"})
    context = client_context(*papers.node)
    connection = HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    connection.putrequest("PUT", f"/{token}/result")
    for name, value in told.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


def test_link_that_breaks_is_gone_on_from_where_it_broke(
    depot: Depot,
    port: int,
    make_carrier: MakeCarrier,
    token: str,
    here: Path,
    there: Path,
    waits: list[float],
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {})
    link = BreakingLink(port, cuts=[900_000, 900_000])
    carrier = make_carrier(link.port)
    carrier.fetch(token, "picture", there / "picture", sha256(LARGE))
    link.close()
    assert (there / "picture").read_bytes() == LARGE
    assert waits == [WAITS_S[0], WAITS_S[0]]  # each time it had got further
    assert link.passed_bytes < 1.2 * len(LARGE)  # what had arrived did not travel again


def test_file_that_changed_while_the_link_was_broken_comes_whole(
    depot: Depot, port: int, papers: Papers, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {})
    link = BreakingLink(port, cuts=[900_000])
    other = LARGE[::-1] + b"more"
    carrier = Carrier(
        f"https://127.0.0.1:{link.port}",
        *papers.node,
        sleep=lambda _: files.write_bytes(here / "picture", other, replace=True),
    )
    assert carrier.fetch(token, "picture", there / "picture") == sha256(other)
    carrier.close()
    link.close()
    assert (there / "picture").read_bytes() == other


def test_file_whose_link_breaks_while_it_is_given_is_given_again(
    depot: Depot, port: int, make_carrier: MakeCarrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {}, {"result": here / "result"})
    link = BreakingLink(port, cuts=[100, 2500])  # before, and after the handshake
    make_carrier(link.port).give(token, "result", there / "result")
    link.close()
    assert (here / "result").read_bytes() == LARGE[::-1]


def test_nobody_there_is_told_after_tries_with_growing_waits(
    make_carrier: MakeCarrier, token: str, there: Path, waits: list[float]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(CarriageError, match=r"result cannot be given.*127\.0\.0\.1.*refused"):
        make_carrier(port).give(token, "result", there / "result")
    assert waits == list(WAITS_S) == sorted(WAITS_S)


def test_other_bytes_than_asked_for_are_never_kept(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {})
    with pytest.raises(CarriageError, match="other bytes arrived"):
        carrier.fetch(token, "picture", there / "picture", sha256(b"other"))
    assert listed(there) == ["result"]


def test_file_that_the_service_has_no_longer_is_told_at_once(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path, waits: list[float]
) -> None:
    depot.grant(token, {"picture": here / "gone"}, {})
    with pytest.raises(CarriageError, match="no longer") as told:
        carrier.fetch(token, "picture", there / "picture")
    assert not isinstance(told.value, RevokedError) and waits == []


def test_disk_of_the_service_that_is_full_is_told_in_its_words(
    papers: Papers, make_carrier: MakeCarrier, token: str, here: Path, there: Path
) -> None:
    depot = Depot("127.0.0.1:0", *papers.service, keep_bytes=1 << 60)
    depot.grant(token, {}, {"result": here / "result"})
    with pytest.raises(CarriageError, match="is nearly full"):
        make_carrier(depot.start()).give(token, "result", there / "result")
    depot.close()
    assert listed(here) == ["picture"]


def test_who_is_no_node_gets_nothing(
    depot: Depot,
    port: int,
    papers: Papers,
    make_carrier: MakeCarrier,
    token: str,
    here: Path,
    there: Path,
    waits: list[float],
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {"result": here / "result"})
    other = make_carrier(port, papers.scheduler)
    with pytest.raises(CarriageError, match="scheduler is no node's"):
        other.fetch(token, "picture", there / "picture")
    with pytest.raises(CarriageError, match="scheduler is no node's"):
        other.give(token, "result", there / "result")
    assert waits == [] and listed(here) == ["picture"]


def test_carrier_speaks_to_a_service_only(
    papers: Papers, make_carrier: MakeCarrier, token: str, there: Path, waits: list[float]
) -> None:
    depot = Depot("127.0.0.1:0", *papers.node)
    with pytest.raises(CarriageError, match="of a node, not of a service"):
        make_carrier(depot.start()).give(token, "result", there / "result")
    depot.close()
    assert waits == []


def test_certificates_of_another_authority_are_refused_by_both_ends_at_once(
    tmp_path: Path,
    port: int,
    papers: Papers,
    make_carrier: MakeCarrier,
    token: str,
    there: Path,
    waits: list[float],
) -> None:
    other = make_papers(tmp_path / "other")
    with pytest.raises(CarriageError, match="do not accept each other"):
        make_carrier(port, other.node).fetch(token, "picture", there / "picture")
    trusting = (papers.node[0], *other.node[1:])  # only the depot can tell
    with pytest.raises(CarriageError, match="do not accept each other"):
        make_carrier(port, trusting).fetch(token, "picture", there / "picture")
    assert waits == []


def test_caller_without_tls_or_certificate_is_refused_and_others_are_served(
    depot: Depot, port: int, papers: Papers, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {})
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        plain.sendall(f"GET /{token}/picture HTTP/1.1\r\n\r\n".encode())
        assert b"HTTP" not in plain.recv(100)
    context = ssl.create_default_context(cafile=str(papers.service[0]))
    context.check_hostname = False
    nobody = HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    with pytest.raises((OSError, HTTPException)):
        nobody.request("GET", f"/{token}/picture")
        nobody.getresponse()
    nobody.close()
    carrier.fetch(token, "picture", there / "picture", sha256(LARGE))


def test_one_carrier_serves_many_threads_at_once(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {"picture": here / "picture"}, {"small/": here / "small"})

    def carry(number: int) -> None:
        carrier.fetch(token, "picture", there / str(number), sha256(LARGE))
        carrier.give(token, f"small/{number}", there / str(number))

    threads = [threading.Thread(target=carry, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert depot.given(token) == {f"small/{number}": sha256(LARGE) for number in range(8)}


def test_caller_for_whom_there_is_no_room_comes_again(
    depot: Depot,
    papers: Papers,
    token: str,
    here: Path,
    there: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(depot_server, "MOST_CALLERS", 1)
    port = depot.start()
    depot.grant(token, {"picture": here / "picture"}, {})
    server = depot._server
    assert server is not None
    other = socket.create_connection(("127.0.0.1", port), 20)
    waits: list[float] = []

    def other_leaves(seconds: float) -> None:
        waits.append(seconds)
        other.close()
        with server._changed:
            assert server._changed.wait_for(lambda: not server._callers, 20)

    carrier = Carrier(f"https://127.0.0.1:{port}", *papers.node, sleep=other_leaves)
    carrier.fetch(token, "picture", there / "picture", sha256(LARGE))
    carrier.close()
    assert waits == [WAITS_S[0]]


def test_address_that_cannot_be_had_is_told(depot: Depot, port: int, papers: Papers) -> None:
    for address in (f"127.0.0.1:{port}", "127.0.0.1:x", "nowhere.invalid:0"):
        with pytest.raises(SurroundingsError, match="cannot be served at"):
            Depot(address, *papers.service).start()


def test_closed_depot_serves_nobody(
    depot: Depot, carrier: Carrier, token: str, here: Path, there: Path
) -> None:
    depot.grant(token, {}, {"result": here / "result"})
    depot.close()
    with pytest.raises(CarriageError):
        carrier.give(token, "result", there / "result")
    assert listed(here) == ["picture"]
