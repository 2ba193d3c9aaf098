"""The folders: whether they can be written, who may, how much room, and what they lie on."""

import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import advice, explain, is_there
from daemon.intake.scan import is_network_mount
from daemon.settings.config import Config
from daemon.state.claimed import CLAIMED_FOLDER
from daemon.status.report import Finding

FEW_INODES = 1000


def check_folders(config: Config, mounts: str) -> Iterator[Finding]:
    """Everything about inbox, outbox and state. mounts: the text of /proc/self/mountinfo."""
    for name, folder in folders(config):
        yield check_folder(name, folder)
    yield check_filing(config)
    yield check_sharing(config.inbox)
    for name, folder in folders(config):
        yield check_space(name, folder, config.limits.free_bytes)
        yield check_inodes(name, folder)
    yield check_state_disk(config.state, mounts)
    yield check_shares(config, mounts)


def folders(config: Config) -> Iterator[tuple[str, Path]]:
    """The folders the service writes in."""
    yield "inbox", config.inbox
    yield "outbox", config.outbox
    yield "state", config.state


def check_folder(name: str, folder: Path) -> Finding:
    """Creates, renames and deletes a file there; makes no folder."""
    try:
        if not is_there(folder):
            return check_absent(name, folder)
        trial = folder / f".atelierd-{uuid.uuid4().hex}.tmp"
        trial.write_bytes(b"trial")
        renamed = trial.rename(trial.with_suffix(".renamed"))
        renamed.unlink()
    except SurroundingsError as error:
        return Finding(name, False, str(error))
    except OSError as error:
        return Finding(name, False, f"{folder}: {error.strerror}{advice(error)}")
    return Finding(name, True, f"{folder}: can create, rename and delete")


def check_absent(name: str, folder: Path) -> Finding:
    """Whether the service can make a folder that is not there."""
    parent = nearest(folder)
    if os.access(parent, os.W_OK | os.X_OK):
        return Finding(name, True, f"{folder}: not there yet; the service makes it at its start")
    return Finding(
        name,
        False,
        f"{folder}: is not there, and user {os.getuid()} may not make it in {parent}: make it, and "
        "let that user write there (chown)",
    )


def nearest(folder: Path) -> Path:
    """The folder itself, or where it is not there yet the one it would be made in."""
    places = (folder, *folder.parents)
    return next((one for one in places if os.path.isdir(one)), Path("/"))  # noqa: PTH112


def check_filing(config: Config) -> Finding:
    """Whether a claimed picture can be moved to the outbox without copying."""
    try:
        same = nearest(config.inbox).stat().st_dev == nearest(config.outbox).stat().st_dev
    except OSError as error:
        return Finding("filing", False, explain(error))
    how = "by renaming" if same else "by copying, since the outbox is on another file system"
    return Finding("filing", True, f"originals move from inbox/{CLAIMED_FOLDER} {how}")


def check_sharing(inbox: Path) -> Finding:
    """Whether what several people drop there can be claimed, and belongs to the folder's group."""
    try:
        status = inbox.stat()
    except FileNotFoundError:
        return Finding("sharing", True, "the inbox is not there yet")
    except OSError as error:
        return Finding("sharing", False, explain(error))
    return Finding("sharing", *judge_sharing(inbox, status.st_mode, status.st_uid == os.geteuid()))


def judge_sharing(inbox: Path, mode: int, owned: bool) -> tuple[bool, str]:
    """What a mode means for those who drop; owned: the folder is this user's own."""
    if mode & stat.S_ISVTX and not owned:
        return False, (
            f"{inbox} has the sticky bit, which keeps the service from claiming what others own: "
            f"chmod -t {inbox}"
        )
    if not mode & stat.S_IWGRP:
        return True, f"only its owner may drop into {inbox}"
    if not mode & stat.S_ISGID:
        return False, (
            f"{inbox} is writable for its group, but does not hand the group on (setgid): what is "
            f"dropped may not be readable: chmod g+s {inbox}"
        )
    return True, "the group may drop, and what is dropped belongs to it (setgid, no sticky bit)"


def check_space(name: str, folder: Path, keep_bytes: int) -> Finding:
    """Whether there is more room than what is to be kept free."""
    try:
        free = files.free_bytes(nearest(folder))
    except OSError as error:
        return Finding(f"{name} space", False, explain(error, folder))
    if free is None:
        return Finding(f"{name} space", True, "the file system does not tell")
    text = f"{free / 1e9:.1f} GB free"
    if free < keep_bytes:
        lack = f"{text} on {folder}; make room (limits: free_bytes)"
        return Finding(f"{name} space", False, lack)
    return Finding(f"{name} space", True, text)


def check_inodes(name: str, folder: Path) -> Finding:
    """Whether more files can be made, whatever their size."""
    try:
        found = os.statvfs(nearest(folder))
    except OSError as error:
        if error.errno in files.NOT_KNOWN:
            return Finding(f"{name} inodes", True, "the file system does not tell")
        return Finding(f"{name} inodes", False, explain(error, folder))
    return Finding(f"{name} inodes", *judge_inodes(folder, found.f_files, found.f_favail))


def judge_inodes(folder: Path, total: int, free: int) -> tuple[bool, str]:
    """What the counts of a file system mean; a total of 0 means that it does not count."""
    if total == 0:
        return True, "not limited"
    if free < FEW_INODES:
        return False, f"only {free} more files can be made on {folder}: delete many small ones"
    return True, f"{free} free"


def check_state_disk(state: Path, mounts: str) -> Finding:
    """The ledger needs a disk whose locks and syncs are what they say."""
    if is_network_mount(Path(os.path.realpath(state)), mounts):
        return Finding(
            "state disk",
            False,
            f"{state} is on a network file system, where the ledger can be damaged: stop the "
            "service, move it to a local disk, and change `state` in the configuration",
        )
    return Finding("state disk", True, "local")


def check_shares(config: Config, mounts: str) -> Finding:
    """Which of the shared folders are on the network, where changes are not announced."""
    shares = [
        name
        for name, folder in (("inbox", config.inbox), ("outbox", config.outbox))
        if is_network_mount(Path(os.path.realpath(folder)), mounts)
    ]
    if not shares:
        return Finding("shares", True, "inbox and outbox are on local disks")
    if "inbox" in shares and config.settle_s is not None and config.settle_s < 5:
        return Finding(
            "shares",
            False,
            f"the inbox is on the network, and settle_s: {config.settle_s:g} may take a picture "
            "that is still being written; use 15, or leave it out",
        )
    return Finding("shares", True, f"on the network: {', '.join(shares)}")
