"""Names that the outbox's file system does not hold, and what lies in the way of others."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import SurroundingsError
from daemon.job import ClaimedPicture, Outputs, State
from daemon.outbox import naming
from daemon.outbox.filing import file_original

ID = "0123456789abcdef"
Refuses = Callable[[str], bool]


@pytest.fixture
def holds_not(outbox: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Refuses, int], None]:
    """Makes the outbox lie on a file system that refuses names, with the error it is given."""

    def make(refuses: Refuses, number: int) -> None:
        def checked(function: Callable[..., Any], which: int) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                path = Path(args[which])
                if outbox in path.parents and refuses(path.name):
                    raise OSError(number, os.strerror(number), str(path))
                return function(*args, **options)

            return call

        monkeypatch.setattr(os, "link", checked(os.link, 1))
        for name, which in (("mkdir", 0), ("touch", 0), ("rename", 1), ("open", 0)):
            monkeypatch.setattr(Path, name, checked(getattr(Path, name), which))

    return make


def of_windows(name: str) -> bool:
    return naming.portable(name) != name


def of_cryptfs(name: str) -> bool:
    return len(os.fsencode(name)) > 143


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOENT, errno.EACCES, errno.EILSEQ])
@pytest.mark.parametrize(
    ("dropped", "expected"),
    [
        ("Rome 10:30.jpg", "starry/Rome 10_30.jpg"),
        ("Was ist das?.jpg", "starry/Was ist das_.jpg"),
        ("line\nbreak.jpg", "starry/line_break.jpg"),
        ("CON.jpg", "starry/_CON.jpg"),
        ("Tag 1. /a.jpg", "starry/Tag 1__/a.jpg"),
        ("caf\udce9.jpg", "starry/caf_.jpg"),
        ("cafe\u0301.jpg", "starry/caf\u00e9.jpg"),
    ],
)
def test_name_that_the_outbox_does_not_hold_is_another_one_told_in_the_record(
    outbox: Path, make_job, published, holds_not, dropped: str, expected: str, number: int
) -> None:
    holds_not(of_windows, number)
    outputs = published(make_job(below=Path(dropped), warnings=("slow",)))
    assert outputs.result == expected
    assert (outbox / expected).read_bytes() == b"painted"
    record = json.loads((outbox / outputs.record).read_text())
    assert record["outputs"] == outputs.by_kind()
    slow, renamed = record["warnings"]
    assert slow == "slow" and renamed.endswith(f"called as {expected} is")


@pytest.mark.parametrize("length", [136, 143, 200, 251])
def test_name_too_long_for_the_outbox_is_a_short_one(
    outbox: Path, make_job, published, holds_not, length: int
) -> None:
    holds_not(of_cryptfs, errno.ENAMETOOLONG)
    outputs = published(make_job(below=Path("x" * length + ".png")))
    assert outputs.result == "starry/" + "x" * naming.SHORT_BYTES + ".png"
    assert (outbox / outputs.result).read_bytes() == b"painted"


def test_name_that_every_form_of_is_refused_becomes_the_jobs_id(
    outbox: Path, make_job, published, holds_not
) -> None:
    holds_not(lambda name: "ä" in name or "_" in name, errno.EINVAL)
    assert published(make_job(below=Path("2024/ä.jpg"))).result == f"starry/{ID}.jpg"


def test_failed_job_of_a_refused_name_lies_with_its_picture_and_reason_under_another(
    outbox: Path, make_job, published, holds_not
) -> None:
    holds_not(of_windows, errno.EINVAL)
    job = make_job(below=Path("a:b.jpg"), verdict=State.FAILED, reason="Broken.")
    assert published(job).by_kind() == {
        "original": "failed/starry/a_b.jpg",
        "reason": "failed/starry/a_b.jpg.reason.txt",
        "record": "failed/starry/a_b.jpg.json",
        "log": "failed/starry/a_b.jpg.log",
    }


@pytest.mark.parametrize("refuses", [of_windows, of_cryptfs], ids=["characters", "length"])
def test_original_with_its_sidecar_is_filed_under_the_other_name(
    outbox: Path,
    tmp_path: Path,
    make_job,
    published,
    picture: ClaimedPicture,
    holds_not,
    refuses,
    finished,
) -> None:
    name = "a:b" + "x" * 134 + ".jpg"
    dropped = replace(picture, path=Path("starry", name), companions=(Path("starry/side.yaml"),))
    claimed = tmp_path / "inbox/.claimed/p1"
    (claimed / "starry").mkdir(parents=True)
    (claimed / dropped.path).write_bytes(b"original")
    (claimed / "starry/side.yaml").write_bytes(b"steps: 3")
    holds_not(refuses, errno.EINVAL)
    job = make_job(below=Path(name))
    outputs = published(job)
    file_original(finished(dropped, [replace(job, outputs=outputs)]))
    assert (outbox / outputs.original).read_bytes() == b"original"
    assert b"steps: 3" in contents(outbox / "originals")
    assert not list(claimed.rglob("*.*"))


def test_names_that_were_planned_are_used_again_when_the_outbox_would_hold_better_ones(
    outbox: Path, make_job, published, holds_not, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(below=Path("a:b.jpg"))
    with monkeypatch.context() as share:
        holds_not(of_windows, errno.EINVAL)
        outputs = published(job)
        share.undo()
    monkeypatch.undo()
    before = sorted(contents(outbox))
    assert published(replace(job, outputs=outputs)) == outputs
    assert sorted(contents(outbox)) == before


def test_name_that_is_taken_in_another_case_is_marked(
    outbox: Path, make_job, published, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outbox / "starry/.jobs").mkdir(parents=True)
    (outbox / "starry/Photo.jpg").write_bytes(b"another's")
    real = os.path.lexists
    monkeypatch.setattr(
        os.path,
        "lexists",
        lambda path: real(str(path).replace("photo.jpg", "Photo.jpg")) or real(path),
    )
    outputs = published(make_job(below=Path("photo.jpg")))
    assert outputs.result == f"starry/photo-{ID[:8]}.jpg"


@pytest.mark.parametrize("way", ["starry", "starry/2024", "starry/2024/.jobs", "originals"])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_file_where_a_folder_must_be_is_gone_past(
    outbox: Path, make_job, published, way: str, kind: str
) -> None:
    (outbox / way).parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        (outbox / way).write_bytes(b"in the way")
    else:
        (outbox / way).symlink_to("nowhere")
    outputs = published(make_job())
    assert (outbox / outputs.result).read_bytes() == b"painted"
    assert f"{way}-{ID[:8]}/" in " ".join(outputs.by_kind().values())
    assert published(make_job(outputs=outputs)) == outputs


@pytest.mark.parametrize(
    "way",
    [
        "starry/2024/photo.jpg",
        "starry/2024/.jobs/photo.jpg.json",
        "starry/2024/.jobs/photo.jpg.log",
        "originals/starry/2024/photo.jpg",
    ],
)
def test_folder_where_a_file_must_be_is_gone_past(
    outbox: Path, make_job, published, way: str
) -> None:
    (outbox / way).mkdir(parents=True)
    outputs = published(make_job())
    assert outputs.result == f"starry/2024/photo-{ID[:8]}.jpg"
    assert (outbox / outputs.result).read_bytes() == b"painted"


def test_outbox_that_holds_nothing_is_the_surroundings_trouble_and_names_the_picture(
    outbox: Path, make_job, published, holds_not
) -> None:
    outbox.mkdir()
    holds_not(lambda _: True, errno.EROFS)
    with pytest.raises(SurroundingsError, match=r"Rome 10:30.jpg .*: Read-only file system"):
        published(make_job(below=Path("Rome 10:30.jpg")))


def test_record_out_of_sight_is_not_taken_for_none(
    outbox: Path, make_job, published, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = published(make_job())
    real = Path.read_bytes

    def away(path: Path) -> bytes:
        if path.suffix == ".json":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", away)
        with pytest.raises(SurroundingsError, match="Input/output error"):
            published(make_job(outputs=outputs))
    assert len(list(outbox.rglob("*.jpg"))) == 1


def test_trial_of_a_name_leaves_nothing(outbox: Path, make_job, published) -> None:
    published(make_job(below=Path("Rome 10:30.jpg")))
    assert not [path for path in outbox.rglob(".atelierd*")]


@pytest.mark.parametrize("what", ["folder", "file"])
def test_original_whose_marked_name_is_taken_too_is_never_lost(
    outbox: Path, tmp_path: Path, make_job, picture: ClaimedPicture, what: str, finished
) -> None:
    claimed = tmp_path / "inbox/.claimed/p1"
    (claimed / picture.path).parent.mkdir(parents=True)
    (claimed / picture.path).write_bytes(b"original")
    originals = outbox / "originals/starry/2024"
    originals.mkdir(parents=True)
    for name in ("photo.jpg", f"photo-{ID[:8]}.jpg"):
        if what == "folder":
            (originals / name).mkdir()
        else:
            (originals / name).write_bytes(b"another's")
    job = make_job(outputs=Outputs(original="originals/starry/2024/photo.jpg"))
    file_original(finished(picture, [job]))
    assert (originals / f"photo-{ID}.jpg").read_bytes() == b"original"


def test_sidecar_goes_past_a_folder_in_its_place(
    outbox: Path, tmp_path: Path, make_job, picture: ClaimedPicture, finished
) -> None:
    claimed = tmp_path / "inbox/.claimed/p1"
    (claimed / picture.path).parent.mkdir(parents=True)
    (claimed / picture.path).write_bytes(b"original")
    (claimed / "side.yaml").write_bytes(b"steps: 3")
    (outbox / "originals/starry/2024/photo.jpg.yaml").mkdir(parents=True)
    job = make_job(outputs=Outputs(original="originals/starry/2024/photo.jpg"))
    dropped = replace(picture, companions=(Path("side.yaml"),))
    file_original(finished(dropped, [job]))
    assert sorted(contents(outbox)) == [b"original", b"steps: 3"]
