"""Files that a node keeps by their hash, so that they travel once; bounded, shared, self-healing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Fetch = Callable[[Path], str]
"""Writes a file to a path, and returns the sha256 of what it wrote there (`Carrier.fetch`)."""


class BlobCache:
    """The files of a folder by their sha256, which several processes of a node share.

    What is held is never dropped; of the rest the least recently used goes where all take more
    than `most_bytes`. A process that dies holds nothing any more.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        raise NotImplementedError

    @contextmanager
    def held(self, blobs: Mapping[str, Fetch]) -> Iterator[dict[str, Path]]:
        """Holds files by their hashes, fetching those that are not there; lets go of all at the end."""
        raise NotImplementedError
        yield {}

    def hold(self, sha256: str, fetch: Fetch) -> Path:
        """A file by its hash, fetched if it is not there whole, and held until `let_go`.

        Raises what `fetch` raises, and CarriageError where what it brings is another file.
        """
        raise NotImplementedError

    def let_go(self, sha256: str) -> None:
        """Holds a file once less."""
        raise NotImplementedError
