"""The same picture after the same recipe: painted once, and answered from that afterwards."""

import pytest

from daemon.job import State
from daemon.ledger.store import Ledger
from tests.support.atelier import Studio, encoded, photograph, wait_for

CONTENT = encoded(photograph())


@pytest.fixture
def studio(studio: Studio) -> Studio:
    studio.configure(dedupe=True)
    return studio


def record_of(studio: Studio, name: str) -> dict[str, object]:
    studio.published("quick", name)
    return studio.record(f"quick/.jobs/{name}.json")


def test_same_picture_again_is_answered_from_the_finished_result(studio: Studio) -> None:
    with studio.service() as service:
        studio.drop("quick/first.jpg", CONTENT)
        first = record_of(studio, "first.jpg")
        studio.drop("quick/second.jpg", CONTENT)
        second = record_of(studio, "second.jpg")
        assert (first["starts"], first["same_as"]) == (1, None)
        assert (second["starts"], second["same_as"]) == (0, first["id"])
        assert f"painted before as job {first['id'][:8]}" in service.log
        studio.drop("quick/third.jpg", CONTENT)
        assert record_of(studio, "third.jpg")["same_as"] == first["id"]
        wait_for("all to be filed", lambda: not studio.files(studio.inbox))
    results = [(studio.outbox / f"quick/{name}.jpg").read_bytes() for name in ("first", "second")]
    assert results[0] == results[1]
    assert "painted before" in (studio.outbox / "quick/.jobs/second.jpg.log").read_text()
    for name in ("first", "second", "third"):
        assert (studio.outbox / f"originals/quick/{name}.jpg").read_bytes() == CONTENT


def test_same_picture_twice_at_once_is_one_run_with_two_results(studio: Studio) -> None:
    for name in ("a", "b", "c"):
        studio.drop(f"quick/{name}.jpg", CONTENT)
    assert studio.run("run", "--once").returncode == 0
    records = [record_of(studio, f"{name}.jpg") for name in ("a", "b", "c")]
    assert [record["starts"] for record in records] == [1, 0, 0]
    assert [record["same_as"] for record in records] == [None, records[0]["id"], records[0]["id"]]
    assert len({studio.published("quick", f"{n}.jpg").read_bytes() for n in ("a", "b", "c")}) == 1


def test_anything_that_changes_the_result_is_painted(studio: Studio) -> None:
    with studio.service():
        studio.drop("quick/first.jpg", CONTENT)
        record_of(studio, "first.jpg")
        studio.drop("quick/format.png", CONTENT)
        studio.drop("quick/picture.jpg", encoded(photograph(), quality=90))
        studio.drop("quick/recipe.yaml", b"beta: 7\n")
        studio.drop("quick/recipe.jpg", CONTENT)
        others = [record_of(studio, name) for name in ("format.png", "picture.jpg", "recipe.jpg")]
        (studio.presets / "quick.png").write_bytes(encoded(photograph(), "PNG"))
        studio.drop("quick/style.jpg", CONTENT)
        others.append(record_of(studio, "style.jpg"))
    assert [(record["starts"], record["same_as"]) for record in others] == [(1, None)] * 4


def test_result_that_was_changed_or_taken_away_is_no_answer(studio: Studio) -> None:
    with studio.service() as service:
        studio.drop("quick/first.jpg", CONTENT)
        painted = studio.published("quick", "first.jpg")
        painted.write_bytes(b"retouched")
        studio.drop("quick/second.jpg", CONTENT)
        assert record_of(studio, "second.jpg")["starts"] == 1
        studio.published("quick", "second.jpg").unlink()
        studio.drop("quick/third.jpg", CONTENT)
        assert record_of(studio, "third.jpg")["starts"] == 1
        assert service.log.count("but that result is gone") == 2
    assert painted.read_bytes() == b"retouched"


def test_without_dedupe_jobs_have_nothing_to_do_with_each_other(studio: Studio) -> None:
    studio.configure(dedupe=False)
    for name in ("a", "b"):
        studio.drop(f"quick/{name}.jpg", CONTENT)
    with studio.intake():
        wait_for("both jobs", lambda: len(studio.jobs(State.READY)) == 2)
    ledger = Ledger(studio.config.ledger_path)
    assert ledger.claim_job("one") is not None and ledger.claim_job("other") is not None
    ledger.close()


def test_killed_between_answer_and_publishing_publishes_the_answer(studio: Studio) -> None:
    """An outbox without the room that is to be kept free takes nothing, but can be read."""
    studio.drop("quick/first.jpg", CONTENT)
    assert studio.run("run", "--once").returncode == 0
    studio.drop("quick/second.jpg", CONTENT)
    with studio.intake():
        wait_for("the job", lambda: studio.job_of("second.jpg", State.READY))
    studio.configure(dedupe=True, limits={"free_bytes": 1 << 60})
    with studio.service() as service:
        wait_for("the answer", lambda: studio.job_of("second.jpg", State.PUBLISHING))
        service.wait_for_trouble("outbox")
        service.kill()
    studio.configure(dedupe=True)
    assert studio.run("run", "--once").returncode == 0
    second = studio.record("quick/.jobs/second.jpg.json")
    assert (second["starts"], second["same_as"]) == (0, studio.jobs()[0].id)
    results = [(studio.outbox / f"quick/{name}.jpg").read_bytes() for name in ("first", "second")]
    assert results[0] == results[1]
    assert len(studio.jobs(State.DONE)) == 2 and len(studio.jobs()) == 2
