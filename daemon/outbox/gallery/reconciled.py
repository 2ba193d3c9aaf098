"""What bringing a gallery in line came to. A module of its own: who is told loads no templates."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Reconciled:
    """What became of a gallery. unseen: records of results that have no small version, the newest
    first.
    """

    pictures: int
    added: int
    removed: int
    unseen: Sequence[str]
