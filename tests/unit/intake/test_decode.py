"""The verdict on a file, and the child that reaches it."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.errors import SurroundingsError
from daemon.intake.decode import Decoder, Verdict, judge
from tests.support.atelier import PATIENCE_S, give_no_more_memory, stopped_process

LIMIT = 1_000_000


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    found = Decoder(LIMIT, timeout_s=PATIENCE_S)
    yield found
    found.close()


def test_whole_picture_tells_its_size(photo_file) -> None:
    assert judge(str(photo_file(size_px=40)), "photo.jpg", LIMIT) == Verdict(40, 40, format="JPEG")


def test_cut_picture_may_still_be_on_its_way(photo_file) -> None:
    path = photo_file(size_px=200)
    path.write_bytes(path.read_bytes()[:-500])
    verdict = judge(str(path), "photo.jpg", LIMIT)
    assert verdict.unfinished and verdict.fault.startswith("photo.jpg could not be decoded")


def test_picture_over_the_limit_is_refused_at_once(photo_file) -> None:
    verdict = judge(str(photo_file(size_px=40)), "photo.jpg", 1599)
    assert verdict.fault and not verdict.unfinished


def test_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "photo.jpg")
    verdict = judge(str(tmp_path / "photo.jpg"), "photo.jpg", LIMIT)
    assert verdict == Verdict(fault="photo.jpg is not an ordinary file")


def test_link_is_never_followed(photo_file, tmp_path: Path) -> None:
    photo_file("real.jpg")
    (tmp_path / "photo.jpg").symlink_to("real.jpg")
    assert "cannot be read" in judge(str(tmp_path / "photo.jpg"), "photo.jpg", LIMIT).fault


def test_child_answers_for_one_picture_after_another(
    decoder: Decoder, photo_file, tmp_path: Path
) -> None:
    assert decoder.decode(photo_file(size_px=40), "photo.jpg") == Verdict(40, 40, format="JPEG")
    (tmp_path / "text.jpg").write_text("hello")
    assert decoder.decode(tmp_path / "text.jpg", "text.jpg").unfinished
    assert decoder.decode(photo_file("b.png", 30), "b.png") == Verdict(30, 30, format="PNG")


def test_child_that_was_killed_is_started_again(photo_file) -> None:
    decoder = Decoder(LIMIT, timeout_s=PATIENCE_S)
    photo = photo_file(size_px=40)
    assert decoder.decode(photo, "photo.jpg") == Verdict(40, 40, format="JPEG")
    assert decoder._child is not None
    hung = decoder._child.pid
    decoder._timeout_s = 0.0
    with stopped_process(hung):
        verdict = decoder.decode(photo, "photo.jpg")
    assert "took more than 0 s" in verdict.fault and not verdict.unfinished
    decoder._timeout_s = PATIENCE_S
    assert decoder.decode(photo, "photo.jpg") == Verdict(40, 40, format="JPEG")
    assert decoder._child.pid != hung
    decoder.close()


def test_picture_that_gets_no_memory_is_refused_and_the_next_one_decoded(photo_file) -> None:
    decoder = Decoder(max_pixels=300_000_000, timeout_s=PATIENCE_S)
    assert decoder.decode(photo_file(), "photo.jpg").fault == ""
    large = photo_file("large.jpg")
    Image.new("L", (16_000, 16_000)).save(large)
    assert decoder._child is not None
    give_no_more_memory(decoder._child.pid)
    assert "more memory to decode" in decoder.decode(large, "large.jpg").fault
    assert decoder.decode(photo_file(), "photo.jpg").fault == ""
    decoder.close()


def test_decoder_that_cannot_be_started_is_the_surroundings_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def start(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("daemon.intake.decode.Child", start)
    with pytest.raises(SurroundingsError, match="the decoder of pictures cannot be started"):
        Decoder(LIMIT, 1.0).decode(tmp_path / "photo.jpg", "photo.jpg")


def test_verdict_tells_what_drafting_needs(tmp_path: Path) -> None:
    path = tmp_path / "photo.gif"
    frames = [Image.new("RGBA", (32, 32), colour) for colour in ((255, 0, 0, 255), (0, 0, 0, 0))]
    frames[0].paste((0, 0, 0, 0), (0, 0, 16, 32))
    frames[0].save(path, save_all=True, append_images=frames[1:])
    found = judge(str(path), path.name, 1_000_000)
    assert (found.format, found.bits, found.alpha) == ("GIF", 8, True)
    assert found.warnings == ["the file is an animation; its first frame was painted"]
    deep = tmp_path / "photo.tif"
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(deep)
    found = judge(str(deep), deep.name, 1_000_000)
    assert (found.format, found.bits, found.alpha, found.warnings) == ("TIFF", 16, False, [])


def test_verdict_comes_through_the_child_as_it_was_said(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(path)
    assert decoder.decode(path, path.name) == judge(str(path), path.name, LIMIT)
