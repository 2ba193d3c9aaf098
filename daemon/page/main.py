"""The page's own process: it listens, serves, and ends; the service never notices."""

import asyncio
import logging
import signal
import socket
from asyncio import TimerHandle, Transport
from typing import cast

import uvicorn
from loguru import logger
from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.page.app import make_app, make_site
from daemon.settings.address import Address
from daemon.settings.config import Config
from daemon.settings.page import PageSettings

HEAD_S = 15.0
"""How long a caller may take to say what it wants."""

MOST_CALLERS = 300
GRACE_S = 2
TICK_S = 0.5
HEAD_BYTES = 32_768


class Protocol(H11Protocol):
    """A caller's connection, which is closed if what it wants does not come in time."""

    _head: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Takes a piece of a request; one whose head is whole is waited for no more."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._expect()
        elif self._head is not None:
            self._head.cancel()
            self._head = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        if self._head is not None:
            self._head.cancel()
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self._head is None:
            self._head = asyncio.get_running_loop().call_later(HEAD_S, self._give_up)

    def _give_up(self) -> None:
        self._head = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class CalmServer(uvicorn.Server):
    """A server that looks less often whether it is to end: ten times a second is all its idle."""

    async def main_loop(self) -> None:
        """Serves until it is told to end."""
        while not await self.on_tick(0):
            await asyncio.sleep(TICK_S)


def serve(config: Config) -> None:
    """Serves the page until SIGTERM or SIGINT.

    Raises ConfigError for a secret that is none, SurroundingsError for an address that cannot be
    had.
    """
    page = config.page or PageSettings()
    site = make_site(config, page)
    listening = listen(page.address)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it has ended
        signal.signal(number, lambda *_: None)
    for name in site.pages.list_templates(["html"]):  # so that nobody's first view waits for it
        site.pages.get_template(name)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logger.info("the page is at http://{}/", page.address)
    if site.sessions.locked:
        logger.info("who knows the secret is let in; put TLS in front of any other address")
    settings = uvicorn.Config(
        make_app(site),
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CALLERS,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    with listening:
        CalmServer(settings).run(sockets=[listening])
    logger.info("the page has ended")


def listen(address: Address) -> socket.socket:
    """A socket that listens; raises SurroundingsError if there can be none."""
    try:
        places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        # `localhost` is both; browsers are mostly told 127.0.0.1
        family, _, _, _, place = min(places, key=lambda each: each[0] != socket.AF_INET)
        found = socket.socket(cast(int, family))
    except (OSError, UnicodeError) as error:
        raise SurroundingsError(refusal(address, error)) from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(place)
    except OSError as error:
        found.close()
        raise SurroundingsError(refusal(address, error)) from error
    return found


def refusal(address: Address, error: Exception) -> str:
    """Why nothing can listen at an address, and what to do."""
    why = getattr(error, "strerror", None) or error
    return (
        f"nothing can listen at {files.printable(str(address))}: {why}; free it, or change `page`"
    )
