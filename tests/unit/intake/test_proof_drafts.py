"""What a picture becomes that is to be approved before it is painted at full size."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

from daemon.engine.schedule import plan_passes, plan_proof
from daemon.intake.decode import Verdict
from daemon.intake.drafts import Drafting
from daemon.intake.shelf import PresetWatch
from daemon.job import BULK, ORDINARY, Approval, Draft
from daemon.pictures.form import JobRecipe
from daemon.settings.config import Config
from daemon.settings.last_good import LAST_GOOD_FILE, read_last_good, write_last_good
from daemon.settings.presets import load_presets, shelf_in_use
from daemon.state.spool import Spool

VERDICT = Verdict(1200, 900, format="JPEG")
RECIPE = JobRecipe(size=1200)


@pytest.fixture
def preset(config: Config) -> Path:
    """A preset, whose proof is smaller than its result."""
    Image.new("RGB", (64, 64), "navy").save(config.presets / "wave.png")
    path = config.presets / "wave.yaml"
    path.write_text(yaml.safe_dump({"styles": [{"image": "wave.png"}], "size": 1200}))
    return path


def drafts(config: Config, path: str) -> list[Draft]:
    shelf = load_presets(config.presets, config.inbox_folders)
    drafting = Drafting(config, Spool(config.state), shelf)
    return drafting.drafts("p1", config.inbox, Path(path), (), VERDICT, "ab")


def work(passes) -> int:
    return sum(one.width_px * one.height_px * one.steps for one in passes)


def test_picture_of_the_proof_folder_is_painted_as_a_proof_with_the_full_pictures_recipe(
    config: Config, preset: Path
) -> None:
    (plain,) = drafts(config, "wave/photo.jpg")
    (proof,) = drafts(config, "proof/wave/photo.jpg")
    assert (plain.approval, plain.work) == (Approval.NONE, work(plan_passes(RECIPE, 1200, 900)))
    assert (proof.approval, proof.work) == (Approval.ASKED, work(plan_proof(RECIPE, 1200, 900)))
    assert (proof.recipe, proof.styles, proof.below) == (plain.recipe, plain.styles, plain.below)
    assert "approve" not in proof.recipe  # it changes no pixel


def test_proof_is_neither_answered_from_a_result_nor_answers_for_one(
    config: Config, preset: Path
) -> None:
    assert drafts(config, "wave/photo.jpg")[0].fingerprint is not None
    assert drafts(config, "proof/wave/photo.jpg")[0].fingerprint is None


def test_proof_of_a_bulk_job_is_painted_in_the_queue_that_the_schedule_says(
    config: Config, preset: Path
) -> None:
    assert drafts(config, "bulk/proof/wave/photo.jpg")[0].priority == BULK
    schedule = config.schedule.model_copy(update={"proofs": "ordinary"})
    by_day = config.model_copy(update={"schedule": schedule})
    assert drafts(by_day, "bulk/proof/wave/photo.jpg")[0].priority == ORDINARY
    assert drafts(by_day, "bulk/wave/photo.jpg")[0].priority == BULK


def test_picture_that_cannot_be_painted_at_full_size_fails_before_its_proof(
    config: Config, preset: Path
) -> None:
    preset.write_text(preset.read_text().replace("1200", "32768") + "format: webp\n")
    (draft,) = drafts(config, "proof/wave/photo.jpg")
    assert "32768x24576 px cannot be written as WEBP" in draft.reason
    assert draft.approval is Approval.NONE


def test_preset_may_ask_for_approval_and_not_sweep_too(config: Config, preset: Path) -> None:
    preset.write_text(preset.read_text() + "approve: true\n")
    assert drafts(config, "wave/photo.jpg")[0].approval is Approval.ASKED
    preset.write_text(preset.read_text() + "sweep: {beta: [5, 20]}\n")
    (fault,) = load_presets(config.presets).faulty["wave"]
    assert fault.key == "approve" and "`sweep` makes several" in fault.message


def test_preset_that_is_spoilt_still_asks_for_approval(config: Config, preset: Path) -> None:
    """Its last good version stands in, and hours are not to be painted unasked."""
    preset.write_text(preset.read_text() + "approve: true\n")
    watch = PresetWatch(config, lambda path, name: "", settle_s=0.0, now=lambda: "now")
    assert watch.look(0.0).good["wave"].approve
    preset.write_text("styles: [")
    shelf = shelf_in_use(config.presets, config.inbox_folders, config.state)
    assert shelf.last_good["wave"].approve
    kept = read_last_good(config.state, config.presets)
    assert kept["wave"].approve and (config.state / LAST_GOOD_FILE).exists()
    write_last_good(config.state, config.presets, {"wave": replace(kept["wave"], approve=False)})
    assert not read_last_good(config.state, config.presets)["wave"].approve
