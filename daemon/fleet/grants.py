"""What the depot's callers may read and write, by the token of a run, and the taking of a file.

Whether a grant still holds is looked at under its lock when a file gets its name, and revoking
takes the same lock: nothing appears afterwards.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

from daemon.errors import SurroundingsError
from daemon.host import files

PIECE_BYTES = 1 << 18
LONGEST_NAME_BYTES = 200


class RefusedError(Exception):
    """What a caller wants is not done; carries the status of HTTP, and why in words."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        self.status = status
        super().__init__(reason)


class NotGrantedError(RefusedError):
    """There is no such file for this caller, or not any more."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, "nothing is granted under this name")


@dataclass(eq=False)
class Grant:
    """The files of one run, those read and those written, by their names; what has arrived."""

    takes: Mapping[str, Path]
    gives: Mapping[str, Path]
    given: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_revoked: bool = False

    def check(self) -> None:
        """Raises NotGrantedError once the grant is revoked."""
        if self.is_revoked:
            raise NotGrantedError


@dataclass(frozen=True)
class Coming:
    """A file that a caller gives: its name, how long it is, and the hash that it must have."""

    name: str
    size_bytes: int
    sha256: str


class Grants:
    """The grants by token. keep_bytes: room that stays free on the disk where files are given."""

    def __init__(self, keep_bytes: int) -> None:
        self._keep_bytes = keep_bytes
        self._by_token: dict[str, Grant] = {}

    def add(self, token: str, grant: Grant) -> None:
        """Lets a token's callers in."""
        self._by_token[token] = grant

    def revoke(self, token: str) -> None:
        """Ends a grant; a file of it that just gets its name has it when this returns."""
        grant = self._by_token.pop(token, None)
        if grant is not None:
            with grant.lock:
                grant.is_revoked = True

    def revoke_all(self) -> None:
        """Ends every grant."""
        for token in list(self._by_token):
            self.revoke(token)

    def given(self, token: str) -> dict[str, str]:
        """What has arrived by a token, with the sha256 of each."""
        grant = self._by_token.get(token)
        if grant is None:
            return {}
        with grant.lock:
            return dict(grant.given)

    def readable(self, token: str, name: str) -> Path:
        """The file that a token's callers may read; raises NotGrantedError."""
        return place_of(self._of(token).takes, name)

    def take(
        self, token: str, coming: Coming, source: BufferedIOBase, go_ahead: Callable[[], object]
    ) -> None:
        """Takes a file from its bytes, durably, in place of an earlier one, or not at all.

        go_ahead: called when its bytes are to come.  Raises RefusedError, and OSError.
        """
        grant = self._of(token)
        place = place_of(grant.gives, coming.name)
        files.make_folder(place.parent)
        try:
            files.ensure_room(place.parent, coming.size_bytes, self._keep_bytes)
        except SurroundingsError as error:
            raise RefusedError(HTTPStatus.INSUFFICIENT_STORAGE, str(error)) from error
        go_ahead()
        with ExitStack() as held:

            def fill(file: BinaryIO) -> None:
                copy_checked(source, file, coming, grant)
                file.flush()
                files.sync(file.fileno())  # may take long, and nobody waits for it yet
                held.enter_context(grant.lock)
                grant.check()

            files.write_whole(place, fill, replace=True)
            grant.given[coming.name] = coming.sha256

    def _of(self, token: str) -> Grant:
        grant = self._by_token.get(token)
        if grant is None:
            raise NotGrantedError
        return grant


def copy_checked(source: BufferedIOBase, target: BinaryIO, coming: Coming, grant: Grant) -> None:
    """Copies a file that comes while its grant holds; raises RefusedError if it is another one."""
    digest, left = hashlib.sha256(), coming.size_bytes
    buffer = memoryview(bytearray(min(PIECE_BYTES, left)))
    while left:
        count = source.readinto(buffer[: min(left, len(buffer))])
        if not count:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the file broke off")
        grant.check()
        digest.update(buffer[:count])
        target.write(buffer[:count])
        left -= count
    if digest.hexdigest() != coming.sha256:
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "other bytes arrived than were given")


def place_of(granted: Mapping[str, Path], name: str) -> Path:
    """Where a granted name lies, or a plain one in a granted folder; raises NotGrantedError."""
    folder, slash, plain = name.rpartition("/")
    if plain and name in granted:
        return granted[name]
    if slash and folder + slash in granted and is_plain(plain):
        return granted[folder + slash] / plain
    raise NotGrantedError


def is_plain(name: str) -> bool:
    """Whether a name is one of a file in a folder: it leads nowhere else, and is not hidden."""
    fits = 0 < len(os.fsencode(name)) <= LONGEST_NAME_BYTES
    return fits and not name.startswith(".") and not {"/", "\0"} & set(name)
