"""How one try of a hook ended."""

from dataclasses import dataclass

LOOK_S = 0.1
"""Seconds between looks at whether a hook that keeps us waiting is late or cut short."""


@dataclass(frozen=True)
class Attempt:
    """A try that came to an end. fault: why it was in vain, empty if it was not.

    again: whether another try could do better.  output: what a command said, bytes.
    """

    fault: str = ""
    again: bool = False
    output: bytes = b""


class CutShortError(Exception):
    """The service stops: what was going on was ended, and counts for nothing."""
