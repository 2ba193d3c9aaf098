"""The state folder's inside."""

import os
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.state.spool import Spool


def test_style_image_is_kept_by_its_hash_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    source, spool = tmp_path / "wave.png", Spool(tmp_path / "state")
    source.write_bytes(b"first")
    sha256 = spool.keep_style(source)
    source.write_bytes(b"second")
    assert spool.keep_style(source) != sha256
    assert spool.style(sha256).read_bytes() == b"first"


def test_dropping_what_is_gone_is_fine(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.job("j1").mkdir(parents=True)
    spool.result("j1").write_bytes(b"x")
    for _ in range(2):
        spool.drop_job("j1")
        spool.drop_picture("p1")
    assert not spool.job("j1").exists()


def test_only_what_belongs_to_open_jobs_and_pictures_outlasts_a_sweep(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for name in ("open", "over"):
        files.write_bytes(spool.result(name), b"painted")
        files.write_bytes(spool.picture(name), b"dropped")
    half = files.temporary_beside(spool.picture("open"))
    half.write_bytes(b"dro")
    spool.sweep({"open"}, {"open"})
    assert spool.result("open").exists() and spool.picture("open").exists()
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"open", "result"} and not spool.job("over").exists()


def test_sweep_of_a_state_folder_that_is_new_finds_nothing(tmp_path: Path) -> None:
    Spool(tmp_path / "state").sweep(set(), set())


def test_result_is_kept_for_another_job_only_if_it_is_unchanged(tmp_path: Path) -> None:
    spool, painted = Spool(tmp_path / "state"), tmp_path / "photo.jpg"
    assert not spool.keep_result("j1", painted, "")
    painted.write_bytes(b"painted")
    sha256 = files.sha256_of(painted)
    assert spool.keep_result("j1", painted, sha256)
    assert spool.result("j1").read_bytes() == b"painted"
    painted.write_bytes(b"retouched")
    assert not spool.keep_result("j1", painted, sha256)


@pytest.mark.timeout(60)
def test_style_image_that_has_become_a_pipe_is_an_error_and_holds_nothing_up(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "wave.png")
    with pytest.raises(OSError, match="not an ordinary file"):
        Spool(tmp_path).keep_style(tmp_path / "wave.png")


def test_result_that_cannot_be_read_any_more_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").mkdir()
    (tmp_path / "wave").write_text("no folder")
    spool = Spool(tmp_path / "state")
    assert not spool.keep_result("j1", tmp_path / "photo.jpg", "ab")
    assert not spool.keep_result("j1", tmp_path / "wave/photo.jpg", "ab")


def test_answer_that_finds_no_room_is_trouble_of_the_surroundings(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"painted")
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(SurroundingsError, match="cannot be copied"):
        Spool(tmp_path / "state").keep_result(
            "j1", tmp_path / "photo.jpg", files.sha256_of(tmp_path / "photo.jpg")
        )


def test_mark_is_made_once_and_goes_with_the_state_folder(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "state")
    assert spool.known_mark() is None
    mark = spool.mark()
    assert len(mark) == 8 and spool.mark() == spool.known_mark() == mark
    (tmp_path / "state").rename(tmp_path / "moved")
    assert Spool(tmp_path / "moved").mark() == mark
    assert Spool(tmp_path / "state").mark() != mark


@pytest.mark.parametrize("content", [b"", b"abc\n", b"\xff" * 32, b"not hexadecimal at all"])
def test_identity_that_says_nothing_is_made_anew(tmp_path: Path, content: bytes) -> None:
    spool = Spool(tmp_path)
    spool.identity.write_bytes(content)
    assert spool.known_mark() is None
    assert spool.mark() == spool.known_mark()


def test_identity_that_cannot_be_kept_is_trouble_of_the_surroundings(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(SurroundingsError, match="identity cannot be"):
        Spool(tmp_path / "state").mark()


def test_profile_is_kept_by_its_hash_apart_from_style_images(tmp_path: Path) -> None:
    spool, source = Spool(tmp_path / "state"), tmp_path / "press.icc"
    source.write_bytes(b"acsp")
    sha256 = spool.keep_profile(source)
    source.unlink()
    assert spool.profile(sha256).read_bytes() == b"acsp"
    assert not spool.style(sha256).exists()
