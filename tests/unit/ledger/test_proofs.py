"""Proofs that wait for approval, in the ledger."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import StaleJobError
from daemon.job import BULK, Approval, Draft, Outputs, ProfileRef, State
from daemon.ledger.store import EVERY, Ledger
from daemon.messages import Done, FullPicture

PHOTO = Path("photo.jpg")
PROOF = Draft("j1", "starry", PHOTO, {"beta": 20}, (), approval=Approval.ASKED, work=9)
FULL = Draft(
    "other",
    "starry",
    PHOTO,
    {"beta": 40},
    (),
    approval=Approval.GIVEN,
    priority=BULK,
    work=900,
    suffix=".png",
    profiles=(ProfileRef("press.icc", "9c"),),
    fingerprint="f",
)
PUBLISHED = Outputs(record="proof/starry/.jobs/photo.jpg.json", result="proof/starry/photo.jpg")
OUTCOME = Done(seconds=3.0, result_sha256="5a", full=FullPicture(4096, 3072, 7200))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(path)) as found:
        yield found


def admit(ledger: Ledger, *drafts: Draft, picture: str = "p1") -> None:
    ledger.add_picture(picture, Path("proof/starry/photo.jpg"))
    ledger.admit(picture, sha256="ab", size=9, width_px=4, height_px=3, drafts=drafts)


def paint_proof(ledger: Ledger, *, tell: bool = False) -> None:
    """The first in line is run, and its proof published."""
    job = ledger.claim_job("me")
    assert job is not None and job.paints_proof
    ledger.finish_job(job.id, "me", State.AWAITING, outcome=OUTCOME, warnings=["worker's"])
    ledger.plan_outputs(job.id, PUBLISHED)
    ledger.publish_job(job.id, tell=tell)


def test_job_whose_proof_waits_is_neither_in_the_line_nor_over(ledger: Ledger) -> None:
    admit(ledger, PROOF)
    paint_proof(ledger)
    assert ledger.claim_job("me") is None and ledger.waiting() == 0 and not ledger.owed()
    assert ledger.unfiled() == [] and ledger.open_jobs() == {"j1"}
    assert ledger.counts()[State.AWAITING] == 1 and ledger.views.recent(9) == []
    assert [job.id for job in ledger.views.awaiting(9)] == ["j1"]


def test_approved_job_is_as_if_it_had_never_run_but_knows_its_proof(ledger: Ledger) -> None:
    admit(ledger, PROOF)
    before = ledger.job("j1")
    paint_proof(ledger, tell=True)
    finished_at = ledger.job("j1").finished_at
    ledger.proofs.repaint("j1", FULL, ["kept"])
    job = ledger.job("j1")
    assert (job.state, job.approval, job.recipe) == (State.READY, Approval.GIVEN, {"beta": 40})
    assert (job.priority, job.suffix, job.profiles) == (BULK, ".png", FULL.profiles)
    assert (job.queued_at, job.below, job.styles) == (before.queued_at, PHOTO, before.styles)
    assert (job.starts, job.started_at, job.finished_at) == (0, None, None)
    assert (job.outputs, job.outcome, job.verdict) == (Outputs(), None, None)
    assert (job.warnings, job.reason) == (("kept",), "")
    assert job.proof is not None
    assert (job.proof.outputs, job.proof.outcome) == (PUBLISHED, OUTCOME)
    assert (job.proof.recipe, job.proof.finished_at) == ({"beta": 20}, finished_at)
    assert ledger.untold(9) == []  # that it waits is not true any more
    assert [one.work for one in ledger.views.waiting_work()] == [900]


def test_approved_job_that_was_painted_before_has_that_result(ledger: Ledger) -> None:
    admit(ledger, replace(PROOF, id="j0", approval=Approval.NONE, fingerprint="f"))
    ledger.claim_job("me")
    ledger.finish_job("j0", "me", State.DONE)
    ledger.publish_job("j0")
    admit(ledger, PROOF, picture="p2")
    paint_proof(ledger)
    ledger.proofs.repaint("j1", FULL, [])
    assert [(job.id, twin.id) for job, twin in ledger.twinned(9)] == [("j1", "j0")]


def test_proof_asked_for_anew_waits_again_and_the_last_one_is_kept(ledger: Ledger) -> None:
    admit(ledger, PROOF)
    paint_proof(ledger)
    ledger.proofs.repaint("j1", replace(FULL, approval=Approval.ASKED), [])
    paint_proof(ledger)
    job = ledger.job("j1")
    assert job.state is State.AWAITING and job.proof is not None
    ledger.proofs.repaint("j1", FULL, [])
    proof = ledger.job("j1").proof
    assert proof is not None and proof.recipe == {"beta": 40}


def test_rejected_job_is_cancelled_with_its_reason_and_its_picture_filed_after_it(
    ledger: Ledger,
) -> None:
    admit(ledger, PROOF)
    paint_proof(ledger)
    ledger.proofs.reject("j1", "Rejected.")
    job = ledger.job("j1")
    assert (job.state, job.verdict, job.reason) == (State.PUBLISHING, State.CANCELLED, "Rejected.")
    assert job.proof is not None and job.outputs == Outputs() and job.outcome is None
    assert job.finished_at is not None and job.finished_at >= job.queued_at
    ledger.publish_job("j1")
    assert [one.id for one in ledger.unfiled()] == ["p1"]


def test_cancelled_proof_ends_as_a_waiting_job_does(ledger: Ledger) -> None:
    admit(ledger, PROOF)
    paint_proof(ledger)
    ledger.request_cancel("j1")
    assert ledger.owed()
    (job,) = ledger.cancel_waiting("Cancelled.")
    assert (job.verdict, job.reason) == (State.CANCELLED, "Cancelled.")
    assert job.proof is not None and job.outputs == Outputs()


def test_job_is_decided_about_once(ledger: Ledger, path: Path) -> None:
    admit(ledger, PROOF)
    paint_proof(ledger)
    with contextlib.closing(Ledger(path)) as another:  # the page, and somebody at a terminal
        another.proofs.repaint("j1", FULL, [])
    with pytest.raises(StaleJobError):
        ledger.proofs.reject("j1", "no")
    assert ledger.job("j1").approval is Approval.GIVEN


def test_decision_that_is_cut_off_leaves_the_proof_waiting(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(ledger, PROOF)
    paint_proof(ledger)
    before = ledger.job("j1")
    monkeypatch.setitem(ledger.database.queries, "redraft", "UPDATE nowhere SET x = 1")
    with pytest.raises(Exception, match="no such table"):
        ledger.proofs.repaint("j1", FULL, [])
    assert ledger.job("j1") == before


def test_proof_that_waits_is_told_and_once(ledger: Ledger) -> None:
    admit(ledger, PROOF)
    paint_proof(ledger, tell=True)
    assert [(job.id, job.verdict) for job in ledger.untold(9)] == [("j1", State.AWAITING)]
    ledger.mark_told("j1")
    assert ledger.untold(9) == []


def test_picture_that_is_painted_elsewhere_takes_its_waiting_proof_along(ledger: Ledger) -> None:
    admit(ledger, PROOF)
    paint_proof(ledger)
    released = ledger.release_picture("p1")
    assert released is not None and [job.id for job in released] == ["j1"]
    assert ledger.job("j1").state is State.RETRIED


def test_jobs_of_a_ledger_of_version_8_are_all_there_and_ask_for_no_approval(
    ledger: Ledger, path: Path
) -> None:
    admit(ledger, replace(PROOF, approval=Approval.NONE), replace(PROOF, id="j2"))
    ledger.claim_job("me")
    before = [ledger.job("j1"), replace(ledger.job("j2"), approval=Approval.NONE)]
    ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        for index in ("job_waiting", "job_asking"):
            old.execute(f"DROP INDEX {index}")
        for column in ("place", "approval", "proof", "runs_on"):
            old.execute(f"ALTER TABLE job DROP COLUMN {column}")
        old.execute("PRAGMA user_version = 8")
        old.commit()
        for opened in (Ledger(path, read_only=True), Ledger(path)):
            assert [opened.job("j1"), opened.job("j2")] == before
            opened.close()
        plan = old.execute("EXPLAIN QUERY PLAN SELECT * FROM job WHERE picture_id = 'x'").fetchall()
        assert "job_of_picture" in str(plan)
    with contextlib.closing(Ledger(path)) as after:
        admit(after, replace(PROOF, id="j3"), picture="p2")
        assert [job.id for job in after.views.line(9)] == ["j2", "j3"]
        assert after.first_in(EVERY) == "j2"
