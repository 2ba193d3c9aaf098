"""What lies in the inbox's claimed folder, and where.

.claimed/ID/…            a claimed picture and its companions, each at its path below the inbox
.claimed/.owner-MARK     who has the claims whose ids begin with the mark
.claimed/.taken-over/ID  the tombstone of a claim that another service has taken over
"""

import os
from collections.abc import Iterator
from pathlib import Path

CLAIMED_FOLDER = ".claimed"
OWNER_PREFIX = ".owner-"
TOMBSTONES = ".taken-over"


def claimed_folder(inbox: Path, picture_id: str) -> Path:
    """The folder where a claimed picture and its companions lie until they are filed."""
    return inbox / CLAIMED_FOLDER / picture_id


def owner_file(inbox: Path, mark: str) -> Path:
    """The file in which the owner of a mark tells of itself."""
    return inbox / CLAIMED_FOLDER / f"{OWNER_PREFIX}{mark}"


def owner_files(inbox: Path) -> Iterator[Path]:
    """The files of all owners that ever told of themselves, and have not removed it."""
    return (inbox / CLAIMED_FOLDER).glob(f"{OWNER_PREFIX}*")


def tombstone(inbox: Path, picture_id: str) -> Path:
    """The empty file that says that a claim has been taken over."""
    return inbox / CLAIMED_FOLDER / TOMBSTONES / picture_id


def tombstones(inbox: Path) -> list[str]:
    """The ids of the pictures that were taken over and whose former owner has not seen it yet."""
    folder = tombstone(inbox, "x").parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def claims(inbox: Path) -> list[str]:
    """The ids of the pictures that have a claimed folder; hidden names tell whose they are."""
    folder = inbox / CLAIMED_FOLDER
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        )
