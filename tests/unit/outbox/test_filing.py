"""Filing originals: where they go, and that repeating it is harmless."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.host.files import sha256_of
from daemon.job import ClaimedPicture, Job, Outputs, State
from daemon.outbox.filing import file_original
from daemon.state.claimed import claimed_folder
from tests.support.tree import tree

MARK = "01234567"  # the job's first eight characters


@pytest.fixture
def claimed(tmp_path: Path, picture: ClaimedPicture) -> Path:
    """A claimed folder with its picture."""
    folder = claimed_folder(tmp_path / "inbox", picture.id)
    (folder / picture.path).parent.mkdir(parents=True)
    (folder / picture.path).write_bytes(b"original")
    return folder


def with_outputs(job: Job, original: str, verdict: State = State.DONE) -> Job:
    return replace(job, verdict=verdict, outputs=Outputs(original=original))


def test_original_moves_to_its_place_last(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    job = with_outputs(make_job(), "originals/starry/photo.jpg")
    for _ in range(2):  # again is harmless
        file_original(finished(picture, [job]))
        assert tree(outbox) == {"originals/starry/photo.jpg": b"original"}
    assert not (claimed / picture.path).exists()


def test_original_lies_with_every_one_of_its_jobs(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    jobs = [
        with_outputs(make_job(), "originals/a/photo.jpg"),
        with_outputs(make_job(), "originals/b/photo.jpg"),
        with_outputs(make_job(), "failed/c/photo.jpg", State.FAILED),
        with_outputs(make_job(), "failed/d/photo.jpg", State.CANCELLED),
        with_outputs(make_job(), "failed/d/photo.jpg", State.FAILED),
    ]
    file_original(finished(picture, jobs))
    assert tree(outbox) == {
        f"{folder}/photo.jpg": b"original"
        for folder in ("originals/a", "originals/b", "failed/c", "failed/d")
    }
    assert not (claimed / picture.path).exists()


def test_filing_that_was_cut_off_brings_the_original_to_the_places_that_are_left(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    picture = replace(picture, sha256=sha256_of(claimed / picture.path))
    places = ("originals/a/photo.jpg", "originals/b/photo.jpg")
    (outbox / "originals/a").mkdir(parents=True)
    (outbox / places[0]).write_bytes(b"original")
    jobs = [with_outputs(make_job(), place) for place in places]
    file_original(finished(picture, jobs))
    assert tree(outbox) == dict.fromkeys(places, b"original")
    assert not (claimed / picture.path).exists()


def test_original_that_cannot_be_filed_is_trouble_of_the_surroundings(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    outbox.write_text("a file where the folder should be")
    job = with_outputs(make_job(), "originals/photo.jpg")
    with pytest.raises(SurroundingsError, match=r"starry/2024/photo.jpg .*: Not a directory"):
        file_original(finished(picture, [job]))
    assert (claimed / picture.path).read_bytes() == b"original"


def test_original_never_replaces_another_of_its_name(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    (outbox / "originals").mkdir(parents=True)
    (outbox / "originals/photo.jpg").write_bytes(b"another")
    job = with_outputs(make_job(), "originals/photo.jpg")
    file_original(finished(picture, [job]))
    assert tree(outbox) == {
        "originals/photo.jpg": b"another",
        f"originals/photo-{MARK}.jpg": b"original",
    }


def test_original_of_an_inbox_that_is_away_says_what_it_waits_for(
    outbox: Path, tmp_path: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    job = with_outputs(make_job(), "originals/photo.jpg")
    with pytest.raises(SurroundingsError, match="is filed when it is back") as told:
        file_original(finished(picture, [job]))
    assert str(tmp_path / "inbox") in str(told.value) and picture.path.name in str(told.value)


def test_original_that_vanished_from_the_inbox_comes_from_the_spool(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, tmp_path: Path, finished
) -> None:
    (claimed / picture.path).unlink()
    (tmp_path / "copy").write_bytes(b"original")
    job = with_outputs(make_job(), "originals/photo.jpg")
    file_original(finished(picture, [job]))
    assert tree(outbox) == {"originals/photo.jpg": b"original"}


def test_sidecar_lies_beside_every_original_under_its_name(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    """So that `retry` of any of the jobs finds it."""
    sidecar = Path("starry/2024/photo.yaml")
    picture = replace(picture, companions=(sidecar,), sha256=sha256_of(claimed / picture.path))
    (claimed / sidecar).write_bytes(b"steps: 5")
    jobs = [
        with_outputs(make_job(), "originals/photo.jpg"),
        with_outputs(make_job(), "failed/photo-1234.jpg", State.FAILED),
    ]
    (outbox / "failed").mkdir(parents=True)
    (outbox / "failed/photo-1234.jpg.yaml").write_bytes(b"steps: 5")  # a filing was cut off
    file_original(finished(picture, jobs))
    assert tree(outbox) == {
        "originals/photo.jpg": b"original",
        "originals/photo.jpg.yaml": b"steps: 5",
        "failed/photo-1234.jpg": b"original",
        "failed/photo-1234.jpg.yaml": b"steps: 5",
    }
    assert not (claimed / sidecar).exists()


def test_companions_of_all_kinds_lie_beside_the_original(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished, masks
) -> None:
    names = ("photo.mask.png", "photo.yaml")
    companions = tuple(picture.path.with_name(name) for name in names)
    for companion in companions:
        (claimed / companion).write_text(companion.name)
    job = with_outputs(make_job(), "originals/photo.jpg")
    file_original(finished(replace(picture, companions=companions), [job]))
    assert tree(outbox) == {
        "originals/photo.jpg": b"original",
        "originals/photo.jpg.yaml": b"photo.yaml",
        "originals/photo.jpg.mask.png": b"photo.mask.png",
    }
    assert not [path for path in claimed.rglob("*") if path.is_file()]


def test_sidecar_never_replaces_another_of_its_name(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    sidecar = Path("starry/2024/photo.yaml")
    (claimed / sidecar).write_bytes(b"steps: 5")
    (outbox / "originals").mkdir(parents=True)
    (outbox / "originals/photo.jpg.yaml").write_bytes(b"another")
    job = with_outputs(make_job(), "originals/photo.jpg")
    file_original(finished(replace(picture, companions=(sidecar,)), [job]))
    assert tree(outbox) == {
        "originals/photo.jpg": b"original",
        "originals/photo.jpg.yaml": b"another",
        f"originals/photo.jpg-{MARK}.yaml": b"steps: 5",
    }


def test_claimed_sidecar_that_is_a_pipe_or_link_is_never_opened(
    outbox: Path, claimed: Path, picture: ClaimedPicture, make_job, finished
) -> None:
    (claimed / "starry/2024/photo.yaml").symlink_to("/etc/hostname")
    picture = replace(picture, companions=(Path("starry/2024/photo.yaml"),))
    job = with_outputs(make_job(), "originals/photo.jpg")
    file_original(finished(picture, [job]))
    assert tree(outbox) == {"originals/photo.jpg": b"original"}
    assert (claimed / "starry/2024/photo.yaml").is_symlink()


def test_folder_where_the_original_would_lie_takes_its_name_and_holds_nothing_up(
    outbox: Path, tmp_path: Path, picture: ClaimedPicture, make_job, published, finished
) -> None:
    folder = outbox / "originals/starry/2024/photo.jpg"
    folder.mkdir(parents=True)  # somebody dropped pictures in a folder of that name
    outputs = published(make_job())
    assert outputs.original == f"originals/starry/2024/photo-{MARK}.jpg"
    (tmp_path / "inbox").mkdir()
    copy = tmp_path / "copy"
    copy.write_bytes(b"dropped")
    job = make_job(outputs=outputs)
    file_original(finished(picture, [job]))
    assert (outbox / outputs.original).read_bytes() == b"dropped"
