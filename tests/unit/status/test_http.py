"""The web server: who answers where, at which address, and what happens if it cannot be had."""

import contextlib
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from loguru import logger

from daemon.settings.config import Address, Config
from daemon.status import http
from daemon.status.health import Health
from daemon.status.http import Route, WebServer
from tests.support.atelier import PATIENCE_S, wait_for


def page(text: str) -> Callable[..., Iterable[bytes]]:
    """An application that answers with a text and the path it was asked for."""

    def answer(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{text} at {environ['PATH_INFO']}".encode()]

    return answer


ROUTES = [Route("/page", page("a page")), Route("", page("all else"))]


def at(host: str, port: int) -> Config:
    return Config().model_copy(update={"metrics": Address(host, port)})


def end(server: WebServer) -> None:
    server.stop()
    server.join(PATIENCE_S)


@contextlib.contextmanager
def serving(
    config: Config, routes: list[Route] = ROUTES, health: Health | None = None
) -> Iterator[WebServer]:
    server = WebServer(config, routes, health or Health())
    server.start()
    try:
        yield server
    finally:
        end(server)


def answers(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), 1.0).close()
    except OSError:
        return False
    return True


def fetch(port: int, path: str, host: str = "127.0.0.1") -> str:
    wait_for("the server", lambda: answers(port, host.strip("[]")))
    with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/page", "a page at /page"),
        ("/page/1.jpg", "a page at /page/1.jpg"),
        ("/metrics", "all else at /metrics"),
        ("/", "all else at /"),
    ],
)
def test_first_route_whose_path_a_request_begins_with_answers(
    port: int, path: str, text: str
) -> None:
    with serving(at("127.0.0.1", port)):
        assert fetch(port, path) == text


def test_path_that_no_route_has_is_not_found(port: int) -> None:
    with (
        serving(at("127.0.0.1", port), ROUTES[:1]),
        pytest.raises(urllib.error.HTTPError, match="404") as raised,
    ):
        fetch(port, "/metrics")
    raised.value.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_routes_are_served_until_the_server_is_stopped(port: int, host: str) -> None:
    """`localhost` is 127.0.0.1 too, which monitors are mostly told."""
    with serving(at(host, port)):
        assert fetch(port, "/page") == "a page at /page"
    assert not answers(port)


def test_routes_are_served_on_ipv6() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as probe:
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving(at("::1", port)):
        assert fetch(port, "/page", "[::1]") == "a page at /page"


def test_nothing_listens_where_the_configuration_names_no_address() -> None:
    with serving(Config()) as server:
        assert not server._loop.alive


def test_changed_address_is_served_and_the_former_given_back(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        other = probe.getsockname()[1]
    with serving(at("127.0.0.1", port)) as server:
        fetch(port, "/page")
        server.change(at("127.0.0.1", other))
        assert fetch(other, "/page") == "a page at /page"
        assert not answers(port)
        server.change(Config())
        assert not answers(other)


def test_busy_port_is_a_trouble_that_ends_when_it_is_free(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "RETRY_S", 0.05)
    health = Health()
    with contextlib.ExitStack() as stack:
        with socket.create_server(("127.0.0.1", port)):
            stack.enter_context(serving(at("127.0.0.1", port), health=health))
            text = wait_for("the trouble", lambda: health.troubles.get("metrics"))
            assert f"127.0.0.1 port {port}" in text and "`metrics` in config.yaml" in text
        wait_for("the end of the trouble", lambda: not health.troubles)
        assert answers(port)


def test_host_that_is_unknown_is_a_trouble_too() -> None:
    health = Health()
    with serving(at("no-such-host.invalid", 9470), health=health):
        assert "no-such-host.invalid" in wait_for("it", lambda: health.troubles.get("metrics", ""))


def test_caller_that_breaks_off_costs_nothing(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    logger.remove()
    with serving(at("127.0.0.1", port)):
        wait_for("the server", lambda: answers(port))
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(b"GET /page HTTP/1.1\r\n")
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(b"\x16\x03\x01 not HTTP\r\n\r\n")
            caller.recv(1000)
        assert fetch(port, "/page") == "a page at /page"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("error", [UnicodeError("label too long"), RuntimeError("a bug")])
def test_whatever_listening_raises_is_a_trouble_of_the_metrics(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A host with a label of more than 63 characters is a UnicodeError to Python."""

    def listen(*_: object) -> None:
        raise error

    monkeypatch.setattr(http, "listen", listen)
    health = Health()
    with serving(at("x" * 64, 9470), health=health):
        assert str(error) in wait_for("it", lambda: health.troubles.get("metrics", ""))


def test_metrics_that_no_thread_can_be_had_for_are_a_trouble(no_threads: None) -> None:
    health = Health()
    with serving(at("127.0.0.1", 9470), health=health):
        assert "can't start new thread" in health.troubles["metrics"]
