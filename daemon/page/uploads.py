"""Files that browsers send: taken piece by piece into the state folder, bounded in every way.

Nothing that is half sent, too large, too slow or no picture ever gets near the inbox.
"""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import anyio
from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from daemon.errors import BadInputError
from daemon.host import files
from daemon.pictures.formats import FORMAT_OF_SUFFIX
from daemon.pictures.ignored import is_ignored
from daemon.pictures.kinds import HEAD_BYTES, PAINTED, kind_of_content, why_unpainted

AT_ONCE = 6
MOST_A_MINUTE = 240
PIECE_S = 20.0
"""How long the next piece may take."""

SLOWEST, SLOW_AFTER_S = 8192, 15.0
"""Bytes a second that must come on average, once so many seconds have passed."""

ROOM_EVERY = 64 << 20
"""Bytes after which it is looked again whether there is room."""


@dataclass
class UploadLimits:
    """What may be sent. bytes: of one file.  keep_bytes: room that stays free on the disk."""

    bytes: int
    keep_bytes: int
    clock: Callable[[], float] = time.monotonic
    _running: int = 0
    _began_s: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Counts one upload; raises HTTPException where there are too many."""
        now_s = self.clock()
        self._began_s = [began_s for began_s in self._began_s if now_s - began_s < 60]
        if len(self._began_s) >= MOST_A_MINUTE:
            raise HTTPException(429, f"at most {MOST_A_MINUTE} files a minute; wait a little")
        if self._running >= AT_ONCE:
            raise HTTPException(503, f"{AT_ONCE} files are on their way; wait for them")
        self._began_s.append(now_s)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


@asynccontextmanager
async def received(
    request: Request, folder: Path, limits: UploadLimits, name: str
) -> AsyncIterator[Path]:
    """The body of a request as a durable file in `folder`, gone afterwards unless it was moved.

    name: what it is called, for messages.  Raises HTTPException for what is too large or slow,
    BadInputError for what is no picture, SurroundingsError where there is no room.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limits.bytes:
        raise too_large(limits)
    async with limits.one():
        await to_thread.run_sync(files.make_folder, folder)
        target = files.temporary_beside(folder / "upload")
        file = await to_thread.run_sync(lambda: target.open("xb"))
        try:
            with file:
                await take(request, file, limits, name)
                await to_thread.run_sync(partial(sync, file))
            yield target
        except ClientDisconnect as error:
            raise HTTPException(400, "the upload broke off") from error
        finally:
            with suppress(OSError):
                target.unlink(missing_ok=True)


def sync(file: BinaryIO) -> None:
    """Makes what was written durable."""
    file.flush()
    files.sync(file.fileno())


async def take(request: Request, file: BinaryIO, limits: UploadLimits, name: str) -> None:
    """Writes a request's body into a file, as long as it may go on."""
    began_s, size, head, looked = limits.clock(), 0, b"", False
    room_at = 0
    pieces = request.stream().__aiter__()
    while True:
        piece = await next_piece(pieces)
        if piece is None:
            break
        size += len(piece)
        if size > limits.bytes:
            raise too_large(limits)
        spent_s = limits.clock() - began_s
        if spent_s > SLOW_AFTER_S and size < SLOWEST * spent_s:
            raise HTTPException(408, "the upload is too slow; nothing was taken")
        if len(head) < HEAD_BYTES:
            head += piece[: HEAD_BYTES - len(head)]
        elif not looked:
            looked = True
            check_content(name, head)
        if size >= room_at:
            room_at = size + ROOM_EVERY
            check = partial(files.ensure_room, Path(file.name).parent, 0, limits.keep_bytes)
            await to_thread.run_sync(check)
        await to_thread.run_sync(file.write, piece)
    check_content(name, head)


async def next_piece(pieces: AsyncIterator[bytes]) -> bytes | None:
    """The next piece of a body, None at its end; raises HTTPException if it does not come."""
    try:
        with anyio.fail_after(PIECE_S):
            return await anext(pieces, None)
    except TimeoutError as error:
        raise HTTPException(408, "the upload has stopped; nothing was taken") from error


def too_large(limits: UploadLimits) -> HTTPException:
    """The refusal of a file with too many bytes."""
    told = f"at most {limits.bytes} bytes are taken (limits: picture_bytes)"
    return HTTPException(413, f"the file is too large: {told}")


def check_content(name: str, head: bytes) -> None:
    """Raises BadInputError unless a file that begins so may be a picture that can be painted."""
    shown = files.printable(name)
    kind = kind_of_content(head)
    if kind in PAINTED or (kind == "" and FORMAT_OF_SUFFIX.get(Path(name).suffix.lower()) == "TGA"):
        return
    if not head:
        raise BadInputError(f"{shown} is empty")
    why = why_unpainted(shown, kind) if kind else ""
    raise BadInputError(why or f"{shown} is no picture; drop a JPEG, PNG, TIFF, HEIC or raw file")


def checked_name(name: str) -> str:
    """The name of a file that may be dropped; raises BadInputError for what is none.

    A name, and never a path: what leads elsewhere, is hidden, or breaks a line is refused.
    """
    shown = files.printable(name)
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise BadInputError(f"'{shown}' is no name of a file; drop the file itself")
    if any(char < " " or char == "\x7f" for char in name):
        raise BadInputError(f"{shown} has control characters in its name; rename it")
    if is_ignored(name):
        raise BadInputError(f"{shown} is a name that nothing is taken under; rename it")
    if len(os.fsencode(name)) > files.NAME_MAX_BYTES - 32:
        raise BadInputError(f"{shown[:40]}… is too long a name; give it a shorter one")
    if Path(name).suffix.lower() not in FORMAT_OF_SUFFIX:
        raise BadInputError(
            f"{shown} has no suffix of a picture; drop a JPEG, PNG, TIFF, HEIC or raw file"
        )
    return name
