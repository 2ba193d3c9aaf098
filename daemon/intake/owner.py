"""Whose the claims in an inbox are: told beside them, and held by a lock that dies with its holder.

Every service keeps a file `.claimed/.owner-MARK` locked while it runs and writes into it once a
minute. The lock decides among processes of one kernel on a local disk. Over a network it may not
reach the other machine, nor tell of one that this disk is exported to: there an owner lives as long
as its file goes on changing, by our own clock; two machines' clocks are never compared.
"""

import contextlib
import dataclasses
import errno
import fcntl
import functools
import json
import os
import socket
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from loguru import logger

from daemon import files
from daemon.intake.scan import CLAIMED_FOLDER, lies_on_network
from daemon.lock import lock_patiently
from daemon.spool import Spool

OWNER_PREFIX = ".owner-"
BEAT_S = 60.0
SILENCE_S = 300.0
"""An owner whose lock we cannot see, and whose file has not changed for so long, is gone."""

LONGEST_WORDS = 4096
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What file systems without locks answer."""


class Life(Enum):
    """Whether an owner lives, as far as can be told now."""

    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Owner:
    """Who has a mark. host, pid and state are for people; kernel and process tell whose lock it is.

    kernel: the boot that the process belongs to, which its containers share.  beat: counts minutes.
    """

    host: str
    pid: int
    state: str
    kernel: str
    process: str
    beat: int = 0

    @property
    def words(self) -> str:
        """Who that is, for a person."""
        return f"{files.printable(self.state)} on {files.printable(self.host)}"


def owner_file(inbox: Path, mark: str) -> Path:
    """Where the owner of a mark tells of itself."""
    return inbox / CLAIMED_FOLDER / f"{OWNER_PREFIX}{mark}"


def this_process(state: Path) -> Owner:
    """The owner that this process is."""
    kernel = kernel_id()
    stat = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    started, namespace = stat[19], Path("/proc/self/ns/pid").stat().st_ino
    process = f"{kernel}:{namespace}:{os.getpid()}:{started}"
    return Owner(socket.gethostname(), os.getpid(), str(state), kernel, process)


@functools.cache
def kernel_id() -> str:
    """What tells this boot of this machine from any other; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def encode(owner: Owner) -> bytes:
    """An owner as the file says it."""
    return json.dumps(dataclasses.asdict(owner)).encode() + b"\n"


def decode(content: bytes) -> Owner | None:
    """The owner that a file tells of; None if that is not known, as after a full disk."""
    try:
        return Owner(**json.loads(content))
    except (ValueError, TypeError):
        return None


def read_owner(file: Path) -> tuple[Owner | None, bytes | None]:
    """Who an owner's file tells of, and its content; that is None where it may not be read.

    Raises FileNotFoundError if it is not there.
    """
    try:
        with files.open_ordinary(file, os.O_NOFOLLOW) as opened:
            content = opened.read(LONGEST_WORDS)
    except FileNotFoundError:
        raise
    except OSError:  # some shares let nobody read what is locked
        return None, None
    return decode(content), content


class Ownership:
    """Our own mark in an inbox, held until `release` or the end of the process."""

    def __init__(
        self, inbox: Path, spool: Spool, *, clock: Callable[[], float] = time.monotonic,
        me: Callable[[Path], Owner] | None = None,
    ) -> None:  # fmt: skip
        self._inbox = inbox
        self._spool = spool
        self._clock = clock
        self._me = (me or this_process)(spool.state)
        self._mark: str | None = None
        self._file: int | None = None
        self._closing: weakref.finalize[..., object] | None = None
        self._contests = 0
        self._contested_s = -SILENCE_S
        self._beaten_s = 0.0
        self.renewed = False

    def hold(self) -> str:
        """Our mark, after making sure that it is ours in the inbox that is there now.

        Where somebody else holds it (our state folder is a copy of another's) we take a fresh
        one, and `renewed` is true from then on: what was claimed under the old one is the other's.
        Raises OSError if the inbox cannot be written, SurroundingsError if the state cannot.
        """
        mark = self._mark or self._spool.mark()
        while self._file is None or self._is_lost(mark):
            self.release()
            if self._contests < 2 and self._take(owner_file(self._inbox, mark)):
                break
            mark = self._renew(mark)
        self._mark = mark
        self.beat()
        return mark

    def beat(self) -> None:
        """Gives a sign of life once a minute; to be called more often.  Raises OSError."""
        if self._file is not None and self._clock() - self._beaten_s >= BEAT_S:
            self._write(self._file)

    def erase(self) -> None:
        """Removes what tells of us, while we hold it; nothing there is fine."""
        if self._file is not None and self._mark is not None and not self._is_lost(self._mark):
            owner_file(self._inbox, self._mark).unlink(missing_ok=True)

    def release(self) -> None:
        """Lets go of the lock."""
        if self._closing is not None:
            self._closing()
        self._file = self._closing = None

    def _renew(self, mark: str) -> str:
        fresh = self._spool.renew_mark()
        logger.warning(
            "{} is a copy of the state folder of another service on {} that is running: this one "
            "is called {} from now on, and leaves to the other what was claimed as {}",
            self._spool.state, self._inbox, fresh, mark,
        )  # fmt: skip
        self._contests = 0
        self.renewed = True
        return fresh

    def _is_lost(self, mark: str) -> bool:
        """Whether our file is not there any more, or tells of somebody else."""
        try:
            owner, content = read_owner(owner_file(self._inbox, mark))
        except FileNotFoundError:
            return True
        if content is None or owner is None or owner.process == self._me.process:
            return False
        # Once, it may be what lay in an inbox that was put in the place of ours.
        now_s = self._clock()
        self._contests = self._contests + 1 if now_s - self._contested_s < SILENCE_S else 1
        self._contested_s = now_s
        return True

    def _take(self, path: Path) -> bool:
        """Locks the file of our mark; False if another process has it."""
        path.parent.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = file = os.open(path, flags, 0o644)
        # Also when a bug has ended the intake: the next one of this service needs the lock.
        self._closing = weakref.finalize(self, close_quietly, file)
        try:
            lock_patiently(file)
        except OSError as error:
            if error.errno not in (*NO_LOCKS, errno.EAGAIN, errno.EACCES):
                raise
            if error.errno not in NO_LOCKS and not self._is_mine(path):
                self.release()
                return False
        self._write(file)
        return True

    def _is_mine(self, path: Path) -> bool:
        """Whether the lock is held by an intake of this very process, which is about to end."""
        owner, _ = read_owner(path)
        return owner is not None and owner.process == self._me.process

    def _write(self, file: int) -> None:
        """Gives a sign of life, and says who we are."""
        self._beaten_s = self._clock()
        self._me = dataclasses.replace(self._me, beat=self._me.beat + 1)
        content = encode(self._me)
        try:
            os.pwrite(file, content, 0)
            os.ftruncate(file, len(content))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # the lock holds all the same
                self.release()
                raise


def close_quietly(handle: int) -> None:
    """Closes a file; what a share that is gone says to that does not matter."""
    with contextlib.suppress(OSError):
        os.close(handle)


@dataclass(frozen=True)
class Sign:
    """The last that was seen of an owner's file, when, and whether it was ever a sign of life."""

    what: object
    at_s: float
    lived: bool


class Others:
    """What is known of other owners, from looks at their files."""

    def __init__(
        self, inbox: Path, on_network: Callable[[Path], bool] = lies_on_network,
        kernel: Callable[[], str] = kernel_id,
    ) -> None:  # fmt: skip
        self._inbox = inbox
        self._on_network = on_network
        self._kernel = kernel
        self._signs: dict[str, Sign] = {}

    def look(self, mark: str, now_s: float) -> tuple[Life, Owner | None]:
        """Whether the owner of a mark lives, and who it is if that is known."""
        path = owner_file(self._inbox, mark)
        try:
            owner, content = read_owner(path)
            what: object = content if content is not None else path.stat().st_mtime_ns
            locked = is_locked(path)
        except FileNotFoundError:
            return Life.GONE, None  # never there, as of an older version, or cleared away
        known = self._signs.get(mark)
        changed = known is not None and known.what != what
        lived = locked is True or changed or (known is not None and known.lived)
        if known is None or changed or locked:
            known = Sign(what, now_s, lived)
        self._signs[mark] = known
        if locked:
            return Life.ALIVE, owner
        if now_s - known.at_s >= SILENCE_S:
            return Life.GONE, owner
        if known.lived:
            return Life.ALIVE, owner  # it may only be starting again
        ours = self._kernel()
        decided = locked is False and owner is not None and ours and owner.kernel == ours
        if decided and not self._on_network(self._inbox):
            return Life.GONE, owner
        return Life.UNKNOWN, owner


def is_locked(path: Path) -> bool | None:
    """Whether somebody holds a lock on a file; None if that cannot be told.

    Raises FileNotFoundError if it is not there.
    """
    try:
        with files.open_ordinary(path, os.O_NOFOLLOW) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        raise
    except OSError:
        return None
    return False
