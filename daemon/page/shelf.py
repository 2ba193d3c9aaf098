"""The presets as the page sees them: read again and again, and only what has changed."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.settings.config import Config
from daemon.settings.presets import Preset, Shelf, ShelfReader


@dataclass
class Shelves:
    """Reads the presets for every view. May be called from any thread."""

    config: Config
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reader: ShelfReader | None = None

    def read(self) -> Shelf:
        """The presets as they are now; raises SurroundingsError if they cannot be read."""
        with self._lock:
            if self._reader is None:
                self._reader = ShelfReader(self.config.presets, self.config.inbox_folders)
            return self._reader.read()

    def good(self) -> Mapping[str, Preset]:
        """Those that can be painted with, by name."""
        return self.read().good
