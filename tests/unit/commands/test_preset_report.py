"""`presets NAME`: what one preset asks for."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daemon import cli
from daemon.commands.preset_report import report_on
from daemon.errors import ExitCode, PresetError
from daemon.job import Draft, State
from daemon.ledger.store import Ledger
from daemon.messages import Done, PassAccount
from daemon.pictures.form import JobRecipe
from daemon.settings.config import Config
from daemon.settings.presets import load_presets
from daemon.status.show_preset import print_preset


@pytest.fixture
def config(config: Config) -> Config:
    """One preset with a style image of 300x200 px."""
    Image.new("RGB", (300, 200), "navy").save(config.presets / "wave.png")
    write(config, "size: 512")
    return config


def write(config: Config, *fields: str) -> None:
    lines = ("styles: [{image: wave.png}]", *fields)
    (config.presets / "wave.yaml").write_text("\n".join(lines))


def report(config: Config, name: str = "wave") -> dict[str, Any]:
    return report_on(config, load_presets(config.presets), name)


def painted(config: Config, preset: str, size: tuple[int, int], seconds: float) -> None:
    """A job of that preset is done, whose last pass was of that size."""
    ledger = Ledger(config.ledger_path)
    name = f"{preset}{seconds}"
    ledger.add_picture(name, Path("photo.jpg"), ())
    recipe = JobRecipe().model_dump()
    draft = Draft(name, preset, Path("photo.jpg"), recipe, (), work=1_000_000)
    ledger.admit(name, sha256="", size=1, width_px=1, height_px=1, drafts=[draft])
    assert ledger.claim_job("me", (-9, 9))
    done = Done(
        passes=(PassAccount(*size),), seconds=seconds, peak_memory_bytes=size[0] * 1_000_000
    )
    ledger.finish_job(name, "me", State.DONE, outcome=done)
    ledger.publish_job(name)
    ledger.close()


@pytest.mark.parametrize(
    ("fields", "needs_px", "words"),
    [
        (["size: 300"], 300, ""),
        (["size: 600", "style_scale: 0.5"], 300, ""),
        (["size: 512"], 512, "enlarged 1.7 times, its strokes come out soft. Take a larger image, "
         "or size 300 or style_scale 0.59"),
        (["size: 300", "style_scale: 10"], 3000, "or style_scale 1"),
        (["size: original"], 6000, "wave.png is 300 px and is seen at 6000 px: enlarged 20.0"),
    ],
)  # fmt: skip
def test_style_image_that_is_too_small_is_told_with_both_numbers_and_what_to_do(
    config: Config, fields: list[str], needs_px: int, words: str
) -> None:
    write(config, *fields)
    (style,) = report(config)["styles"]
    assert (style["width_px"], style["height_px"], style["needs_px"]) == (300, 200, needs_px)
    assert words in style["advice"] and bool(words) == bool(style["advice"])


def test_fields_that_are_not_the_default_are_told(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, "beta: 7", "style_layers: {relu1_1: 2}", "size: 256")
    told = report(config)
    assert told["settings"] == {"beta": 7.0, "style_layers": {"relu1_1": 2.0}, "size": 256}
    print_preset(told)
    shown = capsys.readouterr().out
    assert "beta: 7, size: 256" in shown or "style_layers: {relu1_1: 2}" in shown
    assert "not known before a first job has been painted" in shown


def test_swept_preset_tells_its_sweep_and_what_its_largest_pictures_ask_for(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, "beta: 7", "sweep: {size: [256, 600, 300], style_scale: [2, 0.5]}")
    told = report(config)
    assert told["sweep"] == {"size": [256, 600, 300], "style_scale": [2.0, 0.5]}
    assert (told["pictures"], told["result"]["width_px"]) == (6, 600)
    assert told["styles"][0]["needs_px"] == 1200
    print_preset(told)
    shown = capsys.readouterr().out
    assert "size: [256, 600, 300], style_scale: [2, 0.5]" in shown
    assert "600x400 px of a picture of 3:2, the largest of 6" in shown


def test_region_of_a_style_image_is_told(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.presets / "wave.yaml").write_text("styles: [{image: wave.png, region: red}]")
    print_preset(report(config))
    assert "wave.png in #ff0000" in capsys.readouterr().out


def test_no_scale_is_advised_that_no_preset_may_have(config: Config) -> None:
    write(config, "size: 32768")
    (style,) = report(config)["styles"]
    assert style["advice"].endswith("Take a larger image, or size 300")


def test_time_and_memory_are_those_of_jobs_of_late_its_own_before_others(config: Config) -> None:
    assert report(config)["seconds"] is None and report(config)["memory_bytes"] is None
    painted(config, "ink", (512, 341), 40.8)
    by_others = report(config)
    painted(config, "wave", (512, 384), 10.0)
    painted(config, "wave", (64, 48), 10.4)
    own = report(config)
    assert by_others["seconds"] > 3 * own["seconds"] > 0
    assert (by_others["alike"], own["alike"]) == (0, 2)
    assert by_others["memory_bytes"] == own["memory_bytes"] == 512_000_000


def test_preset_that_is_none_or_wrong_is_told_with_exit_code_1(
    config: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (config.presets / "bad.yaml").write_text("styles: [{image: wave.png}]\nbeat: 3\n")
    with pytest.raises(PresetError, match=r"bad\.yaml:2: beat: .*did you mean `beta`"):
        report(config, "bad")
    monkeypatch.chdir(config.state.parent)
    Path("config.yaml").write_text("devices: cpu\n")
    assert cli.answer(["presets", "none"]) == ExitCode.JOB_FAILED
    assert "there is no preset 'none'; there are: wave" in capsys.readouterr().err
    assert cli.answer(["presets", "wave", "--json"]) == ExitCode.FINE
    assert json.loads(capsys.readouterr().out)["preset"] == "wave"
