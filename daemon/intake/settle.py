"""When a file has stopped changing. Pure: the clock comes in as a number.

A file is settled when its signature has been the same for `settle_s` seconds of our own
monotonic clock and it is not empty. Its times are never compared with now: copies keep old
ones, and clocks jump.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.intake.scan import Sighting, Signature

Watched = Mapping[Path, "Watch"]


@dataclass(frozen=True)
class Watch:
    """A file under observation: its signature, and since when it has had it (seconds)."""

    signature: Signature
    since_s: float


def observe(before: Watched, seen: Iterable[Sighting], now_s: float) -> dict[Path, Watch]:
    """What is under observation after a look; files that are gone are forgotten."""
    after = {}
    for sighting in seen:
        known = before.get(sighting.path)
        unchanged = known is not None and known.signature == sighting.signature
        after[sighting.path] = (
            known if known is not None and unchanged else Watch(sighting.signature, now_s)
        )
    return after


def is_settled(watch: Watch, now_s: float, settle_s: float) -> bool:
    """Whether the file has been the same for long enough and has anything in it."""
    return watch.signature.size > 0 and now_s - watch.since_s >= settle_s


def next_look_s(watched: Watched, now_s: float, settle_s: float) -> float | None:
    """Seconds until the next file could be settled, or None if none is being waited for."""
    waits = [
        watch.since_s + settle_s - now_s for watch in watched.values() if watch.signature.size > 0
    ]
    open_waits = [wait for wait in waits if wait > 0]
    return min(open_waits) if open_waits else None
