"""`show`: a result, a record, or a job."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon import __version__
from daemon.commands.show import describe, find_made
from daemon.errors import BadInputError
from daemon.host import files
from daemon.job import Draft, Outputs, State, StyleRef
from daemon.ledger.store import Ledger
from daemon.messages import Done
from daemon.pictures.form import JobRecipe
from daemon.pictures.picture import Picture
from daemon.pictures.write import write_picture
from daemon.settings.config import Config
from daemon.status.show_result import print_made
from tests.support.atelier import draw_style

LOSSES = {"total": 51.0, "content": 1.0, "style": 0.5}
RECIPE = JobRecipe(beta=80.0, style_layers={"relu1_1": 1.0}).model_dump()


@pytest.fixture
def note(config: Config) -> dict[str, Any]:
    draw_style(config.presets / "wave.png")
    sha256 = files.sha256_of(config.presets / "wave.png")
    return {
        "id": "aa11",
        "preset": "wave",
        "recipe": RECIPE,
        "styles": [{"name": "wave.png", "sha256": sha256, "weight": 1.0}],
        "version": __version__,
        "last_loss": LOSSES,
    }


@pytest.fixture
def result(config: Config, note: dict[str, Any]) -> Path:
    """A result in the outbox, with its record and its original."""
    path = config.outbox / "wave/a photo.png"
    (path.parent / ".jobs").mkdir(parents=True)
    pixels = np.zeros((32, 48, 3), np.uint8)
    with path.open("wb+") as file:
        write_picture(file, pixels, name="a.png", like=Picture(pixels, format="PNG"), note=note)
    outputs = {"original": "originals/wave/a photo.png"}
    (config.outbox / "originals/wave").mkdir(parents=True)
    (config.outbox / outputs["original"]).touch()
    record = note | {"seconds": 65.0, "device": "cpu", "outputs": outputs, "warnings": ["dim"]}
    (path.parent / ".jobs/a photo.png.json").write_text(json.dumps(record))
    return path


def test_show_tells_what_is_not_the_default_and_how_to_make_it_again(
    config: Config, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = describe(config, find_made(config, str(result)), Path("my.yaml"))
    assert told["settings"] == {"beta": 80.0, "style_layers": {"relu1_1": 1.0}}
    assert (told["width_px"], told["height_px"], told["format"]) == (48, 32, "PNG")
    assert told["styles"][0]["found"] == str(config.presets / "wave.png")
    original = config.outbox / "originals/wave/a photo.png"
    words = ["atelierd", "--config", "my.yaml", "stylize", "--like", str(result), str(original)]
    assert shlex.split(told["command"]) == words
    print_made(told)
    shown = capsys.readouterr().out
    for expected in ("beta: 80", "{relu1_1: 1}", "total 51", "1 min 05 s on cpu", "dim"):
        assert expected in shown
    assert f"again: {told['command']}\n" in shown


@pytest.mark.parametrize(
    "name", [b"-a.png", b"it's.png", b"caf\xe9 'q'\n\\.png", "🎨.png".encode()]
)
def test_command_names_the_result_to_a_shell_whatever_it_is_called(
    config: Config, result: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    monkeypatch.chdir(result.parent)
    result.rename(os.fsdecode(name))
    command = describe(config, find_made(config, os.fsdecode(b"./" + name)), None)["command"]
    assert command is not None and command.isprintable()
    script = f'atelierd() {{ cat -- "$3" && echo end; }}; {command}'
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert said == Path(os.fsdecode(name)).read_bytes() + b"end\n"


def test_style_image_that_is_gone_is_told_by_its_hash(
    config: Config, result: Path, note: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (config.presets / "wave.png").unlink()
    print_made(describe(config, find_made(config, str(result)), None))
    shown = capsys.readouterr().out
    assert note["styles"][0]["sha256"] in shown and "under any name; put it there" in shown


def test_record_that_somebody_has_filled_with_anything_is_shown_without_a_trace(
    config: Config, result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = {"seconds": "long", "last_loss": {"total": "much"}, "warnings": 3, "weights": [1]}
    content = {"recipe": {"beta": [None, "[red]"]}, "preset": "wave", "styles": [], "outputs": 7}
    path = result.with_name("odd.json")
    path.write_text(json.dumps(content | strange))
    print_made(describe(config, find_made(config, str(path)), None))
    assert "beta: [None, [red]]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "strange",
    [
        '"seconds": 1e999',
        '"seconds": NaN',
        '"last_loss": {"total": 1%s}' % ("0" * 400),
        '"first_loss": {"total": 1%s}, "last_loss": {"total": 1}' % ("0" * 400),
        '"outputs": {"original": "%s"}' % ("x" * 300),
        '"outputs": {"original": "../config.yaml"}',
    ],
    ids=lambda text: text[:40],
)
def test_numbers_and_paths_that_nothing_can_be_made_of_are_passed_over(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], strange: str
) -> None:
    (config.outbox.parent / "config.yaml").touch()
    (tmp_path / "odd.json").write_text(
        f'{{"recipe": {{"beta": 3.0}}, "preset": "wave", {strange}}}'
    )
    print_made(describe(config, find_made(config, str(tmp_path / "odd.json")), None))
    shown = capsys.readouterr().out
    assert "beta: 3" in shown and "odd.json PICTURE" in shown
    assert "inf" not in shown and "nan" not in shown


def test_record_that_is_too_deep_to_be_walked_through_is_none(
    config: Config, tmp_path: Path
) -> None:
    deep = "[" * 500 + "]" * 500
    (tmp_path / "odd.json").write_text(f'{{"recipe": {{"beta": {deep}}}, "preset": "wave"}}')
    with pytest.raises(BadInputError, match="is no record of a job"):
        find_made(config, str(tmp_path / "odd.json"))


@pytest.fixture
def ledger(config: Config, note: dict[str, Any]) -> Ledger:
    """Two jobs of a picture: one is painted and published, the other waits."""
    style = StyleRef(**note["styles"][0])
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("p1", Path("wave/photo.png"), ())
    drafts = [
        Draft(name, "wave", Path("photo.png"), RECIPE, (style,), suffix=".png")
        for name in ("aa11", "ab22")
    ]
    ledger.admit("p1", sha256="", size=1, width_px=48, height_px=32, drafts=drafts)
    job = ledger.claim_job("me", (-9, 9))
    assert job is not None
    done = Done(last_loss=LOSSES, seconds=5.0, device="cpu")
    ledger.finish_job(job.id, "me", State.DONE, outcome=done)
    ledger.plan_outputs(
        job.id, Outputs(record="wave/.jobs/a photo.png.json", result="wave/a photo.png")
    )
    ledger.publish_job(job.id)
    return ledger


def test_job_is_shown_by_the_beginning_of_its_id(
    config: Config, ledger: Ledger, result: Path
) -> None:
    told = describe(config, find_made(config, "aa"), None)
    assert (told["id"], told["state"], told["told_by"]) == ("aa11", "done", "ledger")
    assert told["last_loss"] == LOSSES and told["seconds"] == 5.0
    assert shlex.split(told["command"])[1:4] == ["stylize", "--like", str(result)]
    waiting = describe(config, find_made(config, "ab22"), None)
    assert (waiting["state"], waiting["command"]) == ("ready", None)
    assert waiting["settings"]["beta"] == 80.0
    ledger.close()


def test_word_that_is_neither_file_nor_job_is_told_as_both(config: Config) -> None:
    with pytest.raises(BadInputError, match="there is no file aa here, and there are no jobs yet"):
        find_made(config, "aa")
    Ledger(config.ledger_path).close()
    with pytest.raises(BadInputError, match="there is no file aa here, and no job begins with"):
        find_made(config, "aa")
    with pytest.raises(BadInputError, match=r"there is no file out/aa\.jpg"):
        find_made(config, "out/aa.jpg")


def test_show_tells_the_node_and_what_a_job_asks_for(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(config.ledger_path)
    ledger.add_picture("p1", Path("wave/photo.jpg"))
    draft = Draft("aa11", "wave", Path("photo.jpg"), RECIPE, (), runs_on="night")
    ledger.admit("p1", sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft])
    ledger.claim_job("me")
    done = Done(device="cuda:0", node="desk2", seconds=65.0)
    ledger.finish_job("aa11", "me", State.DONE, outcome=done)
    ledger.close()
    told = describe(config, find_made(config, "aa11"), None)
    assert (told["node"], told["runs_on"]) == ("desk2", "night")
    print_made(told)
    shown = capsys.readouterr().out
    assert "1 min 05 s on cuda:0 of desk2" in shown
    assert "runs on" in shown and "night" in shown
