"""Files as answers: read in threads of their own, so that a share that hangs stops nothing else."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from io import IOBase
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import quote

import anyio
from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import explain
from daemon.pictures.kinds import HEAD_BYTES, kind_of_content

Found = TypeVar("Found")

PIECE_BYTES = 1 << 18
ANSWER_S = 10.0
READERS = 12
"""Threads that may hang in a share; whoever comes after them is told so."""

SHOWN = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}
"""What browsers show, by what the content is; everything else, such as SVG, is only saved."""

DAY = "private, max-age=86400"
FRESH = "private, no-cache"


@dataclass(eq=False)
class FileRead:
    """One piece of work of a thread, which may outlive the request that asked for it."""

    began: bool = False
    ended: bool = False


class Readers:
    """The threads that read what may lie on a share."""

    def __init__(self, most: int = READERS) -> None:
        self._most = most
        self._limiter = CapacityLimiter(most)
        self._left: dict[FileRead, Path] = {}

    async def run(self, work: Callable[[], Found], what: Path) -> Found:
        """What `work` gives; raises SurroundingsError where it takes too long or fails.

        A thread that hangs is left to itself; while as many are as there may be, nothing is tried.
        """
        if len(self._left) >= self._most:
            raise no_answer(what)
        reading = FileRead()

        def read() -> Found:
            reading.began = True
            try:
                found = work()
                if reading in self._left and isinstance(found, IOBase):
                    found.close()  # nobody waits for it any more
                return found
            finally:
                reading.ended = True
                self._left.pop(reading, None)

        try:
            with anyio.fail_after(ANSWER_S):
                return await to_thread.run_sync(read, abandon_on_cancel=True, limiter=self._limiter)
        except TimeoutError as error:
            raise no_answer(what) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SurroundingsError(explain(error, what)) from error
        finally:
            if reading.began and not reading.ended:
                self._left[reading] = what
                if reading.ended:  # just now
                    self._left.pop(reading, None)

    @property
    def hanging(self) -> list[Path]:
        """What threads still wait for that were left to themselves."""
        return list(self._left.values())


def no_answer(what: Path) -> SurroundingsError:
    """What is told of a file whose disk or share hangs."""
    return SurroundingsError(
        f"{files.printable(what)} does not answer: its disk or share hangs; try again"
    )


async def send_file(
    request: Request, readers: Readers, path: Path, *, name: str = "", cache: str = FRESH
) -> Response:
    """A file as it is: shown if it is a picture that browsers show, or else saved as `name`.

    name: if given, the file is saved under it whatever it is.  Raises FileNotFoundError,
    SurroundingsError.
    """
    file = await readers.run(partial(files.open_ordinary, path), path)
    head, stamp, size = await readers.run(partial(look_into, file), path)
    kind = SHOWN.get(kind_of_content(head))
    headers = {"ETag": stamp, "Cache-Control": cache, "Content-Length": str(size)}
    if name or kind is None:
        headers["Content-Disposition"] = attachment(name or path.name)
        kind = "application/octet-stream"
    if request.headers.get("if-none-match") == stamp or request.method == "HEAD":
        await readers.run(file.close, path)
        if request.method != "HEAD":
            return Response(None, 304, {"ETag": stamp, "Cache-Control": cache})
        return Response(None, 200, headers, kind)
    return StreamingResponse(pieces(file, readers, path), 200, headers, kind)


def look_into(file: BinaryIO) -> tuple[bytes, str, int]:
    """The beginning of a file, what tells this version of it from others, and its size."""
    status = os.fstat(file.fileno())
    head = file.read(HEAD_BYTES)
    file.seek(0)
    stamp = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
    return head, stamp, status.st_size


async def pieces(file: BinaryIO, readers: Readers, path: Path) -> AsyncIterator[bytes]:
    """A file's content in pieces; closed whatever happens."""
    try:
        while piece := await readers.run(partial(file.read, PIECE_BYTES), path):
            yield piece
    finally:
        with anyio.CancelScope(shield=True):
            await readers.run(file.close, path)


def attachment(name: str) -> str:
    """The header that has a file saved under a name, whatever characters or bytes are in it."""
    coded = quote(name.encode("utf-8", "surrogateescape"), safe="")
    return f"attachment; filename*=UTF-8''{coded}"
