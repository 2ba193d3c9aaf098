"""Files that appear whole or not at all, and names that always fit.

Everything is written beside its target, synced, and only then given its name.
"""

import contextlib
import errno
import fcntl
import functools
import hashlib
import io
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from daemon.errors import SurroundingsError

NAME_MAX_BYTES = 255
NOT_KNOWN = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.ENOTTY)
"""What a file system answers to what it has never heard of: no sign that anything is broken."""

NOT_SO = (*NOT_KNOWN, errno.EPERM, errno.EACCES, errno.EMLINK)
"""What it answers to a way of giving a name that it does not go."""

OUT_OF_SIGHT = (
    errno.EIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
)
"""What a disk or share answers that has a file, perhaps, and does not show it now."""

TEMPORARY_PREFIX = ".atelierd-"
TEMPORARY_SUFFIX = ".tmp"


def sync(handle: int) -> None:
    """Makes what an open file or folder holds durable; a file system that cannot say so is fine."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NOT_KNOWN:
            raise


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable, where its file system knows how to."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno in (*NOT_KNOWN, errno.EACCES):  # one may write there, and not look
            return
        raise
    try:
        sync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:  # by a file; to callers that error means a name is taken
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
    sync_folder(folder.parent)


def temporary_beside(target: Path) -> Path:
    """A fresh name in the target's folder that no scanner takes for a picture.

    It tells which process of which machine writes there, for `sweep`.
    """
    maker = f"{machine_mark()}-{os.getpid()}"
    return target.parent / f"{TEMPORARY_PREFIX}{maker}-{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"


def is_temporary(name: str) -> bool:
    """Whether a name is of a file that is half-written by a service, this or another one."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


def sweep(folder: Path, on_piece: Callable[[], object] = lambda: None) -> int:
    """Removes what processes of this machine that are gone left half-written below `folder`.

    on_piece: called with each folder.

    To be called before this process writes there itself; returns how many that were.
    """
    swept = 0
    ours = re.compile(rf"{TEMPORARY_PREFIX}{machine_mark()}-(\d+)-\w+{re.escape(TEMPORARY_SUFFIX)}")
    for inner, folders, names in os.walk(folder):  # what vanishes meanwhile does not matter to it
        on_piece()
        for name in (*folders, *names):
            found = ours.fullmatch(name)
            if found is None:
                continue
            maker = int(found.group(1))
            path = Path(inner, name)
            if (maker == os.getpid() or not lives(maker)) and not is_being_written(path):
                remove(path)
                swept += 1
    return swept


def is_being_written(path: Path) -> bool:
    """Whether a writer holds a file: in another container processes have other numbers."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it knows no locks
        return False
    finally:
        os.close(handle)
    return False


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it; gone already is fine."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def lives(pid: int) -> bool:
    """Whether a process is there, also where /proc shows only those of the same user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


@functools.cache
def machine_mark() -> str:
    """Eight characters for this machine."""
    told = socket.gethostname()  # clones have one id, and differ in name at best
    with contextlib.suppress(OSError):
        told += f":{Path('/etc/machine-id').read_text().strip()}"
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def ensure_room(folder: Path, coming_bytes: int, keep_bytes: int) -> None:
    """Raises SurroundingsError unless so much can come and `keep_bytes` still be free."""
    try:
        free = free_bytes(folder)
    except OSError as error:
        raise SurroundingsError(f"{printable(folder)} is unavailable: {error.strerror}") from error
    if free is not None and free - coming_bytes < keep_bytes:
        coming = (
            f"{coming_bytes / 1e9:.1f} GB are to come, and " if coming_bytes > keep_bytes else ""
        )
        raise SurroundingsError(
            f"the disk of {printable(folder)} is nearly full: {coming}{keep_bytes / 1e9:.1f} GB "
            "are to stay free (limits: free_bytes); it goes on when there is room"
        )


def free_bytes(folder: Path) -> int | None:
    """The room that is left where `folder` lies; None where its file system does not tell.

    Some answer with zeros for everything: that is no full disk.
    """
    try:
        total, _, free = shutil.disk_usage(folder)
    except OSError as error:
        if error.errno in NOT_KNOWN:
            return None
        raise
    return free if total > 0 else None


def write_whole(target: Path, fill: Callable[[BinaryIO], object], *, replace: bool = False) -> None:
    """Writes `target` through `fill`, durably. Makes its folder.

    Raises FileExistsError if the name is taken, unless `replace`. After a crash the target is
    whole or absent.
    """
    make_folder(target.parent)
    temporary = temporary_beside(target)
    try:
        with temporary.open("xb") as file:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # for `sweep`, elsewhere too
            fill(file)
            file.flush()
            sync(file.fileno())
        give_name(temporary, target, replace=replace)
    except OSError as error:
        # A name of its own each time is not to be told.
        if error.filename in (temporary, os.fspath(temporary)):
            error.filename = os.fspath(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def write_fleeting(target: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Puts a file in the place of an earlier one, for who looks now. Makes no folder.

    At any moment it is whole or absent; after a power cut it may be there with nothing in it. What
    goes first and is renamed over by none hardly reaches the disk: some file systems (ext4) write
    at once what takes another's name.
    """
    temporary = temporary_beside(target)
    try:
        with temporary.open("xb") as file:
            fill(file)
        target.unlink(missing_ok=True)
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes, *, replace: bool = False) -> None:
    """`write_whole` for content at hand."""
    write_whole(target, lambda file: file.write(content), replace=replace)


def copy_whole(
    source: Path,
    target: Path,
    *,
    replace: bool = False,
    on_piece: Callable[[], object] = lambda: None,
) -> None:
    """A durable copy with the source's times.

    on_piece: called with each piece of it.
    Raises FileExistsError if the name is taken, unless `replace`.
    """

    def fill(file: BinaryIO) -> None:
        with source.open("rb") as original:
            while piece := original.read(1 << 20):
                file.write(piece)
                on_piece()

    write_whole(target, fill, replace=replace)
    with contextlib.suppress(OSError):
        shutil.copystat(source, target)


def give_name(temporary: Path, target: Path, *, replace: bool = False) -> None:
    """Renames within a folder; raises FileExistsError rather than overwrite, unless `replace`.

    A hard link is the one rename that refuses to overwrite; file systems without links (some
    network shares) get a check and a plain rename, whose error is the one that counts.
    """
    if replace:
        replace_by(temporary, target)
        return
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno == errno.EXDEV and temporary.parent != target.parent:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        temporary.rename(target)
    else:
        temporary.unlink()


def replace_by(temporary: Path, target: Path) -> None:
    """Renames over what is there; where that is not allowed, the old file goes first."""
    try:
        temporary.replace(target)
    except OSError as error:
        if error.errno not in (*NOT_SO, errno.EEXIST) or not is_ordinary(target):
            raise
        target.unlink()
        temporary.rename(target)


def move(source: Path, target: Path, on_piece: Callable[[], object] = lambda: None) -> None:
    """Moves a file, across file systems too, durably; raises FileExistsError rather than overwrite.

    After a crash the file is at one of the two places, or whole at both.
    """
    make_folder(target.parent)
    try:
        give_name(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_whole(source, target, on_piece=on_piece)
        source.unlink()
    sync_folder(target.parent)
    sync_folder(source.parent)


class NotOrdinaryError(OSError):
    """What was to be read is a pipe, a device or a folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "not an ordinary file", str(path))


def is_ordinary(path: Path) -> bool:
    """Whether a file may be opened: no link, pipe or device, which somebody put there since."""
    return path.is_file() and not path.is_symlink()


def open_ordinary(path: Path, flags: int = 0) -> io.BufferedReader:
    """Opens a file for reading without ever waiting; NotOrdinaryError for pipes and devices.

    flags: further ones of `os.open`.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    except OSError as error:
        if error.errno not in NOT_KNOWN or not is_ordinary(path):
            raise
        handle = os.open(path, os.O_RDONLY)  # a file system that knows none of these flags
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotOrdinaryError(path)
    return os.fdopen(handle, "rb")


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, as hex."""
    with open_ordinary(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_ending(name: str, ending: str) -> str:
    """`name` + `ending`, the middle of the name cut where it would not fit a directory entry."""
    room = NAME_MAX_BYTES - len(os.fsencode(ending))
    return cut(name, room) + ending


def with_mark(name: str, mark: str) -> str:
    """`photo.jpg` with `-mark` before its suffix, cut to fit a directory entry."""
    path = Path(name)
    ending = f"-{mark}{path.suffix}"
    return with_ending(path.stem, ending)


def cut(name: str, room_bytes: int) -> str:
    """The longest start of `name` that takes at most `room_bytes`, never half a character."""
    while name and len(os.fsencode(name)) > room_bytes:
        name = name[:-1]
    return name


def remove_tree(folder: Path) -> None:
    """Removes a folder of our own with all that is in it; gone already is fine."""
    shutil.rmtree(folder, ignore_errors=True)


def printable(path: str | os.PathLike[str]) -> str:
    """A name for logs, messages and JSON: control characters and stray bytes escaped."""
    text = os.fspath(path)
    safe = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in safe)
