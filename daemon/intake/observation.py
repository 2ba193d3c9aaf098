"""The files of the inbox over time: since when each is as it is, and which belong together."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.host import files
from daemon.intake import pair, settle
from daemon.intake.scan import Scan
from daemon.intake.settle import Proof, Watched, WatchedFile
from daemon.pictures.companions import kind_of

READS, READ_BYTES = 256, 256 << 20
"""How many files are read in one look, and how much of them, before other things get their turn."""


class Observation:
    """Keeps in mind what the looks saw. One thread's; `pictures` may be read by others.

    pairs: which companion is which picture's.
    """

    def __init__(self, inbox: Path, *, settle_s: float, sidecar_wait_s: float) -> None:
        self._inbox = inbox
        self._settle_s = settle_s
        self._longest_alone_s = max(sidecar_wait_s, settle_s)
        self._watched: dict[Path, WatchedFile] = {}
        self._alone: dict[Path, WatchedFile] = {}
        self._seen_s = 0.0
        self.pairs = pair.match((), ())

    def pair(self, seen: Scan) -> None:
        """Finds out which companions belong to which pictures, by the looks before this one."""
        self.pairs = pair.match(
            [sighting.path for sighting in seen.pictures],
            {sighting.path for sighting in seen.companions},
            self.stale(seen),
        )

    def observe(self, seen: Scan, now_s: float, known: Watched | None = None) -> None:
        """Remembers a look, whose files are paired already; those that are gone are forgotten.

        known: what others saw of files before they turned out to be pictures.
        """
        before = {**(known or {}), **self._watched}
        self._watched = settle.observe(before, (*seen.pictures, *seen.companions), now_s)
        alone = [one for one in seen.companions if one.path in self.pairs.alone]
        self._alone = settle.observe(self._alone, alone, now_s)
        self._seen_s = now_s

    def stale(self, seen: Scan) -> set[Path]:
        """Companions that lay alone for long when they were last looked at, and are still the same.

        A picture that comes now under a camera's recurring name is not the one they were for.
        What was before the start is not known, and counts as new.
        """
        return {
            one.path
            for one in seen.companions
            if (watch := self._alone.get(one.path)) is not None
            and watch.signature == one.signature
            and self._seen_s - watch.since_s >= self._longest_alone_s
        }

    def __contains__(self, path: object) -> bool:
        return path in self._watched

    def watch(self, path: Path) -> WatchedFile:
        """What is known of a file that the last look saw."""
        return self._watched[path]

    def proof(self, path: Path, now_s: float) -> Proof | None:
        """What shows that a file is settled; None if it is not, or has nothing in it."""
        return settle.proof(self._watched[path], now_s, self._settle_s)

    def restless(self, now_s: float) -> list[Path]:
        """The files that only their content can show to be settled, and that are to be read."""
        return [
            path
            for path, watch in self._watched.items()
            if settle.wants_content(watch, now_s, self._settle_s)
        ]

    def readable_in_a_look(self, paths: Iterable[Path]) -> Iterator[Path]:
        """The first of them, as many as are read in one look; at least one."""
        read_bytes = 0
        for path in itertools.islice(paths, READS):
            if read_bytes > READ_BYTES:
                return
            read_bytes += self._watched[path].signature.size
            yield path

    def read(self, path: Path, now_s: float) -> None:
        """Reads a file's content; one that cannot be read is told of when it is to be claimed."""
        with contextlib.suppress(OSError):
            sha256 = files.sha256_of(self._inbox / path)
            watch = self._watched[path]
            self._watched[path] = settle.with_content(watch, sha256, now_s, self._settle_s)

    def forget(self, path: Path) -> None:
        """A file was claimed, or is not what it was: what lies under its name now is another."""
        del self._watched[path]

    def pictures(self) -> list[tuple[Path, WatchedFile]]:
        """The pictures that lie there unclaimed."""
        return [
            (path, watch)
            for path, watch in list(self._watched.items())
            if kind_of(path.name) is None
        ]

    def next_look_s(self, now_s: float) -> float | None:
        """Seconds until the next file could be settled, or None if none is being waited for."""
        return settle.next_look_s(self._watched, now_s, self._settle_s)
