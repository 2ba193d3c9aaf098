"""Where files end by their own account: sound ones of every kind, cut, reserved and malformed."""

import io
import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from daemon.intake.ends import ENDS, end_of
from daemon.intake.gaps import LEAST_RUN_BYTES, doubt_of
from daemon.pictures.formats import FORMAT_OF_SUFFIX
from tests.support import malformed

PADDING = bytes(5000)
FILM = (
    malformed.box(b"ftyp", b"mp42\0\0\0\0mp42isom")
    + malformed.box(b"mdat", bytes(range(1, 256)) * 100)
    + malformed.box(b"moov", bytes(range(1, 256)) * 4)
)


def doubt(content: bytes, form: str) -> str:
    """What is doubted of a file of that content, on a disk that knows of no holes."""
    file = io.BytesIO(content)
    file.fileno = lambda: -1  # type: ignore[method-assign]
    return doubt_of(file, "photo", form)


def frames() -> list[Image.Image]:
    """Three photographs of which none is like another."""
    photo = malformed.photograph(160, 120)
    return [photo, photo.rotate(180), photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]


def several(form: str, **options: object) -> bytes:
    """A sound file of several pictures."""
    first, *others = frames()
    return malformed.encoded(first, form, save_all=True, append_images=others, **options)


def tiff_pages(order: str, *, big: bool) -> bytes:
    """A grey TIFF of three pages, each directory before its pixels, in four strips."""
    place, count = ("Q", "Q") if big else ("I", "H")
    content = {"<": b"II", ">": b"MM"}[order]
    content += (
        struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{order}HI", 42, 8)
    )
    for page in range(3):
        fields = {256: 160, 257: 120, 258: 8, 259: 1, 262: 1, 277: 1, 278: 30}
        entry = struct.calcsize(f"{order}HH{place}{place}")
        end = len(content) + struct.calcsize(f"{order}{count}{place}") + 9 * entry
        width = struct.calcsize(place)
        lists = {273: end, 279: end + 4 * width}
        pixels = end + 8 * width
        rows = [(tag, 4, 1, value) for tag, value in fields.items()]
        rows += [(tag, 16 if big else 4, 4, value) for tag, value in lists.items()]
        following = pixels + 160 * 120 if page < 2 else 0
        content += struct.pack(f"{order}{count}", 9)
        for tag, kind, number, value in sorted(rows):
            head = struct.pack(f"{order}HH{place}", tag, kind, number)
            short = kind == 4 and number == 1
            value_bytes = struct.pack(f"{order}I" if short else f"{order}{place}", value)
            content += head + value_bytes.ljust(width, b"\0")
        content += struct.pack(f"{order}{place}", following)
        content += struct.pack(
            f"{order}8{place}", *(pixels + 4800 * i for i in range(4)), *[4800] * 4
        )
        content += frames()[page].convert("L").tobytes().replace(b"\0", b"\1")
    return content


def jpeg_xl(*, boxed: bool) -> bytes:
    """A sound file of one picture, in boxes or as a bare codestream."""
    content: bytes = imagecodecs.jpegxl_encode(np.asarray(frames()[0]), usecontainer=boxed)
    assert content.startswith(b"\0\0\0\x0cJXL " if boxed else b"\xff\x0a")
    return content


def several_of_each() -> dict[str, tuple[str, bytes]]:
    """Sound files of several pictures, by what they are: Pillow's format, and content."""
    photo = malformed.encoded(frames()[0], "JPEG")
    found = {
        "animated-gif": ("GIF", several("GIF")),
        "animated-png": ("PNG", several("PNG")),
        "animated-webp": ("WEBP", several("WEBP", method=0)),
        "pages-raw": ("TIFF", several("TIFF")),
        "pages-deflated": ("TIFF", several("TIFF", compression="tiff_adobe_deflate")),
        "pages-lzw-big": ("TIFF", several("TIFF", compression="tiff_lzw", big_tiff=True)),
        "several-heic": ("HEIF", several("HEIF", quality=50)),
        "several-jpeg": ("MPO", several("MPO")),
        "motion-photo": ("JPEG", photo + FILM),
        "animated-avif": ("AVIF", several("AVIF", quality=50)),
        "boxed-jpeg-2000": ("JPEG2000", malformed.encoded(frames()[0], "JPEG2000")),
        "boxed-jpeg-xl": ("JXL", jpeg_xl(boxed=True)),
    }
    for order, big in itertools.product("<>", (False, True)):
        found[f"pages{order}{'big' if big else 'classic'}"] = ("TIFF", tiff_pages(order, big=big))
    return found


SEVERAL = several_of_each()


def cut(content: bytes, part: float) -> bytes:
    return content[: int(len(content) * part)]


@pytest.mark.parametrize("what", SEVERAL)
def test_sound_file_of_several_pictures_is_in_no_doubt(what: str) -> None:
    form, content = SEVERAL[what]
    if what != "pages>big" and form != "JXL":  # Pillow does not know them
        with Image.open(io.BytesIO(content)) as opened:
            assert opened.format == form
            opened.load()
    assert doubt(content, form) == ""


@pytest.mark.parametrize("part", [0.6, 0.95])
@pytest.mark.parametrize("what", SEVERAL)
def test_file_of_several_pictures_that_is_cut_is_in_doubt(what: str, part: float) -> None:
    form, content = SEVERAL[what]
    said = doubt(cut(content, part), form)
    assert said.startswith("photo stops before its own end: ")
    assert "drop it again" in said


@pytest.mark.parametrize("part", [0.6, 0.95])
@pytest.mark.parametrize("what", SEVERAL)
def test_file_of_several_pictures_whose_rest_is_reserved_is_in_doubt(
    what: str, part: float
) -> None:
    form, content = SEVERAL[what]
    said = doubt(cut(content, part).ljust(len(content), b"\0"), form)
    assert "empty bytes" in said or "its own end" in said


@pytest.mark.parametrize("what", malformed.sound_pictures())
def test_sound_picture_of_every_kind_is_in_no_doubt(what: str) -> None:
    content = malformed.sound_pictures()[what]
    with Image.open(io.BytesIO(content)) as opened:
        assert doubt(content, opened.format or "") == ""


PADDED = {
    what: (form, content)
    for what, (form, content) in SEVERAL.items()
    if form in ("GIF", "PNG", "WEBP", "MPO")
} | {"photo": ("JPEG", malformed.encoded(frames()[0], "JPEG"))}


@pytest.mark.parametrize("what", PADDED)
def test_zeros_behind_the_own_end_are_padding(what: str) -> None:
    form, content = PADDED[what]
    assert doubt(content + PADDING, form) == ""


def test_zeros_behind_an_unknown_trailer_are_its_missing_rest() -> None:
    photo = malformed.encoded(frames()[0], "JPEG")
    assert doubt(photo + b"a maker's own trailer", "JPEG") == ""
    assert "5000 empty bytes" in doubt(photo + b"a maker's own" + PADDING, "JPEG")


def test_zeros_in_a_box_that_only_fills_are_no_missing_rest() -> None:
    heic = malformed.encoded(frames()[0], "HEIF")
    assert doubt(heic + malformed.box(b"free", PADDING), "HEIF") == ""
    assert "its own end" in doubt(heic + malformed.box(b"free", PADDING)[:-1], "HEIF")


@pytest.mark.parametrize("length", [0, 1])
def test_box_of_open_or_long_length_ends_where_it_says(length: int) -> None:
    kind = malformed.box(b"ftyp", b"heic\0\0\0\0mif1heic")
    long = struct.pack(">Q", 16 + 100) if length else b""
    content = kind + malformed.box(b"mdat", long + b"x" * 100, length)
    assert end_of(io.BytesIO(content), "HEIF", len(content)) == len(content)
    cut_end = end_of(io.BytesIO(content[:-1]), "HEIF", len(content) - 1)
    assert cut_end == len(content) - (length == 0)


def test_bare_codestreams_are_whole_where_they_end_in_their_mark() -> None:
    bare = malformed.encoded(frames()[0], "JPEG2000", no_jp2=True)
    assert bare.startswith(b"\xff\x4f") and doubt(bare, "JPEG2000") == ""
    assert doubt(bare + PADDING, "JPEG2000") == ""
    assert "empty bytes" in doubt(cut(bare, 0.9).ljust(len(bare), b"\0"), "JPEG2000")
    assert doubt(jpeg_xl(boxed=False), "JXL") == ""


def test_negative_that_its_camera_filled_up_to_a_whole_block_is_in_no_doubt() -> None:
    negative = malformed.encoded(frames()[0], "TIFF")
    assert doubt(negative + bytes(4096), "RAW") == ""
    assert "empty bytes" in doubt(negative + bytes(LEAST_RUN_BYTES), "RAW")


def test_index_of_pictures_that_an_editor_dropped_is_no_doubt() -> None:
    content = SEVERAL["several-jpeg"][1]
    first = content[: content.index(b"\xff\xd9") + 2]
    assert doubt(first, "MPO") == ""
    assert "its own end" in doubt(first + b"\xff\xd8\xff", "MPO")


def test_further_bytes_behind_the_own_end_are_no_doubt() -> None:
    for form in ("GIF", "PNG", "WEBP", "HEIF", "TIFF", "JPEG"):
        content = malformed.encoded(frames()[0], form) + malformed.FOREIGN["html"]
        assert doubt(content, form) == "", form


def looping_pages() -> bytes:
    entries = [(256, 4, 1, 64), (273, 4, 1, 8), (279, 4, 1, 8)]
    return b"II*\0" + struct.pack("<I", 8) + malformed.directory(entries, following=8)


def many_lists() -> bytes:
    """Pages in plenty that all name one long list of strips."""
    count, pages = 1 << 16, 2000
    at = 8 + pages * 30
    content = b"II*\0" + struct.pack("<I", 8)
    for page in range(1, pages + 1):
        entries = [(273, 4, count, at), (279, 4, count, at)]
        content += malformed.directory(entries, following=8 + page * 30)
    return content + bytes(4 * count)


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (looping_pages, "TIFF"),
        (many_lists, "TIFF"),
        (lambda: b"GIF89a" + bytes(7) + b"!\xf9\0" * 10_000, "GIF"),
        (lambda: b"\x89PNG\r\n\x1a\n" + malformed.chunk(b"teXt") * 10_000, "PNG"),
        (lambda: malformed.box(b"free", b"") * 10_000, "HEIF"),
        (lambda: b"\xff\xd8" + b"\xff\xe1\0\2" * 10_000 + b"x", "JPEG"),
    ],
)
def test_structure_without_end_is_followed_only_so_far(
    make: Callable[[], bytes], form: str
) -> None:
    content = make()
    file = Counting(content)
    end_of(file, form, len(content))
    assert file.read_bytes <= 40 << 20


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.read_bytes += len(found)
        return found


def test_malformed_files_of_every_kind_are_answered() -> None:
    for case in itertools.chain(malformed.crafted(), malformed.mutations(200)):
        form = FORMAT_OF_SUFFIX[Path(case.name).suffix]
        assert isinstance(doubt(case.content, form), str), case.name


@pytest.mark.parametrize("form", ENDS)
def test_beginning_and_foreign_content_are_answered(form: str) -> None:
    alike = "JPEG" if form == "MPO" else form
    content = jpeg_xl(boxed=True) if form == "JXL" else malformed.encoded(frames()[0], alike)
    for other in (*malformed.FOREIGN.values(), *(content[:kept] for kept in range(200))):
        end = end_of(io.BytesIO(other), form, len(other))
        assert end is None or end >= 0
