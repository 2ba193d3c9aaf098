"""kill -9 at every point of a claim: the next start has exactly one job, and nothing is lost."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from daemon.intake import claim
from daemon.job import State
from daemon.ledger.store import Ledger
from daemon.state.claimed import claimed_folder
from daemon.state.spool import Spool
from tests.support.atelier import Studio, encoded, photograph, wait_for

# watchdog may warn when a folder it is about to watch is renamed; the scans go on regardless.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

PICTURE_ID = "0123456789abcdef0123456789abcdef"
DROPPED = Path("quick/photo.jpg")


@pytest.fixture
def dropped(studio: Studio) -> bytes:
    """A picture in the inbox of a service that is about to claim it."""
    content = encoded(photograph())
    studio.drop(DROPPED, content)
    studio.state.mkdir()
    return content


def begin_claim(studio: Studio, sidecar: Path | None = None) -> None:
    """The first thing a claim does: its row."""
    ledger = Ledger(studio.config.ledger_path)
    ledger.add_picture(PICTURE_ID, DROPPED, [sidecar] if sidecar else [])
    ledger.close()


def one_job_after_the_next_start(studio: Studio, content: bytes) -> None:
    """Exactly one job, its copy whole, the picture in the claimed folder and nowhere else."""
    with studio.intake():
        wait_for("a job", studio.jobs)
        studio.drop("quick/last.jpg")
        wait_for("a later job", lambda: studio.job_of("last.jpg"))
    (job,) = [job for job in studio.jobs() if job.below == Path("photo.jpg")]
    assert job.state is State.READY
    assert Spool(studio.state).picture(job.picture_id).read_bytes() == content
    claimed = claimed_folder(studio.inbox, job.picture_id) / DROPPED
    assert claimed.read_bytes() == content
    assert studio.files(studio.inbox / "quick") == set()
    ledger = Ledger(studio.config.ledger_path, read_only=True)
    assert ledger.claiming() == []
    ledger.close()


def test_killed_while_settling(studio: Studio) -> None:
    studio.configure(settle_s=3600)
    content = encoded(photograph())
    with studio.service() as service:
        studio.drop(DROPPED, content)
        link = studio.inbox / "quick" / "link.jpg"
        link.symlink_to("nowhere")  # seen in the same look, and told at once
        wait_for("a look", lambda: "link.jpg is a link" in service.log)
        service.kill()
    link.unlink()
    assert studio.jobs() == []
    one_job_after_the_next_start(studio, content)


def test_killed_between_row_and_rename(studio: Studio, dropped: bytes) -> None:
    begin_claim(studio)
    one_job_after_the_next_start(studio, dropped)


def test_killed_between_rename_and_copy(studio: Studio, dropped: bytes) -> None:
    begin_claim(studio)
    assert claim.take(studio.inbox, PICTURE_ID, DROPPED)
    one_job_after_the_next_start(studio, dropped)


def test_killed_between_copy_and_admission(studio: Studio, dropped: bytes) -> None:
    begin_claim(studio)
    assert claim.take(studio.inbox, PICTURE_ID, DROPPED)
    copy = Spool(studio.state).picture(PICTURE_ID)
    claim.copy_hashing(claimed_folder(studio.inbox, PICTURE_ID) / DROPPED, copy)
    one_job_after_the_next_start(studio, dropped)


def test_killed_while_copying_leaves_no_half_copy_in_use(studio: Studio, dropped: bytes) -> None:
    begin_claim(studio)
    assert claim.take(studio.inbox, PICTURE_ID, DROPPED)
    copy = Spool(studio.state).picture(PICTURE_ID)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(dropped[:100])
    one_job_after_the_next_start(studio, dropped)


def test_killed_between_the_renames_of_picture_and_sidecar(studio: Studio, dropped: bytes) -> None:
    sidecar = Path("quick/photo.jpg.yaml")
    studio.drop(sidecar, b"steps: 5\n")
    begin_claim(studio, sidecar)
    assert claim.take(studio.inbox, PICTURE_ID, DROPPED)
    one_job_after_the_next_start(studio, dropped)
    job = studio.job_of("photo.jpg")
    assert job is not None and job.recipe["steps"] == 5


def test_killed_before_the_copy_of_a_shared_sidecar_leaves_it_to_the_other(
    studio: Studio, dropped: bytes
) -> None:
    studio.drop("quick/photo.png", encoded(photograph(), "PNG"))
    studio.drop("quick/photo.yaml", b"steps: 7\n")
    begin_claim(studio, sidecar=Path("quick/photo.yaml"))
    assert claim.take(studio.inbox, PICTURE_ID, DROPPED)
    with studio.intake():
        wait_for("both jobs", lambda: len(studio.jobs()) == 2)
    assert [job.recipe["steps"] for job in studio.jobs()] == [7, 7]
    assert studio.files(studio.inbox / "quick") == set()


def test_claimed_link_is_put_back_and_holds_nothing_up(studio: Studio, dropped: bytes) -> None:
    (studio.inbox / DROPPED).unlink()
    (studio.inbox / DROPPED).symlink_to(studio.presets / "quick.png")
    begin_claim(studio)
    assert claim.take(studio.inbox, PICTURE_ID, DROPPED)
    with studio.intake():
        studio.drop("quick/next.jpg")
        wait_for("the next picture", lambda: studio.job_of("next.jpg"))
    assert (studio.inbox / DROPPED).is_symlink()
    assert len(studio.jobs()) == 1


def test_claims_of_a_ledger_that_is_gone_are_claimed_anew(studio: Studio, dropped: bytes) -> None:
    with studio.intake():
        wait_for("a job", studio.jobs)
    shutil.rmtree(studio.state)
    studio.state.mkdir()
    with studio.intake():
        wait_for("the job anew", lambda: studio.job_of("photo.jpg"))
    assert len(studio.jobs()) == 1


def test_ledger_that_is_locked_for_a_while_delays_and_loses_nothing(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.ledger.database.BUSY_TIMEOUT_S", 0.5)
    with studio.intake() as loop:
        studio.drop("quick/first.jpg")
        wait_for("the first job", studio.jobs)
        other = sqlite3.connect(studio.config.ledger_path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        dropped = studio.drop(DROPPED)
        wait_for("a claim to be refused", lambda: "inbox" in loop._health.troubles)
        assert dropped.exists() and len(studio.jobs()) == 1
        other.execute("ROLLBACK")
        other.close()
        wait_for("the second job", lambda: studio.job_of("photo.jpg"))
    assert len(studio.jobs()) == 2
