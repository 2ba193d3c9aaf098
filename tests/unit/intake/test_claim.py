"""Taking a picture out of the inbox, and giving it back."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake import claim
from daemon.intake.claim import (
    check_claimable,
    copy_hashing,
    drop_claim,
    drop_source,
    give_back,
    give_back_all,
    is_one_file,
    take,
)
from daemon.intake.pair import match
from daemon.state.claimed import claimed_folder, claims

PHOTO = Path("starry/2024/photo.jpg")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An inbox with one picture."""
    inbox = tmp_path / "inbox"
    (inbox / PHOTO).parent.mkdir(parents=True)
    (inbox / PHOTO).write_bytes(b"pixels")
    return inbox


def test_taken_picture_keeps_its_path_in_the_claimed_folder(inbox: Path) -> None:
    assert take(inbox, "p1", PHOTO)
    assert not (inbox / PHOTO).exists()
    assert (claimed_folder(inbox, "p1") / PHOTO).read_bytes() == b"pixels"


def test_picture_that_is_gone_is_not_taken(inbox: Path) -> None:
    (inbox / PHOTO).unlink()
    assert not take(inbox, "p1", PHOTO)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may rename everywhere")
def test_inbox_that_refuses_renames_is_trouble_of_the_surroundings(inbox: Path) -> None:
    (inbox / PHOTO).parent.chmod(0o500)
    with pytest.raises(SurroundingsError, match="must be allowed to rename"):
        take(inbox, "p1", PHOTO)
    (inbox / PHOTO).parent.chmod(0o700)


def test_claimed_folder_that_cannot_be_made_is_trouble_of_the_surroundings(inbox: Path) -> None:
    (inbox / ".claimed").write_text("in the way")
    with pytest.raises(SurroundingsError, match="cannot be claimed"):
        take(inbox, "p1", PHOTO)
    assert (inbox / PHOTO).exists()


def test_picture_given_back_lies_where_it_was_dropped(inbox: Path) -> None:
    take(inbox, "p1", PHOTO)
    (inbox / PHOTO).parent.rmdir()
    give_back(inbox, "p1", PHOTO)
    assert (inbox / PHOTO).read_bytes() == b"pixels"
    assert not claimed_folder(inbox, "p1").exists()


def test_picture_given_back_never_replaces_a_new_one(inbox: Path) -> None:
    take(inbox, "p1", PHOTO)
    (inbox / PHOTO).write_bytes(b"new")
    give_back(inbox, "p1", PHOTO)
    assert (inbox / PHOTO).read_bytes() == b"new"
    left = [path for path in inbox.rglob("photo*.jpg") if path.read_bytes() == b"pixels"]
    assert len(left) == 1


def test_any_number_of_pictures_given_back_to_one_path_all_lie_there(inbox: Path) -> None:
    ids = [f"machine-{number}" * 2 for number in range(4)]  # all begin with the machine's mark
    for number, picture_id in enumerate(ids):
        (inbox / PHOTO).write_bytes(b"pixels %d" % number)
        take(inbox, picture_id, PHOTO)
    for picture_id in ids:
        give_back_all(inbox, picture_id)
    lying = {path.read_bytes() for path in (inbox / PHOTO).parent.iterdir()}
    assert lying == {b"pixels %d" % number for number in range(4)}


def test_giving_back_that_was_cut_off_leaves_one_file(inbox: Path) -> None:
    take(inbox, "p1", PHOTO)
    os.link(claimed_folder(inbox, "p1") / PHOTO, inbox / PHOTO)
    give_back_all(inbox, "p1")
    assert list((inbox / PHOTO).parent.iterdir()) == [inbox / PHOTO]
    assert not claimed_folder(inbox, "p1").exists()


@pytest.mark.parametrize("said", ["photo.yaml", "photo.jpg.yaml", "photo.yml", "Photo.JPG.yaml"])
@pytest.mark.parametrize(
    "newer",
    [
        ["photo.jpg"],
        ["photo.yaml"],
        ["photo.jpg.yaml"],
        ["photo.jpg", "photo.yaml", "photo.jpg.yaml"],
    ],
)
def test_picture_given_back_beside_a_newer_one_keeps_its_sidecar(
    inbox: Path, said: str, newer: list[str]
) -> None:
    """With another's, or none, it would be painted otherwise than its owner said."""
    folder = (inbox / PHOTO).parent
    (folder / said).write_bytes(b"its own")
    for path in (PHOTO, PHOTO.with_name(said)):
        take(inbox, "p1", path)
    for name in newer:
        (folder / name).write_bytes(b"new")
    give_back_all(inbox, "p1")
    lying = list(folder.iterdir())
    (back,) = [path for path in lying if path.read_bytes() == b"pixels"]
    (sidecar,) = match([back], lying).companions_of[back]
    assert sidecar.read_bytes() == b"its own"
    assert [(folder / name).read_bytes() for name in newer] == [b"new"] * len(newer)
    assert not claimed_folder(inbox, "p1").exists()


def test_dropped_claim_leaves_what_still_lies_there(inbox: Path) -> None:
    take(inbox, "p1", PHOTO)
    drop_claim(inbox, "p1")
    assert (claimed_folder(inbox, "p1") / PHOTO).exists()
    (claimed_folder(inbox, "p1") / PHOTO).unlink()
    drop_claim(inbox, "p1")
    drop_claim(inbox, "p1")
    assert not claimed_folder(inbox, "p1").exists()


def test_copy_comes_with_its_hash_and_size(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(content)
    found = copy_hashing(tmp_path / "a", tmp_path / "spool" / "p1")
    assert found == (hashlib.sha256(content).hexdigest(), 3_000_000)
    assert (tmp_path / "spool" / "p1").read_bytes() == content


def test_file_written_to_while_it_is_copied_leaves_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "a", tmp_path / "spool" / "p1"
    source.write_bytes(b"the first half")
    with source.open("ab") as writer:
        write_whole = files.write_whole

        def interrupted(*arguments, **options) -> None:
            write_whole(*arguments, **options)
            writer.write(b" and the second")
            writer.flush()

        monkeypatch.setattr(files, "write_whole", interrupted)
        assert copy_hashing(source, target) is None
    assert not target.exists()


def test_link_in_the_claimed_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "a").symlink_to("secret")
    with pytest.raises(OSError, match="symbolic links"):
        copy_hashing(tmp_path / "a", tmp_path / "copy")


def test_pipe_in_the_claimed_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="not an ordinary file"):
        copy_hashing(tmp_path / "a", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_copy_of_a_shared_sidecar_is_on_the_disk_before_the_last_one_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo.yaml").write_text("beta: 7\n")
    synced: set[int] = set()
    fsync = os.fsync
    monkeypatch.setattr(
        "os.fsync", lambda handle: (synced.add(os.fstat(handle).st_ino), fsync(handle))
    )
    assert take(tmp_path, "p1", Path("photo.yaml"), copy=True)
    copy = claimed_folder(tmp_path, "p1") / "photo.yaml"
    assert copy.read_text() == "beta: 7\n" and copy.stat().st_ino in synced
    assert (tmp_path / "photo.yaml").exists()


@pytest.mark.timeout(60)
def test_shared_sidecar_that_has_become_a_pipe_or_link_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("/etc/passwd")
    for name in ("pipe.yaml", "link.yaml"):
        with pytest.raises(SurroundingsError, match="cannot be claimed"):
            take(tmp_path, "p1", Path(name), copy=True)
        assert not (claimed_folder(tmp_path, "p1") / name).exists()


def refuse(number: int):
    """A system call that always fails so."""

    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_picture_on_another_file_system_is_copied_out_and_removed(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.rename", refuse(errno.EXDEV))
    assert take(inbox, "p1", PHOTO)
    assert not (inbox / PHOTO).exists()
    assert (claimed_folder(inbox, "p1") / PHOTO).read_bytes() == b"pixels"


def test_picture_on_another_file_system_that_is_written_to_stays(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.rename", refuse(errno.EXDEV))
    monkeypatch.setattr(claim, "copy_hashing", lambda *_: None)
    assert not take(inbox, "p1", PHOTO)
    assert (inbox / PHOTO).exists()


def test_picture_that_cannot_be_removed_is_not_claimed_by_its_copy(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path == inbox / PHOTO:
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr("os.rename", refuse(errno.EXDEV))
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(SurroundingsError, match=r"mount .* writable"):
        take(inbox, "p1", PHOTO)
    assert not (claimed_folder(inbox, "p1") / PHOTO).exists() and (inbox / PHOTO).exists()


def test_picture_is_copied_out_only_where_there_is_room(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(inbox)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr("os.rename", refuse(errno.EXDEV))
    with pytest.raises(SurroundingsError, match="nearly full"):
        take(inbox, "p1", PHOTO, keep_bytes=1000)
    assert (inbox / PHOTO).exists()


class Killed(BaseException):
    """The service is killed here."""


def killed(*_: object, **__: object) -> None:
    raise Killed


def test_source_that_a_crash_left_beside_its_copy_is_removed_and_no_other(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash, pytest.raises(Killed):
        crash.setattr("os.rename", refuse(errno.EXDEV))
        crash.setattr(claim, "is_still", killed)
        take(inbox, "p1", PHOTO)
    assert drop_source(inbox, "p1", PHOTO) and not (inbox / PHOTO).exists()
    for newer in (b"PIXELS", b"pixels"):  # the same again, too
        (inbox / PHOTO).write_bytes(newer)
        assert not drop_source(inbox, "p1", PHOTO) and (inbox / PHOTO).exists()


def test_source_that_a_crash_left_beside_its_copy_is_one_picture_when_it_is_given_back(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox / PHOTO).with_name("photo.yaml").write_text("beta: 7\n")
    with monkeypatch.context() as crash, pytest.raises(Killed):
        crash.setattr("os.rename", refuse(errno.EXDEV))
        crash.setattr(claim, "is_still", killed)
        take(inbox, "p1", PHOTO)
    give_back_all(inbox, "p1")
    assert sorted(path.name for path in (inbox / PHOTO).parent.iterdir()) == [
        "photo.jpg",
        "photo.yaml",
    ]
    assert claims(inbox) == []


def test_mark_of_a_copy_that_was_never_made_keeps_no_claim(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash, pytest.raises(Killed):
        crash.setattr("os.rename", refuse(errno.EXDEV))
        crash.setattr(claim, "copy_hashing", killed)
        take(inbox, "p1", PHOTO)
    drop_claim(inbox, "p1")
    assert claims(inbox) == [] and (inbox / PHOTO).exists()


@pytest.mark.parametrize("newer", [b"A NEW PICTURE", b"PIXELS"])
def test_newer_version_put_in_place_during_the_copy_to_another_file_system_stays(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, newer: bytes
) -> None:
    write_whole = files.write_whole

    def replaced(target: Path, *arguments, **options) -> None:
        write_whole(target, *arguments, **options)
        if target.name == PHOTO.name:
            (inbox / "newer").write_bytes(newer)
            (inbox / "newer").replace(inbox / PHOTO)

    monkeypatch.setattr("os.rename", refuse(errno.EXDEV))
    monkeypatch.setattr(files, "write_whole", replaced)
    assert not take(inbox, "p1", PHOTO)
    assert (inbox / PHOTO).read_bytes() == newer
    assert not (claimed_folder(inbox, "p1") / PHOTO).exists()


def test_copy_from_another_file_system_is_taken_where_inode_and_times_change_by_themselves(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(range(100))
    monkeypatch.setattr(claim, "signature_of", lambda _: next(looks))
    monkeypatch.setattr("os.rename", refuse(errno.EXDEV))
    assert take(inbox, "p1", PHOTO) and not (inbox / PHOTO).exists()


def test_copy_from_another_file_system_has_the_time_of_its_source(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(inbox / PHOTO, (1e9, 1e9))
    monkeypatch.setattr("os.rename", refuse(errno.EXDEV))
    assert take(inbox, "p1", PHOTO)
    assert (claimed_folder(inbox, "p1") / PHOTO).stat().st_mtime == 1e9
    assert list((claimed_folder(inbox, "p1") / PHOTO).parent.iterdir()) == [
        claimed_folder(inbox, "p1") / PHOTO
    ]


@pytest.mark.parametrize("newer", ["preset: two\n", None], ids=["another sidecar", "none"])
def test_same_picture_dropped_again_with_another_sidecar_is_not_taken_for_the_claimed_one(
    inbox: Path, newer: str | None
) -> None:
    sidecar = PHOTO.with_name("photo.yaml")
    (inbox / sidecar).write_text("preset: one\n")
    for path in (PHOTO, sidecar):
        take(inbox, "p1", path)
    (inbox / PHOTO).write_bytes(b"pixels")
    if newer is not None:
        (inbox / sidecar).write_text(newer)
    give_back_all(inbox, "p1")
    lying = list((inbox / PHOTO).parent.iterdir())
    pictures = [path for path in lying if path.suffix == ".jpg"]
    pairs = match(pictures, lying).companions_of
    said = [pairs[path][0].read_text() if path in pairs else None for path in pictures]
    assert len(said) == 2 and set(said) == {"preset: one\n", newer}


def test_picture_is_given_back_to_another_file_system_with_its_sidecar(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = PHOTO.with_name("photo.yaml")
    (inbox / sidecar).write_text("beta: 7\n")
    for path in (PHOTO, sidecar):
        take(inbox, "p1", path)
    folder = claimed_folder(inbox, "p1")
    link = os.link

    def across(source: Path, target: Path, **more: bool) -> None:
        if folder in Path(source).parents:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target, **more)

    monkeypatch.setattr("os.link", across)
    give_back_all(inbox, "p1")
    assert (inbox / PHOTO).read_bytes() == b"pixels"
    assert (inbox / sidecar).read_text() == "beta: 7\n" and not folder.exists()


def test_copy_that_was_cut_off_is_not_given_back(inbox: Path) -> None:
    take(inbox, "p1", PHOTO)
    half = files.temporary_beside(claimed_folder(inbox, "p1") / PHOTO)
    half.write_bytes(b"pix")
    give_back_all(inbox, "p1")
    assert list((inbox / PHOTO).parent.iterdir()) == [inbox / PHOTO]
    assert claims(inbox) == []


def test_same_content_under_two_inodes_is_one_file_where_each_has_a_second_name(
    tmp_path: Path,
) -> None:
    # Some mounts have a new inode at each look: two inodes with two names each stand for one here.
    for name, content in (("a", b"same"), ("b", b"same"), ("c", b"else")):
        (tmp_path / name).write_bytes(content)
        os.link(tmp_path / name, tmp_path / f"{name} linked")
    (tmp_path / "twin").write_bytes(b"same")
    (tmp_path / "link").symlink_to("a")
    assert is_one_file(tmp_path / "a", tmp_path / "b")
    for other in ("c", "twin", "link", "none", "a/below"):
        assert not is_one_file(tmp_path / "a", tmp_path / other)


def test_same_picture_dropped_twice_is_given_back_twice(inbox: Path) -> None:
    sidecar = PHOTO.with_name("photo.yaml")
    for picture_id in ("11111111", "22222222"):
        (inbox / PHOTO).write_bytes(b"pixels")
        (inbox / sidecar).write_text("beta: 7\n")
        for path in (PHOTO, sidecar):
            take(inbox, picture_id, path)
    for picture_id in claims(inbox):
        give_back_all(inbox, picture_id)
    lying = sorted(path.name for path in (inbox / PHOTO).parent.iterdir())
    assert lying == ["photo-22222222.jpg", "photo-22222222.jpg.yaml", "photo.jpg", "photo.yaml"]


def test_copy_is_good_where_inode_and_times_change_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"pixels")
    looks = iter(range(100))
    monkeypatch.setattr(claim, "signature_of", lambda _: next(looks))
    found = copy_hashing(tmp_path / "a", tmp_path / "copy")
    assert found == (hashlib.sha256(b"pixels").hexdigest(), 6)


def test_hidden_names_among_the_claims_are_no_claims(inbox: Path) -> None:
    take(inbox, "p1", PHOTO)
    (inbox / ".claimed/.owner-0badcafe").touch()
    (inbox / ".claimed/.taken-over").mkdir()
    assert claims(inbox) == ["p1"]


@pytest.mark.parametrize(
    ("flag", "words"),
    [(os.ST_RDONLY, "Read-only file system; mount .* writable"), (0, "must be allowed to rename")],
)
def test_folder_that_lets_nothing_be_taken_is_known_before_any_work(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, flag: int, words: str
) -> None:
    # Root may write everywhere, so the answers of the system are given here in its place.
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    answer = os.statvfs(inbox)
    found = os.statvfs_result((*answer[:8], flag, answer.f_namemax))
    monkeypatch.setattr("os.statvfs", lambda _: found)
    with pytest.raises(SurroundingsError, match=words):
        check_claimable(inbox / PHOTO)


@pytest.mark.parametrize(
    "newer", ["photo.jpg", "photo.yaml", "photo.mask.png", "photo.jpg.mask.png"]
)
def test_picture_given_back_keeps_all_of_its_companions(inbox: Path, masks, newer: str) -> None:
    folder = (inbox / PHOTO).parent
    for name in ("photo.yaml", "photo.mask.png"):
        (folder / name).write_bytes(b"its own")
        take(inbox, "p1", PHOTO.with_name(name))
    take(inbox, "p1", PHOTO)
    (folder / newer).write_bytes(b"new")
    give_back_all(inbox, "p1")
    lying = list(folder.iterdir())
    (back,) = [path for path in lying if path.read_bytes() == b"pixels"]
    companions = match([path for path in lying if path.suffix == ".jpg"], lying).companions_of[back]
    assert [path.read_bytes() for path in companions] == [b"its own"] * 2
    assert (folder / newer).read_bytes() == b"new"


def test_same_picture_dropped_again_with_another_mask_is_not_taken_for_the_claimed_one(
    inbox: Path, masks
) -> None:
    mask = PHOTO.with_name("photo.mask.png")
    (inbox / mask).write_bytes(b"left half")
    for path in (PHOTO, mask):
        take(inbox, "p1", path)
    (inbox / PHOTO).write_bytes(b"pixels")
    (inbox / mask).write_bytes(b"right half")
    give_back_all(inbox, "p1")
    lying = list((inbox / PHOTO).parent.iterdir())
    pairs = match([path for path in lying if path.suffix == ".jpg"], lying).companions_of
    assert {path.read_bytes() for (path,) in pairs.values()} == {b"left half", b"right half"}
