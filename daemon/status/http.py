"""The web server of the service: routes answer, and it knows nothing of what they tell."""

import contextlib
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from loguru import logger

from daemon.errors import SurroundingsError
from daemon.host.loop import Loop, Round
from daemon.settings.config import Config
from daemon.status.health import Health

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

RETRY_S = 10.0
LISTEN_S = 0.5
PATIENCE_S = 10.0
"""How long a caller may take to say what it wants: a thread waits for each."""


@dataclass(frozen=True)
class Route:
    """A path of the web server, with all that begins with it, and what answers there."""

    path: str
    answer: "WSGIApplication"


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each request; callers that break off are no news."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Notes what a request ended by, for whoever looks for it."""
        logger.opt(exception=True).debug("metrics: a caller broke off")


class Server6(Server):
    """The same on an IPv6 address."""

    address_family = socket.AF_INET6


class Handler(WSGIRequestHandler):
    """One request, which is not worth a line in the log."""

    timeout = PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class WebServer:
    """Serves routes at the address that `metrics` in config.yaml names, in a thread of its own.

    routes: the first one whose path a request's begins with answers it.  An address that cannot be
    had is a trouble of `metrics` that ends when it can: it is tried again now and then.
    """

    def __init__(self, config: Config, routes: Sequence[Route], health: Health) -> None:
        self._address = config.metrics
        self._routes = routes
        self._health = health
        self._loop = Loop("metrics", self._set_up, self._note_fault, retry_s=RETRY_S)
        self.stop, self.join = self._loop.stop, self._loop.join

    def start(self) -> None:
        """Begins to listen where there is an address; no thread to be had is a trouble too."""
        if self._address is None:
            return
        try:
            self._loop.start()
        except RuntimeError as error:
            self._health.bad("metrics", SurroundingsError(f"cannot be served: {error}"))

    def change(self, config: Config, devices: Sequence[str] = ()) -> None:
        """Gives the address back, and listens at the one that is named now."""
        self.stop()
        self.join(2 * LISTEN_S)
        self._address = config.metrics
        self.start()

    def _set_up(self, opened: contextlib.ExitStack) -> Round:
        assert self._address is not None
        server = opened.enter_context(listen(self._address.host, self._address.port, self._routes))
        self._health.good("metrics")
        return server.handle_request

    def _note_fault(self, error: Exception) -> None:
        """Tells of whatever a library raises, too: a name that is none is a ValueError."""
        assert self._address is not None
        why = getattr(error, "strerror", None) or error
        where = f"{self._address.host} port {self._address.port}"
        text = f"nothing can listen at {where}: {why}; free it, or change `metrics` in config.yaml"
        self._health.bad("metrics", SurroundingsError(text))


def listen(host: str, port: int, routes: Sequence[Route]) -> WSGIServer:
    """A server that listens; raises OSError if it cannot, ValueError for a host that is none."""
    places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # `localhost` is both; monitors are mostly told 127.0.0.1
    family, _, _, _, place = min(places, key=lambda each: each[0] != socket.AF_INET)
    kind = Server if family == socket.AF_INET else Server6
    server = make_server(str(place[0]), port, answer_by(routes), kind, Handler)
    server.timeout = LISTEN_S
    return server


def answer_by(routes: Sequence[Route]) -> "WSGIApplication":
    """An application that lets the first route answer whose path a request's path begins with."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        for route in routes:
            if environ["PATH_INFO"].startswith(route.path):
                return route.answer(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"nothing is served here\n"]

    return answer
