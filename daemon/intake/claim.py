"""Taking a picture out of the inbox so that a crash at any moment loses nothing.

In order: a row `claiming` -> rename into the claimed folder, on the inbox's own file system ->
copy to the spool while hashing -> make sure that nobody wrote meanwhile -> row `claimed` with
its jobs. The claimed folder keeps the path below the inbox, so that it tells the whole story
even without the ledger.
"""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from daemon import files
from daemon.errors import SurroundingsError
from daemon.intake.scan import CLAIMED_FOLDER, signature_of
from daemon.intake.sidecars import is_exact
from daemon.job import ClaimedPicture
from daemon.names import is_yaml


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


def give_back(inbox: Path, picture_id: str, path: Path, sidecar: Path | None = None) -> None:
    """Renames a claimed file back to where it was dropped, beside anything new there.

    sidecar: goes with it if it was claimed, under names by which they still belong together.
    """
    folder = claimed_folder(inbox, picture_id)
    if is_one_file(folder / path, inbox / path):  # cut off between its new name and its old one
        (folder / path).unlink()
    if not os.path.lexists(folder / path):
        return
    said = folder / sidecar if sidecar and os.path.lexists(folder / sidecar) else None
    target = free_name(inbox / path, picture_id, paired=said is not None)
    target.parent.mkdir(parents=True, exist_ok=True)
    if sidecar is not None and said is not None:
        dropped = inbox / sidecar
        exact = is_exact(sidecar, path)  # else another could come before it there
        stays = exact and target == inbox / path and not os.path.lexists(dropped)
        files.give_name(said, dropped if stays else files.sidecar_of(target))
    files.give_name(folder / path, target)
    drop_claim(inbox, picture_id)


def is_one_file(one: Path, other: Path) -> bool:
    """Whether two names are of the same file."""
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except FileNotFoundError:
        return False


def free_name(path: Path, picture_id: str, *, paired: bool) -> Path:
    """The first name for a file given back that is free; if `paired`, its sidecar's is too.

    The end of an id, since the beginning is the same for all that this machine has claimed.
    """
    marks = (picture_id[-8:], picture_id)
    for target in (path, *(path.with_name(files.with_mark(path.name, mark)) for mark in marks)):
        wanted = (target, files.sidecar_of(target)) if paired else (target,)
        if not any(map(os.path.lexists, wanted)):
            return target
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def claims(inbox: Path) -> list[str]:
    """The ids of the pictures that have a claimed folder."""
    folder = inbox / CLAIMED_FOLDER
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def give_back_all(inbox: Path, picture_id: str) -> None:
    """Renames all of a claimed folder, a picture and its sidecar, to where it was dropped."""
    folder = claimed_folder(inbox, picture_id)
    found = [
        (Path(current) / name).relative_to(folder)
        for current, _, names in os.walk(folder)
        for name in names
    ]
    sidecar = next((path for path in found if is_yaml(path.name)), None)
    for path in sorted(found, key=lambda path: path == sidecar):  # alone only if it is alone
        give_back(inbox, picture_id, path, None if path == sidecar else sidecar)
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


def copy_hashing(
    source: Path, target: Path, on_piece: Callable[[], object] = lambda: None
) -> tuple[str, int] | None:
    """A durable copy of a claimed file: its sha256 and size; None if it changed meanwhile.

    An old writer can still write into a renamed file; then the copy is thrown away. Only
    regular files are opened, and opening never waits or follows a link.
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
    if signature_of(before) != signature_of(after):
        target.unlink()
        return None
    return digest.hexdigest(), after.st_size
