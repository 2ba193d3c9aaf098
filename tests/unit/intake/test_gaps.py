"""What a file lacks though it decodes: real pictures, cut the way stalled copies are."""

import io
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from daemon.intake.decode import judge
from daemon.intake.gaps import LEAST_END_BYTES, LEAST_PLAIN_END_BYTES, LEAST_RUN_BYTES, doubt_of

FORMS = {"photo.heic": "HEIF", "photo.webp": "WEBP", "photo.tif": "TIFF", "photo.bmp": "BMP"}


@pytest.fixture(scope="module")
def encoded(photograph: Image.Image) -> Callable[..., bytes]:
    """Makes the content of a photograph's file by its name, square."""

    @cache  # it takes longer than all that is done with it
    def make(name: str, side_px: int = 512) -> bytes:
        import pillow_heif

        pillow_heif.register_heif_opener()
        target = io.BytesIO()
        photograph.resize((side_px, side_px)).save(target, FORMS.get(name, "JPEG"))
        return target.getvalue()

    return make


@pytest.mark.parametrize("name", FORMS)
def test_whole_picture_is_in_no_doubt(encoded, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encoded(name))
    verdict = judge(str(tmp_path / name), name, 1_000_000)
    assert (verdict.width_px, verdict.doubt, verdict.fault) == (512, "", "")


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", FORMS)
def test_copy_that_reserved_its_size_and_stopped_is_in_doubt(
    encoded, tmp_path: Path, name: str, part: float
) -> None:
    content = encoded(name)
    kept = int(len(content) * part)
    (tmp_path / name).write_bytes(content[:kept] + bytes(len(content) - kept))
    verdict = judge(str(tmp_path / name), name, 1_000_000)
    assert verdict.unfinished or "empty bytes" in verdict.doubt


def test_picture_whose_further_frames_have_not_come_is_in_doubt(photograph, tmp_path: Path) -> None:
    path, photo = tmp_path / "photo.gif", photograph.resize((64, 64))
    photo.save(path, save_all=True, append_images=[photo.rotate(90), photo.rotate(180)])
    assert judge(str(path), path.name, 1_000_000).doubt == ""
    os.truncate(path, int(path.stat().st_size * 0.95))
    verdict = judge(str(path), path.name, 1_000_000)
    assert verdict.width_px == 64
    assert "photo.gif stops before its own end" in verdict.doubt


@pytest.mark.parametrize("name", ["photo.heic", "photo.webp", "photo.jpg"])
def test_part_that_has_not_come_in_the_middle_is_in_doubt(
    encoded, tmp_path: Path, name: str
) -> None:
    content = encoded(name, 768)
    middle, gap = len(content) // 3, LEAST_RUN_BYTES
    assert middle + gap < 0.95 * len(content)
    (tmp_path / name).write_bytes(content[:middle] + bytes(gap) + content[middle + gap :])
    verdict = judge(str(tmp_path / name), name, 1_000_000)
    assert verdict.unfinished or f"empty bytes at {middle}" in verdict.doubt


def test_hole_within_a_picture_is_in_doubt(encoded, tmp_path: Path) -> None:
    content = encoded("photo.bmp")
    path = tmp_path / "photo.bmp"
    with path.open("wb") as file:
        file.write(content[: 64 << 10])
        file.seek(256 << 10)
        file.write(content[256 << 10 :])
    with path.open("rb") as file:
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) == len(content):
            pytest.skip("this file system tells of no holes")
        assert "gap of empty bytes at 65536" in doubt_of(file, "photo.bmp", "BMP")


@pytest.mark.parametrize(
    ("form", "zeros", "doubted"),
    [
        ("BMP", LEAST_PLAIN_END_BYTES - 1, False),
        ("BMP", LEAST_PLAIN_END_BYTES, True),
        ("WEBP", LEAST_END_BYTES - 1, False),
        ("WEBP", LEAST_END_BYTES, True),
        ("JPEG", LEAST_END_BYTES - 1, False),
        ("JPEG", LEAST_END_BYTES, True),
    ],
)
def test_zeros_at_the_end_count_by_what_the_format_ends_in(
    form: str, zeros: int, doubted: bool
) -> None:
    file = io.BytesIO(b"x" * 70_000 + bytes(zeros))
    file.fileno = lambda: -1  # type: ignore[method-assign]  # no disk that knows of holes
    assert bool(doubt_of(file, "x", form)) is doubted


@pytest.mark.parametrize("at", [0, 1, 65_530, 65_536, 100_000])
def test_run_of_zeros_is_found_wherever_it_begins(at: int) -> None:
    content = b"x" * at + bytes(LEAST_RUN_BYTES) + b"y" * 1000
    file = io.BytesIO(content)
    file.fileno = lambda: -1  # type: ignore[method-assign]
    assert f"at {at}:" in doubt_of(file, "x", "WEBP")
    file = io.BytesIO(content.replace(bytes(LEAST_RUN_BYTES), bytes(LEAST_RUN_BYTES - 1)))
    file.fileno = lambda: -1  # type: ignore[method-assign]
    assert doubt_of(file, "x", "WEBP") == ""
