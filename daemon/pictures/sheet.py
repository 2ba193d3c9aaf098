"""What is on a contact sheet. Plain data, which one process tells another. Loads no numpy."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SheetCell:
    """One picture of a sheet.

    picture: its file; None where there is none, and `reason` says why in a few words.
    inset: a file that is shown small in its corner, such as its style image.
    """

    caption: str
    picture: str | None = None
    reason: str = ""
    inset: str | None = None


@dataclass(frozen=True)
class ContactSheet:
    """What is on a sheet. corner: pictures above all others, with their captions.

    rows, columns: what stands beside and above them; `cells` lie row by row then, None where there
    is none. Without them each cell has its caption below, in as many columns as look well.
    """

    title: str
    subtitle: str
    corner: Sequence[tuple[str, str]]
    cells: Sequence[SheetCell | None]
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
