"""The node's end of the carriage: fetches an order's files from the depot, and gives results."""

import hashlib
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection, parse_headers
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from daemon.errors import SurroundingsError
from daemon.fleet.certificates import Role, client_context, role_of
from daemon.fleet.depot_server import REASON
from daemon.fleet.grants import PIECE_BYTES
from daemon.host import files

ANSWER_S = 30.0
SLOWEST_DISK_BYTES_S = 10_000_000
"""A file that was given is answered for when it is on the disk, which may take long."""

KEPT_S = 10.0
"""How long an idle connection is kept: the depot ends it later than that."""

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Before the next tries; begun anew whenever more of a file has arrived."""

LONGEST_LINE = 65536
REFUSALS = ("ALERT", "WRONG_VERSION", "UNSUPPORTED_PROTOCOL", "HTTP_REQUEST", "NO_SHARED_CIPHER")
"""What is in OpenSSL's words for two that will not get on with each other, however often asked."""


class CarriageError(SurroundingsError):
    """A file could not be fetched or given; says which, why, and what to do."""


class RevokedError(CarriageError):
    """The run is over or given up for the service: nothing of it is taken or given any more."""


class BrokenLinkError(Exception):
    """A connection broke, or the depot cannot answer now: another try may do."""


@dataclass
class Arrived:
    """What of a file has arrived: in `file`, hashed, and the version that the depot called it."""

    file: BinaryIO
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    size_bytes: int = 0
    version: str = ""

    def add(self, piece: memoryview) -> None:
        """Takes in the next piece."""
        self.file.write(piece)
        self.digest.update(piece)
        self.size_bytes += len(piece)

    def forget(self) -> None:
        """Begins anew."""
        self.file.seek(0)
        self.file.truncate()
        self.digest, self.size_bytes, self.version = hashlib.sha256(), 0, ""


class Carrier:
    """Fetches and gives files over HTTPS with mutual TLS. May be used by many threads at once."""

    def __init__(
        self,
        url: str,
        ca: Path,
        cert: Path,
        key: Path,
        *,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """url: the depot's, such as https://studio:8787.  sleep: waits between two tries."""
        place = urlsplit(url)
        self._url = url
        self._host, self._port = place.hostname or "", place.port or 443
        self._context = client_context(ca, cert, key)
        self._sleep = sleep
        self._clock = clock
        self._idle: list[tuple[float, HTTPSConnection]] = []

    def fetch(self, token: str, name: str, to: Path, sha256: str = "") -> str:
        """Puts a granted file at `to`, whole or not at all; returns its sha256.

        sha256: what it must be, empty where that is not known.  A broken link is gone on from a few
        times.  After a crash `to` is absent, or what of it had reached the disk.
        Raises RevokedError at once, CarriageError in the end, and OSError for `to`.
        """
        files.make_folder(to.parent)
        temporary = files.temporary_beside(to)
        try:
            with temporary.open("xb") as file:
                arrived = Arrived(file)
                attempt = partial(self._fetch_rest, address(token, name), arrived, sha256)
                self._patiently(f"{name} cannot be fetched", attempt, lambda: arrived.size_bytes)
            temporary.replace(to)
        finally:
            temporary.unlink(missing_ok=True)
        return arrived.digest.hexdigest()

    def give(self, token: str, name: str, path: Path, sha256: str = "") -> str:
        """Gives a file under a granted name, where it appears whole or not at all.

        sha256: its hash where that is known already.  Returns it.
        Raises RevokedError at once, CarriageError after a few tries, and OSError for `path`.
        """
        with files.open_ordinary(path) as file:  # another may take its name meanwhile
            sha256 = sha256 or hashlib.file_digest(file, "sha256").hexdigest()
            attempt = partial(self._give_whole, address(token, name), file, sha256)
            self._patiently(f"{name} cannot be given", attempt, lambda: 0)
        return sha256

    def close(self) -> None:
        """Ends the connections that are kept."""
        while self._idle:
            self._idle.pop()[1].close()

    def _patiently(
        self, what: str, attempt: Callable[[], None], reached: Callable[[], int]
    ) -> None:
        """Tries until it is done, with growing waits while it gets no further."""
        best, waits = reached(), iter(WAITS_S)
        while True:
            try:
                attempt()
                return
            except BrokenLinkError as error:
                if reached() > best:
                    best, waits = reached(), iter(WAITS_S)
                wait_s = next(waits, None)
                if wait_s is None:
                    raise CarriageError(f"{what}: {self._url}: {error}") from error
            self._sleep(wait_s)

    def _fetch_rest(self, path: str, arrived: Arrived, sha256: str) -> None:
        """Fetches what of a file has not arrived yet."""
        headers = {}
        if arrived.size_bytes:
            headers = {"Range": f"bytes={arrived.size_bytes}-", "If-Range": arrived.version}
        with self._connected() as connection:
            with self._link():
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
            with response:
                if response.status == HTTPStatus.OK:
                    arrived.forget()  # from the beginning: it is another file now
                else:
                    check(response.status, response.headers, HTTPStatus.PARTIAL_CONTENT)
                arrived.version = response.headers["ETag"] or ""
                self._receive(response, arrived)
        if sha256 and arrived.digest.hexdigest() != sha256:
            arrived.forget()
            raise BrokenLinkError("other bytes arrived than were asked for")

    def _receive(self, response: HTTPResponse, arrived: Arrived) -> None:
        """Takes in the body of an answer."""
        left = int(response.headers["Content-Length"])
        buffer = memoryview(bytearray(min(PIECE_BYTES, left)))
        while left:
            with self._link():
                count = response.readinto(buffer)
            if not count:
                raise BrokenLinkError("the connection ended in the middle of the file")
            arrived.add(buffer[:count])
            left -= count
        with self._link():
            response.read()  # says that it has ended, so that the connection may be kept

    def _give_whole(self, path: str, file: BinaryIO, sha256: str) -> None:
        """Gives a file from its beginning, once the depot has asked for its bytes."""
        size = os.fstat(file.fileno()).st_size
        with self._connected() as connection:
            with self._link():
                connection.putrequest("PUT", path)
                connection.putheader("Content-Length", str(size))
                connection.putheader("X-Sha256", sha256)
                connection.putheader("Expect", "100-continue")
                connection.endheaders()
                status, headers = interim_answer(connection)
            check(status, headers, HTTPStatus.CONTINUE)
            self._send(connection, file, size)
            with self._link():
                connection.sock.settimeout(ANSWER_S + size / SLOWEST_DISK_BYTES_S)
                response = connection.getresponse()
            with response:
                check(response.status, response.headers, HTTPStatus.CREATED)
            connection.sock.settimeout(ANSWER_S)

    def _send(self, connection: HTTPSConnection, file: BinaryIO, size: int) -> None:
        """Sends the bytes of a file."""
        file.seek(0)
        left = size
        while left:
            piece = file.read(min(PIECE_BYTES, left))
            if not piece:
                raise CarriageError("the file became shorter while it was given")
            with self._link():
                connection.send(piece)
            left -= len(piece)

    @contextmanager
    def _connected(self) -> Iterator[HTTPSConnection]:
        """A connection, one that is kept or a new one; kept again if all went well."""
        connection = self._kept() or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:  # else the depot has ended it
            self._idle.append((self._clock(), connection))

    def _kept(self) -> HTTPSConnection | None:
        """The connection used last, if the depot still has it; older ones are ended."""
        try:
            since_s, connection = self._idle.pop()
        except IndexError:
            return None
        if self._clock() - since_s < KEPT_S:
            return connection
        connection.close()
        self.close()
        return None

    def _connect(self) -> HTTPSConnection:
        """A new connection to a depot of a service; raises CarriageError if it is none."""
        connection = HTTPSConnection(
            self._host, self._port, timeout=ANSWER_S, context=self._context
        )
        connection.auto_open = 0  # never again without a look at who is there
        with self._link():
            connection.connect()
            shown: Mapping[str, Any] = connection.sock.getpeercert() or {}
            role = role_of(shown)
        if role != Role.SERVICE:
            connection.close()
            raise CarriageError(
                f"{self._url} shows the certificate of a {role or 'stranger'}, not of a service: "
                "mend `fleet: cert` in the service's config.yaml, or the address"
            )
        return connection

    @contextmanager
    def _link(self) -> Iterator[None]:
        """Translates what may go wrong with a connection."""
        try:
            yield
        except (OSError, HTTPException, ValueError, LookupError) as error:
            why = str(error) or type(error).__name__
            if is_distrust(error):
                raise CarriageError(
                    f"{self._url} and this node do not accept each other: {why}; both need "
                    "certificates of one authority that have not ended, and the same version"
                ) from error
            raise BrokenLinkError(why) from error


def is_distrust(error: Exception) -> bool:
    """Whether two could not agree who they are, so that another try ends the same."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    return isinstance(error, ssl.SSLError) and any(word in str(error.reason) for word in REFUSALS)


def address(token: str, name: str) -> str:
    """The path of a granted file in the depot's URLs."""
    return f"/{token}/{quote(os.fsencode(name), safe='/')}"


def interim_answer(connection: HTTPSConnection) -> tuple[int, HTTPMessage]:
    """The head of the first answer to a file that was announced, and not a byte more."""
    with connection.sock.makefile("rb", buffering=0) as head:
        status = int(head.readline(LONGEST_LINE).split()[1])
        return status, parse_headers(head)


def check(status: int, headers: HTTPMessage, wanted: HTTPStatus) -> None:
    """Raises what an answer means that is not the wanted one."""
    if status == wanted:
        return
    reason = unquote(headers[REASON] or "") or f"it answered {status}"
    if status == HTTPStatus.NOT_FOUND:
        raise RevokedError("the run is over for the service, or given up")
    if status >= 500 or status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise BrokenLinkError(reason)
    raise CarriageError(f"the service refuses: {reason}")
