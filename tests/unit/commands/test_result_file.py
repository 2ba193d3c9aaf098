"""Where one picture's result may go, found out before anything is painted."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.commands import result_file
from daemon.commands.result_file import (
    ResultFile,
    default_target,
    deliver,
    free_name,
    named_target,
    sweep_work_folders,
    try_room,
    work_folder,
)
from daemon.errors import AtelierError, BadInputError, SurroundingsError
from daemon.host import files
from daemon.settings.config import Config

Choose = Callable[..., ResultFile]


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"the only one")
    return path


@pytest.fixture
def choose(config: Config, photograph: Path, tmp_path: Path) -> Choose:
    """Names a result's file, beside a photograph and a style image that are precious."""
    style = config.presets / "wave.png"
    style.write_bytes(b"style")
    precious = {photograph: "the photograph itself", style: "a style image of wave"}

    def named(out: Path | str, *, force: bool = False) -> ResultFile:
        return named_target(tmp_path / out, force=force, precious=precious, config=config)

    return named


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


# What was asked for


def test_new_name_is_taken_as_it_is(choose: Choose, tmp_path: Path) -> None:
    assert choose("new.png") == ResultFile(tmp_path / "new.png", False)


@pytest.mark.parametrize(
    ("out", "promised"),
    [
        ("folder", "is a folder"),
        ("/dev/null", "no ordinary file"),
        ("pipe.jpg", "no ordinary file"),
        ("link-to-null.jpg", "no ordinary file"),
        ("loop.jpg", "leads to itself"),
        ("x" * 300 + ".jpg", "shorter name"),
        ("file/x.jpg", "a file is where a folder should be"),
        ("new", "let its name end in"),
        ("new.doc", "let its name end in .jpg"),
        ("new.heic", "let its name end in"),
        ("there.png", "--force"),
    ],
)
def test_what_cannot_be_written_is_refused_with_a_reason(
    choose: Choose, tmp_path: Path, out: str, promised: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link-to-null.jpg").symlink_to("/dev/null")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name in ("file", "there.png"):
        (tmp_path / name).touch()
    with pytest.raises(AtelierError, match=promised):
        choose(out)


@pytest.mark.parametrize("out", ["folder", "/dev/null", "/dev/full", "pipe.jpg"])
def test_force_replaces_files_and_nothing_else(choose: Choose, tmp_path: Path, out: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadInputError):
        choose(out, force=True)


def test_file_that_is_there_is_replaced_by_force_only(choose: Choose, tmp_path: Path) -> None:
    (tmp_path / "there.png").touch()
    assert choose("there.png", force=True) == ResultFile(tmp_path / "there.png", True)


def test_link_is_seen_through_so_that_it_stays_one(choose: Choose, tmp_path: Path) -> None:
    (tmp_path / "real.jpg").touch()
    (tmp_path / "link.jpg").symlink_to("real.jpg")
    (tmp_path / "nowhere.jpg").symlink_to("made.jpg")
    assert choose("link.jpg", force=True).path == tmp_path / "real.jpg"
    assert choose("nowhere.jpg").path == tmp_path / "made.jpg"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("spelling", ["photo.jpg", "sub/../photo.jpg", "soft.jpg", "hard.jpg"])
def test_photograph_is_never_replaced_whatever_it_is_called(
    choose: Choose, photograph: Path, spelling: str, force: bool
) -> None:
    (photograph.parent / "sub").mkdir()
    (photograph.parent / "soft.jpg").symlink_to(photograph)
    (photograph.parent / "hard.jpg").hardlink_to(photograph)
    with pytest.raises(BadInputError, match="is the photograph itself, which is never replaced"):
        choose(spelling, force=force)


def test_style_image_is_never_replaced(choose: Choose, config: Config) -> None:
    with pytest.raises(BadInputError, match="is a style image of wave, which is never replaced"):
        choose(config.presets / "wave.png", force=True)


@pytest.mark.parametrize("folder", ["inbox", "inbox/wave", "presets", "state"])
def test_result_is_never_laid_where_the_service_would_take_it_for_something(
    choose: Choose, config: Config, tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    with pytest.raises(BadInputError, match="would lie in"):
        choose(f"{folder}/new.jpg", force=True)
    monkeypatch.chdir(tmp_path / folder)
    with pytest.raises(BadInputError, match="would lie in"):
        default_target(Path("photo.jpg"), "wave", config)


def test_folder_that_may_not_be_looked_into_is_told(choose: Choose, closed: Path) -> None:
    with pytest.raises(SurroundingsError, match="Permission denied; let user"):
        choose(closed / "x.jpg")


# Where nothing was asked for


def test_result_never_takes_a_name_that_is_there(tmp_path: Path) -> None:
    picture = Path("elsewhere/photo.png")
    for expected in ("photo-wave.png", "photo-wave-2.png", "photo-wave-3.png"):
        found = free_name(tmp_path, picture, "wave")
        assert found == tmp_path / expected
        found.touch()


def test_result_of_a_phone_picture_is_a_jpeg(tmp_path: Path) -> None:
    assert free_name(tmp_path, Path("IMG_1.HEIC"), "wave").name == "IMG_1-wave.jpg"


def test_name_that_leads_nowhere_is_taken(tmp_path: Path) -> None:
    (tmp_path / "photo-wave.jpg").symlink_to("gone")
    assert free_name(tmp_path, Path("photo.jpg"), "wave").name == "photo-wave-2.jpg"


def test_result_of_the_longest_name_has_a_name_that_fits(tmp_path: Path) -> None:
    free_name(tmp_path, Path("é" * 125 + ".jpg"), "wave").touch()
    free_name(tmp_path, Path("é" * 125 + ".jpg"), "wave").touch()


def test_working_directory_that_is_gone_is_told(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SurroundingsError, match=r"the folder you are in is gone; .* --out"):
        default_target(Path("photo.jpg"), "wave", config)


# Trying


def test_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    try_room(tmp_path / "x.jpg", 1_000_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_want_of_room_is_found_out_and_leaves_nothing(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.posix_fallocate", refuse)
    with pytest.raises(SurroundingsError, match=f"nothing can be written.*{os.strerror(number)}"):
        try_room(tmp_path / "x.jpg", 1)
    assert list(tmp_path.iterdir()) == []


def test_file_system_that_reserves_no_room_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    try_room(tmp_path / "x.jpg", 1)
    with Path("/dev/full").open("wb") as full, pytest.raises(OSError, match="No space"):
        result_file.reserve(full.fileno(), 1)


@pytest.mark.parametrize("place", ["gone/x.jpg", "file/x.jpg"])
def test_parent_that_is_no_folder_is_told_and_not_made(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SurroundingsError, match=r"nothing can be written to .*x\.jpg"):
        try_room(tmp_path / place, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# The end


def test_result_comes_to_its_place_and_its_work_folder_goes(
    tmp_path: Path, temporary: Path
) -> None:
    with work_folder() as folder:
        (folder / "result").write_bytes(b"painted")
        deliver(folder / "result", ResultFile(tmp_path / "x.jpg", False))
    assert (tmp_path / "x.jpg").read_bytes() == b"painted"
    assert list(temporary.iterdir()) == []


def test_name_that_was_taken_meanwhile_is_left_for_the_next(
    config: Config, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them may paint the same photograph at once."""
    monkeypatch.chdir(tmp_path)
    target = default_target(Path("photo.jpg"), "wave", config)
    target.path.touch()
    with work_folder() as folder:
        (folder / "result").write_bytes(b"painted")
        assert deliver(folder / "result", target) == tmp_path / "photo-wave-2.jpg"
    assert (tmp_path / "photo-wave-2.jpg").read_bytes() == b"painted"


def test_result_that_is_refused_in_the_end_is_kept_and_said(
    tmp_path: Path, temporary: Path
) -> None:
    (tmp_path / "x.jpg").write_bytes(b"came meanwhile")
    with pytest.raises(SurroundingsError, match=r"File exists.* kept as") as refused:
        with work_folder() as folder:
            (folder / "result").write_bytes(b"painted")
            deliver(folder / "result", ResultFile(tmp_path / "x.jpg", False))
    (kept,) = temporary.glob("*/x.jpg")
    assert str(kept) in str(refused.value) and kept.read_bytes() == b"painted"
    assert (tmp_path / "x.jpg").read_bytes() == b"came meanwhile"
    sweep_work_folders()
    assert kept.exists()


def test_work_folder_of_a_process_that_was_killed_is_swept_by_the_next(
    temporary: Path, tmp_path: Path
) -> None:
    script = (
        "import os, sys, tempfile\ntempfile.tempdir = sys.argv[1]\n"
        "from daemon.commands.result_file import work_folder\n"
        "with work_folder() as folder:\n    (folder / 'result').touch()\n    os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, temporary], check=False)
    (left,) = temporary.iterdir()
    others = [temporary / "atelierd-kept-abcdefgh", temporary / "atelierd-00000000-1-abcdefgh"]
    for other in others:
        other.mkdir()
    (temporary / f"{left.name}x").symlink_to(tmp_path)
    with work_folder() as mine:
        assert not left.exists() and mine.exists()
        assert all(other.exists() for other in others) and tmp_path.exists()


def test_work_folder_of_a_process_that_lives_is_left(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = result_file.WORK_FOLDER.format(mark=files.machine_mark(), pid=os.getppid())
    (temporary / f"{prefix}x").mkdir()
    sweep_work_folders()
    assert (temporary / f"{prefix}x").exists()


def test_want_of_any_temporary_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def find() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", find)
    with pytest.raises(SurroundingsError, match=r"no temporary folder can be made.*TMPDIR"):
        with work_folder():
            raise AssertionError


def test_relative_name_in_a_folder_that_is_gone_says_what_to_do(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    with monkeypatch.context() as patch, pytest.raises(SurroundingsError, match="absolute path"):
        patch.setattr("os.path.realpath", gone)
        named_target(Path("x.png"), force=False, precious={}, config=config)
