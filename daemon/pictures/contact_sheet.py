"""Contact sheets: small pictures in rows and columns, each with what tells it from the others.

Above them stand what was painted and the styles it was painted after.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from daemon.engine.errors import EngineError
from daemon.engine.pixels import to_levels
from daemon.host import files
from daemon.pictures.read import read_picture
from daemon.pictures.sheet import ContactSheet, SheetCell

WIDTH_PX = 1600
"""At most: what a screen shows and a letter holds."""

MOST_HEIGHT_PX = 30_000
MARGIN_PX, GAP_PX, PAD_PX = 20, 10, 8
CORNER_PX = 170
CELL_PX = 520
MOST_COLUMNS = 8
SHAPES = (0.5, 1.5)
"""Of a cell, height to width, at least and at most: a panorama's would be a line."""

INSET = 0.28
"""Of a cell's width, what a style shown in it takes."""

PAPER, INK, FAINT, BOX, FAULT = "#ffffff", "#1a1a1a", "#6b6b6b", "#ececec", "#9c2b1f"
LARGE, PLAIN, SMALL = 30, 22, 18

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Grid:
    """Where cells lie, in px: how many columns, where the first begins, a cell's own size."""

    columns: int
    left: int
    top: int
    width: int
    height: int
    caption: int

    def place(self, number: int) -> tuple[int, int]:
        """The upper left corner of a cell."""
        row, column = divmod(number, self.columns)
        below = self.height + self.caption + GAP_PX
        return self.left + column * (self.width + GAP_PX), self.top + row * below


def lay(sheet: ContactSheet) -> Iterator[Image.Image | None]:
    """Lays a sheet, a file at a time: yields None after each, and the sheet at last.

    A file that is gone or cannot be read is a cell that says so.
    """
    shape = 0.75
    corner: list[tuple[Image.Image, str]] = []
    for path, caption in sheet.corner:
        found = small(path, CORNER_PX * 3, CORNER_PX)
        if isinstance(found, Image.Image):
            shape = found.height / found.width if not corner else shape
            corner.append((found, caption))
        yield None
    grid = make_grid(sheet, min(max(shape, SHAPES[0]), SHAPES[1]))
    page = make_page(sheet, grid)
    draw_head(page, sheet, corner)
    draw_labels(page, sheet, grid)
    for number, cell in enumerate(sheet.cells):
        if cell is not None:
            draw_cell(page, cell, grid, grid.place(number))
            yield None
    yield page


def make_grid(sheet: ContactSheet, shape: float) -> Grid:
    """The grid of a sheet whose pictures have a shape, height to width."""
    columns = len(sheet.columns) or min(
        MOST_COLUMNS, len(sheet.cells), max(3, math.ceil(math.sqrt(len(sheet.cells))))
    )
    rows = math.ceil(len(sheet.cells) / columns)
    beside = max((text_width(row, PLAIN) for row in sheet.rows), default=0)
    left = MARGIN_PX + (min(beside, WIDTH_PX // 4) + PAD_PX * 2 if sheet.rows else 0)
    top = head_height() + (PLAIN + 2 * PAD_PX if sheet.columns else 0)
    caption = 0 if sheet.columns else PLAIN + PAD_PX
    room = (WIDTH_PX - MARGIN_PX - left + GAP_PX) // columns - GAP_PX
    tall = (MOST_HEIGHT_PX - top) // rows - GAP_PX - caption
    width = max(16, min(CELL_PX, room, int(tall / shape)))
    return Grid(columns, left, top, width, max(16, round(width * shape)), caption)


def head_height() -> int:
    """Where what stands above the cells ends."""
    return MARGIN_PX + CORNER_PX + SMALL + 4 * PAD_PX


def make_page(sheet: ContactSheet, grid: Grid) -> Image.Image:
    """The paper."""
    last = grid.place(max(len(sheet.cells) - 1, 0))
    right = grid.place(grid.columns - 1)[0] + grid.width
    bottom = last[1] + grid.height + grid.caption + MARGIN_PX
    return Image.new("RGB", (max(right + MARGIN_PX, WIDTH_PX), bottom), PAPER)


def draw_head(
    page: Image.Image, sheet: ContactSheet, corner: Sequence[tuple[Image.Image, str]]
) -> None:
    """What was painted and after what, in the corner, and beside it what the sheet shows."""
    draw, left = ImageDraw.Draw(page), MARGIN_PX
    for image, caption in corner:
        if left + image.width > WIDTH_PX * 2 // 3:
            break
        page.paste(image, (left, MARGIN_PX))
        below = MARGIN_PX + CORNER_PX + PAD_PX
        draw.text((left, below), fitted(caption, image.width, SMALL), FAINT, font(SMALL))
        left += image.width + GAP_PX * 2
    room = page.width - MARGIN_PX - left
    draw.text((left, MARGIN_PX), fitted(sheet.title, room, LARGE), INK, font(LARGE))
    for number, line in enumerate(wrapped(sheet.subtitle, room, PLAIN)[:4]):
        at = MARGIN_PX + LARGE + PAD_PX * 2 + number * (PLAIN + PAD_PX)
        draw.text((left, at), line, FAINT, font(PLAIN))


def draw_labels(page: Image.Image, sheet: ContactSheet, grid: Grid) -> None:
    """What stands beside the rows and above the columns."""
    draw = ImageDraw.Draw(page)
    for number, text in enumerate(sheet.columns):
        left, top = grid.place(number)
        shown = fitted(text, grid.width, PLAIN)
        at = left + (grid.width - text_width(shown, PLAIN)) // 2
        draw.text((at, top - PLAIN - PAD_PX), shown, INK, font(PLAIN))
    for number, text in enumerate(sheet.rows):
        _, top = grid.place(number * grid.columns)
        shown = fitted(text, grid.left - MARGIN_PX - PAD_PX, PLAIN)
        draw.text((MARGIN_PX, top + (grid.height - PLAIN) // 2), shown, INK, font(PLAIN))


def draw_cell(page: Image.Image, cell: SheetCell, grid: Grid, place: tuple[int, int]) -> None:
    """A picture in the middle of its place, or why there is none."""
    (left, top), draw = place, ImageDraw.Draw(page)
    found = small(cell.picture, grid.width, grid.height) if cell.picture else cell.reason
    if isinstance(found, Image.Image):
        at = left + (grid.width - found.width) // 2, top + (grid.height - found.height) // 2
        page.paste(found, at)
    else:
        draw.rectangle((left, top, left + grid.width - 1, top + grid.height - 1), BOX)
        lines = wrapped(found, grid.width - 2 * PAD_PX, SMALL)
        for number, line in enumerate(lines[: max(1, grid.height // (SMALL + 6) - 1)]):
            draw.text(
                (left + PAD_PX, top + PAD_PX + number * (SMALL + 6)), line, FAULT, font(SMALL)
            )
    if cell.inset is not None:
        side = max(16, round(grid.width * INSET))
        inset = small(cell.inset, side, side)
        if isinstance(inset, Image.Image):
            right, bottom = left + grid.width, top + grid.height
            at = right - inset.width, bottom - inset.height
            draw.rectangle((at[0] - 3, at[1] - 3, right - 1, bottom - 1), PAPER)
            page.paste(inset, at)
    if grid.caption:
        shown = fitted(cell.caption, grid.width, PLAIN)
        draw.text((left, top + grid.height + PAD_PX // 2), shown, INK, font(PLAIN))


def small(path: str, width_px: int, height_px: int) -> Image.Image | str:
    """A picture file that fits into a place, on paper where it is transparent; or what is wrong."""
    try:
        with files.open_ordinary(Path(path)) as file:
            picture = read_picture(file, files.printable(Path(path).name))
    except FileNotFoundError:
        return "it is not there any more"
    except (OSError, EngineError) as error:
        return f"it cannot be read: {error}"
    image = Image.fromarray(to_levels(picture.pixels))
    scale = min(width_px / image.width, height_px / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    reduced = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if picture.alpha is None:
        return reduced
    seen = picture.alpha if picture.alpha.dtype == np.uint8 else (picture.alpha >> 8).astype("u1")
    mask = Image.fromarray(seen).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return Image.composite(reduced, Image.new("RGB", size, PAPER), mask)


def font(size_px: int) -> Font:
    """Pillow's own font, which is everywhere and the same."""
    return ImageFont.load_default(size_px)


def text_width(text: str, size_px: int) -> int:
    """How wide a line is, in px."""
    return math.ceil(font(size_px).getlength(text))


def fitted(text: str, room_px: int, size_px: int) -> str:
    """A line, its end left out where it is too wide."""
    if text_width(text, size_px) <= room_px:
        return text
    while text and text_width(f"{text}…", size_px) > room_px:
        text = text[:-1]
    return f"{text}…"


def wrapped(text: str, room_px: int, size_px: int) -> list[str]:
    """A text in lines; a word that is too wide is cut."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size_px) <= room_px:
            lines[-1] = longer
        else:
            lines.append(fitted(word, room_px, size_px))
    return lines
