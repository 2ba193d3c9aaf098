"""Files that appear whole or not at all, and names that always fit."""

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from daemon.errors import SurroundingsError
from daemon.host import files


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, such as some network shares."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refuse)


@pytest.fixture
def other_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that lies on another file system, as far as `os.link` can tell."""
    folder = tmp_path / "other-disk"
    folder.mkdir()
    real_link = os.link

    def link(source: Path, target: Path, **options: bool) -> None:
        if (folder in Path(source).parents) != (folder in Path(target).parents):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real_link(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    return folder


def test_written_file_is_whole_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.txt"
    files.write_bytes(target, b"all of it")
    assert target.read_bytes() == b"all of it"
    assert names(target.parent) == ["a.txt"]


def test_file_whose_writing_fails_does_not_appear(tmp_path: Path) -> None:
    def fill(file: BinaryIO) -> None:
        file.write(b"half of")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        files.write_whole(tmp_path / "a.txt", fill)
    assert names(tmp_path) == []


def test_file_for_who_looks_now_is_whole_or_absent_and_never_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "sync", pytest.fail)
    target, seen = tmp_path / "a.jpg", list[bytes]()

    def fill(file: BinaryIO) -> None:
        file.write(b"new")
        seen.append(target.read_bytes())

    target.write_bytes(b"old")
    files.write_fleeting(target, fill)
    assert (seen, target.read_bytes(), names(tmp_path)) == ([b"old"], b"new", ["a.jpg"])


def test_file_for_who_looks_now_whose_writing_fails_leaves_the_one_before(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="device"):
        files.write_fleeting(target, refuse(errno.ENOSPC))
    assert (target.read_bytes(), names(tmp_path)) == (b"old", ["a.jpg"])


def test_failed_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")

    def fill(file: BinaryIO) -> None:
        file.write(b"new")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        files.write_whole(target, fill, replace=True)
    assert target.read_bytes() == b"old" and names(tmp_path) == ["a.txt"]


def test_name_is_given_only_when_the_content_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"

    def fill(file: BinaryIO) -> None:
        file.write(b"first")
        assert not target.exists()
        (temporary,) = names(tmp_path)
        assert temporary.startswith(".") and temporary.endswith(".tmp")

    files.write_whole(target, fill)
    assert target.exists()


def test_taken_name_is_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        files.write_bytes(target, b"new")
    assert target.read_bytes() == b"old" and names(tmp_path) == ["a.txt"]


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_files_are_still_written_and_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_bytes(target, b"old")
    with pytest.raises(FileExistsError):
        files.write_bytes(target, b"new")
    assert target.read_bytes() == b"old" and names(tmp_path) == ["a.txt"]


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_a_dangling_link_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        files.write_bytes(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").is_symlink()


def test_replacing_is_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    files.write_bytes(target, b"new", replace=True)
    assert target.read_bytes() == b"new"


def test_copy_keeps_content_and_times(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_bytes(b"x" * 3_000_000)
    os.utime(source, ns=(10**18, 10**18))
    files.copy_whole(source, tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_bytes() == source.read_bytes()
    assert (tmp_path / "b.txt").stat().st_mtime_ns == 10**18


def test_moved_file_is_at_its_new_place_only(tmp_path: Path) -> None:
    source, target = tmp_path / "a.txt", tmp_path / "deep" / "er" / "b.txt"
    source.write_bytes(b"content")
    files.move(source, target)
    assert target.read_bytes() == b"content" and not source.exists()


def test_move_never_overwrites(tmp_path: Path) -> None:
    source, target = tmp_path / "a.txt", tmp_path / "b.txt"
    source.write_bytes(b"mine")
    target.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        files.move(source, target)
    assert (source.read_bytes(), target.read_bytes()) == (b"mine", b"theirs")


def test_move_to_another_file_system_copies_and_then_removes(
    tmp_path: Path, other_disk: Path
) -> None:
    source, target = tmp_path / "a.txt", other_disk / "b.txt"
    source.write_bytes(b"content")
    files.move(source, target)
    assert target.read_bytes() == b"content" and not source.exists()
    assert names(other_disk) == ["b.txt"]


def test_move_to_another_file_system_never_overwrites(tmp_path: Path, other_disk: Path) -> None:
    source, target = tmp_path / "a.txt", other_disk / "b.txt"
    source.write_bytes(b"mine")
    target.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        files.move(source, target)
    assert (source.read_bytes(), target.read_bytes()) == (b"mine", b"theirs")
    assert names(other_disk) == ["b.txt"]


def test_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert files.sha256_of(path) == known == hashlib.sha256(b"abc").hexdigest()


def test_longest_name_a_folder_can_hold_is_written(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 251 + ".txt")
    files.write_bytes(target, b"content")
    assert names(tmp_path) == [target.name]


@pytest.mark.parametrize(
    ("name", "ending", "expected"),
    [
        ("photo.jpg", ".json", "photo.jpg.json"),
        ("x" * 255, ".json", "x" * 250 + ".json"),
        ("é" * 127, ".log", "é" * 125 + ".log"),  # 2 bytes each, and never half of one
        ("夜" * 85, ".reason.txt", "夜" * 81 + ".reason.txt"),
        ("", ".json", ".json"),
    ],
)
def test_name_with_an_ending_fits_a_directory_entry(name: str, ending: str, expected: str) -> None:
    found = files.with_ending(name, ending)
    assert found == expected
    assert len(os.fsencode(found)) <= 255


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo.jpg", "photo-1a2b.jpg"),
        ("archive.tar.gz", "archive.tar-1a2b.gz"),
        ("photo", "photo-1a2b"),
        ("x" * 251 + ".jpg", "x" * 246 + "-1a2b.jpg"),
        ("\udcff.jpg", "\udcff-1a2b.jpg"),
    ],
)
def test_mark_stands_before_the_suffix(name: str, expected: str) -> None:
    assert files.with_mark(name, "1a2b") == expected


def test_ending_longer_than_a_name_may_be_leaves_nothing_before_it() -> None:
    assert files.with_ending("photo", "." + "x" * 300) == "." + "x" * 300


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("holiday/été 夜.jpg", "holiday/été 夜.jpg"),
        ("two\nlines\t\x1b[31m.jpg", "two\\nlines\\t\\x1b[31m.jpg"),
        ("stray\udcff.jpg", "stray\\udcff.jpg"),
        ("right\u202eto-left", "right\\u202eto-left"),
    ],
)
def test_names_are_printed_without_control_characters(path: str, text: str) -> None:
    assert files.printable(path) == text
    assert files.printable(Path(path)) == text


def test_removing_a_folder_that_is_gone_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    files.remove_tree(tmp_path / "a")
    files.remove_tree(tmp_path / "a")
    assert names(tmp_path) == []


# What a crash leaves, and room


def left_by(maker: int, folder: Path) -> Path:
    """A half-written file of that process."""
    name = files.temporary_beside(folder / "photo.jpg").name
    left = folder / name.replace(f"-{os.getpid()}-", f"-{maker}-")
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    return left


def test_sweep_removes_what_processes_that_are_gone_left(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lefts = [left_by(gone.pid, tmp_path / "below"), left_by(os.getpid(), tmp_path)]
    kept = [
        left_by(os.getppid(), tmp_path),
        tmp_path / ".atelierd-0a0a0a0a-1-another.tmp",  # another machine's
        tmp_path / "photo.tmp",
    ]
    for path in kept:
        path.write_bytes(b"whole")
    assert files.sweep(tmp_path) == 2
    assert not any(path.exists() for path in lefts)
    assert all(path.exists() for path in kept)


def test_sweep_leaves_what_is_being_written_in_another_container(tmp_path: Path) -> None:
    swept = []

    def fill(file: BinaryIO) -> None:
        file.write(b"half")
        file.flush()
        (temporary,) = tmp_path.iterdir()
        # Processes have other numbers there: this one's seems to be nobody's, or the sweeper's own.
        swept.append(files.sweep(tmp_path))
        assert temporary.exists()

    files.write_whole(tmp_path / "photo.jpg", fill)
    assert swept == [0] and (tmp_path / "photo.jpg").read_bytes() == b"half"


def test_room_that_is_to_stay_free_is_not_taken(tmp_path: Path) -> None:
    files.ensure_room(tmp_path, 1, 0)
    with pytest.raises(SurroundingsError, match=r"nearly full.*limits: free_bytes"):
        files.ensure_room(tmp_path, 0, 1 << 60)
    with pytest.raises(SurroundingsError, match="nearly full"):
        files.ensure_room(tmp_path, 1 << 60, 0)
    with pytest.raises(SurroundingsError, match="unavailable"):
        files.ensure_room(tmp_path / "gone", 0, 0)


def refuse(number: int) -> Callable[..., Any]:
    """Something of the operating system that answers with an error."""

    def refused(*args: object, **_: object) -> None:
        raise OSError(number, os.strerror(number), args[0] if args else None)

    return refused


UNKNOWN = [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]


@pytest.mark.parametrize("number", UNKNOWN)
def test_file_system_that_knows_no_fsync_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", refuse(number))
    files.write_bytes(tmp_path / "a", b"all of it")
    assert (tmp_path / "a").read_bytes() == b"all of it"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_disk_that_fails_at_fsync_is_an_error_for_files_and_for_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", refuse(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        files.write_bytes(tmp_path / "a", b"all of it")
    assert names(tmp_path) == []
    with pytest.raises(OSError, match=os.strerror(number)):
        files.sync_folder(tmp_path)


def test_folder_that_may_be_written_and_not_looked_into_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def closed(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", closed)
    files.write_bytes(tmp_path / "a", b"all of it")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [*UNKNOWN, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EXDEV])
def test_whatever_a_link_is_refused_with_files_are_written_and_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", refuse(number))
    files.write_bytes(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        files.write_bytes(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP])
def test_file_system_that_renames_over_nothing_still_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    files.write_bytes(tmp_path / "a", b"first")
    monkeypatch.setattr(os, "replace", refuse(number))
    monkeypatch.setattr(Path, "replace", refuse(number))
    files.write_bytes(tmp_path / "a", b"second", replace=True)
    assert (tmp_path / "a").read_bytes() == b"second" and names(tmp_path) == ["a"]


def test_file_system_that_knows_no_flags_is_read_and_links_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"all of it")
    (tmp_path / "link").symlink_to("a")
    real = os.open

    def plain(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_NOFOLLOW:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", plain)
    with files.open_ordinary(tmp_path / "a", os.O_NOFOLLOW) as file:
        assert file.read() == b"all of it"
    with pytest.raises(OSError, match="Invalid argument"):
        files.open_ordinary(tmp_path / "link", os.O_NOFOLLOW)


def test_file_system_that_does_not_tell_its_room_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in (lambda _: os.statvfs_result((512, 512, *[0] * 8)), refuse(errno.ENOSYS)):
        monkeypatch.setattr(os, "statvfs", answer)
        files.ensure_room(tmp_path, 1 << 40, 1 << 40)
        assert files.free_bytes(tmp_path) is None
    full = os.statvfs_result((512, 512, 1000, *[0] * 7))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(SurroundingsError, match="nearly full"):
        files.ensure_room(tmp_path, 1, 0)


def test_error_names_the_file_that_was_to_be_and_no_name_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.ENOSPC))
    monkeypatch.setattr(Path, "rename", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as raised:
        files.write_bytes(tmp_path / "a", b"all of it")
    assert raised.value.filename == str(tmp_path / "a")
