"""Taking a picture out of the inbox so that a crash at any moment loses nothing.

In order: a row `claiming` -> rename into the claimed folder (copy and delete, where the file lies
on another file system than the inbox itself) -> copy to the spool while hashing -> make sure that
nobody wrote meanwhile -> row `claimed` with its jobs. The claimed folder keeps the path below the
inbox, so that it tells the whole story even without the ledger.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import BinaryIO

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake.pair import is_exact
from daemon.intake.scan import signature_of
from daemon.job import ClaimedPicture
from daemon.pictures.companions import CompanionKind, by_kind
from daemon.state.claimed import claimed_folder


def take(
    inbox: Path, picture_id: str, path: Path, *, copy: bool = False, keep_bytes: int = 0
) -> bool:
    """Renames a file of the inbox into the claimed folder; False if it is gone.

    copy: leave it where it is as well.  keep_bytes: room to leave on the inbox's disk, where its
    folder is another file system than the inbox and the file has to be copied: also False if it was
    written to meanwhile.  Raises SurroundingsError if the inbox refuses.
    """
    source, target = inbox / path, claimed_folder(inbox, picture_id) / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            if copy_hashing(source, target) is None:
                raise OSError(errno.EBUSY, "it is being written to")
            return True
        os.rename(source, target)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.EXDEV:
            return take_across(source, target, keep_bytes)
        raise refusal(source, error) from error
    return True


def take_across(source: Path, target: Path, keep_bytes: int) -> bool:
    """Claims a file of another file system, by a durable copy; False if it was written to.

    After a crash it is at one of the two places, or whole at both: `drop_source` sees to that.
    Raises SurroundingsError if there is no room, or it cannot be removed where it is.
    """
    try:
        before = source.lstat()
        files.ensure_room(target.parent, before.st_size, keep_bytes)
        files.write_bytes(crossing_mark(target), b"", replace=True)
        taken = copy_and_remove(source, target, before)
        crossing_mark(target).unlink(missing_ok=True)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise refusal(source, error) from error
    return taken


def copy_and_remove(source: Path, target: Path, before: os.stat_result) -> bool:
    """Copies a file with its time and removes it; False if it is another than was copied.

    A newer version may be renamed over the name during the copy, which is not ours to remove.
    before: what the source was like.
    """
    copied = copy_hashing(source, target)
    if copied is None:
        return False
    with contextlib.suppress(OSError):  # a file system that keeps no times that are set
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        if not is_still(source, before, copied[0]):
            target.unlink()
            return False
        source.unlink()
    except OSError:
        target.unlink(missing_ok=True)
        raise
    files.sync_folder(source.parent)
    return True


def is_still(path: Path, before: os.stat_result, sha256: str) -> bool:
    """Whether a name is still that of the file it was, by content where its signature differs."""
    now = path.lstat()
    if signature_of(now) == signature_of(before):
        return True
    ordinary = stat.S_ISREG(now.st_mode) and now.st_size == before.st_size
    return ordinary and files.sha256_of(path) == sha256


def crossing_mark(claimed: Path) -> Path:
    """The empty file beside a claimed one that is being copied between file systems.

    Only while it is there do two files with the same content count as one that a crash left at
    both places: people drop the same picture twice, too. It counts as temporary, and is not swept.
    """
    name = hashlib.sha256(os.fsencode(claimed.name)).hexdigest()[:16]
    return claimed.with_name(f"{files.TEMPORARY_PREFIX}crossing{name}{files.TEMPORARY_SUFFIX}")


def refusal(path: Path, error: OSError) -> SurroundingsError:
    """What to do about a file that cannot be taken out of the inbox."""
    remedy = "the service must be allowed to rename and delete files in the inbox"
    if error.errno == errno.EROFS:
        remedy = f"mount {files.printable(path.parent)} writable, or drop pictures elsewhere"
    return SurroundingsError(
        f"{files.printable(path)} cannot be claimed: {error.strerror}; {remedy}"
    )


def check_claimable(path: Path) -> None:
    """Raises SurroundingsError if a file of the inbox may not be read, or not be taken out of it.

    Looked at before any work is done for it: across file systems only its removal would show it.
    """
    if not os.access(path, os.R_OK):
        raise SurroundingsError(
            f"{files.printable(path)} may not be read; give the service's user or group the "
            "right to (chmod g+r), or drop a copy"
        )
    if not os.access(path.parent, os.W_OK):
        read_only = bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
        number = errno.EROFS if read_only else errno.EACCES
        raise refusal(path, OSError(number, os.strerror(number)))


def drop_source(inbox: Path, picture_id: str, path: Path) -> bool:
    """Removes a file from the inbox that was copied into its claim when a crash cut that off."""
    source, copy = inbox / path, claimed_folder(inbox, picture_id) / path
    if not (os.path.lexists(crossing_mark(copy)) and is_one_file(copy, source)):
        return False
    source.unlink(missing_ok=True)
    files.sync_folder(source.parent)
    crossing_mark(copy).unlink(missing_ok=True)
    return True


def give_back(inbox: Path, picture_id: str, path: Path, companions: Collection[Path] = ()) -> None:
    """Renames a claimed file back to where it was dropped, beside anything new there.

    companions: go with it if they were claimed, under names by which they still belong together.
    """
    folder = claimed_folder(inbox, picture_id)
    if is_one_file(folder / path, inbox / path):  # cut off between its new name and its old one
        (folder / path).unlink()
    if not os.path.lexists(folder / path):
        return
    beside = by_kind(one for one in companions if os.path.lexists(folder / one))
    target = free_name(inbox / path, picture_id, beside)
    target.parent.mkdir(parents=True, exist_ok=True)
    for kind, companion in beside.items():
        dropped = inbox / companion
        exact = is_exact(kind, companion, path)  # else another could come before it there
        stays = exact and target == inbox / path and not os.path.lexists(dropped)
        put(folder / companion, dropped if stays else kind.own(target))
    put(folder / path, target)
    drop_claim(inbox, picture_id)


def put(source: Path, target: Path) -> None:
    """Gives a claimed file its name in the inbox, by copying where that is another file system.

    One that is not there any more was put somewhere already, by another service.
    """
    try:
        files.give_name(source, target)
    except FileNotFoundError:
        if os.path.lexists(source):
            raise
    except OSError as error:
        if error.errno != errno.EXDEV or not files.is_ordinary(source):
            raise
        with contextlib.suppress(OSError):  # no room for it here, perhaps, but there
            files.write_bytes(crossing_mark(source), b"", replace=True)
        files.copy_whole(source, target)
        source.unlink()
        crossing_mark(source).unlink(missing_ok=True)


def is_one_file(claimed: Path, dropped: Path) -> bool:
    """Whether a claimed file and the one where it was dropped are one that a crash left at both.

    The same content alone proves nothing, since people drop the same picture twice. With a second
    name it does: there are mounts whose inodes differ at every look. So it does while one is copied
    to the other (`crossing_mark`).
    """
    try:
        mine, theirs = claimed.lstat(), dropped.lstat()
        if os.path.samestat(mine, theirs):
            return True
        if not (stat.S_ISREG(mine.st_mode) and stat.S_ISREG(theirs.st_mode)):
            return False
        linked = min(mine.st_nlink, theirs.st_nlink) > 1
        if not (linked or os.path.lexists(crossing_mark(claimed))):
            return False
        alike = mine.st_size == theirs.st_size
        return alike and files.sha256_of(claimed) == files.sha256_of(dropped)
    except (FileNotFoundError, NotADirectoryError):
        return False


def free_name(path: Path, picture_id: str, kinds: Iterable[CompanionKind]) -> Path:
    """The first name for a file given back that is free, as are those of its companions' kinds.

    The end of an id, since the beginning is the same for all that this service has claimed.
    """
    marks = (picture_id[-8:], picture_id)
    for target in (path, *(path.with_name(files.with_mark(path.name, mark)) for mark in marks)):
        if not any(map(os.path.lexists, (target, *(kind.own(target) for kind in kinds)))):
            return target
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def give_back_all(inbox: Path, picture_id: str) -> None:
    """Renames all of a claimed folder, a picture and its companions, to where it was dropped."""
    folder = claimed_folder(inbox, picture_id)
    files.sweep(folder)
    lying = [
        (Path(current) / name).relative_to(folder)
        for current, _, names in os.walk(folder)
        for name in names
        if not files.is_temporary(name)
    ]
    companions = by_kind(lying).values()
    for path in sorted(lying, key=lambda path: path in companions):  # alone only if it is alone
        give_back(inbox, picture_id, path, () if path in companions else companions)
    drop_claim(inbox, picture_id)


def drop_filed(inbox: Path, picture: ClaimedPicture) -> None:
    """Removes a claimed picture whose copy was filed while the inbox was away.

    Anything else that lies there goes back to where it was dropped, its companions too.
    """
    source = claimed_folder(inbox, picture.id) / picture.path
    if source.is_file() and files.sha256_of(source) == picture.sha256:
        source.unlink()
    give_back_all(inbox, picture.id)


def drop_claim(inbox: Path, picture_id: str) -> None:
    """Removes the empty folders a claim leaves; anything still in them stays."""
    folder = claimed_folder(inbox, picture_id)
    files.sweep(folder)  # copies that were cut off
    for current, _, names in os.walk(folder, topdown=False):
        if all(map(files.is_temporary, names)):  # no file that a mark could be of
            drop_marks(Path(current), names)
        try:
            Path(current).rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST):
                raise


def drop_marks(folder: Path, names: list[str]) -> None:
    """Removes the marks of copies between file systems that were never made."""
    prefix = f"{files.TEMPORARY_PREFIX}crossing"
    for name in names:
        if name.startswith(prefix):
            (folder / name).unlink(missing_ok=True)


def copy_hashing(
    source: Path, target: Path, on_piece: Callable[[], object] = lambda: None
) -> tuple[str, int] | None:
    """A durable copy of a claimed file: its sha256 and size; None if it changed meanwhile.

    An old writer can still write into a renamed file; then the copy is thrown away. Where inode
    and times change by themselves the content is read again. Only regular files are opened, and
    opening never waits or follows a link.
    on_piece: called with each piece that was copied.
    """
    digest = hashlib.sha256()
    with files.open_ordinary(source, os.O_NOFOLLOW) as original:
        before = os.fstat(original.fileno())

        def fill(copy: BinaryIO) -> None:
            while chunk := original.read(1 << 20):
                digest.update(chunk)
                copy.write(chunk)
                on_piece()

        files.write_whole(target, fill, replace=True)
        after = os.fstat(original.fileno())
        same = signature_of(before) == signature_of(after)
        if not same and before.st_size == after.st_size:
            original.seek(0)
            same = hashlib.file_digest(original, "sha256").digest() == digest.digest()
    if not same:
        target.unlink()
        return None
    return digest.hexdigest(), after.st_size
