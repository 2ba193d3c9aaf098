"""Inboxes and outboxes on file systems with odd habits, and in namespaces of their own.

Several habits at once, where none hides another: what copies instead of moving, say, never comes
to what a move must bear.
"""

import contextlib
import errno
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daemon.host import files
from daemon.job import State
from tests.support import mounts
from tests.support.atelier import Studio, encoded, photograph
from tests.support.habits import HABITS

UNSTEADY = ("new inodes", "ctime now", "whole seconds")
POOR = ("no links", "no times", "no modes", "no sync", "no room told")
NARROW = ("names", "short names")
LONG = "l" * 200
ORDINARY = ("a.jpg", "deep/er/b.jpg")
REFUSED = ("Rome 10:30.jpg", 'who? "me" <*>.jpg', f"{LONG}.jpg")

OddMount = Callable[[Path, Sequence[str]], Path]


@pytest.fixture(scope="session")
def fuse() -> None:
    if reason := mounts.why_no_fuse():
        pytest.skip(reason)


@pytest.fixture
def odd_mount(fuse: None, tmp_path: Path) -> Iterator[OddMount]:
    """Mounts a file system with some habits on a folder; returns what lies behind it."""
    with contextlib.ExitStack() as stack:

        def mount(folder: Path, habits: Sequence[str]) -> Path:
            source = tmp_path / f"behind-{folder.name}"
            stack.enter_context(mounts.odd_mount(source, folder, habits))
            return source

        yield mount


def drop_all(studio: Studio, names: Sequence[str]) -> dict[str, bytes]:
    """Pictures of these names, no two alike, one with a sidecar; their bytes by name."""
    dropped = {}
    for number, name in enumerate(names):
        dropped[name] = encoded(photograph((96 + number, 72)))
        studio.drop(f"quick/{name}", dropped[name])
    studio.drop("quick/a.jpg.yaml", b"steps: 3\n")
    return dropped


def all_painted_once(
    studio: Studio, answer: "subprocess.CompletedProcess[str]", dropped: dict[str, bytes]
) -> None:
    """Each picture is painted once and filed, and nothing is left behind anywhere."""
    assert answer.returncode == 0, answer.stderr
    assert "Traceback" not in answer.stderr and "stumbled" not in answer.stderr, answer.stderr
    records = [studio.record(name) for name in studio.files(studio.outbox) if ".json" in name]
    by_name = {record["picture"]["path"].removeprefix("quick/"): record for record in records}
    assert len(records) == len(by_name) == len(studio.jobs()) == len(studio.jobs(State.DONE))
    assert set(by_name) == {files.printable(name) for name in dropped}
    expected = {"originals/quick/a.jpg.yaml"}
    for name, content in dropped.items():
        outputs = by_name[files.printable(name)]["outputs"]
        expected |= set(outputs.values())
        assert (studio.outbox / outputs["original"]).read_bytes() == content
        with Image.open(studio.outbox / outputs["result"]) as result:
            result.load()
    assert by_name["a.jpg"]["recipe"]["steps"] == 3
    assert studio.files(studio.outbox) == expected
    assert {name for name in studio.files(studio.inbox) if not own(name)} == set()
    assert studio.files(studio.state / "spool") == set()


def own(name: str) -> bool:
    """Whether a file in the inbox is the service's word on whose the claims are."""
    return name.startswith(".claimed/.")


def refusal(operation: Callable[..., object], *arguments: Any) -> str:
    """The name of the error that an operation ends with; empty if it does not."""
    try:
        operation(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def test_odd_file_system_has_its_habits_and_else_is_ordinary(
    odd_mount: OddMount, tmp_path: Path
) -> None:
    odd, plain = tmp_path / "odd", tmp_path / "plain"
    odd_mount(odd, HABITS)
    odd_mount(plain, ())
    for folder in (odd, plain):
        (folder / "within").mkdir()
        (folder / os.fsdecode(b"\xff.jpg")).write_bytes(b"content")
    seen = []
    for folder in (odd, plain):
        file = folder / os.fsdecode(b"\xff.jpg")
        os.utime(file.parent.parent / f"behind-{folder.name}" / file.name, (1, 1.5))
        with file.open("ab") as opened:
            seen.append(
                [
                    file.read_bytes(),
                    file.stat().st_ino == file.stat().st_ino,
                    file.stat().st_mtime,
                    file.stat().st_ctime_ns == file.stat().st_ctime_ns,
                    os.statvfs(folder).f_blocks > 0,
                    refusal(os.fsync, opened.fileno()),
                    refusal(os.link, file, folder / "link"),
                    refusal(os.utime, file),
                    refusal(os.chmod, file, 0o600),
                    refusal(os.rename, file, folder / "ten:30"),
                    refusal(os.mkdir, folder / ("l" * 200)),
                ]
            )
        kept = next(path for path in folder.iterdir() if path.is_file())
        seen[-1].append(refusal(os.rename, kept, folder / "within/moved"))
    assert seen == [
        [
            b"content",
            False,
            1.0,
            False,
            False,
            "EINVAL",
            "EPERM",
            "EPERM",
            "EPERM",
            "EINVAL",
            "ENAMETOOLONG",
            "EXDEV",
        ],
        [b"content", True, 1.5, True, True, "", "", "", "", "", "", ""],
    ]


@pytest.mark.parametrize("habits", [(*UNSTEADY, *POOR), ("crossing",)], ids="+".join)
def test_pictures_of_an_odd_inbox_are_painted_once_and_filed(
    studio: Studio, odd_mount: OddMount, habits: Sequence[str]
) -> None:
    odd_mount(studio.inbox, habits)
    dropped = drop_all(studio, ORDINARY)
    all_painted_once(studio, studio.run("run", "--once"), dropped)


@pytest.mark.parametrize("habits", [(*UNSTEADY, *POOR, "crossing"), NARROW], ids="+".join)
def test_results_come_once_into_an_odd_outbox(
    studio: Studio, odd_mount: OddMount, habits: Sequence[str]
) -> None:
    odd_mount(studio.outbox, habits)
    dropped = drop_all(studio, (*ORDINARY, *(REFUSED if habits == NARROW else ())))
    all_painted_once(studio, studio.run("run", "--once"), dropped)


# Namespaces


@pytest.fixture
def unshared() -> None:
    if not mounts.may_unshare():
        pytest.skip("may not have mounts of its own here (unshare --mount, as root)")


def test_preset_folder_that_is_a_mount_of_its_own_is_painted_from(
    studio: Studio, unshared: None
) -> None:
    """As `-v /srv/photos:/inbox/quick` of a container."""
    behind = studio.root / "behind"
    behind.mkdir()
    (studio.inbox / "quick").mkdir(parents=True)
    content = encoded(photograph())
    (behind / "a.jpg").write_bytes(content)
    (behind / "a.jpg.yaml").write_bytes(b"steps: 3\n")
    binds = [["--bind", behind, studio.inbox / "quick"]]
    answer = mounts.run_with_mounts(studio, binds, "run", "--once")
    all_painted_once(studio, answer, {"a.jpg": content})
    assert studio.files(behind) == set()


def test_once_ends_and_keeps_its_result_where_the_outbox_takes_nothing(
    studio: Studio, unshared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUPPET_GIVE_UP_S", "3")
    content = studio.drop("quick/a.jpg").read_bytes()
    studio.outbox.mkdir()
    read_only = [["--bind", studio.outbox, studio.outbox], ["-o", "remount,bind,ro", studio.outbox]]
    answer = mounts.run_with_mounts(studio, read_only, "run", "--once")
    assert answer.returncode == 1, answer.stderr
    assert str(studio.outbox) in answer.stderr
    assert [job.state for job in studio.jobs()] == [State.PUBLISHING]
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert (studio.outbox / "originals/quick/a.jpg").read_bytes() == content
    assert [job.starts for job in studio.jobs(State.DONE)] == [1]
