"""The sheets of sweeps and of all presets, made from what was published."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.job import ClaimedPicture, Job, Outputs, State, StyleRef
from daemon.outbox import laying, sheets
from daemon.outbox.finishers import FinishedPicture
from daemon.outbox.laying import LayingError
from daemon.outbox.naming import layout
from daemon.outbox.sheets import lay_sheets, read_listing
from daemon.pictures.sheet import ContactSheet

SHEET = "starry/2024/photo.sweep.jpg"
LISTING = "starry/2024/.jobs/photo.sweep.sheet.json"


@pytest.fixture
def laid(monkeypatch: pytest.MonkeyPatch) -> list[ContactSheet]:
    """The sheets that were laid; not really, but each has other bytes."""
    found: list[ContactSheet] = []

    def lay(sheet: ContactSheet, on_piece: Callable[[], object]) -> bytes:
        found.append(sheet)
        return f"sheet {[cell and (cell.caption, cell.picture) for cell in sheet.cells]}".encode()

    monkeypatch.setattr(sheets, "laid", lay)
    return found


@pytest.fixture
def cell(make_job, outbox: Path) -> Callable[..., Job]:
    """A job that is over, its result in the outbox if it is done."""

    def make(label: str, verdict: State = State.DONE, **changes: Any) -> Job:
        number = changes.pop("id", f"{abs(hash(label)):020d}")
        job = make_job(id=number, label=label, verdict=verdict, state=verdict, **changes)
        job = dataclasses.replace(job, outputs=layout(job, str, ""))
        if verdict is State.DONE:
            path = outbox / job.outputs.result
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 48), "red").save(path)
        return job

    return make


@pytest.fixture
def finish(picture: ClaimedPicture, finished, tmp_path: Path) -> Callable[..., FinishedPicture]:
    """Lays the sheets of a picture whose jobs these are."""
    Image.new("RGB", (64, 48), "blue").save(tmp_path / "copy", "PNG")

    def lay(jobs: Sequence[Job], **changes: Any) -> FinishedPicture:
        over = finished(dataclasses.replace(picture, **changes), jobs)
        over = dataclasses.replace(over, style=lambda sha256: tmp_path / sha256)
        lay_sheets(over)
        return over

    return lay


def test_sheet_of_a_sweep_lies_beside_its_folder_and_shows_what_failed(
    cell, finish, outbox: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 48), "green").save(tmp_path / "5a", "PNG")
    jobs = [
        cell("beta 5, style_scale 1"),
        cell("beta 5, style_scale 2"),
        cell("beta 20, style_scale 1"),
        cell("beta 20, style_scale 2", State.FAILED, reason="The loss became infinite."),
    ]
    finish(jobs)
    with Image.open(outbox / SHEET) as sheet:
        assert sheet.format == "JPEG" and sheet.width == 1600
        pixels = sheet.convert("RGB").load()
        colours = {pixels[x, y] for x in range(0, 1600, 4) for y in range(0, sheet.height, 4)}
    near = {name: False for name in ("red", "blue", "green")}
    for red, green, blue in colours:
        near["red"] |= red > 240 and green < 15 and blue < 15
        near["blue"] |= blue > 240 and red < 15 and green < 15
        near["green"] |= 110 < green < 145 and red < 15 and blue < 15
    assert all(near.values())  # results, photograph, style
    listing = read_listing(outbox / LISTING)
    assert listing is not None and listing.cells["beta 20, style_scale 2"].state == "failed"


def test_rows_and_columns_are_the_two_fields_in_the_order_of_their_values(
    cell, finish, laid: list[ContactSheet]
) -> None:
    labels = [f"beta {beta}, size {size}" for beta in (20, 5) for size in ("original", 512, 64)]
    finish([cell(label) for label in labels])
    (sheet,) = laid
    assert (sheet.rows, sheet.columns) == (
        ("beta 5", "beta 20"),
        ("size 64", "size 512", "size original"),
    )
    assert [one.caption for one in sheet.cells if one] == [
        f"beta {beta}, size {size}" for beta in (5, 20) for size in (64, 512, "original")
    ]
    assert [caption for _, caption in sheet.corner] == ["photograph", "style"]


def test_cell_that_is_tried_again_takes_its_place_on_the_sheet_that_is_there(
    cell, finish, laid: list[ContactSheet], outbox: Path
) -> None:
    finish([cell("beta 5"), cell("beta 20", State.FAILED, reason="Broken.")])
    before = (outbox / SHEET).read_bytes()
    finish([cell("beta 20", id="f" * 20)])
    assert [one.picture is not None for one in laid[1].cells if one] == [True, True]
    assert (outbox / SHEET).read_bytes() != before
    assert [path.name for path in (outbox / "starry/2024").glob("*.jpg")] == ["photo.sweep.jpg"]


@pytest.mark.parametrize("left", ["nothing", "listing", "both"])
def test_sheet_that_a_crash_cut_off_is_whole_at_the_next_start(
    cell, finish, laid: list[ContactSheet], outbox: Path, monkeypatch, left: str
) -> None:
    jobs = [cell("beta 5"), cell("beta 20")]
    written = files.write_bytes

    def crash(target: Path, content: bytes, **more: Any) -> None:
        if left != "nothing":
            written(target, content, **more)
        if left != "both" or target.suffix == ".jpg":
            raise KeyboardInterrupt

    with monkeypatch.context() as crashes:
        crashes.setattr(files, "write_bytes", crash)
        with pytest.raises(KeyboardInterrupt):
            finish(jobs)
    for _ in range(2):
        finish(jobs)
    assert (outbox / SHEET).read_bytes().startswith(b"sheet [('beta 5'")
    assert sorted(path.name for path in (outbox / "starry/2024").iterdir()) == [
        ".jobs",
        "photo.sweep",
        "photo.sweep.jpg",
    ]


def test_sheet_that_crashes_cut_off_again_and_again_is_still_known_for_ours(
    cell, finish, laid: list[ContactSheet], outbox: Path, monkeypatch
) -> None:
    """The listing is written, and never the sheet, while one cell after the other is retried."""
    written = files.write_bytes

    def crash(target: Path, content: bytes, **more: Any) -> None:
        if target.suffix == ".jpg":
            raise KeyboardInterrupt
        written(target, content, **more)

    finish([cell("beta 5")])
    with monkeypatch.context() as crashes:
        crashes.setattr(files, "write_bytes", crash)
        for label in ("beta 20", "beta 80", "beta 90"):
            with pytest.raises(KeyboardInterrupt):
                finish([cell(label)])
    finish([cell("beta 95")])
    assert len(laid[-1].cells) == 5
    assert [path.name for path in (outbox / "starry/2024").glob("*.jpg")] == ["photo.sweep.jpg"]


def test_file_that_takes_the_sheets_name_while_it_is_written_is_left_alone(
    cell, finish, laid: list[ContactSheet], outbox: Path, monkeypatch
) -> None:
    written = files.write_bytes

    def meanwhile(target: Path, content: bytes, **more: Any) -> None:
        written(target, content, **more)
        if target.suffix == ".json":
            (outbox / SHEET).write_bytes(b"a result of another service")

    with monkeypatch.context() as others:
        others.setattr(files, "write_bytes", meanwhile)
        with pytest.raises(SurroundingsError, match="File exists"):
            finish([cell("beta 5")])
    finish([cell("beta 5")])
    assert (outbox / SHEET).read_bytes() == b"a result of another service"
    assert len(list((outbox / "starry/2024").glob("photo.sweep-*.jpg"))) == 1


def test_file_of_somebody_else_under_the_sheets_name_is_left_alone(
    cell, finish, laid: list[ContactSheet], outbox: Path
) -> None:
    jobs = [cell("beta 5"), cell("beta 20")]
    (outbox / SHEET).write_bytes(b"mine")
    finish(jobs)
    finish(jobs)
    assert (outbox / SHEET).read_bytes() == b"mine"
    assert len(list((outbox / "starry/2024").glob("photo.sweep-*.jpg"))) == 1


def test_sheet_that_somebody_has_changed_is_not_replaced(
    cell, finish, laid: list[ContactSheet], outbox: Path
) -> None:
    finish([cell("beta 5"), cell("beta 20", State.FAILED)])
    (outbox / SHEET).write_bytes(b"with my notes on it")
    finish([cell("beta 20", id="f" * 20)])
    assert (outbox / SHEET).read_bytes() == b"with my notes on it"
    assert len(list((outbox / "starry/2024").glob("photo.sweep-*.jpg"))) == 1


@pytest.mark.parametrize("other", ["picture", "recipe", "field"])
def test_sweep_of_another_picture_or_recipe_has_a_sheet_of_its_own(
    cell, finish, laid: list[ContactSheet], outbox: Path, other: str
) -> None:
    finish([cell("beta 5"), cell("beta 20")])
    before = (outbox / SHEET).read_bytes()
    recipe = {"seed": 8, "size": 512} if other == "recipe" else {"seed": 7, "size": 512}
    label = "tv {}" if other == "field" else "beta {}"
    jobs = [cell(label.format(n), id=f"{n:020d}", recipe=recipe) for n in (40, 80)]
    finish(jobs, sha256="other" if other == "picture" else "ab12")
    assert (outbox / SHEET).read_bytes() == before
    assert len(list((outbox / "starry/2024").glob("photo.sweep-*.jpg"))) == 1
    assert len([one for one in laid[1].cells if one]) == 2


def test_sheet_is_of_one_preset_where_a_sidecar_names_several(
    cell, finish, laid: list[ContactSheet], outbox: Path
) -> None:
    finish([cell(f"beta {beta}", preset=name) for name in ("starry", "wave") for beta in (1, 2)])
    assert [sheet.title for sheet in laid] == ["photo.jpg · starry", "photo.jpg · wave"]
    assert (outbox / "wave/2024/photo.sweep.jpg").exists()


def test_sweep_of_which_nothing_could_be_painted_has_no_sheet(
    cell, finish, laid: list[ContactSheet], outbox: Path
) -> None:
    finish([cell("beta 5", State.FAILED), cell("beta 20", State.CANCELLED)])
    assert not laid and not (outbox / SHEET).exists()


def test_picture_without_a_sweep_has_no_sheet(cell, finish, laid, outbox: Path) -> None:
    finish([cell("")])
    finish([cell("", preset=name) for name in ("starry", "wave")])
    assert not laid and not list(outbox.rglob("*.sheet.json"))


def test_picture_in_every_preset_has_a_sheet_with_their_styles(
    cell, finish, laid: list[ContactSheet], outbox: Path
) -> None:
    names = ("wave", "Mosaic", "starry")
    jobs = [cell("", preset=name, styles=(StyleRef("a", name, 1.0),)) for name in names]
    finish(jobs, path=Path("all/2024/photo.jpg"))
    assert (outbox / "all/2024/photo.presets.jpg").exists()
    (sheet,) = laid
    assert [one.caption for one in sheet.cells if one] == ["Mosaic", "starry", "wave"]
    assert [Path(one.inset or "").name for one in sheet.cells if one] == [
        "Mosaic",
        "starry",
        "wave",
    ]
    finish([cell("", preset="wave", id="e" * 20)], path=Path("bulk/all/2024/photo.jpg"))
    assert len([one for one in laid[1].cells if one]) == 3


def test_full_outbox_lets_the_sheet_wait(
    cell, finish, laid: list[ContactSheet], outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [cell("beta 5"), cell("beta 20")]
    with monkeypatch.context() as full:
        full.setattr(files, "free_bytes", lambda folder: 0)
        with pytest.raises(SurroundingsError):
            finish(jobs)
    assert not (outbox / SHEET).exists() and not (outbox / LISTING).exists()
    finish(jobs)
    assert (outbox / SHEET).exists()


def test_sheet_that_cannot_be_laid_keeps_no_original_waiting(
    cell, finish, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sheet: ContactSheet, on_piece: object) -> bytes:
        raise LayingError("the process that lays it was ended by SIGKILL")

    monkeypatch.setattr(sheets, "laid", fail)
    finish([cell("beta 5"), cell("beta 20")])
    assert not (outbox / SHEET).exists()


def test_process_that_dies_is_tried_again_and_then_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []

    class Dying:
        def __init__(self, module: str, arguments: object, **more: object) -> None:
            started.append(module)

        def send(self, message: object) -> None:
            pass

        def receive_within(self, timeout_s: float) -> None:
            pass

        def ending(self) -> str:
            return "was ended by SIGKILL"

        def close(self, grace_s: float) -> None:
            pass

    monkeypatch.setattr(laying, "Child", Dying)
    with pytest.raises(LayingError, match="was ended by SIGKILL"):
        laying.laid(ContactSheet("", "", (), ()), lambda: None)
    assert len(started) == 2


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"subject": "a", "cells": {"b": 1}}'])
def test_file_that_is_no_listing_is_taken_for_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "it.json").write_text(content)
    assert read_listing(tmp_path / "it.json") is None
    assert read_listing(tmp_path / "gone.json") is None


def test_odd_names_of_results_are_found_again(cell, finish, outbox: Path) -> None:
    below = Path("2024/pho\udcffto.jpg")
    finish([cell("beta 5", below=below), cell("beta 20", below=below)])
    text = (outbox / "starry/2024/.jobs/pho\udcffto.sweep.sheet.json").read_text()
    result = json.loads(text)["cells"]["beta 5"]["result"]
    assert (outbox / result).exists() and Outputs(result=result).main
