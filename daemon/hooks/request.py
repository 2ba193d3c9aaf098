"""A hook that is an address: the record goes there by POST, signed where a secret is named."""

import contextlib
import hashlib
import hmac
import http.client
import queue
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from daemon import __version__
from daemon.hooks.attempt import LOOK_S, Attempt, CutShortError
from daemon.host.files import printable

TRY_AGAIN = (408, 429)
"""The only answers that blame the request and pass by themselves: too slow, too many."""
ERROR_CHARACTERS = 200
LET_GO_S = 5.0
"""How much longer than a try its thread may wait for a single read after it was given up."""


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """The value of X-Atelierd-Signature: HMAC-SHA256 over timestamp, a dot, and body."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()


def headers_of(
    event: str, delivery_id: str, body: bytes, secret_file: Path | None
) -> dict[str, str]:
    """What is sent beside the body, with the time of now.

    Raises OSError if the secret cannot be read, ValueError if there is none in its file.
    """
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"atelierd/{__version__}",
        "X-Atelierd-Event": event,
        "X-Atelierd-Delivery": delivery_id,
        "X-Atelierd-Timestamp": timestamp,
    }
    if secret_file is None:
        return headers
    secret = secret_file.read_bytes().strip()
    if not secret:
        raise ValueError("is empty; put the secret there")
    return headers | {"X-Atelierd-Signature": signature(secret, timestamp, body)}


def post(
    url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, cut: threading.Event
) -> Attempt:
    """Sends a body once, within `timeout_s` from the name's look-up to the answer's headers.

    No redirect is followed and no proxy asked. Raises CutShortError once `cut` is set.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s + LET_GO_S)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    answers: queue.SimpleQueue[int | str] = queue.SimpleQueue()
    # A thread of its own: the socket's time limit is for each read, and none is for the look-up.
    threading.Thread(
        target=exchange, args=(connection, target, headers, body, answers), daemon=True
    ).start()
    deadline_s = time.monotonic() + timeout_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            return judge(answers.get(timeout=min(LOOK_S, left_s)))
        if cut.is_set():
            hang_up(connection)
            raise CutShortError
    hang_up(connection)
    return Attempt(f"did not answer within {timeout_s:g} s", again=True)


def exchange(
    connection: http.client.HTTPConnection,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    answers: "queue.SimpleQueue[int | str]",
) -> None:
    """Sends, and puts the answer's status, or what went wrong, into `answers`."""
    try:
        connection.request("POST", target, body, dict(headers))
        answers.put(connection.getresponse().status)
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a host's name
        answers.put(printable(str(error) or type(error).__name__)[:ERROR_CHARACTERS])
    finally:
        connection.close()


def hang_up(connection: http.client.HTTPConnection) -> None:
    """Ends what another thread waits for on a connection."""
    held: socket.socket | None = connection.sock
    if held is not None:
        with contextlib.suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)


def judge(answer: int | str) -> Attempt:
    """What an answer's status, or an error's text, means."""
    if isinstance(answer, str):
        return Attempt(answer, again=True)
    if 200 <= answer < 300:
        return Attempt()
    fault = f"answered {answer}"
    if 300 <= answer < 400:
        fault += ", and redirects are not followed"
    return Attempt(fault, again=not 400 <= answer < 500 or answer in TRY_AGAIN)
