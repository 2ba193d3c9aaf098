"""What a picture becomes that is to be painted on some devices only."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.intake.shelf import PresetWatch
from daemon.settings.config import Config
from daemon.settings.last_good import read_last_good
from daemon.settings.presets import load_presets, shelf_in_use
from tests.unit.intake.test_proof_drafts import drafts, preset

__all__ = ["preset"]


def test_place_is_the_jobs_and_no_part_of_the_painting(config: Config, preset: Path) -> None:
    (plain,) = drafts(config, "wave/photo.jpg")
    preset.write_text(preset.read_text() + "runs_on: desk2\n")
    (asking,) = drafts(config, "wave/photo.jpg")
    assert (plain.runs_on, asking.runs_on) == ("", "desk2")
    assert replace(asking, id=plain.id, runs_on="") == plain  # its twin is the same too
    assert asking.fingerprint is not None and "runs_on" not in asking.recipe


@pytest.mark.parametrize("value", ["two words", "[a, b]", "-x", "''"])
def test_place_that_no_device_could_offer_is_a_fault_of_the_preset(
    config: Config, preset: Path, value: str
) -> None:
    preset.write_text(preset.read_text() + f"runs_on: {value}\n")
    (fault,) = load_presets(config.presets).faulty["wave"]
    assert fault.key == "runs_on" and "must be" in fault.message


def test_preset_that_is_spoilt_still_asks_for_its_place(config: Config, preset: Path) -> None:
    preset.write_text(preset.read_text() + "runs_on: desk2\n")
    watch = PresetWatch(config, lambda path, name: "", settle_s=0.0, now=lambda: "now")
    assert watch.look(0.0).good["wave"].runs_on == "desk2"
    preset.write_text("styles: [")
    shelf = shelf_in_use(config.presets, config.inbox_folders, config.state)
    assert shelf.last_good["wave"].runs_on == "desk2"
    assert read_last_good(config.state, config.presets)["wave"].runs_on == "desk2"
