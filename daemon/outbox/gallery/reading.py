"""Reading what records tell: files of a folder that others write to as well, so nothing is certain.

What is of another type than it should be counts as not told.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.host import files
from daemon.outbox.gallery.links import is_below

MOST_BYTES = 8 << 20
"""A record is some kilobytes; what is larger is none."""

MOST_LETTERS = 4000
MOST = 1e15
"""Numbers from here on are nobody's pixels, seconds or losses."""

Data = Mapping[str, Any]


def mapping(value: Any) -> Data:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is a text, in characters that can be shown, not too many; else empty."""
    return files.printable(value[:MOST_LETTERS]) if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    """The value if it is a number that can be reckoned with."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and -MOST < value < MOST else None


def whole(value: Any) -> int:
    """The value as a whole number that is not negative, else 0."""
    found = number(value)
    return max(0, int(found)) if found is not None else 0


def read_json(path: Path) -> Data | None:
    """The JSON object of a file; None where there is none, it is no object, or far too large.

    Raises OSError where the file cannot be looked at.
    """
    try:
        with files.open_ordinary(path, os.O_NOFOLLOW) as file:
            content = file.read(MOST_BYTES + 1)
        data = json.loads(content) if len(content) <= MOST_BYTES else None
    except (FileNotFoundError, NotADirectoryError, files.NotOrdinaryError, ValueError):
        return None
    except RecursionError:
        return None
    return data if isinstance(data, dict) else None


@dataclass(frozen=True)
class Names:
    """Finds files by the names that records tell: printable ones, which are not always the bytes.

    outbox: where all lie.
    """

    outbox: Path

    def locate(self, told: str) -> str | None:
        """The path below the outbox that a record tells as `told`; None if nothing lies there."""
        if not is_below(told):
            return None
        at = Path()
        for part in Path(told).parts:
            name = self.name_in(at, part)
            if name is None:
                return None
            at /= name
        return str(at)

    def name_in(self, folder: Path, told: str) -> str | None:
        """The name in a folder, below the outbox, that is printed as `told`."""
        if os.path.lexists(self.outbox / folder / told) and files.printable(told) == told:
            return told
        if "\\" not in told:  # what every escape begins with
            return None
        return next((name for name in self._names(folder) if files.printable(name) == told), None)

    def _names(self, folder: Path) -> Iterator[str]:
        try:
            with os.scandir(self.outbox / folder) as entries:
                yield from (entry.name for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return
