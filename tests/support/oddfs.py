"""A file system that passes everything through to a folder, with some of the habits of `habits`.

Run as a child: `python -m tests.support.oddfs SOURCE MOUNT HABIT...`; ends when it is unmounted.
"""

import errno
import os
import sys
import time
from typing import Any

import fuse

from tests.support.habits import (
    CROSSING,
    HABITS,
    HANGS,
    LOOKS,
    NAMES,
    NO_ROOM_TOLD,
    REFUSALS,
    TIMES,
    Attributes,
)

SHOWN = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino")
ROOM = (
    "f_bavail",
    "f_bfree",
    "f_blocks",
    "f_bsize",
    "f_favail",
    "f_ffree",
    "f_files",
    "f_flag",
    "f_frsize",
    "f_namemax",
)
HANGING_LOOK_S = 0.02
NAMING = ("mkdir", "create", "rename", "link", "symlink")
TWO_PATHS = ("rename", "link")


class Passing(fuse.Operations):  # type: ignore[misc]
    """Every operation on the same path below the source; paths come as Latin-1, any byte fits."""

    def __init__(self, source: str, habits: frozenset[str]) -> None:
        self._source = os.fsencode(source)
        self._looks = [LOOKS[name] for name in LOOKS if name in habits]
        self._names = [NAMES[name] for name in NAMES if name in habits]
        self._refused = {
            operation: number
            for name in REFUSALS
            if name in habits
            for operation, number in REFUSALS[name].items()
        }
        self._crossing = CROSSING in habits
        self._no_room_told = NO_ROOM_TOLD in habits
        self._hanging = self._source + b".hangs" if HANGS in habits else b""

    def __call__(self, operation: str, path: str, *rest: Any) -> Any:
        place = self._place(path)
        if operation in TWO_PATHS:
            rest = (self._place(rest[0]), *rest[1:])
        try:
            self._check(operation, place, rest)
            return getattr(self, operation)(place, *rest)
        except OSError as error:
            raise fuse.FuseOSError(error.errno) from error

    def _place(self, path: str) -> bytes:
        return self._source + path.encode("latin-1")

    def _check(self, operation: str, place: bytes, rest: tuple[Any, ...]) -> None:
        """Raises what a habit makes of an operation, or waits for as long as nothing answers."""
        while self._hanging and os.path.exists(self._hanging):
            time.sleep(HANGING_LOOK_S)
        numbers = [self._refused.get(operation, 0)]
        new_folder, _, new_name = (rest[0] if operation == "rename" else place).rpartition(b"/")
        if operation in NAMING:
            numbers += [habit(new_name) for habit in self._names]
        if operation == "rename" and self._crossing and new_folder != place.rpartition(b"/")[0]:
            numbers.append(errno.EXDEV)
        for number in filter(None, numbers):
            raise OSError(number, os.strerror(number))

    # Looking

    def getattr(self, place: bytes, handle: int | None = None) -> Attributes:
        found = os.lstat(place)
        shown = {name: getattr(found, name) for name in (*SHOWN, *TIMES)}
        for look in self._looks:
            shown |= look(shown)
        return shown

    def readdir(self, place: bytes, handle: int) -> list[str]:
        return [".", "..", *(name.decode("latin-1") for name in os.listdir(place))]

    def readlink(self, place: bytes) -> str:
        return os.readlink(place).decode("latin-1")

    def statfs(self, place: bytes) -> dict[str, int]:
        found = os.statvfs(place)
        if self._no_room_told:
            return {name: 255 if name == "f_namemax" else 0 for name in ROOM}
        return {name: getattr(found, name) for name in ROOM}

    # Names

    def mkdir(self, place: bytes, mode: int) -> None:
        os.mkdir(place, mode)

    def rmdir(self, place: bytes) -> None:
        os.rmdir(place)

    def unlink(self, place: bytes) -> None:
        os.unlink(place)

    def rename(self, before: bytes, after: bytes) -> None:
        os.rename(before, after)

    def link(self, new: bytes, existing: bytes) -> None:
        os.link(existing, new)

    def symlink(self, new: bytes, target: str) -> None:
        os.symlink(target.encode("latin-1"), new)

    def chmod(self, place: bytes, mode: int) -> None:
        os.chmod(place, mode)

    def chown(self, place: bytes, user: int, group: int) -> None:
        os.chown(place, user, group)

    def utimens(self, place: bytes, times: tuple[float, float] | None = None) -> None:
        os.utime(place, times)

    # Content

    def create(self, place: bytes, mode: int, info: object = None) -> int:
        return os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, place: bytes, flags: int) -> int:
        return os.open(place, flags)

    def read(self, place: bytes, size: int, offset: int, handle: int) -> bytes:
        return os.pread(handle, size, offset)

    def write(self, place: bytes, content: bytes, offset: int, handle: int) -> int:
        return os.pwrite(handle, content, offset)

    def truncate(self, place: bytes, length: int, handle: int | None = None) -> None:
        os.truncate(place if handle is None else handle, length)

    def flush(self, place: bytes, handle: int) -> None:
        """Nothing is kept back."""

    def fsync(self, place: bytes, only_content: int, handle: int) -> None:
        os.fsync(handle)

    def fsyncdir(self, place: bytes, only_content: int, handle: int) -> None:
        """Is done by whoever keeps the source."""

    def release(self, place: bytes, handle: int) -> None:
        os.close(handle)


def main() -> None:
    """Serves a mount until it is taken away."""
    source, mount, *habits = sys.argv[1:]
    if unknown := set(habits) - set(HABITS):
        sys.exit(f"unknown habits {unknown}; known are {', '.join(HABITS)}")
    fuse.FUSE(
        Passing(source, frozenset(habits)),
        mount,
        foreground=True,
        nothreads=True,
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        default_permissions=True,
        encoding="latin-1",
    )


if __name__ == "__main__":
    main()
