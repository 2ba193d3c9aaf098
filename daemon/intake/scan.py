"""The truth about what lies in the inbox. Events only say when to look again."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.pictures.companions import kind_of
from daemon.pictures.formats import FORMAT_OF_SUFFIX
from daemon.pictures.ignored import is_ignored

MOUNTINFO = Path("/proc/self/mountinfo")
NETWORK_TYPES = ("nfs", "cifs", "smb", "fuse", "9p", "virtiofs")


@dataclass(frozen=True)
class Signature:
    """What changes when a file does: inode, size in bytes, modification and change time in ns."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True)
class Sighting:
    """A file in the inbox. path: relative to the inbox."""

    path: Path
    signature: Signature


@dataclass(frozen=True)
class Scan:
    """One look at the inbox: pictures, their companions, and what is neither.

    strange: symlinks, pipes and devices, which are never opened.  foreign: ordinary files whose
    names promise no picture.  closed: folders that do not let themselves be looked into.
    """

    pictures: tuple[Sighting, ...]
    companions: tuple[Sighting, ...]
    strange: tuple[Path, ...]
    foreign: tuple[Sighting, ...]
    closed: tuple[Path, ...] = ()


def signature_of(info: os.stat_result) -> Signature:
    """The signature of a file as it is now."""
    return Signature(info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def scan(inbox: Path) -> Scan:
    """Looks at every file below the inbox, in the order of their paths, following no link.

    Raises OSError if the inbox itself cannot be read; sub-folders that vanish meanwhile do not
    matter.
    """
    pictures, companions, strange, foreign = [], [], [], []
    closed: set[Path] = set()
    for entry in walk(inbox):
        if isinstance(entry, Path):
            closed.add(entry.relative_to(inbox))
            continue
        path = Path(entry.path).relative_to(inbox)
        try:
            info = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError:  # its folder lets itself be listed, and no more
            closed.add(path.parent)
            continue
        if not stat.S_ISREG(info.st_mode):
            strange.append(path)
        elif kind_of(path.name) is not None:  # first: one may be a picture by its suffix
            companions.append(Sighting(path, signature_of(info)))
        elif path.suffix.lower() in FORMAT_OF_SUFFIX:
            pictures.append(Sighting(path, signature_of(info)))
        else:
            foreign.append(Sighting(path, signature_of(info)))
    by_path = sorted(pictures, key=lambda seen: os.fsencode(seen.path))
    return Scan(tuple(by_path), tuple(companions), tuple(strange), tuple(foreign), tuple(closed))


def walk(inbox: Path) -> Iterator[os.DirEntry[str] | Path]:
    """Every entry below the inbox that is not a folder or ignored, and each folder that is closed.

    Raises OSError if the inbox itself cannot be read. Not recursive: people drop deep trees.
    """
    waiting = [inbox]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                inside = [entry for entry in entries if not is_ignored(entry.name)]
        except OSError as error:
            if folder == inbox:
                raise
            if not isinstance(error, FileNotFoundError):
                yield folder
            continue
        for entry in inside:
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
            except OSError:  # a file system that lists no kinds, in a folder that tells no more
                yield folder
                continue
            if is_folder:
                waiting.append(Path(entry.path))
            else:
                yield entry


def mount_table() -> str:
    """The text of /proc/self/mountinfo, its names of any bytes; empty where it cannot be read."""
    try:
        return MOUNTINFO.read_text("utf-8", "surrogateescape")
    except OSError:  # no /proc, or a closed one: what is mounted is not known
        return ""


def lies_on_network(folder: Path) -> bool:
    """Whether a folder lies on a network file system now; it counts as one where /proc is not."""
    mounts = mount_table()
    return not mounts or is_network_mount(folder.resolve(), mounts)


def is_network_mount(folder: Path, mounts: str) -> bool:
    """Whether a folder lies on a network file system; `mounts` is /proc/self/mountinfo's text."""
    best, kind = "", ""
    for point, its_kind in read_mounts(mounts):
        inside = str(folder) == point or str(folder).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, its_kind
    return kind.startswith(NETWORK_TYPES)


def mount_points(mounts: str) -> set[str]:
    """Where anything is mounted; `mounts` is /proc/self/mountinfo's text."""
    return {point for point, _ in read_mounts(mounts)}


def read_mounts(mounts: str) -> Iterator[tuple[str, str]]:
    """Mount points and the types of what is mounted there, in the order of mounting."""
    for line in mounts.split("\n"):  # all other blanks and line ends may be of names
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) >= 5 and right:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
            yield point, right.split(" ")[0]
