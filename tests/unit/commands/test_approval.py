"""Deciding about proofs that wait, as the command line and the page do."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from daemon.commands.approval import REJECTED_REASON, approve_all, approve_jobs, reject_jobs
from daemon.engine.schedule import limits_of
from daemon.host import files
from daemon.job import BULK, ORDINARY, Approval, Draft, Job, Outputs, State, StyleRef
from daemon.ledger.store import Ledger
from daemon.messages import Done, FullPicture
from daemon.pictures.form import JobRecipe
from daemon.settings.config import Config
from daemon.state.spool import Spool

FULL = FullPicture(4096, 3072, 7200)
DONE = Done(seconds=3.0, full=FULL, warnings=("worker's",))


def picture_bytes(form: str = "JPEG", mode: str = "RGB") -> bytes:
    target = io.BytesIO()
    Image.new(mode, (1200, 900), "navy").save(target, form)
    return target.getvalue()


@pytest.fixture
def style(config: Config) -> StyleRef:
    """A style image in the spool; its preset is gone from the presets folder."""
    source = config.state.parent / "wave.png"
    source.write_bytes(picture_bytes("PNG"))
    return StyleRef("wave.png", Spool(config.state).keep_style(source), 2.0)


@pytest.fixture
def ledger(config: Config) -> Ledger:
    return Ledger(config.ledger_path)


def wait(
    config: Config,
    ledger: Ledger,
    style: StyleRef,
    job_id: str = "aa11",
    *,
    folder: str = "proof",
    state: State = State.AWAITING,
    name: str = "photo.jpg",
    content: bytes = picture_bytes(),  # the same for all
    priority: int = ORDINARY,
    suffix: str = "",
) -> None:
    """A job whose proof waits, or that has not come so far."""
    picture_id, below = f"p-{job_id}", Path(name)
    ledger.add_picture(picture_id, Path(folder, "wave", name))
    draft = Draft(
        job_id,
        "wave",
        below,
        JobRecipe(size=4096).model_dump(),
        (style,),
        approval=Approval.ASKED,
        work=9,
        suffix=suffix or below.suffix,
        priority=priority,
        warnings=("intake's",),
    )
    ledger.admit(
        picture_id,
        sha256="ab",
        size=len(content),
        width_px=1200,
        height_px=900,
        drafts=[draft],
        form="JPEG" if below.suffix == ".jpg" else "JPEG2000",
        bits=8,
    )
    files.write_bytes(Spool(config.state).picture(picture_id), content)
    if state is State.READY:
        return
    ledger.places.put_first(job_id)
    ledger.claim_job("me", (priority, priority))
    if state is State.RUNNING:
        return
    ledger.finish_job(job_id, "me", State.AWAITING, outcome=DONE, warnings=DONE.warnings)
    if state is State.PUBLISHING:
        return
    ledger.plan_outputs(job_id, Outputs(record="proof/r.json", result="proof/photo.jpg"))
    ledger.publish_job(job_id)


def found(config: Config, job_id: str = "aa11") -> Job:
    ledger = Ledger(config.ledger_path, read_only=True)
    job = ledger.job(job_id)
    ledger.close()
    return job


def test_approved_job_is_painted_as_its_proof_was_and_told_how_long_that_takes(
    config: Config, ledger: Ledger, style: StyleRef
) -> None:
    wait(config, ledger, style)
    before = found(config)
    assert approve_jobs(config, ["aa"]) == [
        ("aa11 photo.jpg: approved: 4096x3072 px, about 2 h 00 min", "")
    ]
    job = found(config)
    assert (job.state, job.approval) == (State.READY, Approval.GIVEN)
    assert (job.recipe, job.styles) == (before.recipe, before.styles)
    assert (job.suffix, job.warnings) == (".jpg", ("intake's",))
    (backlog,) = ledger.views.waiting_work()
    assert backlog.work > 1_000_000 * limits_of(JobRecipe()).last  # all passes up to the full size


def test_settings_go_over_those_of_the_proof_and_nothing_else_changes(
    config: Config, ledger: Ledger, style: StyleRef
) -> None:
    wait(config, ledger, style)
    assert approve_jobs(config, ["aa"], ["beta=40", "size=2048"])[0].fault == ""
    expected = JobRecipe(size=2048, beta=40.0).model_dump()
    assert found(config).recipe == expected


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("betta=40", "beta"),
        ("beta=-1", "beta"),
        ("beta", "write KEY=VALUE"),
        ("sweep={beta: [1, 2]}", "sweep"),
        ("size=32768, format=webp", "cannot be written as WEBP"),
        ("profile=press.icc", "press.icc is missing"),
        ("mask=where.png", "where.png is missing"),
    ],
)
def test_settings_are_checked_as_a_sidecars_are_and_the_proof_goes_on_waiting(
    config: Config, ledger: Ledger, style: StyleRef, setting: str, fault: str
) -> None:
    wait(config, ledger, style)
    before = found(config)
    ((done, why),) = approve_jobs(config, ["aa"], re.split(r", (?=\w+=)", setting))
    assert done == "" and fault in why
    assert found(config) == before


def test_proof_can_be_asked_for_anew_with_other_settings(
    config: Config, ledger: Ledger, style: StyleRef
) -> None:
    wait(config, ledger, style)
    assert approve_jobs(config, ["aa"], ["beta=40"], proof=True) == [
        ("aa11 photo.jpg: its proof is painted anew", "")
    ]
    job = found(config)
    assert (job.state, job.approval, job.recipe["beta"]) == (State.READY, Approval.ASKED, 40.0)
    assert job.proof is not None and job.proof.recipe["beta"] == JobRecipe().beta


def test_full_picture_of_a_bulk_job_goes_back_to_its_queue(
    config: Config, ledger: Ledger, style: StyleRef
) -> None:
    """Its proof may have been painted by day (schedule: proofs)."""
    wait(config, ledger, style, folder="bulk/proof")
    wait(config, ledger, style, "bb22", folder="bulk/proof", priority=BULK)
    wait(config, ledger, style, "cc33")
    approve_jobs(config, ["aa11", "bb22", "cc33"])
    assert [found(config, one).priority for one in ("aa11", "bb22", "cc33")] == [BULK, BULK, 0]
    day = config.model_copy(
        update={"schedule": config.schedule.model_copy(update={"proofs": "ordinary"})}
    )
    wait(day, ledger, style, "dd44", folder="bulk/proof")
    approve_jobs(day, ["dd44"], proof=True)
    assert found(config, "dd44").priority == ORDINARY


def test_format_may_be_chosen_at_the_approval_and_transparent_parts_stay_else(
    config: Config, ledger: Ledger, style: StyleRef
) -> None:
    wait(config, ledger, style)
    approve_jobs(config, ["aa"], ["format=png"])
    assert found(config).suffix == ".png"
    content = picture_bytes("JPEG2000", "RGBA")
    wait(config, ledger, style, "bb22", name="photo.jp2", content=content, suffix=".png")
    approve_jobs(config, ["bb"], ["beta=40"])
    assert found(config, "bb22").suffix == ".png"


def test_rejected_job_ends_with_its_reason(config: Config, ledger: Ledger, style: StyleRef) -> None:
    wait(config, ledger, style)
    ((done, fault),) = reject_jobs(config, ["aa"])
    assert done.startswith("aa11 photo.jpg: rejected") and fault == ""
    job = found(config)
    assert (job.state, job.verdict, job.reason) == (
        State.PUBLISHING,
        State.CANCELLED,
        REJECTED_REASON,
    )


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (State.READY, "its proof is not painted yet: it is ready"),
        (State.RUNNING, "its proof is not painted yet: it is running"),
        (State.PUBLISHING, "its proof is painted, and not in the outbox yet"),
    ],
)
def test_job_whose_proof_does_not_wait_says_what_it_does(
    config: Config, ledger: Ledger, style: StyleRef, state: State, why: str
) -> None:
    wait(config, ledger, style, state=state)
    for answers in (approve_jobs(config, ["aa"]), reject_jobs(config, ["aa"])):
        assert answers[0].done == "" and why in answers[0].fault
    assert found(config).state is state


def test_job_is_approved_once_and_one_that_cannot_be_holds_up_no_other(
    config: Config, ledger: Ledger, style: StyleRef
) -> None:
    wait(config, ledger, style)
    wait(config, ledger, style, "bb22")
    approve_jobs(config, ["aa"])
    again = approve_jobs(config, ["aa", "zz", "bb"])
    assert "is approved already: it is ready" in again[0].fault
    assert "no job begins with 'zz'" in again[1].fault
    assert again[2].done and again[2].fault == ""


def test_all_that_wait_are_approved_together(
    config: Config, ledger: Ledger, style: StyleRef
) -> None:
    assert approve_all(config) == []
    wait(config, ledger, style)
    wait(config, ledger, style, "bb22")
    wait(config, ledger, style, "cc33", state=State.READY)
    assert [one.done[:4] for one in approve_all(config)] == ["aa11", "bb22"]


def test_copy_that_is_gone_is_told_and_the_proof_goes_on_waiting(
    config: Config, ledger: Ledger, style: StyleRef
) -> None:
    wait(config, ledger, style)
    Spool(config.state).drop_picture("p-aa11")
    ((_, fault),) = approve_jobs(config, ["aa"])
    assert "the copy of proof/wave/photo.jpg in the state folder cannot be used" in fault
    assert found(config).state is State.AWAITING


def test_nothing_is_decided_where_there_are_no_jobs_yet(config: Config) -> None:
    for answers in (approve_jobs(config, ["aa"]), reject_jobs(config, ["aa"])):
        assert answers == [("", "aa: there are no jobs yet")]
    assert approve_all(config) == [] and not config.ledger_path.exists()
