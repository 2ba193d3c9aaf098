"""When a file has stopped changing. Pure: the clock comes in as a number.

A file is settled when its signature has been the same for `settle_s` seconds of our own
monotonic clock and it is not empty. Its times are never compared with now: copies keep old
ones, and clocks jump.

Some mounts (FUSE, mostly) promise neither inode nor times: they differ at every look. There a
file whose size has long been the same is settled when its content is the same as `settle_s` before.
Its modification time alone would not do: copies from Windows set it first, and the bytes follow.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.intake.scan import Sighting, Signature

Watched = Mapping[Path, "WatchedFile"]
Proof = Signature | str
"""What a settled file was like: its signature, or the sha256 of its content."""

PATIENCE = 3.0
"""How many times `settle_s` a size must have been the same before the content is read for it."""

LONGEST_GAP_S = 60.0


@dataclass(frozen=True)
class FileContent:
    """What a file held: since when, when that was seen last, and when to read it again."""

    sha256: str
    since_s: float
    seen_s: float
    again_s: float


@dataclass(frozen=True)
class WatchedFile:
    """A file under observation, and since when (seconds) it has had this signature and size."""

    signature: Signature
    since_s: float
    size_since_s: float
    content: FileContent | None = None


def observe(before: Watched, seen: Iterable[Sighting], now_s: float) -> dict[Path, WatchedFile]:
    """What is under observation after a look; files that are gone are forgotten."""
    return {one.path: watch_of(before.get(one.path), one.signature, now_s) for one in seen}


def watch_of(known: WatchedFile | None, signature: Signature, now_s: float) -> WatchedFile:
    """One file's observation after a look at it."""
    if known is None or known.signature.size != signature.size:
        return WatchedFile(signature, now_s, now_s)
    if known.signature == signature:
        return known
    return dataclasses.replace(known, signature=signature, since_s=now_s)


def proof(watch: WatchedFile, now_s: float, settle_s: float) -> Proof | None:
    """What shows that a file is settled; None if it is not, or has nothing in it."""
    if watch.signature.size == 0:
        return None
    if now_s - watch.since_s >= settle_s:
        return watch.signature
    content = watch.content
    if content is not None and content.seen_s - content.since_s >= settle_s:
        return content.sha256
    return None


def is_settled(watch: WatchedFile, now_s: float, settle_s: float) -> bool:
    """Whether the file has been the same for long enough and has anything in it."""
    return proof(watch, now_s, settle_s) is not None


def still_since_s(watch: WatchedFile) -> float:
    """Since when the file has been the same, by its signature or by its content."""
    return min(watch.since_s, watch.content.since_s if watch.content else watch.since_s)


def wants_content(watch: WatchedFile, now_s: float, settle_s: float) -> bool:
    """Whether the content has to be read, since all else about the file keeps changing.

    Not once it has shown the file to be settled: that may lie here for hours until it is claimed,
    and its copy is compared then.
    """
    if watch.signature.size == 0 or is_settled(watch, now_s, settle_s):
        return False
    due_s = watch.content.again_s if watch.content else watch.size_since_s + PATIENCE * settle_s
    return now_s >= due_s


def with_content(watch: WatchedFile, sha256: str, now_s: float, settle_s: float) -> WatchedFile:
    """The observation after its content was read, which is done less and less often."""
    known = watch.content
    gap_s = 2 * (known.again_s - known.seen_s) if known is not None else settle_s
    again_s = now_s + min(gap_s, max(LONGEST_GAP_S, settle_s))
    since_s = known.since_s if known is not None and known.sha256 == sha256 else now_s
    return dataclasses.replace(watch, content=FileContent(sha256, since_s, now_s, again_s))


def next_look_s(watched: Watched, now_s: float, settle_s: float) -> float | None:
    """Seconds until the next file could be settled, or None if none is being waited for."""
    waits = [
        watch.since_s + settle_s - now_s for watch in watched.values() if watch.signature.size > 0
    ]
    open_waits = [wait for wait in waits if wait > 0]
    return min(open_waits) if open_waits else None
