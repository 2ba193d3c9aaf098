"""Whose the claims in an inbox are: told beside them, and held by a lock that dies with its holder.

Every service keeps a file `.claimed/.owner-MARK` locked while it runs and writes into it once a
minute. The lock decides among processes of one kernel on a local disk. Over a network it may not
reach the other machine, nor tell of one that this disk is exported to: there an owner lives as long
as its file goes on changing, by our own clock; two machines' clocks are never compared.
"""

import contextlib
import dataclasses
import errno
import functools
import json
import os
import socket
import time
import uuid
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.host import files
from daemon.state.claimed import owner_file
from daemon.state.lock import lock_patiently
from daemon.state.spool import Spool

BEAT_S = 60.0
SILENCE_S = 300.0
"""An owner whose lock we cannot see, and whose file has not changed for so long, is gone."""

LONGEST_WORDS = 4096
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EACCES, errno.EPERM)
"""What file systems without locks answer; of a lock that is held it is said otherwise."""


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


def this_process(state: Path) -> Owner:
    """The owner that this process is."""
    return Owner(socket.gethostname(), os.getpid(), str(state), kernel_id(), process_id())


@functools.cache
def process_id() -> str:
    """What tells this process from any other, also of other containers; drawn where no /proc is."""
    try:
        stat = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        started, namespace = stat[19], Path("/proc/self/ns/pid").stat().st_ino
    except (OSError, LookupError):
        return uuid.uuid4().hex
    return f"{kernel_id()}:{namespace}:{os.getpid()}:{started}"


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


class OwnerFile:
    """The file of one mark, locked until `release` or the end of the process."""

    def __init__(self, path: Path, me: Owner, clock: Callable[[], float]) -> None:
        self._path = path
        self._me = me
        self._clock = clock
        self._file: int | None = None
        self._closing: weakref.finalize[..., object] | None = None
        self._beaten_s = 0.0
        self._refused = False

    @property
    def is_held(self) -> bool:
        """Whether this is still the file that was locked, and could be written when it was last."""
        if self._file is None or self._refused:
            return False
        try:
            return os.fstat(self._file).st_dev == self._path.stat().st_dev
        except FileNotFoundError:
            return False
        except OSError:  # the inbox does not answer now; that is no reason to let go
            return True

    def owner(self) -> Owner | None:
        """Who the file tells of; None if that is not known."""
        return read_owner(self._path)[0]

    def take(self, *, fresh: bool = False) -> bool:
        """Locks the file; False if another process has it.  Raises OSError.

        What was held before is held until the file could be opened.
        fresh: nobody else knows of it, and a refusal only means that there are no locks here.
        """
        self._path.parent.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o644)
        self.release()
        self._file = file
        # Also when a bug has ended the intake: the next one of this service needs the lock.
        self._closing = weakref.finalize(self, close_quietly, file)
        try:
            lock_patiently(file)
        except BlockingIOError:
            if not fresh and not self._is_mine():
                self.release()
                return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                self.release()
                raise
        self._write(file)
        return True

    def beat(self) -> None:
        """Gives a sign of life once a minute; to be called more often.  Raises OSError."""
        if self._file is not None and self._clock() - self._beaten_s >= BEAT_S:
            self._write(self._file)

    def erase(self) -> None:
        """Removes the file, while it is held; nothing there is fine."""
        if self.is_held:
            self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Lets go of the lock."""
        if self._closing is not None:
            self._closing()
        self._file = self._closing = None
        self._refused = False

    def _is_mine(self) -> bool:
        """Whether the lock is held by an intake of this very process, which is about to end."""
        owner = self.owner()
        return owner is not None and owner.process == self._me.process

    def _write(self, file: int) -> None:
        """Gives a sign of life, and says who we are; where that fails it is opened anew next."""
        self._beaten_s = self._clock()
        self._me = dataclasses.replace(self._me, beat=self._me.beat + 1)
        content = encode(self._me)
        try:
            os.pwrite(file, content, 0)
            os.ftruncate(file, len(content))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # the lock holds all the same
                self._refused = True
                raise


class Ownership:
    """Our own mark in an inbox, held until `release` or the end of the process.

    Through troubles and new settings too: whoever looks while it is free takes us for gone.
    """

    def __init__(
        self,
        inbox: Path,
        spool: Spool,
        *,
        clock: Callable[[], float] = time.monotonic,
        me: Callable[[Path], Owner] | None = None,
    ) -> None:
        self._inbox = inbox
        self._spool = spool
        self._clock = clock
        self._me = (me or this_process)(spool.state)
        self._mark: str | None = None
        self._file: OwnerFile | None = None
        self._older: dict[str, OwnerFile] = {}
        self._contests = 0
        self._contested_s = -SILENCE_S
        self.renewed = False

    def hold(self) -> str:
        """Our mark, after making sure that it is ours in the inbox that is there now.

        Where somebody else holds it (our state folder is a copy of another's) we take a fresh
        one, and `renewed` is true from then on: what was claimed under the old one is the other's.
        Raises OSError if the inbox cannot be written, SurroundingsError if the state cannot.
        """
        mark = self._mark or self._spool.mark()
        if self._file is None or not self._file.is_held or self._is_contested(self._file):
            if self._file is None:
                self._file = self._file_of(mark)
            if self._contests >= 2 or not self._file.take():
                mark = self._renew(mark)
        self._mark = mark
        self.beat()
        return mark

    def hold_older(self, marks: Collection[str]) -> None:
        """Holds the marks that this state folder had before, as long as it has claims under them.

        Services that do not know better would take their owner for gone. One that cannot be held
        is tried again at the next call, and keeps nothing else from getting on.
        """
        for mark in self._older.keys() - set(marks):
            older = self._older.pop(mark)
            with contextlib.suppress(OSError):
                older.erase()
            older.release()
        for mark in marks:
            older = self._older.setdefault(mark, self._file_of(mark))
            with contextlib.suppress(OSError):
                if not older.is_held:
                    older.take()

    def beat(self) -> None:
        """Gives a sign of life once a minute; to be called more often.  Raises OSError."""
        for older in self._older.values():
            with contextlib.suppress(OSError):
                older.beat()
        if self._file is not None:
            self._file.beat()

    def erase(self) -> None:
        """Removes what tells of us, while we hold it; nothing there is fine."""
        if self._file is not None and not self._is_contested(self._file):
            self._file.erase()

    def release(self) -> None:
        """Lets go of the locks."""
        for file in self._files():
            file.release()

    def _files(self) -> list[OwnerFile]:
        return [*([self._file] if self._file else []), *self._older.values()]

    def _file_of(self, mark: str) -> OwnerFile:
        return OwnerFile(owner_file(self._inbox, mark), self._me, self._clock)

    def _renew(self, mark: str) -> str:
        """Takes a fresh mark and its file, whether or not that can be locked."""
        fresh = self._spool.renew_mark()
        logger.warning(
            "{} is a copy of the state folder of another service on {} that is running: this one "
            "is called {} from now on, and leaves to the other what was claimed as {}",
            self._spool.state,
            self._inbox,
            fresh,
            mark,
        )
        self.release()
        self._older.clear()
        self._contests = 0
        self.renewed = True
        self._mark, self._file = fresh, self._file_of(fresh)
        self._file.take(fresh=True)
        return fresh

    def _is_contested(self, file: OwnerFile) -> bool:
        """Whether our file tells of somebody else, or is gone."""
        try:
            owner = file.owner()
        except FileNotFoundError:
            return True
        if owner is None or owner.process == self._me.process:
            return False
        # Once, it may be what lay in an inbox that was put in the place of ours.
        now_s = self._clock()
        self._contests = self._contests + 1 if now_s - self._contested_s < SILENCE_S else 1
        self._contested_s = now_s
        return True


def close_quietly(handle: int) -> None:
    """Closes a file; what a share that is gone says to that does not matter."""
    with contextlib.suppress(OSError):
        os.close(handle)
