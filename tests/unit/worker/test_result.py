"""From the picture's file to the result's, the painting left out: what the worker hands on."""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage.data
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from daemon.engine.checkpoint import PassReport
from daemon.engine.engine import Style
from daemon.engine.faces import Face
from daemon.engine.fit.plan import Plan
from daemon.engine.judgement import Judgement
from daemon.engine.optimise.steps import Step
from daemon.engine.paint import Moment, Painted
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass
from daemon.engine.tensors import to_pixels, to_tensor
from daemon.messages import (
    Blob,
    Done,
    Ended,
    Failed,
    FullPicture,
    OrderedStyle,
    RunOrder,
    WorkerSettings,
    to_done,
    to_event,
)
from daemon.pictures.form import JobRecipe
from daemon.pictures.note import read_note
from daemon.pictures.picture import Metadata, Picture
from daemon.pictures.profiles import DISPLAY_P3, SRGB_CURVE, RgbSpace, rgb_profile, srgb_profile
from daemon.pictures.read import read_picture
from daemon.pictures.write import write_picture
from daemon.worker import account, child
from daemon.worker.child import Worker
from daemon.worker.result import painting_recipe, without_pixels
from tests.support.profiles import cmyk_profile, scanner_profile

NARROW = RgbSpace("narrow", ((0.5, 0.33), (0.31, 0.5), (0.2, 0.15)), SRGB_CURVE)
"""Less than sRGB in every direction."""


class UnchangedEngine:
    """An engine whose painting is the picture itself; keeps what it was given."""

    device, dtype = torch.device("cpu"), torch.float32
    arithmetic = SimpleNamespace(method="direct")
    weights_name, weights_sha256 = "classic", "0" * 64

    def __init__(self) -> None:
        self.picture: NDArray[Any] | None = None
        self.styles: list[Style] = []
        self.recipe: Recipe | None = None
        self.judgement = Judgement()
        self.faces: Sequence[Face] = ()

    def paint(
        self,
        picture: NDArray[Any],
        styles: list[Style],
        recipe: Recipe,
        *,
        faces: Sequence[Face] = (),
        **_: object,
    ) -> Iterator[Moment]:
        self.picture, self.styles, self.recipe, self.faces = picture, styles, recipe, faces
        step = Step(1, 1.0, {"content": 0.0, "style": 1.0}, 0.1)
        height, width, _ = picture.shape
        plan = Plan(None, 20, aside=False, predicted_bytes=1, budget_bytes=2)
        size = Pass(width, height, 1)
        report = PassReport(size, plan, 0.1, step, step, False, step)
        pixels = to_pixels(to_tensor(picture, self.device))
        yield Painted(pixels, (report,), ("pass 1: of the painting",), self.judgement)

    def plan(self, *_: object, **__: object) -> Plan:
        return Plan(None, 20, aside=False, predicted_bytes=1, budget_bytes=2)


@pytest.fixture
def engine() -> UnchangedEngine:
    return UnchangedEngine()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def worker(tmp_path: Path, out: io.StringIO, engine: UnchangedEngine) -> Worker:
    """A worker that paints nothing."""
    found = Worker(WorkerSettings("cpu", "", tmp_path, "float32"), out)
    found._engine = engine  # type: ignore[assignment]
    return found


def save(path: Path, picture: Picture, suffix: str) -> Path:
    """Writes a picture as it is, with the profile it has."""
    with path.open("wb+") as file:
        write_picture(file, picture.pixels, name=f"x{suffix}", like=picture, note={})
    return path


@pytest.fixture
def order(tmp_path: Path) -> RunOrder:
    """A picture to be painted after another; nothing is changed by it but the format's limits."""
    plain = Picture(np.full((64, 64, 3), 90, np.uint8), format="PNG")
    for name in ("picture", "style"):
        save(tmp_path / name, plain, ".png")
    return RunOrder(
        name="sea.png",
        picture=Blob("", tmp_path / "picture"),
        max_pixels=1_000_000,
        recipe={"size": "original", "steps": 1},
        styles=(OrderedStyle("wave.png", Blob("ab", tmp_path / "style"), 1.0),),
        result=tmp_path / "result",
        checkpoint=None,
        preview=None,
        memory_bytes=None,
        note={"id": "x"},
    )


def run(worker: Worker, out: io.StringIO, order: RunOrder) -> Done | str:
    """What came of a run: an account, or why it failed."""
    worker.run("j1", order)
    ended = json.loads(out.getvalue().splitlines()[-1])["result"]
    return to_done(ended) if ended["ok"] else str(ended["reason"])


def result_of(order: RunOrder) -> Picture:
    """The result, as it is read."""
    with order.result.open("rb") as file:
        return read_picture(file, order.result_name or order.name, 1_000_000)


def tiff_of(order: RunOrder) -> tuple[NDArray[Any], bytes]:
    """The numbers of a result that is a TIFF, and their profile."""
    with tifffile.TiffFile(order.result) as file:
        page = file.pages.first
        return page.asarray(), page.tags["InterColorProfile"].value


def log_of(out: io.StringIO) -> list[str]:
    """The lines a worker wrote into a job's log."""
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    return [event["text"] for event in events if event["event"] == "log"]


def test_small_painting_is_the_full_pictures_though_a_proof_was_painted_before(
    worker: Worker,
    out: io.StringIO,
    order: RunOrder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(child, "foretell", lambda *_, **__: FullPicture(64, 64, None))
    asked = replace(order, small=tmp_path / "small")
    assert isinstance(run(worker, out, replace(asked, proof=True)), Done)
    kept = {path.name for path in (tmp_path / "small").iterdir()}
    assert kept == {"photograph.jpg", "photograph.thumb.jpg"}
    assert isinstance(run(worker, out, asked), Done)
    assert (tmp_path / "small/painting.jpg").exists()


def test_proof_warns_of_a_full_picture_that_would_be_refused(
    worker: Worker, out: io.StringIO, order: RunOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def shortage(engine: object, recipe: Recipe, size: Pass, maps: int) -> str:
        asked.append((max(size.width_px, size.height_px), maps))
        return "it needs about 14.4 GB."

    monkeypatch.setattr(child, "foretell", lambda *_, **__: FullPicture(2048, 2048, 9))
    monkeypatch.setattr(account, "shortage", shortage)
    large = replace(order, recipe=order.recipe | {"size": 2048})
    proof = run(worker, out, replace(large, proof=True))
    assert isinstance(proof, Done) and asked == [(2048, 0)]
    assert "the full picture would be refused: it needs about 14.4 GB." in proof.warnings


def test_faces_are_found_painted_told_and_framed_in_a_proof(
    worker: Worker,
    out: io.StringIO,
    order: RunOrder,
    engine: UnchangedEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    portrait = Image.fromarray(skimage.data.astronaut()).resize((200, 200))
    save(tmp_path / "picture", Picture(np.array(portrait), format="PNG"), ".png")
    asked = replace(order, recipe=order.recipe | {"faces": 0.5})
    done = run(worker, out, asked)
    assert isinstance(done, Done) and done.faces is not None
    (face,) = done.faces
    assert engine.faces == done.faces
    assert any(f"faces: {face.width_px}x{face.height_px} px at" in line for line in log_of(out))
    assert np.array_equal(result_of(asked).pixels, np.array(portrait))

    foretold_with = []

    def foretell(*_: object, maps: int) -> FullPicture:
        foretold_with.append(maps)
        return FullPicture(200, 200, None)

    monkeypatch.setattr(child, "foretell", foretell)
    proof = run(worker, out, replace(asked, proof=True))
    assert foretold_with == [1], "the map of the face takes memory of the full picture"
    assert isinstance(proof, Done) and proof.faces == done.faces
    changed = (result_of(asked).pixels != np.array(portrait)).any(axis=2)
    assert changed[face.top_px, face.left_px : face.left_px + face.width_px].any()
    assert not changed[: face.top_px].any() and not changed[:, : face.left_px].any()


def test_picture_without_a_face_is_painted_and_its_record_says_that_none_was_found(
    worker: Worker, out: io.StringIO, order: RunOrder, engine: UnchangedEngine
) -> None:
    done = run(worker, out, replace(order, recipe=order.recipe | {"faces": 1.0}))
    assert isinstance(done, Done) and done.faces == ()
    assert "faces: none found" in log_of(out)
    without = run(worker, out, order)
    assert isinstance(without, Done) and without.faces is None and engine.faces == ()


def test_job_that_asks_for_faces_where_opencv_is_missing_fails_with_what_to_do(
    worker: Worker, out: io.StringIO, order: RunOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    reason = run(worker, out, replace(order, recipe=order.recipe | {"faces": 1.0}))
    assert isinstance(reason, str) and "install atelierd[faces]" in reason
    ended = json.loads(out.getvalue().splitlines()[-1])
    assert ended["result"]["kind"] == "input"


RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_level_of_16_bits_goes_from_file_to_file(
    worker: Worker, out: io.StringIO, order: RunOrder, tmp_path: Path, suffix: str
) -> None:
    levels = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=2)
    save(tmp_path / "picture", Picture(levels, format="PNG", bits=16), suffix)
    order = replace(order, name=f"ramp{suffix}")
    assert isinstance(run(worker, out, order), Done)
    found = result_of(order)
    assert found.bits == 16 and np.array_equal(found.pixels, levels)


def test_baseline_tiff_of_another_program_keeps_its_levels(
    worker: Worker, out: io.StringIO, order: RunOrder, tmp_path: Path
) -> None:
    levels = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=2)
    tifffile.imwrite(tmp_path / "picture", levels, photometric="rgb")
    order = replace(order, name="ramp.tif")
    assert isinstance(run(worker, out, order), Done)
    assert np.array_equal(tifffile.imread(order.result), levels)


@pytest.fixture
def wide(tmp_path: Path) -> Picture:
    """The corners, edges and faces of Display P3 as 16 bits, in a file."""
    side = np.linspace(-0.02, 1.0, 6, dtype=np.float32).clip(0)
    cube = np.stack(np.meshgrid(side, side, side, indexing="ij"), -1).reshape(12, 18, 3)
    values = np.rint(cube.repeat(3, 0).repeat(2, 1) * 65535).astype(np.uint16)
    profile = rgb_profile(DISPLAY_P3)
    tifffile.imwrite(tmp_path / "picture", values, photometric="rgb", iccprofile=profile)
    return Picture(values, format="TIFF", bits=16, profile=profile)


def test_colours_of_display_p3_go_from_file_to_file(
    worker: Worker,
    out: io.StringIO,
    order: RunOrder,
    engine: UnchangedEngine,
    wide: Picture,
) -> None:
    order = replace(order, name="p3.tif")
    assert isinstance(run(worker, out, order), Done)
    assert engine.picture is not None and engine.picture.dtype == np.float32
    assert engine.picture.min() < -0.1 and engine.picture.max() > 1.05  # sRGB has them not
    written, profile = tiff_of(order)
    assert profile == wide.profile
    off = np.abs(written.astype(int) - wide.pixels.astype(int))
    assert off.max() <= 16  # of 65535: a sixteenth of a level of 8 bits


def test_refused_painting_leaves_no_result_unless_the_gate_is_off(
    worker: Worker, out: io.StringIO, order: RunOrder, engine: UnchangedEngine
) -> None:
    engine.judgement = Judgement(noise=9.0, photo_noise=8.0)
    worker.run("j1", order)
    ended = to_event(json.loads(out.getvalue().splitlines()[-1]))
    assert isinstance(ended, Ended) and isinstance(ended.outcome, Failed)
    assert ended.outcome.kind == "input" and "far noisier" in ended.outcome.reason
    assert ended.outcome.painted and ended.outcome.painted.judge
    assert ended.outcome.painted.judge["noise"] == 9.0
    assert ended.outcome.painted.warnings == ("pass 1: of the painting",)
    assert not order.result.exists()
    done = run(worker, out, replace(order, recipe={**order.recipe, "gate": False}))
    assert isinstance(done, Done) and done.judge and done.judge["noise"] == 9.0
    assert order.result.exists()


def test_result_has_the_form_that_the_recipe_asks_for(
    worker: Worker, out: io.StringIO, order: RunOrder, wide: Picture
) -> None:
    form = {"depth": 8, "profile": "srgb"}
    order = replace(order, name="p3.tif", recipe={**order.recipe, **form})
    assert isinstance(run(worker, out, order), Done)
    written, profile = tiff_of(order)
    assert written.dtype == np.uint8
    assert profile == srgb_profile()


def test_profile_of_a_file_is_taken_from_where_the_order_says(
    worker: Worker, out: io.StringIO, order: RunOrder, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_bytes(cmyk_profile())
    recipe = {**order.recipe, "profile": "inks/press.icc"}
    order = replace(
        order, name="a.tif", recipe=recipe, profiles={"inks/press.icc": tmp_path / "kept"}
    )
    assert isinstance(run(worker, out, order), Done)
    written, profile = tiff_of(order)
    assert written.shape[2] == 4 and profile == cmyk_profile()


def test_profile_that_leads_to_no_colours_is_refused_before_it_is_painted(
    worker: Worker,
    out: io.StringIO,
    order: RunOrder,
    engine: UnchangedEngine,
    tmp_path: Path,
) -> None:
    (tmp_path / "kept").write_bytes(scanner_profile())
    recipe = {**order.recipe, "profile": "scan.icc"}
    order = replace(order, recipe=recipe, profiles={"scan.icc": tmp_path / "kept"})
    reason = run(worker, out, order)
    assert isinstance(reason, str) and "scan.icc describes a camera or scanner" in reason
    assert engine.picture is None and not order.result.exists()


def test_result_too_large_for_its_format_is_refused_before_it_is_painted(
    worker: Worker, out: io.StringIO, order: RunOrder, engine: UnchangedEngine
) -> None:
    recipe = {**order.recipe, "size": 20_000}
    reason = run(worker, out, replace(order, recipe=recipe, result_name="sea.webp"))
    assert isinstance(reason, str) and "20000x20000 px cannot be written as WEBP" in reason
    assert engine.picture is None


def test_proof_is_held_to_its_own_size_and_not_to_the_full_pictures(
    worker: Worker, out: io.StringIO, order: RunOrder, engine: UnchangedEngine
) -> None:
    recipe = {**order.recipe, "size": 20_000}
    foreseen = replace(order, recipe=recipe, result_name="sea.webp", proof=True)
    run(worker, out, foreseen)
    assert engine.picture is not None  # what it foresees is no part of this engine


def test_warnings_of_reading_painting_and_writing_come_together(
    worker: Worker,
    out: io.StringIO,
    order: RunOrder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = Picture(
        np.zeros((64, 64, 3), np.uint8),
        format="PNG",
        metadata=Metadata(xmp=b"<x:xmpmeta"),  # cut off
        warnings=("2 further pages were left out",),
    )
    monkeypatch.setattr("daemon.worker.task.read_picture", lambda *_: read)
    done = run(worker, out, order)
    assert isinstance(done, Done)
    reading, painting, writing = done.warnings
    assert (reading, painting) == ("2 further pages were left out", "pass 1: of the painting")
    assert "XMP is damaged" in writing


def test_note_tells_the_whole_recipe_and_the_engine_gets_what_is_painted(
    worker: Worker, out: io.StringIO, order: RunOrder, engine: UnchangedEngine
) -> None:
    order = replace(order, recipe={**order.recipe, "depth": 8, "quality": 40})
    assert isinstance(run(worker, out, order), Done)
    assert engine.recipe == Recipe(size="original", steps=1)
    assert type(engine.recipe) is Recipe  # a form in it would be in the checkpoint's identity
    assert b'"quality": 40' in order.result.read_bytes()


def test_form_of_a_result_changes_nothing_of_what_is_painted() -> None:
    forms: list[dict[str, Any]] = [{}, {"format": "tiff"}, {"quality": 20}, {"profile": "srgb"}]
    recipes = {painting_recipe(JobRecipe(beta=5.0, **form)).model_dump_json() for form in forms}
    assert recipes == {Recipe(beta=5.0).model_dump_json()}


def test_picture_without_pixels_keeps_its_size_and_takes_no_memory() -> None:
    alpha = np.zeros((3000, 4000), np.uint8)
    picture = Picture(np.zeros((3000, 4000, 3), np.uint16), alpha, "TIFF", 16)
    bare = without_pixels(picture)
    assert (bare.size, bare.alpha, bare.bits) == ((4000, 3000), alpha, 16)
    assert bare.pixels.base is not None and bare.pixels.base.nbytes == 2


@pytest.fixture
def proofed(order: RunOrder, tmp_path: Path, wide: Picture) -> RunOrder:
    """A picture that is to be painted in the colours of a narrow space."""
    (tmp_path / "kept").write_bytes(rgb_profile(NARROW))
    recipe = {**order.recipe, "proof_profile": "press.icc"}
    profiles = {"press.icc": tmp_path / "kept"}
    return replace(order, name="p3.tif", recipe=recipe, profiles=profiles)


def gamut_of(pixels: NDArray[Any]) -> float:
    """How saturated the colours are: the largest difference of two channels."""
    return float((pixels.max(axis=2) - pixels.min(axis=2)).max())


def test_soft_proof_takes_picture_styles_and_result_through_the_profile(
    worker: Worker,
    out: io.StringIO,
    proofed: RunOrder,
    engine: UnchangedEngine,
    tmp_path: Path,
    wide: Picture,
) -> None:
    with (tmp_path / "picture").open("rb") as file:
        read = read_picture(file, "p3.tif", 1_000_000).pixels
    style = np.zeros((64, 64, 3), np.uint8)
    style[:, :32], style[:, 32:] = (255, 0, 0), (0, 255, 0)
    save(tmp_path / "style", Picture(style, format="PNG"), ".png")

    def vivid(picture: NDArray[Any], styles: list[Style], recipe: Recipe, **_: Any) -> Any:
        for moment in UnchangedEngine.paint(engine, picture, styles, recipe):
            assert isinstance(moment, Painted)
            yield replace(moment, pixels=read.copy())  # paints what no press prints

    engine.paint = vivid  # type: ignore[method-assign]
    assert isinstance(run(worker, out, proofed), Done)
    assert engine.picture is not None
    assert gamut_of(read) > 1.1
    seen = (engine.picture, engine.styles[0].pixels, result_of(proofed).pixels)
    for pixels in seen:
        assert pixels.dtype == np.float32 and gamut_of(pixels) < 0.85
    # White and black are the paper's and the ink's, and stay.
    assert np.abs(seen[2][-1, -1] - 1).max() < 1e-3 and np.abs(seen[2][0, 0]).max() < 1e-3


def test_style_is_another_one_through_a_profile(
    worker: Worker,
    out: io.StringIO,
    proofed: RunOrder,
    engine: UnchangedEngine,
    tmp_path: Path,
) -> None:
    keys = []
    (tmp_path / "other").write_bytes(cmyk_profile())
    other = replace(proofed, profiles={"press.icc": tmp_path / "other"})
    plain = replace(proofed, recipe={"size": "original", "steps": 1})
    for one in (plain, proofed, other, proofed, plain):
        assert isinstance(run(worker, out, one), Done)
        keys.append(engine.styles[0].key)
    # A checkpoint of before profiles knows it by its file.
    assert keys[0] == "ab" and len(set(keys)) == 3
    assert keys[3:] == [keys[1], keys[0]]


def test_profile_that_cannot_be_printed_with_is_the_presets_fault(
    worker: Worker,
    out: io.StringIO,
    proofed: RunOrder,
    tmp_path: Path,
) -> None:
    (tmp_path / "kept").write_bytes(scanner_profile())
    reason = run(worker, out, proofed)
    assert isinstance(reason, str)
    assert reason.startswith("press.icc is no profile of what can be printed")
    assert "`proof_profile`" in reason


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_same_painting_is_the_same_file_and_tells_what_it_was_made_of(
    worker: Worker, out: io.StringIO, order: RunOrder, suffix: str
) -> None:
    order = replace(order, name=f"sea{suffix}")
    contents = []
    for _ in range(2):
        assert isinstance(run(worker, out, order), Done)
        contents.append(order.result.read_bytes())
    assert contents[0] == contents[1]
    note = read_note(order.result)
    assert note is not None and note["recipe"] == JobRecipe(**order.recipe).model_dump()
    assert note["styles"] == [{"name": "wave.png", "sha256": "ab", "weight": 1.0}]
    assert note["last_loss"] == {"total": 1.0, "content": 0.0, "style": 1.0}
