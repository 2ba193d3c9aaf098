"""What file systems do otherwise than ordinary ones; a habit is an entry of one of the tables."""

import errno
import itertools
import stat
import time
from collections.abc import Callable, Mapping
from typing import Any

Attributes = dict[str, Any]

REFUSED_CHARACTERS = frozenset(b':?*"<>|\\')
LONGEST_NAME = 143
TIMES = ("st_atime", "st_mtime", "st_ctime")
inodes = itertools.count(1 << 32)


def new_inode(shown: Attributes) -> Attributes:
    return {"st_ino": next(inodes)} if stat.S_ISREG(shown["st_mode"]) else {}


def ctime_now(shown: Attributes) -> Attributes:
    return {"st_ctime": time.time()} if stat.S_ISREG(shown["st_mode"]) else {}


def whole_seconds(shown: Attributes) -> Attributes:
    return {name: float(int(shown[name])) for name in TIMES}


def refused_name(name: bytes) -> int:
    return errno.EINVAL if REFUSED_CHARACTERS & set(name) else 0


def long_name(name: bytes) -> int:
    return errno.ENAMETOOLONG if len(name) > LONGEST_NAME else 0


LOOKS: Mapping[str, Callable[[Attributes], Attributes]] = {
    "new inodes": new_inode,  # as of mounts that forget what nobody holds open
    "whole seconds": whole_seconds,  # FAT, some NAS
    "ctime now": ctime_now,
}
"""Habits of looking: which attributes are shown otherwise, one after the other."""

NAMES: Mapping[str, Callable[[bytes], int]] = {
    "names": refused_name,  # SMB, exFAT
    "short names": long_name,  # eCryptfs
}
"""Habits of naming: why a new name is refused; 0 if it is not."""

REFUSALS: Mapping[str, Mapping[str, int]] = {
    "no links": {"link": errno.EPERM},
    "no times": {"utimens": errno.EPERM},
    "no modes": {"chmod": errno.EPERM, "chown": errno.EPERM},
    "no sync": {"fsync": errno.EINVAL, "fsyncdir": errno.EINVAL},
}
"""Habits of refusing: operations that are not known."""

CROSSING = "crossing"
"""Moving from one folder to another is EXDEV, as in pools of several disks."""
NO_ROOM_TOLD = "no room told"
"""All sizes of the file system are 0."""
HANGS = "hangs"
"""Nothing answers while there is a file beside the source with its name and `.hangs`."""
HABITS = (*LOOKS, *NAMES, *REFUSALS, CROSSING, NO_ROOM_TOLD, HANGS)
