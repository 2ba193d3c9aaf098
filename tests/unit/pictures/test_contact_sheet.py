"""Contact sheets: where cells lie, and that what is on them can be read."""

from pathlib import Path

import pytest
from PIL import Image

from daemon.pictures.contact_sheet import MOST_HEIGHT_PX, WIDTH_PX, fitted, lay, text_width, wrapped
from daemon.pictures.sheet import ContactSheet, SheetCell


def laid(sheet: ContactSheet) -> Image.Image:
    """The sheet at the end of the laying."""
    *pieces, page = list(lay(sheet))
    cells = sum(cell is not None for cell in sheet.cells)
    assert pieces == [None] * (len(sheet.corner) + cells)
    assert isinstance(page, Image.Image)
    return page


def share(page: Image.Image, colour: tuple[int, int, int]) -> float:
    """How much of a page has that colour, but for what rounding makes of it."""
    near = [
        count
        for count, found in page.getcolors(1 << 24) or []
        if isinstance(found, tuple)
        and max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 2
    ]
    return sum(near) / (page.width * page.height)


@pytest.mark.parametrize("count", [1, 2, 9, 64])
def test_sheet_is_as_wide_as_a_screen_and_its_cells_lie_apart(tmp_path: Path, count: int) -> None:
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "a.png")
    cells = [SheetCell(f"cell {n}", str(tmp_path / "a.png")) for n in range(count)]
    page = laid(ContactSheet("title", "subtitle", (), cells))
    assert page.width == WIDTH_PX and page.height <= MOST_HEIGHT_PX
    columns = page.crop((0, page.height // 2, page.width, page.height // 2 + 1))
    assert columns.getpixel((0, 0)) == (255, 255, 255)
    assert share(page, (255, 0, 0)) > (0.05 if count == 1 else 0.1)


@pytest.mark.parametrize("size", [(3000, 40), (40, 3000), (16, 16)])
def test_sheet_of_a_picture_of_any_shape_can_be_laid(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (255, 0, 0)).save(tmp_path / "a.png")
    corner = ((str(tmp_path / "a.png"), "photograph"),)
    cells = [SheetCell("a", str(tmp_path / "a.png")), None] * 6
    page = laid(ContactSheet("t", "s", corner, cells, tuple("abcdef"), ("left", "right")))
    assert page.width == WIDTH_PX and share(page, (255, 0, 0)) > 0


def test_cell_whose_file_is_gone_or_no_picture_says_so(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_text("no picture")
    cells = [SheetCell("a", str(tmp_path / "gone.jpg")), SheetCell("b", str(tmp_path / "b.jpg"))]
    page = laid(ContactSheet("t", "s", (), cells))
    assert share(page, (0xEC, 0xEC, 0xEC)) > 0.2 and share(page, (0x9C, 0x2B, 0x1F)) > 0


def test_deep_and_transparent_pictures_are_shown_on_paper(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 30), (255, 0, 0, 0)).save(tmp_path / "a.png")
    Image.new("I;16", (40, 30), 65535).save(tmp_path / "b.png")
    cells = [SheetCell("a", str(tmp_path / "a.png")), SheetCell("b", str(tmp_path / "b.png"))]
    page = laid(ContactSheet("t", "s", (), cells))
    assert share(page, (255, 255, 255)) > 0.95


def test_texts_are_cut_and_broken_to_their_room() -> None:
    text = fitted("a name that is far too long for its place", 120, 22)
    assert text.endswith("…") and text_width(text, 22) <= 120
    assert fitted("short", 120, 22) == "short"
    lines = wrapped("one two three four fffffffffffffffffffffffffffffffffff", 100, 18)
    assert len(lines) > 2 and all(text_width(line, 18) <= 100 for line in lines)
