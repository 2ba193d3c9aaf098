"""The folders: whether they can be written, who may, how much room, and what they lie on."""

import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from daemon.doctor.finding import LackError, found
from daemon.host import files
from daemon.host.access import explain, is_there, refusals, with_advice
from daemon.intake.scan import is_network_mount
from daemon.settings.config import Config
from daemon.state.claimed import CLAIMED_FOLDER
from daemon.status.report import Finding

FEW_INODES = 1000


def check_folders(config: Config, mounts: str) -> Iterator[Finding]:
    """Everything about inbox, outbox and state. mounts: the text of /proc/self/mountinfo."""
    for name, folder in folders(config):
        yield found(name, check_folder, folder)
    yield found("filing", check_filing, config)
    yield found("sharing", check_sharing, config.inbox)
    for name, folder in folders(config):
        yield found(f"{name} space", check_space, folder, config.limits.free_bytes)
        yield found(f"{name} inodes", check_inodes, folder)
    yield found("state disk", check_state_disk, config.state, mounts)
    yield found("shares", check_shares, config, mounts)


def folders(config: Config) -> Iterator[tuple[str, Path]]:
    """The folders the service writes in."""
    yield "inbox", config.inbox
    yield "outbox", config.outbox
    yield "state", config.state


def check_folder(folder: Path) -> str:
    """Creates, renames and deletes a file there; makes no folder."""
    if not is_there(folder):
        return check_absent(folder)
    with refusals(str(folder), words=with_advice):
        trial = folder / f".atelierd-{uuid.uuid4().hex}.tmp"
        trial.write_bytes(b"trial")
        renamed = trial.rename(trial.with_suffix(".renamed"))
        renamed.unlink()
    return f"{folder}: can create, rename and delete"


def check_absent(folder: Path) -> str:
    """Whether the service can make a folder that is not there."""
    parent = nearest(folder)
    if os.access(parent, os.W_OK | os.X_OK):
        return f"{folder}: not there yet; the service makes it at its start"
    raise LackError(
        f"{folder}: is not there, and user {os.getuid()} may not make it in {parent}: make it, and "
        "let that user write there (chown)"
    )


def nearest(folder: Path) -> Path:
    """The folder itself, or where it is not there yet the one it would be made in."""
    places = (folder, *folder.parents)
    return next((one for one in places if os.path.isdir(one)), Path("/"))  # noqa: PTH112


def check_filing(config: Config) -> str:
    """Whether a claimed picture can be moved to the outbox without copying."""
    same = nearest(config.inbox).stat().st_dev == nearest(config.outbox).stat().st_dev
    how = "by renaming" if same else "by copying, since the outbox is on another file system"
    return f"originals move from inbox/{CLAIMED_FOLDER} {how}"


def check_sharing(inbox: Path) -> str:
    """Whether what several people drop there can be claimed, and belongs to the folder's group."""
    try:
        status = inbox.stat()
    except FileNotFoundError:
        return "the inbox is not there yet"
    return judge_sharing(inbox, status.st_mode, status.st_uid == os.geteuid())


def judge_sharing(inbox: Path, mode: int, owned: bool) -> str:
    """What a mode means for those who drop; owned: the folder is this user's own."""
    if mode & stat.S_ISVTX and not owned:
        raise LackError(
            f"{inbox} has the sticky bit, which keeps the service from claiming what others own: "
            f"chmod -t {inbox}"
        )
    if not mode & stat.S_IWGRP:
        return f"only its owner may drop into {inbox}"
    if not mode & stat.S_ISGID:
        raise LackError(
            f"{inbox} is writable for its group, but does not hand the group on (setgid): what is "
            f"dropped may not be readable: chmod g+s {inbox}"
        )
    return "the group may drop, and what is dropped belongs to it (setgid, no sticky bit)"


def check_space(folder: Path, keep_bytes: int) -> str:
    """Whether there is more room than what is to be kept free."""
    with refusals(files.printable(folder), words=with_advice):
        free = files.free_bytes(nearest(folder))
    if free is None:
        return "the file system does not tell"
    text = f"{free / 1e9:.1f} GB free"
    if free < keep_bytes:
        raise LackError(f"{text} on {folder}; make room (limits: free_bytes)")
    return text


def check_inodes(folder: Path) -> str:
    """Whether more files can be made, whatever their size."""
    try:
        counts = os.statvfs(nearest(folder))
    except OSError as error:
        if error.errno in files.NOT_KNOWN:
            return "the file system does not tell"
        raise LackError(explain(error, folder)) from error
    return judge_inodes(folder, counts.f_files, counts.f_favail)


def judge_inodes(folder: Path, total: int, free: int) -> str:
    """What the counts of a file system mean; a total of 0 means that it does not count."""
    if total == 0:
        return "not limited"
    if free < FEW_INODES:
        raise LackError(f"only {free} more files can be made on {folder}: delete many small ones")
    return f"{free} free"


def check_state_disk(state: Path, mounts: str) -> str:
    """The ledger needs a disk whose locks and syncs are what they say."""
    if is_network_mount(Path(os.path.realpath(state)), mounts):
        raise LackError(
            f"{state} is on a network file system, where the ledger can be damaged: stop the "
            "service, move it to a local disk, and change `state` in the configuration"
        )
    return "local"


def check_shares(config: Config, mounts: str) -> str:
    """Which of the shared folders are on the network, where changes are not announced."""
    shares = [
        name
        for name, folder in (("inbox", config.inbox), ("outbox", config.outbox))
        if is_network_mount(Path(os.path.realpath(folder)), mounts)
    ]
    if not shares:
        return "inbox and outbox are on local disks"
    if "inbox" in shares and config.settle_s is not None and config.settle_s < 5:
        raise LackError(
            f"the inbox is on the network, and settle_s: {config.settle_s:g} may take a picture "
            "that is still being written; use 15, or leave it out"
        )
    return f"on the network: {', '.join(shares)}"
