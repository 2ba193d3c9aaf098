"""Sheets to be looked at: a content, and what each recipe made of it, at 100 %."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .pairs import Album, Pair, at_longest, read_pixels

GAP_PX = 6
LABEL_PX = 30
MOST_BYTES = 4_000_000
QUALITY = 92
MOST_PIXELS = 9_000_000
"""Of a sheet; at that quality painted pictures come to 0.35 bytes a pixel, 0.45 at most."""

Cell = tuple[str, Image.Image]


def make_sheets(
    album: Album, recipes: Sequence[str], labels: Mapping[tuple[str, Pair], str], target: Path
) -> Iterator[Path]:
    """Yields the sheets of an album, one or several for each style, as they are written.

    A row is a content, its style, and the pictures of the recipes side by side, with the labels
    below their names.  Pictures that are missing are left white.
    """
    target.mkdir(parents=True, exist_ok=True)
    series = album.series()
    for style in dict.fromkeys(pair.style for pair in series.pairs):
        rows = [
            row_of(album, pair, recipes, labels, series.size_px)
            for pair in series.pairs
            if pair.style == style
        ]
        for number, part in enumerate(split_rows(rows), start=1):
            path = target / f"{style}-{number}.jpg"
            save_small(lay_rows(part), path)
            yield path


def row_of(
    album: Album,
    pair: Pair,
    recipes: Sequence[str],
    labels: Mapping[tuple[str, Pair], str],
    size_px: int,
) -> list[Cell]:
    """The cells of one pair."""
    style = at_longest(read_pixels(album.style(pair.style)), size_px)
    row = [
        (pair.content, Image.open(album.content(pair.content))),
        (pair.style, Image.fromarray(style)),
    ]
    for recipe in recipes:
        path = album.painted(recipe, pair)
        image = Image.open(path) if path.exists() else Image.new("RGB", row[0][1].size, "white")
        row.append((f"{recipe}\n{labels.get((recipe, pair), '')}", image))
    return row


def split_rows(rows: Sequence[list[Cell]]) -> Iterator[list[list[Cell]]]:
    """Rows in groups that make one sheet each."""
    group: list[list[Cell]] = []
    for row in rows:
        width, height = extent([*group, row])
        if group and width * height > MOST_PIXELS:
            yield group
            group = []
        group = [*group, row]
    if group:
        yield group


def extent(rows: Sequence[list[Cell]]) -> tuple[int, int]:
    """Width and height of a sheet of those rows."""
    width = max(sum(image.width + GAP_PX for _, image in row) for row in rows)
    return width, sum(row_height(row) for row in rows)


def row_height(row: list[Cell]) -> int:
    """Height of a row with its labels."""
    return max(image.height for _, image in row) + LABEL_PX + GAP_PX


def lay_rows(rows: Sequence[list[Cell]]) -> Image.Image:
    """The sheet of those rows."""
    sheet = Image.new("RGB", extent(rows), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    top = 0
    for row in rows:
        left = 0
        for label, image in row:
            pen.text((left + 1, top + 2), label, fill="black", font=font)
            sheet.paste(image, (left, top + LABEL_PX))
            left += image.width + GAP_PX
        top += row_height(row)
    return sheet


def save_small(sheet: Image.Image, path: Path) -> None:
    """Writes a JPEG of at most MOST_BYTES; where it is larger, at less quality."""
    for quality in range(QUALITY, 20, -8):
        sheet.save(path, quality=quality)
        if path.stat().st_size <= MOST_BYTES:
            return
