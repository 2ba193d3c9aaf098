"""Publishing: names, order, and that repeating it is harmless."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.host.files import sha256_of
from daemon.job import ClaimedPicture, Outputs, PaintedProof, State
from daemon.messages import Done
from daemon.outbox.publish import publish, reason_text, with_warning
from daemon.state.spool import Spool
from tests.support.tree import tree

MARK = "01234567"  # the job's first eight characters


def test_done_job_lies_in_its_presets_folder_with_record_and_log_apart(
    outbox: Path, make_job, published
) -> None:
    outputs = published(make_job())
    assert outputs.by_kind() == {
        "result": "starry/2024/photo.jpg",
        "record": "starry/2024/.jobs/photo.jpg.json",
        "log": "starry/2024/.jobs/photo.jpg.log",
        "original": "originals/starry/2024/photo.jpg",
    }
    files = tree(outbox)
    assert files["starry/2024/photo.jpg"] == b"painted"
    assert files["starry/2024/.jobs/photo.jpg.log"] == b"the log"
    record = json.loads(files["starry/2024/.jobs/photo.jpg.json"])
    assert record["outputs"] == outputs.by_kind() and len(files) == 3


@pytest.mark.parametrize(
    ("verdict", "kinds"),
    [
        (State.DONE, ["result", "record", "log", "original"]),
        (State.FAILED, ["original", "reason", "record", "log"]),
    ],
)
def test_files_are_told_in_the_order_they_always_were(
    outbox: Path, make_job, published, verdict: State, kinds: list[str]
) -> None:
    outputs = published(make_job(verdict=verdict, reason="Broken."))
    assert list(outputs.by_kind()) == kinds
    assert list(json.loads((outbox / outputs.record).read_bytes())["outputs"]) == kinds


def test_labelled_jobs_of_a_picture_lie_together_and_share_its_original(
    outbox: Path, make_job, published, spool: Spool
) -> None:
    outputs = published(make_job(label="beta=5"))
    assert outputs.by_kind() == {
        "result": "starry/2024/photo.sweep/photo.beta=5.jpg",
        "record": "starry/2024/photo.sweep/.jobs/photo.beta=5.jpg.json",
        "log": "starry/2024/photo.sweep/.jobs/photo.beta=5.jpg.log",
        "original": "originals/starry/2024/photo.jpg",
    }
    spool.job("other").mkdir()
    spool.result("other").write_bytes(b"painted otherwise")
    other = published(make_job(id="other", label="beta=20"))
    assert Path(other.result).name == "photo.beta=20.jpg"
    assert other.original == outputs.original
    assert (outbox / outputs.result).read_bytes() == b"painted"
    assert json.loads((outbox / other.record).read_bytes())["warnings"] == []


@pytest.mark.parametrize("verdict", [State.DONE, State.FAILED])
def test_labelled_jobs_whose_names_are_taken_share_one_original_all_the_same(
    outbox: Path, make_job, published, spool: Spool, verdict: State
) -> None:
    """Another picture of that name, as cameras give it, lies there: `photo-MARK.jpg` is theirs."""
    for folder in ("originals", "failed"):
        (outbox / folder / "starry/2024").mkdir(parents=True)
        (outbox / folder / "starry/2024/photo.jpg").write_bytes(b"another picture")
    originals = set()
    for number in range(3):
        spool.job(f"{number}" * 16).mkdir()
        spool.result(f"{number}" * 16).write_bytes(b"painted")
        of_cell = {"id": f"{number}" * 16, "label": f"beta={number}", "reason": "Broken."}
        job = make_job(**of_cell, verdict=verdict, picture_id="abcdef0123456789")
        originals.add(Path(published(job).original).name)
    assert originals == {"photo-23456789.jpg"}


def test_labelled_job_that_failed_says_why_under_its_label(make_job, published) -> None:
    outputs = published(make_job(verdict=State.FAILED, reason="Broken.", label="beta=5"))
    assert outputs.by_kind() == {
        "original": "failed/starry/2024/photo.jpg",
        "reason": "failed/starry/2024/photo.sweep/photo.beta=5.jpg.reason.txt",
        "record": "failed/starry/2024/photo.sweep/photo.beta=5.jpg.json",
        "log": "failed/starry/2024/photo.sweep/photo.beta=5.jpg.log",
    }


@pytest.mark.parametrize("verdict", [State.DONE, State.FAILED])
def test_label_that_makes_a_name_too_long_is_kept_and_the_name_cut(
    make_job, published, verdict: State
) -> None:
    below = Path("夜" * 80 + ".jpg")
    outputs = published(make_job(below=below, label="beta=5", reason="Broken.", verdict=verdict))
    assert ".beta=5.jpg" in Path(outputs.main).name and "夜.sweep" in outputs.main


def test_failed_job_says_why_beside_the_place_of_its_picture(
    outbox: Path, make_job, published
) -> None:
    job = make_job(verdict=State.FAILED, reason="The picture is broken.")
    assert published(job).original == "failed/starry/2024/photo.jpg"
    files = tree(outbox)
    assert set(files) == {
        "failed/starry/2024/photo.jpg.reason.txt",
        "failed/starry/2024/photo.jpg.json",
        "failed/starry/2024/photo.jpg.log",
    }
    reason = files["failed/starry/2024/photo.jpg.reason.txt"].decode()
    assert reason.startswith("The picture is broken. ") and f"atelierd retry {MARK}" in reason


def test_cancelled_job_is_laid_out_like_a_failed_one(outbox: Path, make_job, published) -> None:
    published(make_job(verdict=State.CANCELLED, reason="Cancelled."))
    assert "failed/starry/2024/photo.jpg.reason.txt" in tree(outbox)


def test_heic_result_is_named_as_the_jpeg_it_is(make_job, published) -> None:
    outputs = published(make_job(below=Path("IMG_1.HEIC")))
    assert outputs.result == "starry/IMG_1.jpg"
    assert outputs.original == "originals/starry/IMG_1.HEIC"


@pytest.mark.parametrize(
    "taken",
    [
        "starry/2024/photo.jpg",
        "starry/2024/.jobs/photo.jpg.json",
        "starry/2024/.jobs/photo.jpg.log",
    ],
)
def test_taken_name_gets_the_jobs_mark_and_nothing_is_overwritten(
    outbox: Path, make_job, published, taken: str
) -> None:
    (outbox / taken).parent.mkdir(parents=True)
    (outbox / taken).write_bytes(b"somebody's")
    outputs = published(make_job())
    assert outputs.result == f"starry/2024/photo-{MARK}.jpg"
    assert outputs.record == f"starry/2024/.jobs/photo-{MARK}.jpg.json"
    assert outputs.original == f"originals/starry/2024/photo-{MARK}.jpg"
    files = tree(outbox)
    assert files[taken] == b"somebody's" and len(files) == 4


@pytest.mark.parametrize("same", [True, False], ids=["the same picture", "another picture"])
def test_filed_original_takes_a_name_only_from_another_picture(
    outbox: Path, make_job, spool: Spool, picture: ClaimedPicture, same: bool
) -> None:
    filed = outbox / "originals/starry/2024/photo.jpg"
    filed.parent.mkdir(parents=True)
    filed.write_bytes(b"original")
    sha256 = sha256_of(filed) if same else "ab12"
    outputs = publish(outbox, spool, make_job(), replace(picture, sha256=sha256), lambda _: None)
    assert outputs.result == f"starry/2024/photo{'' if same else '-' + MARK}.jpg"


def test_name_whose_mark_is_taken_too_gets_the_whole_id(outbox: Path, make_job, published) -> None:
    (outbox / "starry/2024").mkdir(parents=True)
    for name in ("photo.jpg", f"photo-{MARK}.jpg"):
        (outbox / "starry/2024" / name).write_bytes(b"somebody's")
    assert published(make_job()).result == "starry/2024/photo-0123456789abcdef.jpg"


def test_no_free_name_is_trouble_of_the_surroundings(outbox: Path, make_job, published) -> None:
    (outbox / "starry/2024").mkdir(parents=True)
    for name in ("photo.jpg", f"photo-{MARK}.jpg", "photo-0123456789abcdef.jpg"):
        (outbox / "starry/2024" / name).write_bytes(b"somebody's")
    (outbox / "starry/0123456789abcdef.jpg").write_bytes(b"somebody's")
    with pytest.raises(SurroundingsError, match=r"no name is free .* for 2024/photo.jpg, job 0123"):
        published(make_job())


def test_second_job_of_the_same_name_never_touches_the_first(
    outbox: Path, make_job, published, spool: Spool
) -> None:
    published(make_job())
    before = tree(outbox)
    spool.job("fedcba98").mkdir()
    spool.result("fedcba98").write_bytes(b"painted again")
    outputs = published(make_job(id="fedcba98"))
    assert outputs.result == "starry/2024/photo-fedcba98.jpg"
    assert before.items() <= tree(outbox).items()


@pytest.mark.parametrize("verdict", [State.DONE, State.FAILED])
def test_publishing_again_is_harmless(outbox: Path, make_job, published, verdict: State) -> None:
    job = make_job(verdict=verdict, reason="why")
    first = published(job)
    before = tree(outbox)
    assert published(job) == first
    assert tree(outbox) == before


@pytest.mark.parametrize("lost", ["starry/2024/photo.jpg", "starry/2024/.jobs/photo.jpg.log"])
def test_publishing_that_was_cut_off_is_finished_under_the_same_name(
    outbox: Path, make_job, published, lost: str
) -> None:
    first = published(make_job())
    before = tree(outbox)
    (outbox / lost).unlink()
    assert published(make_job()) == first
    assert tree(outbox) == before


def test_result_that_is_not_this_jobs_is_never_overwritten(
    outbox: Path, make_job, published
) -> None:
    """Somebody wrote to the name between the record and the result."""
    result = outbox / published(make_job()).result
    result.write_bytes(b"somebody's")
    outputs = published(make_job())
    assert result.read_bytes() == b"somebody's"
    assert (outbox / outputs.result).read_bytes() == b"painted"
    assert len(list(outbox.rglob("*.json"))) == 1


def test_job_that_never_ran_has_an_empty_log(
    outbox: Path, make_job, published, spool: Spool
) -> None:
    spool.log("0123456789abcdef").unlink()
    outputs = published(make_job(verdict=State.FAILED, reason="No preset."))
    assert (outbox / outputs.log).read_bytes() == b""


@pytest.mark.parametrize("reason", ["It broke.", "It broke!", "Did it break?", "It broke"])
def test_reason_ends_like_a_sentence(make_job, reason: str) -> None:
    sentence = reason if reason[-1] in ".!?" else f"{reason}."
    assert reason_text(make_job(reason=reason)).startswith(f"{sentence} To try again: ")


def test_names_are_planned_before_the_result_appears(
    outbox: Path, spool: Spool, make_job, picture: ClaimedPicture
) -> None:
    def plan(outputs: Outputs) -> None:
        assert (outbox / outputs.record).exists()
        assert not (outbox / outputs.result).exists()
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        publish(outbox, spool, make_job(), picture, plan)


def test_outbox_that_cannot_be_written_is_trouble_of_the_surroundings(
    outbox: Path, make_job, published
) -> None:
    outbox.write_text("a file where the folder should be")
    with pytest.raises(SurroundingsError, match=rf"photo.jpg .*{outbox}: Not a directory \("):
        published(make_job())


def test_longest_names_still_fit(outbox: Path, make_job, published) -> None:
    outputs = published(make_job(below=Path("x" * 251 + ".jpg")))
    assert all((outbox / path).exists() for path in (outputs.result, outputs.record, outputs.log))


@pytest.mark.parametrize(
    ("record", "warnings"),
    [
        (b'{"id": "j"}', ["w"]),
        (b'{"warnings": null}', ["w"]),
        (b'{"warnings": ["v"]}', ["v", "w"]),
        (b'{"warnings": ["w"]}', None),
        (b"not JSON", None),
    ],
)
def test_warning_is_added_to_whatever_a_record_holds(
    record: bytes, warnings: list[str] | None
) -> None:
    content = with_warning(record, "w")
    assert (json.loads(content)["warnings"] if content else None) == warnings


def test_result_is_called_as_was_decided_when_its_job_was_queued(
    outbox: Path, make_job, published
) -> None:
    heic = published(make_job(below=Path("cut.heic"), suffix=".png"))
    assert (heic.result, heic.record) == ("starry/cut.png", "starry/.jobs/cut.png.json")
    assert heic.original == "originals/starry/cut.heic"


def test_result_of_a_picture_without_a_suffix_has_one(outbox: Path, make_job, published) -> None:
    named = published(make_job(below=Path("IMG_1.JPG_large"), suffix=".jpg"))
    assert named.result == "starry/IMG_1.JPG_large.jpg"
    assert named.original == "originals/starry/IMG_1.JPG_large"


def test_job_of_an_earlier_version_is_published_as_it_always_was(
    outbox: Path, make_job, published
) -> None:
    assert published(make_job(below=Path("a.gif"))).result == "starry/a.gif"


def test_time_lapse_lies_beside_the_record_and_is_told_there(
    outbox: Path, make_job, published, spool: Spool
) -> None:
    spool.timelapse("0123456789abcdef").write_bytes(b"the film")
    outputs = published(make_job())
    assert outputs.timelapse == "starry/2024/.jobs/photo.jpg.webp"
    assert (outbox / outputs.timelapse).read_bytes() == b"the film"
    record = json.loads((outbox / outputs.record).read_bytes())
    assert record["outputs"] == outputs.by_kind() and "timelapse" in record["outputs"]
    assert published(make_job(outputs=outputs)) == outputs
    failed = published(make_job(verdict=State.FAILED, reason="Broken."))
    assert failed.timelapse == "" and len(tree(outbox)) == 7


def test_time_lapse_whose_name_is_taken_moves_all_of_its_jobs_names(
    outbox: Path, make_job, published, spool: Spool
) -> None:
    spool.timelapse("0123456789abcdef").write_bytes(b"the film")
    taken = outbox / "starry/2024/.jobs/photo.jpg.webp"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"somebody's")
    outputs = published(make_job())
    assert outputs.timelapse == f"starry/2024/.jobs/photo-{MARK}.jpg.webp"
    assert taken.read_bytes() == b"somebody's"


def test_proof_beside_the_record_of_the_longest_name_fits_and_meets_no_other(
    outbox: Path, make_job, published, spool: Spool
) -> None:
    name = "p" * 251 + ".jpg"
    proof = PaintedProof(Outputs(), Done(), {}, "2024-05-01T10:00:30.000Z")
    spool.proof("0123456789abcdef").write_bytes(b"small")
    outputs = published(make_job(below=Path(name), proof=proof))
    assert (outbox / outputs.proof).read_bytes() == b"small"
    assert outputs.proof.endswith("p.proof.jpg") and (outbox / outputs.result).exists()
