"""What lies in the inbox, and on what file system."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.intake import scan as scanning
from daemon.intake.scan import Scan, is_network_mount, lies_on_network, scan, signature_of

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:45 / /mnt/nas rw,relatime - nfs4 nas:/export rw,vers=4.2
41 40 8:2 / /mnt/nas/local rw - ext4 /dev/sdb1 rw
42 22 0:46 / /mnt/with\\040space rw shared:9 master:1 - cifs //nas/x rw
43 22 0:47 / /mnt/fotós rw - fuse.sshfs me@nas: rw
44 22 0:48 / /mnt/vm rw - virtiofs host rw
broken line
"""


def paths(scan: Scan) -> dict[str, list[str]]:
    """Only pictures come in an order that matters."""
    return {
        "pictures": [str(seen.path) for seen in scan.pictures],
        "companions": sorted(str(seen.path) for seen in scan.companions),
        "strange": sorted(map(str, scan.strange)),
        "foreign": sorted(str(seen.path) for seen in scan.foreign),
    }


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., None]:
    """Makes files in the inbox."""

    def put(*names: str) -> None:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")

    return put


def test_files_are_sorted_by_what_they_are(put, tmp_path: Path) -> None:
    put("starry/b.JPG", "a.heic", "starry/deep/er/c.tiff", "a.yaml", "starry/n.yaml", "x.mp4", "no")
    assert paths(scan(tmp_path)) == {
        "pictures": ["a.heic", "starry/b.JPG", "starry/deep/er/c.tiff"],
        "companions": ["a.yaml", "starry/n.yaml"],
        "strange": [],
        "foreign": ["no", "x.mp4"],
    }


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.jpg",
        ".claimed/1/photo.jpg",
        "~$photo.jpg",
        "photo.jpg.part",
        "photo.jpg.tmp",
        "photo.jpg.crdownload",
        "photo.jpg.filepart",
        "~syncthing~photo.jpg.tmp",
        "@eaDir/photo.jpg/thumb.jpg",
        "__MACOSX/photo.jpg",
        "Thumbs.db",
        "desktop.ini",
        ".atelierd-0a.tmp",
    ],
)
def test_half_written_and_foreign_programs_files_are_not_seen(
    put, tmp_path: Path, name: str
) -> None:
    put(name)
    assert scan(tmp_path) == Scan((), (), (), ())


@pytest.mark.parametrize(
    "folder",
    [
        "#recycle",
        "@Recycle",
        "$RECYCLE.BIN/S-1-5-21",
        "$Recycle.Bin",
        "recycler",
        "System Volume Information",
        "SYSTEM VOLUME INFORMATION",
        "#snapshot",
        "@tmp",
        "lost+found",
        "@Recently-Snapshot",
        "~snapshot",
        "Network Trash Folder",
        "Temporary Items",
        "FOUND.000",
        ".Trash-1000",
        ".Trashes/501",
        ".snapshot/hourly",
        ".@__thumb",
        ".AppleDouble",
        ".stversions",
        ".sync/Archive",
        ".dropbox.cache",
        ".zfs/snapshot",
        ".recycle",
        "Recycled",
        "Recycle Bin",
        "Network Recycle Bin 1",
        "@GMT-2026.11.01-10.00.00",
        "@SynoDrive",
        "$WinREAgent",
        "MSOCache",
        "files_trashbin",
        "_recycle",
        "@sharesnap",
    ],
)
def test_what_people_deleted_or_replaced_is_not_seen_at_any_depth(
    put, tmp_path: Path, folder: str
) -> None:
    put(f"{folder}/photo.jpg", f"starry/{folder}/2024/photo.jpg")
    assert scan(tmp_path) == Scan((), (), (), ())


@pytest.mark.parametrize(
    "name",
    [
        "photo.jpg.!ut",
        "photo.jpg.!qB",
        "photo.jpg.download",
        "photo.jpg.aria2",
        "photo.jpg~",
        "photo.jpg.opdownload",
        ".unison.photo.jpg.1a.unison.tmp",
        ".goutputstream-A1B2C3",
        ".nfs000000000012",
        "photo.jpg.1a2b.partial",
        "~tmp1.jpg",
        ".photo.jpg.Xy12Z3",
        ".fuse_hidden0000a",
        "PHOTO.JPG.PART",
        "photo.jpg.!sync",
        "._photo.jpg",
    ],
)
def test_half_written_file_of_any_program_is_neither_seen_nor_told_of(
    put, tmp_path: Path, name: str
) -> None:
    put(name)
    assert scan(tmp_path) == Scan((), (), (), ())


@pytest.mark.parametrize("name", ["recycled art/photo.jpg", "tmp/a.jpg", "a~b.jpg", "@home/a.jpg"])
def test_names_that_only_look_like_a_programs_own_are_a_persons(
    put, tmp_path: Path, name: str
) -> None:
    put(name)
    assert paths(scan(tmp_path))["pictures"] == [name]


def test_links_and_pipes_are_strange_and_never_opened(put, tmp_path: Path) -> None:
    put("real/photo.jpg")
    (tmp_path / "link.jpg").symlink_to("real/photo.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    (tmp_path / "folder").symlink_to("real")
    os.mkfifo(tmp_path / "pipe.jpg")
    seen = scan(tmp_path)
    assert [one.path for one in seen.pictures] == [Path("real/photo.jpg")]
    assert {str(path) for path in seen.strange} == {
        "link.jpg",
        "dangling.jpg",
        "folder",
        "pipe.jpg",
    }


def test_name_that_is_not_text_is_seen(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.jpg"))).touch()
    (seen,) = scan(tmp_path).pictures
    assert os.fsencode(seen.path) == b"\xff\n.jpg"


def test_signature_changes_with_the_file(put, tmp_path: Path) -> None:
    put("a.jpg")
    before = signature_of((tmp_path / "a.jpg").stat())
    assert signature_of((tmp_path / "a.jpg").stat()) == before
    (tmp_path / "a.jpg").write_bytes(b"xy")
    after = signature_of((tmp_path / "a.jpg").stat())
    assert after != before and after.inode == before.inode


def test_inbox_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "gone")


@pytest.mark.parametrize(
    ("folder", "network"),
    [
        ("/home/anna/inbox", False),
        ("/mnt/nas", True),
        ("/mnt/nas/inbox", True),
        ("/mnt/nas/local/inbox", False),
        ("/mnt/nas2/inbox", False),
        ("/mnt/with space/inbox", True),
        ("/mnt/fotós/inbox", True),
        ("/mnt/vm", True),
    ],
)
def test_network_mounts_are_known_by_the_nearest_mount_point(folder: str, network: bool) -> None:
    assert is_network_mount(Path(folder), MOUNTS) is network


def test_without_a_list_of_mounts_every_folder_is_local() -> None:
    assert not is_network_mount(Path("/mnt/nas"), "")


def test_deep_tree_of_folders_is_scanned_to_its_end(tmp_path: Path) -> None:
    deepest = tmp_path
    for _ in range(1_100):  # beyond Python's recursion limit
        deepest = deepest / "d"
        deepest.mkdir()
    (deepest / "photo.jpg").write_bytes(b"x")
    found = [seen.path.name for seen in scan(tmp_path).pictures]
    (deepest / "photo.jpg").unlink()  # pytest's own clearing up is recursive
    os.removedirs(deepest)
    assert found == ["photo.jpg"]


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The inbox, seen by a user who may not see everything, which root may."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    yield Path()
    os.seteuid(before)


@pytest.mark.parametrize("mode", [0o744, 0o300])
def test_folder_that_may_not_be_looked_into_is_told_and_holds_no_other_up(
    put, tmp_path: Path, mode: int, request: pytest.FixtureRequest
) -> None:
    put("closed/photo.jpg", "photo.jpg")
    (tmp_path / "closed").chmod(mode if os.geteuid() == 0 else mode & 0o600)
    seen = scan(request.getfixturevalue("nobody"))
    assert [str(one.path) for one in seen.pictures] == ["photo.jpg"]
    assert [str(path) for path in seen.closed] == ["closed"]


def test_mount_point_of_any_bytes_or_blanks_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = os.fsencode(tmp_path) + "/us\u00e9r\u00a0\u2028".encode() + b"\xe9"
    (tmp_path / "mountinfo").write_bytes(b"1 2 0:3 / " + point + b" rw - nfs4 nas:/x rw\n")
    monkeypatch.setattr(scanning, "MOUNTINFO", tmp_path / "mountinfo")
    assert lies_on_network(Path(os.fsdecode(point)) / "inbox")
    assert not lies_on_network(tmp_path / "inbox")


def test_folder_of_a_file_system_that_lists_no_kinds_may_be_closed_and_holds_no_other_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.jpg").touch()
    scandir = os.scandir

    class Entry:
        """An entry whose kind has to be asked for."""

        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.entry, self.name, self.path = entry, entry.name, entry.path

        def is_dir(self, *, follow_symlinks: bool) -> bool:
            if Path(self.path).parent.name == "closed":
                raise PermissionError(errno.EACCES, "Permission denied")
            return self.entry.is_dir(follow_symlinks=follow_symlinks)

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            return self.entry.stat(follow_symlinks=follow_symlinks)

    @contextlib.contextmanager
    def listed(folder: Path) -> Iterator[list[Entry]]:
        with scandir(folder) as entries:
            yield [Entry(entry) for entry in entries]

    monkeypatch.setattr("os.scandir", listed)
    seen = scan(tmp_path)
    assert [one.path for one in seen.pictures] == [Path("open/photo.jpg")]
    assert seen.closed == (Path("closed"),)


def test_companion_that_is_a_picture_by_its_suffix_is_none(tmp_path: Path, put, masks) -> None:
    put("photo.jpg", "photo.mask.png", "photo.yaml")
    seen = paths(scan(tmp_path))
    assert seen["pictures"] == ["photo.jpg"]
    assert seen["companions"] == ["photo.mask.png", "photo.yaml"]
