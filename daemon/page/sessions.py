"""Who is let in, and which requests are meant: cookies and tokens that only we can have made.

Nothing is kept for them: a session is its own proof, as long as key and secret stay the same.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host import files

COOKIE = "atelierd_session"
SESSION_S = 30 * 24 * 3600
KEY_BYTES = 32
ATTEMPTS, ATTEMPTS_S = 10, 60.0
"""How many wrong passwords a minute are looked at, from all callers together."""


def load_key(folder: Path) -> bytes:
    """The key of this state folder's sessions, made once; one for this process if it cannot be."""
    path = folder / "key"
    with suppress(OSError):
        if len(found := path.read_bytes()) == KEY_BYTES and not path.stat().st_mode & 0o077:
            return found
    fresh = secrets.token_bytes(KEY_BYTES)
    with suppress(OSError):
        files.make_folder(folder)
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(fresh)
    return fresh


@dataclass
class Attempts:
    """Counts wrong passwords, so that they cannot be tried one after the other."""

    clock: Callable[[], float] = time.monotonic
    _at_s: list[float] = field(default_factory=list)

    def spent(self) -> bool:
        """Whether so many were wrong of late that none is looked at now."""
        now_s = self.clock()
        self._at_s = [at_s for at_s in self._at_s if now_s - at_s < ATTEMPTS_S]
        return len(self._at_s) >= ATTEMPTS

    def note(self) -> None:
        """Counts a wrong one."""
        self._at_s.append(self.clock())


class Sessions:
    """Makes and checks sessions. key: of the state folder.  known: the secrets that let people in.

    With no secret everybody who reaches the page is let in, and a session only tells one browser
    from another, for its CSRF token.
    """

    def __init__(
        self, key: bytes, known: Mapping[str, str], clock: Callable[[], float] = time.time
    ) -> None:
        self._known = [hashlib.sha256(secret.encode()).digest() for secret in known.values()]
        # Another secret ends the sessions of the one before.
        self._key = hmac.digest(key, b"".join(self._known), "sha256")
        self._clock = clock
        self.attempts = Attempts()

    @property
    def locked(self) -> bool:
        """Whether a secret is asked for."""
        return bool(self._known)

    def knows(self, secret: str) -> bool:
        """Whether this is one of the secrets; takes as long whatever is wrong with it."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        return any([hmac.compare_digest(digest, known) for known in self._known])

    def begin(self) -> str:
        """A new session, as its cookie's value."""
        told = f"{int(self._clock()) + SESSION_S}.{secrets.token_urlsafe(16)}"
        return f"{told}.{self._sign('session', told)}"

    def holds(self, session: str | None) -> bool:
        """Whether a cookie's value is a session of ours that has not ended."""
        told, _, mark = (session or "").rpartition(".")
        if not hmac.compare_digest(mark.encode(), self._sign("session", told).encode()):
            return False
        return int(told.partition(".")[0]) > self._clock()

    def token(self, session: str) -> str:
        """The token that a request for a change must carry beside its session."""
        return self._sign("csrf", session)

    def is_meant(self, session: str, token: str | None) -> bool:
        """Whether a token is that of the session."""
        return hmac.compare_digest((token or "").encode(), self.token(session).encode())

    def _sign(self, purpose: str, text: str) -> str:
        digest = hmac.digest(self._key, f"{purpose}:{text}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
