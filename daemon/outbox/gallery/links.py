"""Links between files of the outbox: relative, and percent-encoded to the byte."""

import os
import posixpath
from pathlib import Path
from urllib.parse import quote

SAFE = "/!$'()*+,=@~"
"""What a path may have in a URL as it is. No colon: a name would be taken for a scheme."""


def link(page: str, target: str | os.PathLike[str]) -> str:
    """The URL of a file as it stands in a page; both are paths below the outbox.

    Bytes that are no UTF-8, quotes, newlines, `#`, `?` and `%` are encoded, so that the URL leads
    to the file of exactly that name.
    """
    path = os.path.relpath(os.fsencode(f"/{os.fspath(target)}"), os.fsencode(f"/{page}/.."))
    return quote(path, safe=SAFE)


def is_below(path: str) -> bool:
    """Whether a path that a record tells stays below the outbox."""
    parts = Path(path).parts
    return bool(parts) and not posixpath.isabs(path) and ".." not in parts
