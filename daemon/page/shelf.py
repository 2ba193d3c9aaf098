"""The presets as the page sees them: read again and again, and only what has changed."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.host.bounded import NoAnswerError, within
from daemon.page.sending import no_answer
from daemon.settings.config import Config
from daemon.settings.presets import Preset, Shelf, ShelfReader

ANSWER_S = 5.0
"""How long a view waits for the presets."""


@dataclass
class Shelves:
    """Reads the presets for every view. May be called from any thread."""

    config: Config
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reader: ShelfReader | None = None

    def read(self) -> Shelf:
        """The presets as they are now; raises SurroundingsError if they cannot be read in time.

        Where their folder hangs, one thread is left waiting for it, and whoever comes then is told.
        """
        if not self._lock.acquire(timeout=ANSWER_S):
            raise no_answer(self.config.presets)
        found: list[Shelf] = []

        def look() -> None:
            try:
                if self._reader is None:
                    self._reader = ShelfReader(self.config.presets, self.config.inbox_folders)
                found.append(self._reader.read())
            finally:
                self._lock.release()

        try:
            within(ANSWER_S, look)
        except NoAnswerError as error:
            raise no_answer(self.config.presets) from error
        return found[0]

    def good(self) -> Mapping[str, Preset]:
        """Those that can be painted with, by name."""
        return self.read().good
