"""Standard input, output and error, whatever the caller left of them.

They may be closed, full, or a terminal that is gone; names hold bytes that no encoding has.
"""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from daemon.errors import AtelierError
from daemon.host.files import printable

KEEP_BYTES = "atelierd-keep-bytes"


class OutputError(AtelierError):
    """Standard output takes no more; the cause is the system's error."""


class Output(io.TextIOWrapper):
    """Standard output: what cannot be written raises OutputError, once, whoever printed it."""

    def write(self, text: str) -> int:
        with self._translated():
            return super().write(text)

    def flush(self) -> None:
        with self._translated():
            super().flush()

    def write_bytes(self, content: bytes) -> None:
        """Writes what no encoding may touch."""
        self.flush()
        with self._translated():
            self.buffer.write(content)
            self.buffer.flush()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            lead_nowhere(self.fileno())  # else Python complains once more when it ends
            raise OutputError(f"standard output cannot be written: {error.strerror}") from error


class Complaints(io.TextIOWrapper):
    """Standard error: what cannot be written is left out, since nobody is left to be told."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def prepare() -> None:
    """Makes the three streams of this process ones that can be relied on."""
    # Opened for reading, a closed standard output still refuses what is written to it; left
    # closed, the next file to be opened would get what is printed.
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)
    codecs.register_error(KEEP_BYTES, keep_bytes)
    sys.stdout = remade(Output, sys.stdout, 1, KEEP_BYTES)
    sys.stderr = remade(Complaints, sys.stderr, 2, "backslashreplace")


def remade(kind: type[io.TextIOWrapper], old: TextIO | None, number: int, errors: str) -> TextIO:
    """A stream of another kind in an old one's place; old: None if it was closed."""
    by_line = number == 2 or os.isatty(number)
    if not isinstance(old, io.TextIOWrapper):
        closed = os.fdopen(number, "wb", closefd=False)
        return kind(closed, encoding="utf-8", errors=errors, line_buffering=by_line)
    encoding, through = old.encoding, old.write_through
    return kind(
        old.detach(),
        encoding=encoding,
        errors=errors,
        line_buffering=by_line,
        write_through=through,
    )


def print_path(path: Path) -> None:
    """A line of standard output with a path's own bytes, for scripts; escaped at a terminal."""
    if isinstance(sys.stdout, Output) and not sys.stdout.isatty():
        sys.stdout.write_bytes(os.fsencode(path) + b"\n")
    else:
        print(printable(path))


def keep_bytes(error: UnicodeError) -> tuple[bytes, int]:
    """Gives stray bytes of names back as they were, and escapes what the encoding has not."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    refused = error.object[error.start : error.end]
    return b"".join(map(as_byte, refused)), error.end


def as_byte(character: str) -> bytes:
    """The byte that a surrogate stands for, else the character's escape."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return bytes([code - 0xDC00])
    return character.encode("ascii", "backslashreplace")


def lead_nowhere(number: int) -> None:
    """Lets a stream that is of no more use take everything."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
