"""kill -9 and broken outboxes around publishing: one result, painted once, nothing lost."""

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.job import Job, State
from daemon.ledger.store import Ledger
from daemon.messages import Done
from daemon.outbox.filing import file_original
from daemon.outbox.finishers import FinishedPicture
from daemon.outbox.publish import publish
from daemon.state.claimed import claimed_folder
from daemon.state.spool import Spool
from tests.support.atelier import Studio, encoded, may_mount, mounted, photograph, wait_for

# watchdog may warn when a folder it is about to watch is renamed; the scans go on regardless.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

RESULT = b"the painted picture"
OUTCOME = Done(
    seconds=1.5,
    device="cpu",
    dtype="float32",
    weights={"name": "classic", "sha256": "0" * 64},
    result_sha256=hashlib.sha256(RESULT).hexdigest(),
    result_bytes=len(RESULT),
)


@pytest.fixture
def ledger(studio: Studio) -> Iterator[Ledger]:
    """The ledger of a service that died with one job painted and not yet published."""
    studio.drop("quick/photo.jpg", encoded(photograph()))
    with studio.intake():
        wait_for("a job", studio.jobs)
    ledger = Ledger(studio.config.ledger_path)
    job = ledger.claim_job("the dead service")
    assert job is not None
    result = Spool(studio.state).result(job.id)
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_bytes(RESULT)
    Spool(studio.state).log(job.id).write_text("the job's log\n")
    ledger.finish_job(job.id, "the dead service", State.DONE, outcome=OUTCOME)
    yield ledger
    ledger.close()


def publish_once(studio: Studio, ledger: Ledger) -> Job:
    """What the service does before it marks the job."""
    (job,) = ledger.jobs_in(State.PUBLISHING)
    publish(
        studio.outbox,
        Spool(studio.state),
        job,
        ledger.picture(job.picture_id),
        lambda outputs: ledger.plan_outputs(job.id, outputs),
    )
    return job


def finished_by_the_next_start(studio: Studio) -> None:
    """The next start publishes what there is, starts no worker, and leaves nothing behind."""
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert "start 2" not in answer.stderr
    (job,) = studio.jobs()
    assert (job.state, job.starts) == (State.DONE, 1)
    assert studio.files(studio.outbox) == {
        "quick/photo.jpg",
        "quick/.jobs/photo.jpg.json",
        "quick/.jobs/photo.jpg.log",
        "originals/quick/photo.jpg",
    }
    assert (studio.outbox / "quick/photo.jpg").read_bytes() == RESULT
    assert (studio.outbox / "originals/quick/photo.jpg").read_bytes() == encoded(photograph())
    assert studio.files(studio.inbox) == set()


def test_killed_before_publishing(studio: Studio, ledger: Ledger) -> None:
    finished_by_the_next_start(studio)


def test_killed_after_the_record_was_written(studio: Studio, ledger: Ledger) -> None:
    publish_once(studio, ledger)
    (studio.outbox / "quick/photo.jpg").unlink()
    (studio.outbox / "quick/.jobs/photo.jpg.log").unlink()
    finished_by_the_next_start(studio)


def test_killed_after_publishing_before_the_mark(studio: Studio, ledger: Ledger) -> None:
    publish_once(studio, ledger)
    finished_by_the_next_start(studio)


def test_publishing_twice_changes_nothing(studio: Studio, ledger: Ledger) -> None:
    publish_once(studio, ledger)
    before = {name: (studio.outbox / name).stat().st_ino for name in studio.files(studio.outbox)}
    publish_once(studio, ledger)
    after = {name: (studio.outbox / name).stat().st_ino for name in studio.files(studio.outbox)}
    assert after == before


def test_killed_before_the_original_was_moved(studio: Studio, ledger: Ledger) -> None:
    ledger.publish_job(publish_once(studio, ledger).id)
    finished_by_the_next_start(studio)


def test_killed_after_the_original_was_moved_before_the_mark(
    studio: Studio, ledger: Ledger
) -> None:
    job = publish_once(studio, ledger)
    ledger.publish_job(job.id)
    picture, jobs = ledger.picture(job.picture_id), ledger.jobs_of_picture(job.picture_id)
    copy = Spool(studio.state).picture(job.picture_id)
    file_original(FinishedPicture(picture, jobs, studio.inbox, studio.outbox, copy))
    finished_by_the_next_start(studio)


def test_killed_while_the_original_stood_at_both_places(studio: Studio, ledger: Ledger) -> None:
    job = publish_once(studio, ledger)
    ledger.publish_job(job.id)
    original = studio.outbox / "originals/quick/photo.jpg"
    original.parent.mkdir(parents=True)
    os.link(claimed_folder(studio.inbox, job.picture_id) / "quick/photo.jpg", original)
    finished_by_the_next_start(studio)


def test_result_of_another_job_under_the_name_is_not_overwritten(
    studio: Studio, ledger: Ledger
) -> None:
    (studio.outbox / "quick").mkdir(parents=True)
    (studio.outbox / "quick/photo.jpg").write_bytes(b"somebody's")
    assert studio.run("run", "--once").returncode == 0
    (job,) = studio.jobs(State.DONE)
    assert (studio.outbox / "quick/photo.jpg").read_bytes() == b"somebody's"
    assert (studio.outbox / f"quick/photo-{job.id[:8]}.jpg").read_bytes() == RESULT


# Broken outboxes


@contextlib.contextmanager
def read_only(outbox: Path, later: contextlib.ExitStack) -> Iterator[None]:
    """An outbox that may be read and not written."""
    if os.getuid() != 0:
        outbox.mkdir(exist_ok=True, mode=0o555)
        outbox.chmod(0o555)
        yield
        outbox.chmod(0o755)
        return
    if not may_mount():
        pytest.skip("root may write everywhere, and may not mount a read-only folder here")
    later.enter_context(mounted(outbox, "ro"))
    yield
    subprocess.run(["mount", "-o", "remount,rw", outbox], check=True)


@contextlib.contextmanager
def full(outbox: Path, later: contextlib.ExitStack) -> Iterator[None]:
    """An outbox on a disk without room."""
    if not may_mount():
        pytest.skip("may not mount a small disk here")
    later.enter_context(mounted(outbox, "size=1m"))
    with contextlib.suppress(OSError), (outbox / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield
    (outbox / "filler").unlink()


@pytest.mark.parametrize("broken", [read_only, full], ids=lambda fault: fault.__name__)
def test_result_waits_until_the_outbox_takes_it(studio: Studio, ledger: Ledger, broken) -> None:
    with contextlib.ExitStack() as later, contextlib.ExitStack() as fault:
        fault.enter_context(broken(studio.outbox, later))
        with studio.service() as service:
            said = service.wait_for_trouble("outbox")
            assert "cannot be put into the outbox" in said or "nearly full" in said
            (job,) = studio.jobs()
            assert job.state is State.PUBLISHING
            assert Spool(studio.state).result(job.id).read_bytes() == RESULT
            fault.close()
            wait_for("the result", lambda: studio.jobs(State.DONE))
            wait_for("the original", (studio.outbox / "originals/quick/photo.jpg").exists)
            service.wait_for_health()
            wait_for("the good news", lambda: "works again" in service.log)
            assert service.log.count("works again") == 1
            assert not service.workers()
            assert not [name for name in studio.files(studio.outbox) if name.endswith(".tmp")]
        finished_by_the_next_start(studio)


def test_file_in_the_place_of_a_folder_keeps_no_result_and_no_original(
    studio: Studio, ledger: Ledger
) -> None:
    studio.outbox.mkdir()
    (studio.outbox / "quick").write_text("in the way")
    (studio.outbox / "originals").write_text("in the way")
    with studio.service():
        wait_for("the result", lambda: studio.jobs(State.DONE))
        (job,) = studio.jobs(State.DONE)
        assert (studio.outbox / job.outputs.result).read_bytes() == RESULT
        wait_for("the original", (studio.outbox / job.outputs.original).exists)
    assert (studio.outbox / "quick").read_text() == "in the way"


@pytest.mark.skipif(not may_mount(), reason="may not mount a read-only folder here")
def test_original_that_cannot_be_filed_is_reported_once(studio: Studio, ledger: Ledger) -> None:
    studio.outbox.mkdir()
    with mounted(studio.outbox / "originals", "ro"), studio.service() as service:
        wait_for("the result", lambda: studio.jobs(State.DONE))
        service.wait_for_trouble("outbox")
        for name in ("later.jpg", "last.jpg"):  # published in the round after the other's
            studio.drop(f"quick/{name}", b"no picture")
            wait_for("a later failure", lambda name=name: studio.job_of(name, State.FAILED))
        assert service.log.count("cannot be moved") == 1
        remount = ["mount", "-o", "remount,rw", studio.outbox / "originals"]
        subprocess.run(remount, check=True)
        wait_for("the original", (studio.outbox / "originals/quick/photo.jpg").exists)
        wait_for("the good news", lambda: "works again" in service.log)
        assert service.log.count("works again") == 1


def test_outbox_gone_while_painting_costs_no_second_painting(studio: Studio) -> None:
    studio.add_preset("slow", steps=40)
    studio.drop("slow/photo.jpg")
    with studio.service() as service:
        service.wait_for_step()
        studio.outbox.rename(studio.root / "away")
        studio.outbox.write_text("in the way")
        service.wait_for_trouble("outbox")
        (job,) = studio.jobs(State.PUBLISHING)
        assert Spool(studio.state).result(job.id).exists()
        studio.outbox.unlink()
        (studio.root / "away").rename(studio.outbox)
        studio.published("slow", "photo.jpg")
        assert studio.record("slow/.jobs/photo.jpg.json")["starts"] == 1
        assert service.log.count("network ready") == 1


def test_original_of_an_inbox_that_is_away_is_filed_when_it_is_back(studio: Studio) -> None:
    studio.add_preset("slow", steps=40)
    studio.drop("slow/photo.jpg")
    with studio.service() as service:
        service.wait_for_step()
        away = studio.inbox.rename(studio.root / "away")
        studio.published("slow", "photo.jpg")
        wait_for("the trouble", lambda: "unavailable" in service.live()["health"].get("outbox", ""))
        away.rename(studio.inbox)
        wait_for("the original", (studio.outbox / "originals/slow/photo.jpg").exists)
        wait_for("an empty inbox", lambda: studio.files(studio.inbox) == set())
        service.wait_for_health()
