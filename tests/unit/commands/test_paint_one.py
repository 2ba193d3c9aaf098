"""One picture without the queue, by a worker that is a puppet: what comes of every ending."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from daemon.commands.stylize import Single, Wish, paint_one
from daemon.errors import BadInputError, StoppedError
from daemon.host.process import Message
from daemon.pictures.picture import Picture
from daemon.pictures.write import write_picture
from daemon.settings.config import Config
from tests.support.atelier import draw_style, encoded, photograph, wait_for
from tests.support.profiles import cmyk_profile
from tests.support.puppet import Puppet

PAINTED = b"the painted picture"
LOSSES = {"total": 3.0, "content": 1.0, "style": 0.1}
ACCOUNT: Message = {
    "ok": True,
    "width_px": 96,
    "height_px": 72,
    "device": "cpu",
    "dtype": "float32",
    "weights": {"name": "classic", "sha256": "0" * 64},
    "passes": [],
    "first_loss": LOSSES,
    "last_loss": LOSSES,
    "seconds": 1.5,
    "peak_memory_bytes": 1,
    "warnings": [],
    "result_sha256": "0" * 64,
    "result_bytes": len(PAINTED),
}
Answer = Callable[["Answering", Message], None]


class Answering(Puppet):
    """A puppet that answers each run by the next of its answers; what it was asked is kept."""

    answers: Iterator[Answer]

    def send(self, message: Message) -> None:
        super().send(message)
        if message["do"] == "run":
            next(self.answers)(self, message)
        else:
            self.say(event="cancelled", run=message["run"], spent=False)


def done(**account: Any) -> Answer:
    """An answer that goes well."""

    def answer(worker: Answering, request: Message) -> None:
        Path(request["payload"]["result"]).write_bytes(PAINTED)
        worker.say(event="ended", run=request["run"], spent=False, result=ACCOUNT | account)

    return answer


def failed(worker: Answering, request: Message) -> None:
    result = {"ok": False, "kind": "input", "reason": "sea.jpg is torn"}
    worker.say(event="ended", run=request["run"], spent=False, result=result)


def interrupted(worker: Answering, request: Message) -> None:
    """Ctrl-C, as soon as the command waits for the end."""
    before = signal.getsignal(signal.SIGINT)

    def press() -> None:
        wait_for("the command", lambda: signal.getsignal(signal.SIGINT) is not before)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Message]]]:
    """Lets the workers to come give these answers; returns the payloads they are given."""
    workers: list[Answering] = []
    payloads: list[Message] = []

    def prepare(*answers: Answer) -> list[Message]:
        Answering.answers = iter(answers)

        def start(*arguments: Any, **more: Any) -> Answering:
            workers.append(Answering(*arguments, **more))
            return workers[-1]

        monkeypatch.setattr("daemon.pool.local.Child", start)
        return payloads

    original = Answering.send

    def send(worker: Answering, message: Message) -> None:
        if message["do"] == "run":
            payloads.append(message["payload"])
        original(worker, message)

    monkeypatch.setattr(Answering, "send", send)
    yield prepare
    for worker in workers:
        worker.close(0.0)


@pytest.fixture
def config(config: Config, tmp_path: Path) -> Config:
    """Folders with a preset `wave` and a photograph `sea.jpg` beside them."""
    draw_style(config.presets / "wave.png")
    (tmp_path / "sea.jpg").write_bytes(encoded(photograph()))
    return config


def paint(config: Config, heard: list[Any] | None = None, **wish: Any) -> Single:
    """What `stylize sea.jpg --preset wave` comes to."""
    root = config.presets.parent
    usual = {"picture": root / "sea.jpg", "out": root / "out.png"}
    wanted = Wish(**({"preset": "wave"} | usual | wish))
    on_progress = heard.append if heard is not None else lambda message: None
    return paint_one(config, root / "config.yaml", "cpu", wanted, on_progress)


def test_result_lies_where_it_was_asked_for_and_its_warnings_are_told(
    config: Config, tmp_path: Path, asked: Callable[..., list[Message]]
) -> None:
    asked(done(warnings=["the network went on without a fan"]))
    single = paint(config)
    assert single.path == tmp_path / "out.png" and single.path.read_bytes() == PAINTED
    assert (single.warnings, single.forecast) == (("the network went on without a fan",), None)


def test_worker_is_asked_for_what_was_typed_over_the_preset(
    config: Config, tmp_path: Path, asked: Callable[..., list[Message]]
) -> None:
    payloads = asked(done())
    paint(config, settings=("steps=7", "size=80"))
    (payload,) = payloads
    assert (payload["recipe"]["steps"], payload["recipe"]["size"]) == (7, 80)
    assert (payload["name"], payload["result_name"]) == ("sea.jpg", "out.png")
    assert payload["picture"] == str(tmp_path / "sea.jpg")
    assert [style["name"] for style in payload["styles"]] == ["wave.png"]
    assert (payload["checkpoint"], payload["preview"], payload["memory_bytes"]) == (None,) * 3


def test_picture_that_cannot_be_painted_is_told_and_nothing_is_written(
    config: Config, tmp_path: Path, asked: Callable[..., list[Message]]
) -> None:
    asked(failed)
    with pytest.raises(BadInputError, match=r"sea.jpg is torn"):
        paint(config)
    assert not (tmp_path / "out.png").exists()


def test_ctrl_c_stops_the_worker_and_writes_nothing(
    config: Config, tmp_path: Path, asked: Callable[..., list[Message]]
) -> None:
    asked(interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError, match="stopped; nothing was written"):
        paint(config)
    assert not (tmp_path / "out.png").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_proof_says_of_the_full_picture_how_large_it_is_and_how_long_it_takes(
    config: Config, asked: Callable[..., list[Message]]
) -> None:
    full = {"width_px": 4000, "height_px": 3000, "seconds": 125}
    payloads = asked(done(full=full))
    single = paint(config, proof=True)
    assert single.forecast == "the full picture, 4000x3000 px: about 2 min 05 s on cpu"
    assert payloads[0]["proof"] and payloads[0]["note"]["proof"]


def test_progress_is_passed_on_and_the_workers_log_is_not(
    config: Config, asked: Callable[..., list[Message]]
) -> None:
    step = {
        "pass": 1,
        "passes": [{"width_px": 64, "height_px": 48, "steps": 2}],
        "number": 1,
        "seconds": 0.5,
        **LOSSES,
    }

    def answer(worker: Answering, request: Message) -> None:
        worker.say(event="log", run=request["run"], level="INFO", text="network ready")
        worker.say(event="progress", run=request["run"], **step)
        done()(worker, request)

    asked(answer)
    heard: list[Any] = []
    paint(config, heard)
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("settings", "out", "words"),
    [
        (("size=16384",), "o.webp", "16384x12288 px cannot be written as WEBP"),
        (("profile=press.icc",), "o.png", "is a profile of CMYK, which PNG cannot hold"),
        (("profile=gone.icc",), "o.tif", "--set:1: profile: the profile"),
        (("format=gif",), "o.png", "--set:1: format:"),
        (("format=tiff",), "o.png", r"o\.png is to be PNG, and --set format says tiff"),
        (("size=64", "profile=press.icc", "format=webp"), "o.tif", "which WEBP cannot hold"),
    ],
)
def test_form_that_no_result_can_have_is_said_before_any_worker_starts(
    config: Config, asked, settings: tuple[str, ...], out: str, words: str
) -> None:
    (config.presets / "press.icc").write_bytes(cmyk_profile())
    payloads = asked()
    with pytest.raises(BadInputError, match=words):
        paint(config, settings=settings, out=config.presets.parent / out)
    assert payloads == []


def test_profile_that_was_typed_goes_along_with_the_order(config: Config, asked) -> None:
    (config.presets / "press.icc").write_bytes(cmyk_profile())
    payloads = asked(done())
    paint(config, settings=("profile=press.icc",), out=config.presets.parent / "o.tif")
    assert payloads[0]["profiles"] == {"press.icc": str(config.presets / "press.icc")}
    assert payloads[0]["recipe"]["profile"] == "press.icc"


@pytest.mark.parametrize(
    ("settings", "name"),
    [((), "sea-wave.jpg"), (("format=tiff",), "sea-wave.tif"), (("format=png",), "sea-wave.png")],
)
def test_result_without_a_name_is_called_by_the_format_that_was_said(
    config: Config,
    asked,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: tuple[str, ...],
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    payloads = asked(done())
    assert paint(config, settings=settings, out=None).path == tmp_path / name
    assert payloads[0]["result_name"] == name


def test_result_of_a_transparent_picture_is_called_by_a_format_that_keeps_it_so(
    config: Config, asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_heif_opener()
    image = photograph().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    for name, form in (("cut.heic", "HEIF"), ("plain.heic", "HEIF"), ("cutout.avif", "AVIF")):
        kept = image if name.startswith("cut") else image.convert("RGB")
        (tmp_path / name).write_bytes(encoded(kept, form))
    monkeypatch.chdir(tmp_path)
    asked(done(), done(), done())
    found = [
        paint(config, picture=tmp_path / name, out=None).path.name
        for name in ("cut.heic", "plain.heic", "cutout.avif")
    ]
    assert found == ["cut-wave.png", "plain-wave.jpg", "cutout-wave.png"]


def test_profile_of_a_preset_is_never_replaced(config: Config, asked) -> None:
    press = config.presets / "press.tif"  # a name that a result may have
    press.write_bytes(cmyk_profile())
    (config.presets / "wave.yaml").write_text("styles: [{image: wave.png}]\nprofile: press.tif\n")
    asked()
    with pytest.raises(BadInputError, match=r"press\.tif: is a profile of wave, which is never"):
        paint(config, out=press, force=True)


@pytest.fixture
def by_regions(config: Config) -> Path:
    """The preset paints by regions; where a mask lies."""
    text = "styles: [{image: wave.png, region: red}, {image: wave.png, region: blue}]\n"
    (config.presets / "wave.yaml").write_text(text)
    mask = config.presets.parent / "halves.png"
    Image.new("RGB", (96, 72), "red").save(mask)
    return mask


def test_worker_is_given_the_mask_that_was_typed(
    config: Config, asked: Callable[..., list[Message]], by_regions: Path
) -> None:
    payloads = asked(done())
    paint(config, mask=by_regions)
    (payload,) = payloads
    assert (payload["mask"]["path"], payload["mask"]["own"]) == (str(by_regions), True)
    assert [style["region"] for style in payload["styles"]] == ["#ff0000", "#0000ff"]


def test_result_may_not_take_the_place_of_its_mask(config: Config, by_regions: Path) -> None:
    with pytest.raises(BadInputError, match="the mask itself"):
        paint(config, mask=by_regions, out=by_regions, force=True)


def test_preset_of_regions_asks_for_a_mask(config: Config, by_regions: Path) -> None:
    with pytest.raises(BadInputError, match=r"give --mask FILE, drawn in red \(#ff0000\) and blue"):
        paint(config)


def test_mask_that_is_not_there_is_named(config: Config, by_regions: Path) -> None:
    with pytest.raises(BadInputError, match=r"away\.png"):
        paint(config, mask=by_regions.with_name("away.png"))


def test_worker_is_asked_for_what_a_result_was_painted_with(
    config: Config,
    tmp_path: Path,
    asked: Callable[..., list[Message]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not for what the preset of that name says by now; and the result itself is not replaced."""
    like = tmp_path / "before.png"
    payloads = asked(done(), done())
    paint(config, settings=("beta=80", "size=64"))
    note = payloads[0]["note"] | {"recipe": payloads[0]["recipe"], "version": "0.0.1"}
    note["styles"] = [
        {key: style[key] for key in ("name", "sha256", "weight")} for style in payloads[0]["styles"]
    ]
    pixels = np.zeros((32, 32, 3), np.uint8)
    with like.open("wb+") as file:
        write_picture(file, pixels, name="a.png", like=Picture(pixels, format="PNG"), note=note)
    (config.presets / "wave.png").rename(config.presets / "ocean.png")
    monkeypatch.chdir(tmp_path)
    single = paint(config, preset="", like=like, out=None, settings=("steps=3",))
    assert payloads[1]["recipe"] == payloads[0]["recipe"] | {"steps": 3}
    assert payloads[1]["note"] == payloads[0]["note"]
    assert payloads[1]["styles"][0]["path"] == str(config.presets / "ocean.png")
    assert single.path == tmp_path / "sea-wave.jpg"
    assert "painted by atelierd 0.0.1" in single.warnings[0]
    with pytest.raises(BadInputError, match="is the result whose recipe is used"):
        paint(config, preset="", like=like, out=like, force=True)
