"""The web server that monitors fetch the metrics from; nothing else is served there."""

import socket
import threading
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from loguru import logger
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from daemon.errors import SurroundingsError
from daemon.status.health import Health

RETRY_S = 10.0
LISTEN_S = 0.5
PATIENCE_S = 10.0
"""How long a caller may take to say what it wants: a thread waits for each."""


class Server(ThreadingWSGIServer):
    """A thread for each request; callers that break off are no news."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.opt(exception=True).debug("metrics: a caller broke off")


class Server6(Server):
    """The same on an IPv6 address."""

    address_family = socket.AF_INET6


class Handler(WSGIRequestHandler):
    """One request, which is not worth a line in the log."""

    timeout = PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class Endpoint:
    """Serves a registry at an address, in a thread of its own.

    An address that cannot be had is a trouble of `metrics` that ends when it can: it is tried
    again now and then.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        self._host, self._port = host, port
        self._registry = registry
        self._health = health
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Begins to listen; that no thread can be had is a trouble of `metrics` too."""
        try:
            self._thread.start()
        except RuntimeError as error:
            self._health.bad("metrics", SurroundingsError(f"cannot be served: {error}"))

    def close(self) -> None:
        """Gives the address back."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(2 * LISTEN_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._serve()
            except Exception as error:  # of a library, too: a name that is none is a ValueError
                why = getattr(error, "strerror", None) or error
                self._health.bad(
                    "metrics",
                    SurroundingsError(
                        f"nothing can listen at {self._host} port {self._port}: {why}; "
                        "free it, or change `metrics` in config.yaml"
                    ),
                )
                self._closing.wait(RETRY_S)

    def _serve(self) -> None:
        """Answers until it is to close."""
        with listen(self._host, self._port, self._registry) as server:
            self._health.good("metrics")
            while not self._closing.is_set():
                server.handle_request()


def listen(host: str, port: int, registry: CollectorRegistry) -> WSGIServer:
    """A server that listens; raises OSError if it cannot, ValueError for a host that is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # `localhost` is both; monitors are mostly told 127.0.0.1
    family, _, _, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
    kind = Server if family == socket.AF_INET else Server6
    server = make_server(str(place[0]), port, make_wsgi_app(registry), kind, Handler)
    server.timeout = LISTEN_S
    return server
