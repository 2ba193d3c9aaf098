"""Cancelling, and painting once more, in the ledger and in the folders."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from daemon.commands.jobs import cancel_jobs, retry_jobs
from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake.preset_choice import choose
from daemon.job import Approval, Draft, Job, Outputs, State
from daemon.ledger.store import Ledger
from daemon.messages import Done
from daemon.outbox.filing import file_original
from daemon.outbox.finishers import FinishedPicture
from daemon.outbox.naming import as_dropped, layout
from daemon.pictures.form import JobRecipe
from daemon.settings.config import Config
from daemon.settings.presets import Preset, Shelf, override_swept
from daemon.settings.sweep import cells_of
from daemon.settings.yamlfile import parse
from daemon.status.live import Live, write_live


def failed_at(place: str) -> Outputs:
    """The files of a failed job whose picture lies there."""
    return Outputs(f"{place}.json", f"{place}.log", place, reason=f"{place}.reason.txt")


@pytest.fixture(autouse=True)
def jobs(config: Config) -> None:
    """Two waiting jobs, and a failed one whose picture lies in the outbox."""
    ledger = Ledger(config.ledger_path)
    below = Path("photo.jpg")
    for picture, drafts in {
        "p1": [Draft("aa11", "wave", below, {}, ()), Draft("aa22", "wave", below, {}, ())],
        "p2": [Draft("bb33", "wave", below, {}, (), "Broken.")],
    }.items():
        ledger.add_picture(picture, Path(f"wave/{picture}.jpg"), [Path(f"wave/{picture}.yaml")])
        ledger.admit(picture, sha256="", size=1, width_px=1, height_px=1, drafts=drafts)
    outputs = failed_at("failed/wave/photo.jpg")
    for path in (*outputs.by_kind().values(), "failed/wave/photo.jpg.yaml"):
        (config.outbox / path).parent.mkdir(parents=True, exist_ok=True)
        (config.outbox / path).write_text(path)
    (config.outbox / outputs.record).write_text('{"id": "bb33"}')
    ledger.plan_outputs("bb33", outputs)
    ledger.publish_job("bb33")
    ledger.file_picture("p2")
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
        ("", "an empty word names no job"),
        ("  ", "an empty word names no job"),
        ("bb33", "is failed; only jobs that are not over can be cancelled"),
    ],
)
def test_job_that_cannot_be_cancelled_is_told_why(config: Config, asked: str, fault: str) -> None:
    ((done, why),) = cancel_jobs(config, [asked])
    assert done == "" and fault in why


def test_cancelling_what_is_painted_is_told_what_it_waits_for(config: Config) -> None:
    ledger = Ledger(config.ledger_path)
    ledger.claim_job("me")
    ledger.finish_job("aa11", "me", State.DONE)
    ledger.close()
    ((_, why),) = cancel_jobs(config, ["aa11"])
    assert f"is over (done), and only waits for the outbox {config.outbox}: " in why
    write_live(config.state, Live(1, "", health={"outbox": "photo.jpg: full"}))
    ((_, why),) = cancel_jobs(config, ["aa11"])
    assert why.endswith("photo.jpg: full")


def test_retried_picture_lies_where_it_was_dropped_with_its_sidecar(config: Config) -> None:
    ((done, fault),) = retry_jobs(config, ["bb"], failed=False)
    assert "back in the inbox" in done and fault == ""
    assert (config.inbox / "wave/p2.jpg").read_text() == "failed/wave/photo.jpg"
    assert (config.inbox / "wave/p2.jpg.yaml").exists()
    assert [path for path in config.outbox.rglob("*") if path.is_file()] == []
    assert job(config, "bb33").state is State.RETRIED


def test_retried_picture_lies_in_the_inbox_with_companions_of_all_kinds(
    config: Config, masks
) -> None:
    (config.outbox / "failed/wave/photo.jpg.mask.png").write_text("mask")
    assert retry_jobs(config, ["bb"], failed=False)[0][1] == ""
    assert (config.inbox / "wave/p2.jpg.mask.png").read_text() == "mask"
    assert (config.inbox / "wave/p2.jpg.yaml").exists()


def test_retried_cell_of_a_sweep_leaves_nothing_under_its_label(config: Config) -> None:
    ledger = Ledger(config.ledger_path)
    cell = Draft("cc44", "wave", Path("p3.jpg"), {}, (), "Broken.", label="beta=5")
    ledger.add_picture("p3", Path("wave/p3.jpg"))
    ledger.admit("p3", sha256="", size=1, width_px=1, height_px=1, drafts=[cell])
    outputs = layout(ledger.job("cc44"), as_dropped, "")
    for path in outputs.by_kind().values():
        files.write_bytes(config.outbox / path, b'{"id": "cc44"}')
    ledger.plan_outputs("cc44", outputs)
    ledger.publish_job("cc44")
    ledger.file_picture("p3")
    ledger.close()
    assert retry_jobs(config, ["cc44"], failed=False)[0][1] == ""
    assert (config.inbox / "wave/p3.jpg").exists()
    assert [path for path in config.outbox.rglob("*p3*") if path.is_file()] == []


def test_every_failed_job_is_retried_when_asked_for(config: Config) -> None:
    assert len(retry_jobs(config, [], failed=True)) == 1
    assert retry_jobs(config, [], failed=True) == []


def test_job_that_has_not_failed_is_not_retried(config: Config) -> None:
    ((done, fault),) = retry_jobs(config, ["aa11"], failed=False)
    assert done == "" and "only failed or cancelled jobs" in fault
    assert job(config, "aa11").state is State.READY


@pytest.mark.parametrize("new", ["wave/p2.jpg", "wave/p2.jpg.yaml"])
def test_retry_never_replaces_what_is_new_in_the_inbox(config: Config, new: str) -> None:
    (config.inbox / "wave").mkdir()
    (config.inbox / new).write_text("new")
    ((_, fault),) = retry_jobs(config, ["bb33"], failed=False)
    assert "is there already" in fault
    assert [path.read_text() for path in (config.inbox / "wave").iterdir()] == ["new"]
    assert (config.outbox / "failed/wave/photo.jpg").exists()
    assert job(config, "bb33").state is State.FAILED


def test_picture_that_somebody_took_away_cannot_be_retried(config: Config) -> None:
    (config.outbox / "failed/wave/photo.jpg").unlink()
    ((_, fault),) = retry_jobs(config, ["bb33"], failed=False)
    assert "not at" in fault and job(config, "bb33").state is State.FAILED


# What retry meets in the folders and the ledger


@pytest.mark.parametrize("away", ["renamed", "unmounted"])
def test_retry_makes_nothing_in_the_place_of_an_inbox_that_is_away(
    config: Config, away: str
) -> None:
    if away == "renamed":
        config.inbox.rmdir()
    else:
        never_mounted = {str(config.inbox): str(config.inbox)}
        (config.state / "mounts.json").write_text(json.dumps(never_mounted))
    ((_, fault),) = retry_jobs(config, ["bb33"], failed=False)
    assert "is unavailable" in fault
    assert not config.inbox.exists() or list(config.inbox.iterdir()) == []
    assert (config.outbox / "failed/wave/photo.jpg").exists()
    assert job(config, "bb33").state is State.FAILED


def test_retry_that_the_ledger_refuses_leaves_the_picture_where_it_is(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(ledger: Ledger, job_id: str) -> None:
        raise SurroundingsError("the ledger cannot be used: database or disk is full")

    monkeypatch.setattr(Ledger, "retry_job", refuse)
    ((_, fault),) = retry_jobs(config, ["bb33"], failed=False)
    assert "cannot be used" in fault
    assert list(config.inbox.rglob("*")) == []
    assert (config.outbox / "failed/wave/photo.jpg.reason.txt").exists()


def test_retry_that_was_cut_off_after_the_ledger_is_finished_by_another(config: Config) -> None:
    ledger = Ledger(config.ledger_path)
    ledger.retry_job("bb33")
    ledger.close()
    ((done, _),) = retry_jobs(config, ["bb33"], failed=False)
    assert "back in the inbox" in done
    assert (config.inbox / "wave/p2.jpg").read_text() == "failed/wave/photo.jpg"
    ((_, fault),) = retry_jobs(config, ["bb33"], failed=False)
    assert "is retried; only failed or cancelled jobs" in fault


def test_picture_that_is_not_filed_yet_is_not_retried(config: Config) -> None:
    """Its filing would be repeated after a full disk, and bring it to the outbox once more."""
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("p3", Path("wave/p3.jpg"))
    drafts = [Draft("cc44", "wave", Path("p3.jpg"), {}, (), "Broken.")]
    ledger.admit("p3", sha256="", size=1, width_px=1, height_px=1, drafts=drafts)
    ledger.plan_outputs("cc44", Outputs(original="failed/wave/p3.jpg"))
    ledger.publish_job("cc44")
    ledger.close()
    (config.outbox / "failed/wave/p3.jpg").write_text("copied, and not noted so yet")
    ((_, fault),) = retry_jobs(config, ["cc44"], failed=False)
    assert "not filed yet" in fault
    assert job(config, "cc44").state is State.FAILED and list(config.inbox.rglob("*")) == []


def test_each_retried_job_brings_the_sidecar_that_its_picture_came_with(config: Config) -> None:
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("p3", Path("photo.jpg"), [Path("photo.yaml")])
    drafts = [Draft(name, name[:1], Path("photo.jpg"), {}, (), "Broken.") for name in ("c1", "d1")]
    ledger.admit("p3", sha256="ab", size=1, width_px=1, height_px=1, drafts=drafts)
    claimed = config.inbox / ".claimed/p3"
    claimed.mkdir(parents=True)
    (claimed / "photo.jpg").write_text("picture")
    (claimed / "photo.yaml").write_text("presets: [c, d]")
    (config.outbox / "failed/c").mkdir()
    (config.outbox / "failed/c/photo.yaml").write_text("another's")
    for draft in drafts:
        ledger.plan_outputs(draft.id, failed_at(f"failed/{draft.preset}/photo.jpg"))
        ledger.publish_job(draft.id)
    jobs = ledger.jobs_of_picture("p3")
    picture, copy = ledger.picture("p3"), config.state / "none"
    file_original(FinishedPicture(picture, jobs, config.inbox, config.outbox, copy))
    ledger.file_picture("p3")
    ledger.close()
    ((done, fault),) = retry_jobs(config, ["d1"], failed=False)
    assert "back in the inbox" in done and fault == ""
    assert (config.inbox / "photo.jpg.yaml").read_text() == "presets: [c, d]"
    assert (config.outbox / "failed/c/photo.yaml").read_text() == "another's"
    (config.inbox / "photo.jpg").unlink()  # both are taken again
    (config.inbox / "photo.jpg.yaml").unlink()
    ((done, fault),) = retry_jobs(config, ["c1"], failed=False)
    assert "back in the inbox" in done and fault == ""
    assert (config.inbox / "photo.jpg.yaml").read_text() == "presets: [c, d]"


def test_nothing_is_made_where_no_service_has_been_yet(config: Config, tmp_path: Path) -> None:
    fresh = config.model_copy(update={"state": tmp_path / "fresh"})
    assert cancel_jobs(fresh, ["aa"]) == [("", "aa: there are no jobs yet")]
    assert retry_jobs(fresh, [], failed=True) == []
    (tmp_path / "fresh").mkdir()
    assert retry_jobs(fresh, ["aa"], failed=False) == [("", "aa: there are no jobs yet")]
    assert list((tmp_path / "fresh").iterdir()) == []


def test_state_that_may_not_be_looked_into_is_told(config: Config, closed: Path) -> None:
    with pytest.raises(SurroundingsError, match="Permission denied; let user"):
        cancel_jobs(config.model_copy(update={"state": closed}), ["aa"])


def test_folder_that_may_not_be_looked_into_is_told_for_each_job(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise PermissionError(13, "Permission denied", "/srv/outbox")

    monkeypatch.setattr("daemon.commands.jobs.check_whole", refuse)
    said = retry_jobs(config, ["bb33", "bb33"], failed=False)
    assert [fault.partition(";")[0] for _, fault in said] == [
        "bb33: /srv/outbox: Permission denied"
    ] * 2


@pytest.mark.parametrize("asked", ["AA11", " aa11 ", "aa11\n"])
def test_job_is_found_by_its_id_as_people_copy_it(config: Config, asked: str) -> None:
    ((line, fault),) = cancel_jobs(config, [asked])
    assert "will be cancelled" in line and not fault


@pytest.mark.parametrize("asked", ["\udcff", "%", "aa1'", "\0", "é"])
def test_word_that_can_be_no_id_names_no_job(config: Config, asked: str) -> None:
    ((line, fault),) = cancel_jobs(config, [asked])
    assert "no job begins with" in fault and not line


def test_sidecar_that_is_retried_is_newer_than_its_pictures_long_way(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(source: Path, target: Path) -> None:
        move(source, target)
        for path in target.parent.iterdir():
            os.utime(path, (1e9, 1e9))  # it was long ago that they came

    move = files.move
    monkeypatch.setattr(files, "move", slow)
    retry_jobs(config, ["bb33"], failed=False)
    assert (config.inbox / "wave/p2.jpg.yaml").stat().st_mtime > 1e9


def fail_cells(
    config: Config, labels: dict[str, State], sidecar: str = "", path: str = "wave/p3.jpg"
) -> None:
    """A filed picture of a sweep whose cells, by label or preset, ended so."""
    ledger = Ledger(config.ledger_path)
    swept = not path.startswith("all/")
    ledger.add_picture("p3", Path(path), [Path(path + ".yaml")] if sidecar else [])
    drafts = [
        Draft(f"c{n}", "wave" if swept else name, Path("p3.jpg"), {}, (), label=name * swept)
        for n, name in enumerate(labels)
    ]
    sha256 = hashlib.sha256(b"picture").hexdigest()
    ledger.admit("p3", sha256=sha256, size=7, width_px=1, height_px=1, drafts=drafts)
    for verdict in labels.values():
        claimed = ledger.claim_job("me")
        assert claimed is not None
        ledger.finish_job(claimed.id, "me", verdict, reason="Broken.")
        outputs = layout(ledger.job(claimed.id), as_dropped, "")
        for kind, file in outputs.by_kind().items():
            content = b"picture" if kind == "original" else b'{"id": "%s"}' % claimed.id.encode()
            files.write_bytes(config.outbox / file, content, replace=True)
        if sidecar:
            beside = config.outbox / f"{outputs.original}.yaml"
            files.write_bytes(beside, sidecar.encode(), replace=True)
        ledger.plan_outputs(claimed.id, outputs)
        ledger.publish_job(claimed.id)
    ledger.file_picture("p3")
    ledger.close()


@pytest.fixture
def nothing_waits(config: Config) -> None:
    ledger = Ledger(config.ledger_path)
    for job_id in ("aa11", "aa22"):
        ledger.request_cancel(job_id)
    ledger.cancel_waiting("")
    ledger.close()


CELLS = {"beta 1": State.DONE, "beta 2": State.FAILED, "beta 3": State.CANCELLED}


def asked_again(config: Config, name: str = "wave/p3.jpg") -> object:
    """What the sidecar of a picture that was put back says."""
    return yaml.safe_load((config.inbox / f"{name}.yaml").read_text())


@pytest.mark.usefixtures("nothing_waits")
def test_retried_cell_of_a_sweep_is_painted_again_alone(config: Config) -> None:
    swept = "sweep: {beta: [1, 2, 3]}\nsteps: 9\n"
    fail_cells(config, CELLS, sidecar=swept + "runs_on: desk2\n")
    assert retry_jobs(config, ["c1"], failed=False) == [
        ("c1 wave/p3.jpg (beta 2): back in the inbox", "")
    ]
    assert asked_again(config) == {
        "sweep": {"beta": [1, 2, 3]},
        "steps": 9,
        "runs_on": "desk2",
        "presets": ["wave"],
        "cells": ["beta 2"],
    }
    recipe, sweep = override_swept(
        Preset("wave", Path("wave"), JobRecipe(), ()), parse(swept.encode(), "it.yaml")
    )
    assert "beta 2" in [cell.label for cell in cells_of(sweep, recipe)]
    assert (config.outbox / "wave/p3.sweep/p3.beta=1.jpg").exists()
    assert not (config.outbox / "failed/wave/p3.sweep/p3.beta=2.jpg.json").exists()


@pytest.mark.usefixtures("nothing_waits")
def test_cells_that_are_retried_one_by_one_each_find_the_picture(config: Config) -> None:
    fail_cells(config, CELLS)
    for job_id, label in (("c1", "beta 2"), ("c2", "beta 3")):
        ((_, fault),) = retry_jobs(config, [job_id], failed=False)
        assert fault == "" and (config.inbox / "wave/p3.jpg").read_bytes() == b"picture"
        assert asked_again(config) == {"presets": ["wave"], "cells": [label]}
        (config.inbox / "wave/p3.jpg").unlink()  # it is taken
        (config.inbox / "wave/p3.jpg.yaml").unlink()
    assert not (config.outbox / "failed/wave/p3.jpg").exists()


@pytest.mark.usefixtures("nothing_waits")
def test_cells_that_are_retried_together_come_with_one_sidecar(config: Config) -> None:
    fail_cells(config, CELLS)
    said = retry_jobs(config, ["c1", "c2"], failed=False)
    assert [fault for _, fault in said] == ["", ""] and "(beta 3)" in said[1][0]
    assert asked_again(config) == {"presets": ["wave"], "cells": ["beta 2", "beta 3"]}
    assert job(config, "c1").state is job(config, "c2").state is State.RETRIED
    assert not (config.outbox / "failed/wave/p3.jpg").exists()


@pytest.mark.usefixtures("nothing_waits")
def test_picture_of_all_presets_is_retried_in_those_that_failed(config: Config) -> None:
    presets = {"ink": State.DONE, "sea": State.FAILED, "sun": State.FAILED}
    fail_cells(config, presets, sidecar="steps: 9\n", path="all/p3.jpg")
    said = retry_jobs(config, ["c1", "c2"], failed=False)
    assert [fault for _, fault in said] == ["", ""]
    assert asked_again(config, "all/p3.jpg") == {"steps": 9, "presets": ["sea", "sun"]}
    assert (config.inbox / "all/p3.jpg").read_bytes() == b"picture"
    assert not list((config.outbox / "failed").rglob("p3*"))


@pytest.mark.usefixtures("nothing_waits")
@pytest.mark.parametrize("sidecar", ["", "steps: [9"])
def test_picture_of_all_presets_that_failed_before_any_was_known_comes_back_for_all(
    config: Config, sidecar: str
) -> None:
    fail_cells(config, {"": State.FAILED}, sidecar=sidecar, path="all/p3.jpg")
    ((_, fault),) = retry_jobs(config, ["c0"], failed=False)
    assert fault == "" and (config.inbox / "all/p3.jpg").exists()
    again = config.inbox / "all/p3.jpg.yaml"
    assert (again.read_text() if again.exists() else "") == sidecar


@pytest.mark.usefixtures("nothing_waits")
def test_cell_is_not_retried_over_a_sidecar_that_lies_there(config: Config) -> None:
    fail_cells(config, CELLS)
    files.write_bytes(config.inbox / "wave/p3.jpg.yaml", b"steps: 3")
    ((_, fault),) = retry_jobs(config, ["c1"], failed=False)
    assert "p3.jpg.yaml is there already" in fault
    assert job(config, "c1").state is State.FAILED


@pytest.mark.usefixtures("nothing_waits")
@pytest.mark.parametrize("sidecar", ["", "presets: [wave, ink]\nsteps: 9\napprove: true\n"])
def test_retried_job_that_was_approved_goes_on_as_approved(config: Config, sidecar: str) -> None:
    decide_twice(config, sidecar)
    assert retry_jobs(config, ["dd55"], failed=False) == [
        ("dd55 proof/wave/p4.jpg: back in the inbox", "")
    ]
    kept = {"steps": 9} if sidecar else {}
    set_then = {"size": 2048, "beta": 40.0, "style_scale": [1.0, 0.5], "approve": False}
    assert asked_again(config, "proof/wave/p4.jpg") == kept | {"presets": ["wave"]} | set_then
    shelf = Shelf(config.presets, {"wave": Preset("wave", Path("wave"), JobRecipe(tv=3.0), ())}, {})
    written = (config.inbox / "proof/wave/p4.jpg.yaml").read_bytes()
    (choice,) = choose(Path("wave/p4.jpg"), written, "it.yaml", shelf, None, approve=True)
    mended = JobRecipe(size=2048, beta=40.0, style_scale=[1.0, 0.5], tv=3.0, **kept)
    assert (choice.fault, choice.approve, choice.recipe) == ("", False, mended)


@pytest.mark.usefixtures("nothing_waits")
def test_retried_job_that_was_rejected_is_a_proof_again(config: Config) -> None:
    decide_twice(config, "", rejected=True)
    assert retry_jobs(config, ["dd55"], failed=False)[0].fault == ""
    assert (config.inbox / "proof/wave/p4.jpg").exists()
    assert not (config.inbox / "proof/wave/p4.jpg.yaml").exists()


def decide_twice(config: Config, sidecar: str, *, rejected: bool = False) -> None:
    """A job whose proof was painted again with another size, approved with another beta and scale,
    and failed; or rejected the second time.
    """
    ledger = Ledger(config.ledger_path)
    path = Path("proof/wave/p4.jpg")
    ledger.add_picture("p4", path, [Path(f"{path}.yaml")] if sidecar else [])
    draft = Draft("dd55", "wave", Path("p4.jpg"), JobRecipe().model_dump(), ())
    drafts = [replace(draft, approval=Approval.ASKED)]
    ledger.admit("p4", sha256="ab", size=7, width_px=1, height_px=1, drafts=drafts)
    changes = (
        ({"size": 2048}, Approval.ASKED),
        ({"size": 2048, "beta": 40.0, "style_scale": [1.0, 0.5]}, Approval.GIVEN),
    )
    for settings, approval in changes:
        end(ledger, State.AWAITING, Outputs(record="proof/r.json", result="proof/p4.jpg"))
        if approval is Approval.GIVEN and rejected:
            ledger.proofs.reject("dd55", "Rejected.")
            break
        decided = replace(draft, recipe=JobRecipe(**settings).model_dump(), approval=approval)
        ledger.proofs.repaint("dd55", decided, [])
    outputs = failed_at("failed/wave/p4.jpg")
    for file in outputs.by_kind().values():
        files.write_bytes(config.outbox / file, b'{"id": "dd55"}')
    if sidecar:
        files.write_bytes(config.outbox / f"{outputs.original}.yaml", sidecar.encode())
    end(ledger, State.FAILED, outputs, is_over=rejected)
    ledger.file_picture("p4")
    ledger.close()


def end(ledger: Ledger, verdict: State, outputs: Outputs, *, is_over: bool = False) -> None:
    """Has the only waiting job run and end so, unless it is over, and publishes it."""
    if not is_over:
        claimed = ledger.claim_job("me")
        assert claimed is not None and claimed.id == "dd55"
        outcome = Done() if verdict is State.AWAITING else None
        ledger.finish_job("dd55", "me", verdict, outcome=outcome, reason="Broken.")
    ledger.plan_outputs("dd55", outputs)
    ledger.publish_job("dd55")
