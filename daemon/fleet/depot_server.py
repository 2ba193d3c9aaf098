"""The depot's HTTP: a thread for each caller, who shows a node's certificate first.

Blocking sockets on purpose: encryption, hashing and the disk let go of the interpreter, and large
pieces go straight from a file to the caller.
"""

import os
import re
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedReader
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import quote, unquote

from loguru import logger

from daemon.fleet.certificates import Role, name_of, role_of
from daemon.fleet.grants import PIECE_BYTES, Coming, Grants, NotGrantedError, RefusedError
from daemon.host import files
from daemon.host.start import allow_open_files

HANDSHAKE_S, IDLE_S, STALLED_S = 10.0, 20.0, 30.0
"""How long a caller may take to show who it is, to ask for something, and for the next piece."""

LINGER_S, MOST_UNREAD = 1.0, 16
MOST_CALLERS = 1500
"""Measured: a thousand that stay make the process 84 MB larger."""

OTHER_FILES = 200
"""What the process has open beside a connection and a file for each caller."""

CLOSE_S = 5.0
HASH = re.compile(r"[0-9a-f]{64}")
FURTHER = re.compile(r"bytes=(\d{1,15})-")
REASON = "X-Reason"
"""Why something was refused, percent-encoded: a refused upload may be answered by a head alone."""


class DepotServer(ThreadingTCPServer):
    """Accepts callers at a socket that listens, at most so many at a time."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, context: ssl.SSLContext, grants: Grants) -> None:
        super().__init__(listening.getsockname()[:2], DepotHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.grants = grants
        self._context = context
        self._callers: set[Any] = set()
        open_files = allow_open_files(2 * MOST_CALLERS + OTHER_FILES)
        self._most = max(1, (open_files - OTHER_FILES) // 2)
        self._changed = threading.Condition()

    def end(self) -> None:
        """Listens no more, and ends the callers that are there."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # which wakes who waits there
        self.shutdown()
        self.server_close()
        with self._changed:
            for caller in self._callers:
                with suppress(OSError):
                    caller.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._callers, CLOSE_S)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more; whoever is turned away comes again a little later."""
        with self._changed:
            return len(self._callers) < self._most

    def process_request(self, request: Any, client_address: Any) -> None:
        """Gives a caller a thread of its own."""
        self._note(request, there=True)
        try:
            super().process_request(request, client_address)
        except BaseException:  # there is no thread to be had
            self._note(request, there=False)
            raise

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serves a caller to its end, once it has shown its certificate."""
        request.settimeout(HANDSHAKE_S)
        caller = self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        self._note(caller, there=True)
        self._note(request, there=False)  # it is empty now
        try:
            with caller:
                shake_hands(caller)
                DepotHandler(caller, client_address, self)
        finally:
            self._note(caller, there=False)

    def shutdown_request(self, request: Any) -> None:
        """Ends a caller's connection."""
        super().shutdown_request(request)
        self._note(request, there=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tells of a caller that showed no good certificate, or broke off."""
        error = sys.exception()
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            logger.warning("the depot refused {}: {}", client_address[0], error)
        else:
            logger.debug("the depot's caller {} broke off: {!r}", client_address[0], error)

    def _note(self, caller: Any, *, there: bool) -> None:
        """Knows which callers are there."""
        with self._changed:
            (self._callers.add if there else self._callers.discard)(caller)
            self._changed.notify_all()


def shake_hands(caller: ssl.SSLSocket) -> None:
    """Learns who a caller is; one that is refused is given the time to hear why.

    A connection closed with bytes unread is reset, and what was said last is lost with it.
    """
    try:
        caller.do_handshake()
    except ssl.SSLError:
        with socket.socket(fileno=caller.detach()) as plain, suppress(OSError):
            plain.settimeout(LINGER_S)
            plain.shutdown(socket.SHUT_WR)
            for _ in range(MOST_UNREAD):
                if not plain.recv(PIECE_BYTES):
                    break
        raise


class DepotHandler(BaseHTTPRequestHandler):
    """Answers one caller, request after request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: DepotServer
    connection: ssl.SSLSocket

    def handle_one_request(self) -> None:
        """Waits for a request, and answers it."""
        self.connection.settimeout(IDLE_S)
        super().handle_one_request()

    def do_GET(self) -> None:
        """Sends a file, or the rest of one."""
        with self._refusals():
            token, name = self._asked()
            with files.open_ordinary(self.server.grants.readable(token, name)) as file:
                self._send(file)

    def do_PUT(self) -> None:
        """Takes a file."""
        with self._refusals():
            token, name = self._asked()
            size, sha256 = self.headers["Content-Length"] or "", self.headers["X-Sha256"] or ""
            if not (size.isascii() and size.isdigit() and HASH.fullmatch(sha256)):
                raise RefusedError(
                    HTTPStatus.BAD_REQUEST, "a file is given with Content-Length and X-Sha256"
                )
            coming = Coming(name, int(size), sha256)
            self.server.grants.take(token, coming, self.rfile, self._go_ahead)
            self._answer(HTTPStatus.CREATED)

    def handle_expect_100(self) -> bool:
        """Leaves it to `do_PUT` whether a file that is announced is to come."""
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps the tokens, which are in the paths, out of every log."""

    def version_string(self) -> str:
        """What it calls itself."""
        return "atelierd"

    def _asked(self) -> tuple[str, str]:
        """The token and the name that are asked for; raises RefusedError for who is no node."""
        self.connection.settimeout(STALLED_S)
        certificate = self.connection.getpeercert() or {}
        if role_of(certificate) != Role.NODE:
            shown = files.printable(name_of(certificate))
            raise RefusedError(
                HTTPStatus.FORBIDDEN, f"the certificate of {shown or 'nobody'} is no node's"
            )
        parts = self.path.split("/", 2)
        if len(parts) != 3 or parts[0]:
            raise NotGrantedError
        return parts[1], unquote(parts[2], errors="surrogateescape")

    def _send(self, file: BufferedReader) -> None:
        """Sends a file, or the rest of it to who has its beginning already."""
        status = os.fstat(file.fileno())
        size, tag = status.st_size, f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
        first = first_byte(self.headers["Range"], self.headers["If-Range"] == tag, size)
        headers = {"ETag": tag, "Content-Length": str(size - first)}
        if first:
            headers["Content-Range"] = f"bytes {first}-{size - 1}/{size}"
        self._answer(HTTPStatus.PARTIAL_CONTENT if first else HTTPStatus.OK, headers)
        file.seek(first)
        buffer, left = memoryview(bytearray(min(PIECE_BYTES, size))), size - first
        while left:
            count = file.readinto(buffer[: min(left, len(buffer))])
            if not count:
                raise ConnectionError("the file has become shorter")  # which the caller counts
            self.wfile.write(buffer[:count])
            left -= count

    def _go_ahead(self) -> None:
        """Asks for the bytes of a file, where the caller waits for that."""
        if self.headers["Expect"]:
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()

    def _answer(self, status: HTTPStatus, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": "0"} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Answers with what went wrong, and ends the connection, of which more may come."""
        try:
            yield
        except (TimeoutError, ConnectionError, ssl.SSLError):
            raise
        except RefusedError as error:
            self._refuse(error.status, str(error))
        except FileNotFoundError:
            self._refuse(HTTPStatus.GONE, "the service has this file no longer")
        except OSError as error:
            reason = f"the service's disk: {error.strerror or error}"
            self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, reason)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._answer(status, {REASON: quote(reason), "Connection": "close"})


def first_byte(wanted: str | None, is_same: bool, size: int) -> int:
    """The first byte to send to who asks for a range; 0 for the whole file, which always fits."""
    found = FURTHER.fullmatch(wanted or "")
    first = int(found[1]) if found and is_same else 0
    return first if first < size else 0
