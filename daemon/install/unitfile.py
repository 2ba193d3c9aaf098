"""systemd's unit files as text: other values, lines left out, paths quoted."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host.files import printable

DIRECTIVE = re.compile(r"([A-Za-z]+)=")


def quoted(path: Path, prefix: str = "") -> str:
    """A path as one word of a directive, after what systemd reads in front of it (`-`, `:`).

    `$` is left as it is, which is right where systemd replaces no variables: everywhere but in
    commands without `:`. Raises SurroundingsError for names that no unit file can hold.
    """
    text = str(path)
    if any(char < " " or char == "\x7f" or "\udc80" <= char <= "\udcff" for char in text):
        raise SurroundingsError(
            f"{printable(path)} cannot stand in a unit file: its name has control characters or "
            "is not UTF-8; rename it"
        )
    escaped = re.sub(r'(["\\])', r"\\\1", text).replace("%", "%%")
    plain = re.fullmatch(r"[\w/.,+@=-]+", text, re.ASCII)
    return f"{prefix}{text}" if plain else f'"{prefix}{escaped}"'


def with_values(text: str, values: Mapping[str, Sequence[str]]) -> str:
    """The same unit with other values, one line for each, where each key first stood."""
    lines: list[str] = []
    written: set[str] = set()
    for line in text.splitlines():
        key = key_of(line)
        if key is None or key not in values:
            lines.append(line)
        elif key not in written:
            written.add(key)
            lines += [f"{key}={value}" for value in values[key]]
    return "\n".join(lines) + "\n"


def without(text: str, keys: Collection[str]) -> str:
    """The same unit without some directives, nor the comments that are about them alone."""
    kept: list[str] = []
    for comment, lines in groups(text):
        left = [line for line in lines if key_of(line) not in keys]
        if not any(map(key_of, lines)) or any(map(key_of, left)):
            kept += comment
        kept += left
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)) + "\n"


def groups(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each comment with the lines that it is about: up to an empty one, or another comment."""
    comment: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        if lines and (line.startswith("#") or not lines[-1]):
            yield comment, lines
            comment, lines = [], []
        (comment if line.startswith("#") else lines).append(line)
    yield comment, lines


def key_of(line: str) -> str | None:
    """The directive that a line sets; None for comments and headings."""
    found = DIRECTIVE.match(line)
    return found.group(1) if found else None
