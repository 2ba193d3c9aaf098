"""From a painted proof to the decision and the result, in rounds of the delivery."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from daemon.commands.approval import approve_jobs, reject_jobs
from daemon.commands.jobs import cancel_jobs, retry_jobs
from daemon.host import files
from daemon.job import Approval, Draft, Job, State
from daemon.ledger.store import Ledger
from daemon.messages import Done, FullPicture, PassAccount
from daemon.pictures.form import JobRecipe
from daemon.service.delivery import Delivery
from daemon.settings.config import Config
from daemon.state.claimed import claimed_folder
from daemon.state.mounts import Mounts
from daemon.state.spool import Spool
from daemon.status.health import Health
from daemon.status.metrics import Metrics
from tests.support.tree import tree

DROPPED = Path("proof/starry/2024/photo.png")
PROOF, RECORD = "proof/starry/2024/photo.png", "proof/starry/2024/.jobs/photo.png.json"
LOG = "proof/starry/2024/.jobs/photo.png.log"


class Studio:
    """A delivery, its ledger and folders, and one picture that is to be approved."""

    def __init__(self, config: Config) -> None:
        self.config, self.spool = config, Spool(config.state)
        self.ledger = Ledger(config.ledger_path)
        self.health = Health()
        self.told: list[State | None] = []
        Mounts(config.state).remember(config.outbox)
        self.delivery = self.start()
        content = io.BytesIO()
        Image.new("RGB", (900, 600), "navy").save(content, "PNG")
        self.original = claimed_folder(config.inbox, "p1") / DROPPED
        files.write_bytes(self.original, content.getvalue())
        files.write_bytes(self.spool.picture("p1"), content.getvalue())
        self.ledger.add_picture("p1", DROPPED)
        draft = Draft(
            "j1",
            "starry",
            Path("2024/photo.png"),
            JobRecipe(size=900).model_dump(),
            (),
            approval=Approval.ASKED,
            suffix=".png",
        )
        self.ledger.admit(
            "p1",
            sha256=files.sha256_of(self.original),
            size=self.original.stat().st_size,
            width_px=900,
            height_px=600,
            drafts=[draft],
            form="PNG",
            bits=8,
        )

    def start(self) -> Delivery:
        """The delivery of a service that starts."""
        metrics = Metrics(self.config.ledger_path, [], self.health, lambda: [])
        made = Delivery(self.config, self.spool, self.health, metrics, self._tell, lambda: None)
        made._ledger = self.ledger
        return made

    def _tell(self, verdict: State | None) -> bool:
        self.told.append(verdict)
        return True

    def round(self) -> None:
        self.delivery._round()
        assert self.health.troubles == {}

    @property
    def job(self) -> Job:
        return self.ledger.job("j1")

    def paint(self, content: bytes = b"small") -> None:
        """A run of what is to be painted now, up to where the delivery takes over."""
        job = self.ledger.claim_job("me")
        assert job is not None
        is_proof = job.paints_proof
        target = self.spool.proof("j1") if is_proof else self.spool.result("j1")
        files.write_bytes(target, content, replace=True)
        files.write_bytes(self.spool.log("j1"), b"painted\n", replace=True)
        files.write_bytes(self.spool.proof_checkpoint("j1"), b"steps", replace=True)
        full = FullPicture(900, 600, 60) if is_proof else None
        size = PassAccount(512, 341) if is_proof else PassAccount(900, 600)
        outcome = Done(
            seconds=3.0, passes=(size,), result_sha256=files.sha256_of(target), full=full
        )
        verdict = State.AWAITING if is_proof else State.DONE
        self.ledger.finish_job("j1", "me", verdict, outcome=outcome)

    def record(self, path: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.config.outbox / path).read_bytes())
        return found


@pytest.fixture
def studio(config: Config) -> Iterator[Studio]:
    found = Studio(config)
    yield found
    found.ledger.close()


def waits(studio: Studio) -> None:
    """A proof is published, and waits."""
    studio.paint()
    studio.round()
    assert studio.job.state is State.AWAITING


def test_proof_is_published_apart_from_results_and_the_picture_stays_claimed(
    studio: Studio,
) -> None:
    waits(studio)
    outbox = tree(studio.config.outbox)
    assert outbox.keys() == {PROOF, RECORD, LOG} and outbox[PROOF] == b"small"
    record = studio.record(RECORD)
    assert (record["id"], record["state"]) == ("j1", "awaiting")
    assert record["full"] == {"width_px": 900, "height_px": 600, "seconds": 60}
    assert studio.original.exists() and studio.spool.picture("p1").exists()
    assert not studio.delivery.filing and studio.told == [State.AWAITING]
    assert studio.spool.proof("j1").exists() and not studio.spool.proof_checkpoint("j1").exists()


def test_approved_job_ends_with_its_result_and_its_proof_beside_the_record(studio: Studio) -> None:
    waits(studio)
    assert approve_jobs(studio.config, ["j1"], ["beta=40"])[0].fault == ""
    studio.round()
    assert tree(studio.config.outbox).keys() == {PROOF, RECORD, LOG}  # until there is a result
    studio.paint(b"large")
    studio.round()
    outbox = tree(studio.config.outbox)
    assert outbox.keys() == {
        "starry/2024/photo.png",
        "starry/2024/.jobs/photo.png.json",
        "starry/2024/.jobs/photo.png.log",
        "starry/2024/.jobs/photo.png.proof.png",
        "originals/starry/2024/photo.png",
    }
    assert outbox["starry/2024/photo.png"] == b"large"
    assert outbox["starry/2024/.jobs/photo.png.proof.png"] == b"small"
    record = studio.record("starry/2024/.jobs/photo.png.json")
    assert (record["id"], record["state"], record["starts"]) == ("j1", "done", 1)
    assert record["proof"] == {
        "approved": True,
        "finished_at": studio.job.proof.finished_at,  # type: ignore[union-attr]
        "seconds": 3.0,
        "width_px": 512,
        "height_px": 341,
        "sha256": files.sha256_of(studio.config.outbox / "starry/2024/.jobs/photo.png.proof.png"),
        "recipe": {"beta": 30.0},
    }
    assert record["outputs"]["proof"] == "starry/2024/.jobs/photo.png.proof.png"  # type: ignore[index]
    assert "full" not in record and not studio.spool.job("j1").exists()
    assert studio.told == [State.AWAITING, State.DONE]


def test_rejected_job_files_its_original_with_the_reason_and_the_proof(studio: Studio) -> None:
    waits(studio)
    reject_jobs(studio.config, ["j1"])
    studio.round()
    outbox = tree(studio.config.outbox)
    assert outbox.keys() == {
        "failed/starry/2024/photo.png",
        "failed/starry/2024/photo.png.json",
        "failed/starry/2024/photo.png.log",
        "failed/starry/2024/photo.png.proof.png",
        "failed/starry/2024/photo.png.reason.txt",
    }
    reason = outbox["failed/starry/2024/photo.png.reason.txt"].decode()
    assert reason.startswith("Rejected after its proof was looked at. To try again: atelierd retry")
    record = studio.record("failed/starry/2024/photo.png.json")
    assert record["state"] == "cancelled" and record["proof"]["approved"] is False  # type: ignore[index]
    assert studio.delivery.failed == 0


def test_rejected_picture_is_put_back_where_a_proof_is_asked_for(studio: Studio) -> None:
    waits(studio)
    reject_jobs(studio.config, ["j1"])
    studio.round()
    assert retry_jobs(studio.config, ["j1"], failed=False)[0].fault == ""
    assert (studio.config.inbox / DROPPED).exists() and tree(studio.config.outbox) == {}


def test_cancelled_proof_waits_no_more(studio: Studio) -> None:
    waits(studio)
    assert cancel_jobs(studio.config, ["j1"])[0].done
    studio.round()
    assert studio.job.state is State.CANCELLED
    assert not (studio.config.outbox / PROOF).exists()


def test_proof_that_is_painted_anew_takes_the_place_of_the_one_before(studio: Studio) -> None:
    waits(studio)
    for content in (b"other", b"third"):
        approve_jobs(studio.config, ["j1"], ["beta=40"], proof=True)
        studio.paint(content)
        studio.round()
        outbox = tree(studio.config.outbox)
        assert outbox.keys() == {PROOF, RECORD, LOG} and outbox[PROOF] == content


def test_proof_that_somebody_has_drawn_on_is_left_where_it_is(studio: Studio) -> None:
    waits(studio)
    (studio.config.outbox / PROOF).write_bytes(b"with remarks")
    approve_jobs(studio.config, ["j1"], proof=True)
    studio.paint(b"other")
    studio.round()
    job = studio.job
    assert job.state is State.AWAITING and job.outputs.result == "proof/starry/2024/photo-j1.png"
    reject_jobs(studio.config, ["j1"])
    studio.round()
    assert (studio.config.outbox / PROOF).read_bytes() == b"with remarks"
    assert not (studio.config.outbox / job.outputs.result).exists()
    beside = studio.config.outbox / "failed/starry/2024/photo.png.proof.png"
    assert beside.read_bytes() == b"other"


def test_proof_that_somebody_has_taken_away_is_beside_the_record_all_the_same(
    studio: Studio,
) -> None:
    waits(studio)
    (studio.config.outbox / PROOF).unlink()
    approve_jobs(studio.config, ["j1"])
    studio.paint(b"large")
    studio.round()
    beside = studio.config.outbox / "starry/2024/.jobs/photo.png.proof.png"
    assert beside.read_bytes() == b"small" and not (studio.config.outbox / RECORD).exists()


CUTS = ["place", "publish_bytes", "withdraw_decided", "plan_outputs", "publish_job", "drop"]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("stage", ["first proof", "another proof", "result", "rejected"])
def test_kill_at_each_step_loses_nothing_and_publishes_nothing_twice(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, stage: str, cut: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    if stage != "first proof":
        waits(studio)
    if stage in ("another proof", "result"):
        approve_jobs(studio.config, ["j1"], ["beta=40"], proof=stage == "another proof")
    if stage == "rejected":
        reject_jobs(studio.config, ["j1"])
    else:
        studio.paint(b"painted")
    with monkeypatch.context() as killed:
        if cut in ("plan_outputs", "publish_job"):
            killed.setattr(Ledger, cut, die)
        elif cut == "drop":
            killed.setattr(Spool, "drop_run", die)
            killed.setattr(Spool, "drop_job", die)
        else:
            killed.setattr(f"daemon.outbox.publish.{cut}", die)
        with pytest.raises(KeyboardInterrupt):
            studio.delivery._round()
            raise KeyboardInterrupt  # where a stage has no such step
    studio.delivery = studio.start()
    studio.spool.sweep(studio.ledger.open_jobs(), studio.ledger.open_pictures())
    studio.round()
    outbox = tree(studio.config.outbox)
    names = {path.rpartition("/")[2] for path in outbox}
    if stage.endswith("proof"):
        assert studio.job.state is State.AWAITING and outbox.keys() == {PROOF, RECORD, LOG}
        assert outbox[PROOF] == b"painted" and studio.spool.proof("j1").exists()
        assert studio.original.exists()
    elif stage == "result":
        assert studio.job.state is State.DONE and len(outbox) == 5
        assert outbox["starry/2024/photo.png"] == b"painted" and "photo.png.proof.png" in names
        assert not studio.original.exists()
    else:
        assert studio.job.state is State.CANCELLED and len(outbox) == 5
        assert "photo.png.reason.txt" in names and not studio.original.exists()


def test_picture_that_goes_back_to_the_inbox_takes_its_waiting_proof_along(
    studio: Studio,
) -> None:
    """Somebody went on writing into it after its claim."""
    waits(studio)
    approve_jobs(studio.config, ["j1"])
    studio.paint(b"large")
    studio.original.write_bytes(b"the whole picture")
    studio.round()
    assert tree(studio.config.outbox) == {}
    assert (studio.config.inbox / DROPPED).read_bytes() == b"the whole picture"
