"""What is known of the other owners of claims: whether each lives, from looks at its file."""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from daemon.host import files
from daemon.intake.owner import SILENCE_S, Owner, kernel_id, read_owner
from daemon.intake.scan import lies_on_network
from daemon.state.claimed import owner_file


class Life(Enum):
    """Whether an owner lives, as far as can be told now."""

    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Sign:
    """The last that was seen of an owner's file, when, and whether it was ever a sign of life."""

    what: object
    at_s: float
    lived: bool


class Others:
    """What is known of other owners, from looks at their files."""

    def __init__(
        self,
        inbox: Path,
        on_network: Callable[[Path], bool] = lies_on_network,
        kernel: Callable[[], str] = kernel_id,
    ) -> None:
        self._inbox = inbox
        self._on_network = on_network
        self._kernel = kernel
        self._signs: dict[str, Sign] = {}

    def look(self, mark: str, now_s: float) -> tuple[Life, Owner | None]:
        """Whether the owner of a mark lives, and who it is if that is known."""
        owner, what, locked = self._read(owner_file(self._inbox, mark))
        known = self._signs.get(mark)
        changed = known is not None and known.what != what
        lived = locked is True or changed or (known is not None and known.lived)
        if known is None or changed or locked:
            known = Sign(what, now_s, lived)
        self._signs[mark] = known
        if locked:
            return Life.ALIVE, owner
        if now_s - known.at_s >= SILENCE_S:
            return Life.GONE, owner
        if known.lived:
            return Life.ALIVE, owner  # it may only be starting again
        ours = self._kernel()
        decided = locked is False and owner is not None and ours and owner.kernel == ours
        if decided and not self._on_network(self._inbox):
            return Life.GONE, owner
        return Life.UNKNOWN, owner

    def _read(self, path: Path) -> tuple[Owner | None, object, bool | None]:
        """Whose a file is, what it is like, and whether it is locked, as far as can be told.

        Versions before this had none, and may still run: nothing is told by its absence.
        """
        try:
            owner, content = read_owner(path)
            what: object = content if content is not None else path.stat().st_mtime_ns
            return owner, what, is_locked(path)
        except FileNotFoundError:
            return None, None, None


def is_locked(path: Path) -> bool | None:
    """Whether somebody holds a lock on a file; None if that cannot be told.

    Raises FileNotFoundError if it is not there.
    """
    try:
        with files.open_ordinary(path, os.O_NOFOLLOW) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        raise
    except OSError:
        return None
    return False
