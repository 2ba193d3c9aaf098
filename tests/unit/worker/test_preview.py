"""Previews: how large, how often, and what happens where they cannot be written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from daemon.engine.palette import SHOWN_PX, Palette
from daemon.engine.recipe import Colors
from daemon.worker.preview import EVERY_S, PARTS_OF_TIME, Previewer, reduced, write_preview

SMALL = torch.rand(1, 3, 30, 40)


class Clock:
    """A clock that each look at it takes further: so long a write seems to take."""

    def __init__(self, look_s: float = 0.0) -> None:
        self.now_s = 100.0
        self._look_s = look_s

    def __call__(self) -> float:
        self.now_s += self._look_s
        return self.now_s


@pytest.mark.parametrize(
    ("size_px", "shown_px"),
    [
        ((1200, 900), (512, 384)),
        ((300, 1200), (128, 512)),
        ((512, 10), (512, 10)),
        ((40, 30), (40, 30)),
        ((6000, 8), (512, 1)),
    ],
)
def test_longest_side_is_512_px_or_the_pictures_own(
    size_px: tuple[int, int], shown_px: tuple[int, int]
) -> None:
    width, height = size_px
    assert reduced(torch.zeros(1, 3, height, width)).size == shown_px


def test_pixel_of_a_preview_is_the_mean_of_what_it_stands_for() -> None:
    picture = torch.zeros(1, 3, 1024, 1024)
    picture[..., ::2, :] = 1.0
    picture[:, 2] = 2.0  # out of range: clipped as in the result
    assert reduced(picture).getpixel((7, 300)) == (128, 128, 255)


def test_preview_has_the_photographs_colours_where_the_result_will() -> None:
    orange = np.full((8, 8, 3), (200, 120, 40), np.uint8)
    picture = torch.full((1, 3, 30, 40), 0.55)
    preview = np.asarray(reduced(picture, Palette(orange, "content")))
    red, green, blue = preview.reshape(-1, 3).mean(0)
    assert red > green + 20 and green > blue + 20
    assert bool((picture == 0.55).all()), "the painting itself is only lent"


@pytest.mark.parametrize("colors", ["style", "match", "luminance"])
def test_preview_keeps_the_photograph_where_the_result_will(colors: Colors) -> None:
    photograph = np.repeat(np.uint8([[[40, 90, 140]]]), 2000, axis=1)
    masks = {"red": np.uint8([[255, 0, 0, 0]]), "blue": np.uint8([[0, 0, 0, 128]])}
    masks = {region: mask.repeat(500, axis=1) for region, mask in masks.items()}
    picture = torch.full((1, 3, 20, 400), 0.8)
    preview = np.asarray(reduced(picture, Palette(photograph, colors, masks), 200)).astype(int)
    assert (preview[:, 53:147] == (40, 90, 140)).all()
    painted, mixed = preview[5, 25], preview[5, 175]
    if colors == "luminance":  # a grey, which gets the photograph's chroma
        assert painted.min() > 140 and painted[2] > painted[0] + 60
    else:
        assert painted.tolist() == [204] * 3
        assert np.abs(mixed - (122, 147, 172)).max() <= 1  # about half way
    assert bool((picture == np.float32(0.8)).all()), "the painting itself is only lent"


def test_step_is_shown_with_a_small_photograph_and_small_masks() -> None:
    large = Palette(np.zeros((1500, 3000, 3), np.uint8), "style", {"": np.zeros((150, 300), "u1")})
    assert large.reduced.photograph.shape == (512, SHOWN_PX, 3)
    assert large.reduced.masks[""].shape == (512, SHOWN_PX)
    assert large.reduced is large.reduced and large.reduced.reduced is large.reduced


def test_preview_is_a_whole_jpeg_in_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "job" / "preview.jpg"
    for value in (0.0, 1.0):
        write_preview(path, torch.full((1, 3, 30, 40), value))
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (40, 30))
        assert image.getpixel((5, 5)) == (255, 255, 255)
    assert [one.name for one in path.parent.iterdir()] == ["preview.jpg"]


def test_preview_is_written_every_few_seconds_and_after_each_step_that_is_longer(
    tmp_path: Path,
) -> None:
    clock = Clock()
    previewer = Previewer(tmp_path / "preview.jpg", pytest.fail, clock)
    written = []
    for step_s in (1.0, 3.9, 0.1, 4.9, 0.1, 60.0, 60.0):
        clock.now_s += step_s
        written.append(previewer.offer(SMALL))
    assert EVERY_S == 5.0
    assert written == [False, False, True, False, True, True, True]


@pytest.mark.parametrize("write_s", [0.01, 0.2, 3.0])
def test_previews_take_at_most_a_hundredth_of_the_time(tmp_path: Path, write_s: float) -> None:
    clock = Clock(write_s)
    previewer = Previewer(tmp_path / "preview.jpg", pytest.fail, clock)
    began_s, written = clock.now_s, 0
    while written < 3:
        clock.now_s += 0.5
        written += previewer.offer(SMALL)
    # Two were followed by the time they have to be worth.
    assert PARTS_OF_TIME == 100
    assert 2 * write_s <= (clock.now_s - began_s) / 100


def test_preview_that_cannot_be_written_is_a_warning_once(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    clock, told = Clock(), list[str]()
    previewer = Previewer(tmp_path / "in the way" / "preview.jpg", told.append, clock)
    for _ in range(3):
        clock.now_s += 10.0
        assert not previewer.offer(SMALL)
    assert len(told) == 1 and "in the way" in told[0]
    (tmp_path / "in the way").unlink()
    clock.now_s += 10.0
    assert previewer.offer(SMALL)


def test_preview_that_cannot_be_drawn_is_said_once_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*_: object) -> None:
        raise RuntimeError("not enough memory")

    monkeypatch.setattr("daemon.worker.preview.write_preview", draw)
    said: list[str] = []
    previewer = Previewer(tmp_path / "preview.jpg", said.append, Clock(2 * EVERY_S))
    assert [previewer.offer(SMALL) for _ in range(3)] == [False] * 3
    assert len(said) == 1 and "not enough memory" in said[0]
