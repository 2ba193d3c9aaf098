"""The record: what it says of a job that went well, and of one that never ran."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.job import ClaimedPicture, Job, MaskRef, Outputs, ProfileRef, State, StyleRef
from daemon.messages import to_done
from daemon.outbox.record import make_record, seconds_between
from tests.support.record import RECORD_FIELDS

OUTCOME: dict[str, Any] = {
    "weights": {"name": "classic", "sha256": "c3"},
    "device": "cpu",
    "dtype": "float32",
    "passes": [
        {
            "width_px": 4,
            "height_px": 3,
            "steps": 2,
            "seconds": 1.5,
            "converged": True,
            "plan": {"tile_px": None},
            "loss": {"total": 3.0, "content": 1.0, "style": 0.1},
        }
    ],
    "first_loss": {"total": 9.0, "content": 0.0, "style": 0.45},
    "last_loss": {"total": 3.0, "content": 1.0, "style": 0.1},
    "seconds": 58.25,
    "peak_memory_bytes": 123,
}


def test_record_of_a_done_job_tells_how_it_went(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    job = make_job(outcome=to_done(OUTCOME), warnings=("late",))
    record = make_record(job, picture, Outputs(result="starry/2024/photo.jpg"))
    assert set(record) == RECORD_FIELDS
    assert record["schema"] == 1 and record["state"] == "done"
    assert record["picture"] == {
        "name": "photo.jpg",
        "path": "starry/2024/photo.jpg",
        "sha256": "ab12",
        "bytes": 9,
        "width_px": 400,
        "height_px": 300,
        "format": None,  # of a picture that an earlier version took
        "bits": None,
    }
    assert record["styles"] == [{"name": "wave.png", "sha256": "5a", "weight": 2.0}]
    assert {key: record[key] for key in OUTCOME} == OUTCOME
    assert (record["seed"], record["version"], record["starts"]) == (7, __version__, 1)
    assert (record["warnings"], record["reason"]) == (["late"], None)
    assert record["outputs"] == {"result": "starry/2024/photo.jpg"}


def test_record_tells_what_the_picture_is_by_its_content_and_the_profiles(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    deep = replace(picture, format="TIFF", bits=16)
    record = make_record(make_job(profiles=(ProfileRef("press.icc", "9c"),)), deep, Outputs())
    assert (record["picture"]["format"], record["picture"]["bits"]) == ("TIFF", 16)
    assert record["profiles"] == [{"name": "press.icc", "sha256": "9c"}]


def test_what_intake_and_worker_both_warn_of_is_told_once(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    warnings = ("the first of 2 pages", "late", "the first of 2 pages")
    record = make_record(make_job(warnings=warnings), picture, Outputs())
    assert record["warnings"] == ["the first of 2 pages", "late"]


def test_record_of_a_job_that_never_ran_has_every_field(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    job = make_job(verdict=State.FAILED, recipe={}, styles=(), started_at=None, reason="No preset.")
    record = make_record(job, picture, Outputs())
    assert set(record) == RECORD_FIELDS
    assert record["state"] == "failed" and record["reason"] == "No preset."
    assert record["passes"] == [] and record["seconds"] == 0.0
    assert record["first_loss"] is record["weights"] is record["seed"] is None


def test_record_of_a_lost_job_counts_its_time_by_the_clock(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    assert make_record(make_job(), picture, Outputs())["seconds"] == 58.5


def test_record_is_json_whatever_the_picture_is_called(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    odd = replace(picture, path=Path("k\udcff\n/夜.jpg"))
    record = make_record(make_job(), odd, Outputs(result="starry/\udcff.jpg"))
    again = json.loads(json.dumps(record).encode())
    assert again["picture"]["path"] == "k\\udcff\\n/夜.jpg"
    assert again["outputs"]["result"] == "starry/\\udcff.jpg"


def test_record_tells_the_faces_found_where_they_were_looked_for(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    box = {"left_px": 1, "top_px": 2, "width_px": 30, "height_px": 31}
    for found in ([], [box]):
        record = make_record(
            make_job(outcome=to_done(OUTCOME | {"faces": found})), picture, Outputs()
        )
        assert record["faces"] == found
    assert "faces" not in make_record(make_job(outcome=to_done(OUTCOME)), picture, Outputs())


def test_record_of_a_job_that_a_node_painted_names_it_and_no_other_does(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    outcome = to_done(OUTCOME | {"node": "desk2"})
    record = make_record(make_job(outcome=outcome, runs_on="cuda"), picture, Outputs())
    assert record.pop("node") == "desk2" and set(record) == RECORD_FIELDS
    assert record == make_record(make_job(outcome=to_done(OUTCOME)), picture, Outputs())


def test_record_tells_with_how_many_threads_the_steps_were_computed(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    threads = [
        {"threads": 2, "from_pass": 1, "from_step": 1},
        {"threads": 1, "from_pass": 3, "from_step": 12},
    ]
    outcome = to_done(OUTCOME | {"threads": threads})
    record = make_record(make_job(outcome=outcome), picture, Outputs())
    assert record.pop("threads") == threads and set(record) == RECORD_FIELDS


def test_record_of_a_labelled_job_has_its_label_and_all_others_none(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    record = make_record(make_job(label="beta=5"), picture, Outputs())
    assert record.pop("label") == "beta=5" and set(record) == RECORD_FIELDS
    assert record == make_record(make_job(), picture, Outputs())


def test_record_of_a_refused_painting_tells_what_it_came_to_and_its_figures(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    outcome = to_done(OUTCOME | {"judge": {"noise": 9.5, "finite": True}})
    job = make_job(state=State.FAILED, verdict=State.FAILED, outcome=outcome, reason="too noisy")
    record = make_record(job, picture, Outputs())
    assert (record["state"], record["reason"]) == ("failed", "too noisy")
    assert record["judge"] == {"noise": 9.5, "finite": True}
    assert record["passes"] == OUTCOME["passes"]


def test_seconds_between_two_times_of_the_ledger() -> None:
    start, end = "2024-12-31T23:59:59.250Z", "2025-01-01T00:00:01.000Z"
    assert seconds_between(start, end) == 1.75
    assert seconds_between(None, end) == seconds_between(start, None) == 0.0


def test_record_of_a_picture_painted_by_regions_tells_them(
    make_job: Callable[..., Job], picture: ClaimedPicture
) -> None:
    shares = {"#ff0000": 0.25, "#0000ff": 0.75}
    job = make_job(
        outcome=to_done(OUTCOME | {"regions": shares}),
        mask=MaskRef("photo.mask.png", "7e", own=True),
        styles=(StyleRef("wave.png", "5a", 2.0, "#ff0000"),),
    )
    record = make_record(job, picture, Outputs())
    assert record["regions"] == {
        "name": "photo.mask.png",
        "sha256": "7e",
        "own": True,
        "shares": shares,
    }
    assert record["styles"][0]["region"] == "#ff0000"
