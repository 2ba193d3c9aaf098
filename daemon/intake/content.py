"""Files whose names promise no picture: what their content says, once it has settled.

Browsers and phones save pictures without a suffix, or with one that nobody knows; and what is a
picture but cannot be painted has to be told so. What is neither stays where it is.
"""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.host import files
from daemon.intake import settle
from daemon.intake.scan import Scan, Signature
from daemon.intake.settle import Watched, WatchedFile
from daemon.pictures.kinds import HEAD_BYTES, kind_of_content

MOST_LOOKS = 256
"""How many files are looked at in one look at the inbox, before other things get their turn."""

SOON_S = 0.05

KEPT_BESIDE = (".bak", ".old", ".orig", "_original", ".thm", ".cot")
"""How the names end of copies that editors leave, and of small pictures that cameras and programs
keep beside films and photographs: JPEGs, most of them, and nobody's to paint."""


@dataclass(frozen=True)
class ContentLook:
    """What a file began with. kind: the format of a picture, or empty; signature: the file's then.

    seen_s: when.
    """

    kind: str
    signature: Signature
    seen_s: float


def kind_of_file(path: Path) -> str:
    """The format of a picture by a file's first bytes; empty for what is none.

    Nothing is known of what cannot be read, and of what its name says is nobody's to paint.
    """
    if path.name.lower().endswith(KEPT_BESIDE):
        return ""
    try:
        with files.open_ordinary(path, os.O_NOFOLLOW) as file:
            return kind_of_content(file.read(HEAD_BYTES))
    except OSError:
        return ""


def is_told_by_name(path: Path, watch: WatchedFile) -> bool:
    """Whether a file is no picture whatever it holds, or holds nothing yet."""
    return watch.signature.size == 0 or path.name.lower().endswith(KEPT_BESIDE)


class ContentLooks:
    """Tells pictures from other files by their content. One thread's; the clock comes in.

    on_file: told each file that is about to be looked at.
    """

    def __init__(
        self, inbox: Path, *, settle_s: float, on_file: Callable[[Path], object] = lambda _: None
    ) -> None:
        self._inbox = inbox
        self._settle_s = settle_s
        self._on_file = on_file
        self._looks: dict[Path, ContentLook] = {}
        self._due: list[Path] = []
        self.watched: Watched = {}

    @property
    def undecided(self) -> list[tuple[Path, WatchedFile]]:
        """The files that were not looked at yet, and have content that may be a picture's."""
        return [
            (path, watch)
            for path, watch in self.watched.items()
            if path not in self._looks and not is_told_by_name(path, watch)
        ]

    def sort(self, seen: Scan, now_s: float) -> Scan:
        """The same look, with pictures by their content among the pictures.

        What is not to be told yet is left out of it: it has not settled.
        """
        self.watched = settle.observe(self.watched, seen.foreign, now_s)
        self._looks = {path: look for path, look in self._looks.items() if path in self.watched}
        self._due = [path for path in self.watched if self._is_due(path, now_s)]
        for path in itertools.islice(self._due, MOST_LOOKS):
            self._on_file(path)
            signature = self.watched[path].signature
            self._looks[path] = ContentLook(kind_of_file(self._inbox / path), signature, now_s)
        self._due = self._due[MOST_LOOKS:]
        undecided = {path for path, _ in self.undecided}
        found = [one for one in seen.foreign if self._kind(one.path)]
        pictures = sorted((*seen.pictures, *found), key=lambda one: os.fsencode(one.path))
        foreign = (
            one for one in seen.foreign if not self._kind(one.path) and one.path not in undecided
        )
        return dataclasses.replace(seen, pictures=tuple(pictures), foreign=tuple(foreign))

    def _kind(self, path: Path) -> str:
        look = self._looks.get(path)
        return look.kind if look is not None else ""

    def _is_due(self, path: Path, now_s: float) -> bool:
        """Whether a file is to be looked at: settled, and not as it was at the last look.

        On mounts whose files seem to change all the time it is enough that its size does not.
        """
        watch, look = self.watched[path], self._looks.get(path)
        if is_told_by_name(path, watch) or (look and look.signature == watch.signature):
            return False
        if settle.is_settled(watch, now_s, self._settle_s):
            return True
        long_since = now_s - watch.size_since_s >= settle.PATIENCE * self._settle_s
        return long_since and (look is None or now_s - look.seen_s >= settle.LONGEST_GAP_S)

    def next_looks_s(self, now_s: float) -> Iterator[float]:
        """Seconds until files that were not looked at yet may be ready for it."""
        if self._due:
            yield SOON_S
        waits = settle.next_look_s(dict(self.undecided), now_s, self._settle_s)
        if waits is not None:
            yield waits
