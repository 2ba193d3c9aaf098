"""Small versions and tiles of pictures, made in a child that is ended when nobody asks for them.

Browsers show neither TIFF nor HEIC nor a hundred megapixels. What was made is kept in the state
folder, and the least used of it goes when it takes too much room.
"""

import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import BadInputError, SurroundingsError
from daemon.host import files
from daemon.host.access import refusals
from daemon.host.process import Child, Message, limited_to
from daemon.pictures.small import LONGEST_PX, SCREEN, THUMBNAIL

MEMORY_BYTES = 6 << 30
TILE_PX = 512
SMALL_PX, VIEW_PX = LONGEST_PX[THUMBNAIL], LONGEST_PX[SCREEN]
CACHE_BYTES = 512 << 20
TRIM_EVERY = 64
"""Files made between two looks at how much room all of them take."""

REST_S = 60.0
PATIENCE_S = 20.0
"""How long a request waits for those before it."""

KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True)
class ZoomTile:
    """One tile of a picture: halved `level` times, the x-th from the left and y-th from the top."""

    level: int
    x: int
    y: int


class Scaler:
    """Makes small versions and tiles. May be called from any thread; one picture at a time.

    folder: where they are kept.  keep_bytes: room that stays free on its disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_pixels: int,
        timeout_s: float,
        keep_bytes: int,
        most_bytes: int = CACHE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self._keep_bytes = keep_bytes
        self._most_bytes = most_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._used_s = 0.0
        self._made = TRIM_EVERY - 1  # the first one looks at what was left by others

    def small(self, source: Path, key: str, longest_px: int) -> Path:
        """The small version of a picture as a JPEG file.

        key: tells the picture from all others, whatever its path.  Raises BadInputError for what
        cannot be shown, SurroundingsError where nothing can be made now.
        """
        target = self._folder / "small" / f"{checked(key)}-{longest_px}.jpg"
        return self._have(target, source, {"kind": "small", "longest_px": longest_px, "key": key})

    def tile(self, source: Path, key: str, tile: ZoomTile) -> Path:
        """One tile of a picture as a JPEG file; raises as `small` does."""
        name = f"{tile.level}-{tile.x}-{tile.y}.jpg"
        target = self._folder / "tiles" / checked(key) / name
        return self._have(target, source, {"kind": "tile", "key": key, **vars(tile)})

    def _have(self, target: Path, source: Path, request: Message) -> Path:
        if is_kept(target):
            return target
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise SurroundingsError("other pictures are being made; try again in a moment")
        try:
            if not is_kept(target):
                self._make(target, source, request)
        finally:
            self._used_s = self._clock()
            self._lock.release()
        return target

    def _make(self, target: Path, source: Path, request: Message) -> None:
        name = files.printable(source.name)
        with refusals(f"{files.printable(self._folder)} cannot be made"):
            files.make_folder(target.parent)
        files.ensure_room(target.parent, 0, self._keep_bytes)
        self._trim()
        child = self._living_child()
        places = {"source": os.fspath(source), "target": os.fspath(target), "name": name}
        child.send({**request, **places, "max_pixels": self._max_pixels})
        answer = child.receive_within(self._timeout_s)
        if answer is None:
            raise BadInputError(f"{name} cannot be shown: it took too long, or too much memory")
        if fault := answer.get("fault"):
            raise BadInputError(f"{name} cannot be shown: {fault}")

    def _living_child(self) -> Child:
        if self._child is None or not self._child.alive:
            self._close()
            with refusals("small pictures cannot be made", "; see atelierd doctor"):
                self._child = Child(
                    "daemon.page.cut", [], on_stderr=lambda _: None, environment=limited_to(1)
                )
            self._child.send({})
            self._child.receive()  # it is up: the time it took is not the picture's
        return self._child

    def _trim(self) -> None:
        """Now and then removes what was used least of late, if all of it takes too much room."""
        self._made += 1
        if self._made < TRIM_EVERY:
            return
        self._made = 0
        kept = sorted(
            (status.st_atime, status.st_size, path) for path, status in files_below(self._folder)
        )
        total = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if total <= self._most_bytes:
                return
            with suppress(OSError):
                path.unlink()
            total -= size

    def rest(self) -> None:
        """Ends the child if nobody has asked it for anything of late."""
        if self._child is None or self._clock() - self._used_s < REST_S:
            return
        if self._lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Ends the child."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._child is not None:
            self._child.close(grace_s=1.0)
            self._child = None


def is_kept(target: Path) -> bool:
    """Whether a file is there already; it then counts as used now."""
    try:
        made_ns = target.stat().st_mtime_ns
        os.utime(target, ns=(time.time_ns(), made_ns))
    except OSError:
        return False
    return True


def files_below(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The files below a folder that were made for the page, with what is known of each."""
    found = []
    for inner, _, names in os.walk(folder):
        for name in names:
            path = Path(inner, name)
            with suppress(OSError):
                found.append((path, path.stat()))
    return found


def checked(key: str) -> str:
    """The same key; raises ValueError for one that could lead out of the folder."""
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} names no picture")
    return key
