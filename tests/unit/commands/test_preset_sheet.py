"""A sheet of one picture in every preset, by a pool that paints nothing."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from PIL import Image

from daemon.cli import answer
from daemon.commands import preset_sheet
from daemon.commands.preset_sheet import PresetSheet, paint_sheet
from daemon.errors import BadInputError, ExitCode
from daemon.messages import Cancelled, Done, Failed, Outcome, Progress, RunOrder, WorkerSettings
from daemon.settings.config import Config
from tests.support.atelier import draw_style, encoded, photograph
from tests.support.pools import PuppetPool


class Painting(PuppetPool):
    """A pool whose runs are over at once; a preset ends by its name as `endings` say."""

    made = 0
    orders: list[RunOrder]
    endings: dict[str, Outcome]

    def __init__(self, settings: list[WorkerSettings], on_event: object) -> None:
        super().__init__(settings, lambda run_id, event: None)
        Painting.made += 1

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        self.orders.append(order)
        ended: Outcome = self.endings.get(str(order.note["preset"]), Done())
        if isinstance(ended, Done):
            Image.new("RGB", (64, 48), "red").save(order.result, "JPEG")
        future: Future[Outcome] = Future()
        future.set_result(ended)
        return future


@pytest.fixture
def folder(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, beside three presets, one of them faulty, and a photograph."""
    for name in ("wave", "sun", "deep"):
        draw_style(config.presets / f"{name}.png")
    (config.presets / "torn.yaml").write_text("styles: 5")
    (config.presets / "wide.yaml").write_text(
        "styles: [{image: deep.png}]\nsize: 4096\nformat: tiff\nsweep: {beta: [1, 2]}\n"
    )
    (tmp_path / "sea.heic.jpg").write_bytes(encoded(photograph()))
    Painting.made, Painting.orders, Painting.endings = 0, [], {}
    monkeypatch.setattr(preset_sheet, "LocalPool", Painting)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def unseen(name: str) -> Iterator[Callable[[Progress], None]]:
    yield lambda progress: None


def sheet(config: Config, size: int | None = None, mask: Path | None = None) -> PresetSheet:
    return paint_sheet(config, "cpu", Path("sea.heic.jpg"), size, unseen, mask)


def test_every_preset_paints_the_picture_small_by_one_warm_worker(
    config: Config, folder: Path
) -> None:
    made = sheet(config)
    assert made.path == folder / "sea.heic-presets.jpg"
    with Image.open(made.path) as laid:
        assert laid.width == 1600
    assert [order.note["preset"] for order in Painting.orders] == ["sun", "wave", "wide"]
    assert {order.recipe["size"] for order in Painting.orders} == {256}
    assert {order.result_name for order in Painting.orders} == {"sun.jpg", "wave.jpg", "wide.jpg"}
    assert Painting.made == 1
    assert list(made.failed) == ["torn"] and "styles" in made.failed["torn"]


def test_preset_may_be_called_as_the_sheet_is(config: Config, folder: Path) -> None:
    for name in ("sheet", "sea.heic-presets"):
        draw_style(config.presets / f"{name}.png")
    made = sheet(config)
    assert list(made.failed) == ["torn"]
    with Image.open(made.path) as laid:
        assert laid.width == 1600


def test_second_sheet_lies_beside_the_first_at_the_size_that_was_typed(
    config: Config, folder: Path
) -> None:
    sheet(config)
    assert sheet(config, 96).path == folder / "sea.heic-presets-2.jpg"
    assert Painting.orders[-1].recipe["size"] == 96


def test_preset_that_cannot_paint_it_has_its_reason_on_the_sheet(
    config: Config, folder: Path
) -> None:
    Painting.endings = {"wave": Failed("input", "the loss became infinite")}
    made = sheet(config)
    assert made.failed["wave"] == "the loss became infinite" and made.path.exists()


REGIONS = "styles: [{image: deep.png, region: red}, {image: deep.png, region: blue}]\n"


@pytest.fixture
def regions(config: Config, folder: Path) -> Path:
    """Two presets that paint by regions, one of which has a mask; and a mask of the picture's."""
    (config.presets / "coast.yaml").write_text(REGIONS)
    (config.presets / "shore.yaml").write_text(f"{REGIONS}mask: thirds.png\n")
    for path in (config.presets / "thirds.png", folder / "own.png"):
        Image.new("RGB", (64, 64), "red").save(path)
    return folder / "own.png"


def masks() -> dict[object, str | None]:
    """The masks that presets are painted with, by the presets' names."""
    return {one.note["preset"]: one.mask and one.mask.name for one in Painting.orders}


def test_preset_of_regions_that_nothing_draws_has_what_to_do_on_the_sheet_and_the_rest_its_picture(
    config: Config, regions: Path
) -> None:
    made = sheet(config)
    assert masks() == {"shore": "thirds.png", "sun": None, "wave": None, "wide": None}
    assert sorted(made.failed) == ["coast", "torn"] and made.path.exists()
    assert "give --mask FILE, drawn in red (#ff0000) and blue (#0000ff)" in made.failed["coast"]


def test_mask_that_is_typed_is_for_the_presets_of_regions(config: Config, regions: Path) -> None:
    sheet(config, mask=regions)
    without = dict.fromkeys(("sun", "wave", "wide"))
    assert masks() == {"coast": "own.png", "shore": "own.png", **without}
    assert all(one.mask.own for one in Painting.orders if one.mask)
    with pytest.raises(BadInputError, match=r"there is no picture gone\.png"):
        sheet(config, mask=Path("gone.png"))


def test_mask_that_is_typed_is_a_strength_for_all_where_no_preset_has_regions(
    config: Config, folder: Path
) -> None:
    Image.new("L", (8, 8), 90).save(folder / "grey.png")
    sheet(config, mask=folder / "grey.png")
    assert set(masks().values()) == {"grey.png"}


def test_sheet_that_is_stopped_leaves_nothing(config: Config, folder: Path) -> None:
    Painting.endings = {"wave": Cancelled()}
    before = sorted(folder.iterdir())
    with pytest.raises(Exception, match="stopped"):
        sheet(config)
    assert sorted(folder.iterdir()) == before


def test_sheet_of_no_presets_or_no_picture_is_refused_with_the_reason(
    config: Config, folder: Path
) -> None:
    with pytest.raises(BadInputError, match="there is no picture gone"):
        paint_sheet(config, "cpu", Path("gone.jpg"), 256, unseen)
    for path in config.presets.iterdir():
        path.unlink()
    with pytest.raises(BadInputError, match="there is no preset to be used"):
        sheet(config)


def test_command_prints_where_the_sheet_is_and_tells_by_its_code_what_failed(
    config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr("daemon.cli.configured", lambda path: (config, folder / "config.yaml"))
    words = ["presets", "--sheet", "sea.heic.jpg", "--size", "64"]
    assert answer(words) == ExitCode.JOB_FAILED
    said = capsys.readouterr()
    assert said.out == f"{folder}/sea.heic-presets.jpg\n" and "torn: " in said.err
    (config.presets / "torn.yaml").unlink()
    assert answer(words) == ExitCode.FINE


@pytest.mark.parametrize(
    "words",
    [
        ["--size", "64"],
        ["--mask", "b.png"],
        ["--sheet", "a.jpg", "--size", "63"],
        ["--sheet", "a.jpg", "--json"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        answer(["presets", *words])
    assert ended.value.code == ExitCode.USAGE
