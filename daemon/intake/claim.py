"""Taking a picture out of the inbox so that a crash at any moment loses nothing.

In order: a row `claiming` -> rename into the claimed folder, on the inbox's own file system ->
copy to the spool while hashing -> make sure that nobody wrote meanwhile -> row `claimed` with
its jobs. The claimed folder keeps the path below the inbox, so that it tells the whole story
even without the ledger.
"""

import errno
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from daemon import files
from daemon.errors import SurroundingsError
from daemon.intake.scan import CLAIMED_FOLDER, signature_of
from daemon.job import ClaimedPicture


def claimed_folder(inbox: Path, picture_id: str) -> Path:
    """Where a claimed picture and its sidecar lie until they are filed."""
    return inbox / CLAIMED_FOLDER / picture_id


def take(inbox: Path, picture_id: str, path: Path, *, copy: bool = False) -> bool:
    """Renames a file of the inbox into the claimed folder; False if it is gone.

    copy: leave it where it is as well.  Raises SurroundingsError if the inbox refuses.
    """
    target = claimed_folder(inbox, picture_id) / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            if copy_hashing(inbox / path, target) is None:
                raise OSError(errno.EBUSY, "it is being written to")
        else:
            os.rename(inbox / path, target)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SurroundingsError(
            f"{files.printable(inbox / path)} cannot be claimed: {error.strerror}; the service "
            "must be allowed to rename files in the inbox"
        ) from error
    return True


def give_back(inbox: Path, picture_id: str, path: Path) -> None:
    """Renames a claimed file back to where it was dropped, beside anything new there."""
    source = claimed_folder(inbox, picture_id) / path
    target = inbox / path
    if not os.path.lexists(source):
        return
    if os.path.lexists(target):
        target = target.with_name(files.with_mark(path.name, picture_id[:8]))
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
    drop_claim(inbox, picture_id)


def claims(inbox: Path) -> list[str]:
    """The ids of the pictures that have a claimed folder."""
    folder = inbox / CLAIMED_FOLDER
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def give_back_all(inbox: Path, picture_id: str) -> None:
    """Renames everything in a claimed folder back to where it was dropped."""
    folder = claimed_folder(inbox, picture_id)
    for current, _, names in os.walk(folder):
        for name in names:
            give_back(inbox, picture_id, (Path(current) / name).relative_to(folder))
    drop_claim(inbox, picture_id)


def drop_filed(inbox: Path, picture: ClaimedPicture) -> None:
    """Removes a claimed picture whose copy was filed while the inbox was away.

    Anything else that lies there goes back to where it was dropped, a sidecar too.
    """
    source = claimed_folder(inbox, picture.id) / picture.path
    if source.is_file() and files.sha256_of(source) == picture.sha256:
        source.unlink()
    give_back_all(inbox, picture.id)


def drop_claim(inbox: Path, picture_id: str) -> None:
    """Removes the empty folders a claim leaves; anything still in them stays."""
    folder = claimed_folder(inbox, picture_id)
    for current, _, _ in os.walk(folder, topdown=False):
        try:
            Path(current).rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST):
                raise


def copy_hashing(source: Path, target: Path) -> tuple[str, int] | None:
    """A durable copy of a claimed file: its sha256 and size; None if it changed meanwhile.

    An old writer can still write into a renamed file; then the copy is thrown away. Only
    regular files are opened, and opening never waits or follows a link.
    """
    digest = hashlib.sha256()
    with files.open_ordinary(source, os.O_NOFOLLOW) as original:
        before = os.fstat(original.fileno())

        def fill(copy: BinaryIO) -> None:
            while chunk := original.read(1 << 20):
                digest.update(chunk)
                copy.write(chunk)

        files.write_whole(target, fill, replace=True)
        after = os.fstat(original.fileno())
    if signature_of(before) != signature_of(after):
        target.unlink()
        return None
    return digest.hexdigest(), after.st_size
