"""Cancelling, and painting once more, in the ledger and in the folders."""

import json
from pathlib import Path

import pytest

from daemon.again import cancel_jobs, retry_jobs
from daemon.config import Config
from daemon.job import Draft, Job, State
from daemon.ledger.store import Ledger
from daemon.mounts import MOUNTS_FILE
from daemon.outbox.publish import file_original


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folders = {name: tmp_path / name for name in ("inbox", "outbox", "presets", "state")}
    for folder in folders.values():
        folder.mkdir()
    return Config().model_copy(update=folders)


@pytest.fixture(autouse=True)
def jobs(config: Config) -> None:
    """Two waiting jobs, and a failed one whose picture lies in the outbox."""
    ledger = Ledger(config.ledger_path)
    below = Path("photo.jpg")
    for picture, drafts in {
        "p1": [Draft("aa11", "wave", below, {}, ()), Draft("aa22", "wave", below, {}, ())],
        "p2": [Draft("bb33", "wave", below, {}, (), "Broken.")],
    }.items():
        ledger.add_picture(picture, Path(f"wave/{picture}.jpg"), Path(f"wave/{picture}.yaml"))
        ledger.admit(picture, sha256="", size=1, width_px=1, height_px=1, drafts=drafts)
    outputs = {
        "original": "failed/wave/photo.jpg", "reason": "failed/wave/photo.jpg.reason.txt",
        "record": "failed/wave/photo.jpg.json", "log": "failed/wave/photo.jpg.log",
    }  # fmt: skip
    for path in (*outputs.values(), "failed/wave/p2.yaml"):
        (config.outbox / path).parent.mkdir(parents=True, exist_ok=True)
        (config.outbox / path).write_text(path)
    ledger.plan_outputs("bb33", outputs)
    ledger.publish_job("bb33")
    ledger.close()


def job(config: Config, job_id: str) -> Job:
    ledger = Ledger(config.ledger_path)
    (found,) = ledger.jobs_by_prefix(job_id)
    ledger.close()
    return found


def test_waiting_job_is_asked_to_be_cancelled_by_the_beginning_of_its_id(config: Config) -> None:
    assert cancel_jobs(config, ["aa1"]) == [("aa11 photo.jpg: will be cancelled", "")]
    assert job(config, "aa11").cancel_requested and not job(config, "aa22").cancel_requested


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ("zz", "no job begins with 'zz'"),
        ("aa", "several jobs begin with 'aa'"),
        ("bb33", "is failed; only waiting or running jobs can be cancelled"),
    ],
)
def test_job_that_cannot_be_cancelled_is_told_why(config: Config, asked: str, fault: str) -> None:
    ((done, why),) = cancel_jobs(config, [asked])
    assert done == "" and fault in why


def test_retried_picture_lies_where_it_was_dropped_with_its_sidecar(config: Config) -> None:
    ((done, fault),) = retry_jobs(config, ["bb"], failed=False)
    assert "back in the inbox" in done and fault == ""
    assert (config.inbox / "wave/p2.jpg").read_text() == "failed/wave/photo.jpg"
    assert (config.inbox / "wave/p2.yaml").exists()
    assert [path for path in config.outbox.rglob("*") if path.is_file()] == []
    assert job(config, "bb33").state is State.RETRIED


def test_every_failed_job_is_retried_when_asked_for(config: Config) -> None:
    assert len(retry_jobs(config, [], failed=True)) == 1
    assert retry_jobs(config, [], failed=True) == []


def test_job_that_has_not_failed_is_not_retried(config: Config) -> None:
    ((done, fault),) = retry_jobs(config, ["aa11"], failed=False)
    assert done == "" and "only failed or cancelled jobs" in fault
    assert job(config, "aa11").state is State.READY


def test_retry_never_replaces_a_new_picture_in_the_inbox(config: Config) -> None:
    (config.inbox / "wave").mkdir()
    (config.inbox / "wave/p2.jpg").write_text("new")
    ((_, fault),) = retry_jobs(config, ["bb33"], failed=False)
    assert "is there already" in fault
    assert (config.inbox / "wave/p2.jpg").read_text() == "new"
    assert (config.outbox / "failed/wave/photo.jpg").exists()
    assert job(config, "bb33").state is State.FAILED


def test_picture_that_somebody_took_away_cannot_be_retried(config: Config) -> None:
    (config.outbox / "failed/wave/photo.jpg").unlink()
    ((_, fault),) = retry_jobs(config, ["bb33"], failed=False)
    assert "not at" in fault and job(config, "bb33").state is State.FAILED


def test_retry_never_puts_a_picture_below_a_mount_point_where_nothing_is_mounted(
    config: Config,
) -> None:
    known = {str(config.inbox): str(config.inbox)}
    (config.state / MOUNTS_FILE).write_text(json.dumps(known))
    ((_, fault),) = retry_jobs(config, ["bb33"], failed=False)
    assert "nothing is mounted" in fault
    assert (config.outbox / "failed/wave/photo.jpg").exists()
    assert job(config, "bb33").state is State.FAILED


def test_sidecar_is_put_back_wherever_it_was_filed(config: Config) -> None:
    # It lies beside the first job's original, under a name of its own where that was taken.
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("p3", Path("photo.jpg"), Path("photo.yaml"))
    drafts = [Draft(name, name[:1], Path("photo.jpg"), {}, (), "Broken.") for name in ("c1", "d1")]
    ledger.admit("p3", sha256="ab", size=1, width_px=1, height_px=1, drafts=drafts)
    claimed = config.inbox / ".claimed/p3"
    claimed.mkdir(parents=True)
    (claimed / "photo.jpg").write_text("picture")
    (claimed / "photo.yaml").write_text("presets: [c, d]")
    (config.outbox / "failed/c").mkdir()
    (config.outbox / "failed/c/photo.yaml").write_text("another's")
    for draft in drafts:
        folder = f"failed/{draft.preset}"
        ledger.plan_outputs(draft.id, {
            kind: f"{folder}/photo.jpg{ending}" for kind, ending in
            {"original": "", "reason": ".reason.txt", "record": ".json", "log": ".log"}.items()
        })  # fmt: skip
        ledger.publish_job(draft.id)
    jobs = ledger.jobs_of_picture("p3")
    file_original(config.outbox, claimed, config.state / "none", ledger.picture("p3"), jobs)
    ledger.close()
    ((done, fault),) = retry_jobs(config, ["d1"], failed=False)
    assert "back in the inbox" in done and fault == ""
    assert (config.inbox / "photo.yaml").read_text() == "presets: [c, d]"
    assert (config.outbox / "failed/c/photo.yaml").read_text() == "another's"
    (config.inbox / "photo.jpg").unlink()  # both are taken again
    (config.inbox / "photo.yaml").unlink()
    ((done, fault),) = retry_jobs(config, ["c1"], failed=False)
    assert "back in the inbox" in done and fault == ""
    assert (config.inbox / "photo.yaml").read_text() == "presets: [c, d]"
