"""The rows of the table that `bench/all.py` gathers: each bench prints its own as it goes."""

import re

ROW = re.compile(r"\| [^|]+ \| [^|]+ \| [^|]*\|")


def print_row(what: str, found: str, against: str = "") -> None:
    """Prints a row of the table: what was measured, what was found, and what to hold it against."""
    print(f"| {what} | {found} | {against} |", flush=True)


def rows_of(text: str) -> tuple[str, ...]:
    """The rows in what a bench has printed."""
    return tuple(line for line in text.splitlines() if ROW.fullmatch(line))
