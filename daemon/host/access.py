"""What keeps a path from being looked at or written, in words that name the remedy."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host.files import printable

NO_ANSWER = (
    errno.EIO,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ETIMEDOUT,
    errno.ENODEV,
    errno.ENXIO,
)
REMEDIES = {
    errno.EROFS: "mount it writable, or choose another place",
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room: the quota is used up",
    errno.ELOOP: "a link there leads to itself: mend it",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ENOTDIR: "a file is where a folder should be: move it away",
    errno.EISDIR: "a folder is where a file should be: move it away",
    errno.ENOENT: "make it, or name another place",
    errno.EMFILE: "let more files be open at once (ulimit -n)",
    errno.ENFILE: "let more files be open at once (sysctl fs.file-max)",
} | dict.fromkeys(NO_ANSWER, "its disk or share does not answer: mount it again")


def explain(error: Exception, path: str | os.PathLike[str] | None = None) -> str:
    """What the system refused, at which path, and what to do; other errors in their own words.

    path: the error's own if None.
    """
    if not isinstance(error, OSError):
        return str(error)
    where = error.filename if path is None else os.fspath(path)
    text = with_advice(error)
    return f"{printable(os.fsdecode(where))}: {text}" if isinstance(where, str | bytes) else text


def reason(error: OSError) -> str:
    """What the system refused."""
    return str(error.strerror or error)


def with_advice(error: OSError) -> str:
    """What the system refused, and what to do."""
    return f"{reason(error)}{advice(error)}"


@contextlib.contextmanager
def refusals(
    what: str, remedy: str = "", words: Callable[[OSError], str] = reason
) -> Iterator[None]:
    """Raises a SurroundingsError for every OSError within: `what`, its words, and the remedy."""
    try:
        yield
    except OSError as error:
        raise SurroundingsError(f"{what}: {words(error)}{remedy}") from error


def advice(error: OSError) -> str:
    """`; make room on its disk` and the like; empty where nothing is known to help."""
    if error.errno in (errno.EACCES, errno.EPERM):
        remedy = f"let user {os.geteuid()} in there (chmod, chown), or run this as its owner"
        return f"; {remedy}"
    return f"; {REMEDIES[error.errno]}" if error.errno in REMEDIES else ""


def is_there(folder: Path) -> bool:
    """Whether a folder is there. Raises SurroundingsError if it may not be looked into, or is none.

    `Path.exists` raises PermissionError for what lies in a closed folder, and takes a file in the
    folder's place for nothing at all.
    """
    with refusals(printable(folder), words=with_advice), contextlib.suppress(FileNotFoundError):
        os.stat(f"{folder}/.")  # noqa: PTH116  # a Path drops the dot, which asks for the right
        return True
    return False


def is_open_to_all(path: Path) -> bool:
    """Whether any user may write a file, or put another into a folder in an old one's place."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    shielded = stat.S_ISDIR(mode) and mode & stat.S_ISVTX
    return bool(mode & stat.S_IWOTH) and not shielded
