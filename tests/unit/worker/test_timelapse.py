"""Time-lapses: which steps they show, what a killed run leaves, and how large they become."""

import errno
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from daemon.engine.optimise.steps import Step
from daemon.engine.paint import Stepped
from daemon.engine.palette import Palette
from daemon.engine.schedule import Pass
from daemon.host import files
from daemon.worker import timelapse
from daemon.worker.timelapse import LAST_FRAME_MS, LONGEST_PX, MOST_FRAMES, Timelapse

PASSES = (Pass(32, 24, 3), Pass(64, 48, 3))
PALETTE = Palette(np.zeros((8, 8, 3), np.uint8), "style")
PAINTED = np.full((48, 64, 3), 1.0, np.float32)


def stepped(number: int, pass_number: int = 1, passes: tuple[Pass, ...] = PASSES) -> Stepped:
    """A moment whose picture is as bright as its step is late."""
    size = passes[pass_number - 1]
    bright = (number + 10 * pass_number) / 40
    picture = torch.full((1, 3, size.height_px, size.width_px), bright)
    return Stepped(pass_number, passes, Step(number, 1.0, {}, 0.1), picture, PALETTE)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, told: list[str]) -> Callable[[], Timelapse]:
    """The time-lapse of a run; another one of the next run."""
    return lambda: Timelapse(tmp_path / "job/timelapse.webp", told.append)


def brightness(film: Path) -> list[int]:
    """Of each frame, all of which are of one size."""
    with Image.open(film) as image:
        assert image.format == "WEBP"
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
    assert {frame.size for frame in frames} == {(64, 48)}
    return [frame.getpixel((30, 20))[0] for frame in frames]


def offer_all(film: Timelapse, *, until: int = 6, begin: int = 0) -> None:
    steps = [(number, pass_number) for pass_number in (1, 2) for number in (1, 2, 3)]
    for number, pass_number in steps[begin:until]:
        film.offer(stepped(number, pass_number))


def test_film_shows_the_steps_of_all_passes_in_order_and_the_painted_picture(
    tmp_path: Path, make: Callable[[], Timelapse], told: list[str]
) -> None:
    film = make()
    offer_all(film)
    film.finish(PAINTED, PASSES[-1])
    shown = brightness(tmp_path / "job/timelapse.webp")
    assert shown == pytest.approx([255 * n / 40 for n in (11, 12, 13, 21, 22, 23, 40)], abs=4)
    assert film.warnings == () and not told


def test_film_keeps_the_photograph_where_no_region_is(
    tmp_path: Path, make: Callable[[], Timelapse]
) -> None:
    above = np.repeat(np.uint8([[255], [255], [0], [0]]), 4, axis=1)
    palette = replace(PALETTE, masks={"red": above})
    film = make()
    film.offer(replace(stepped(30), palette=palette))
    film.finish(PAINTED, PASSES[-1])
    with Image.open(tmp_path / "job/timelapse.webp") as image:
        frame = np.asarray(image.convert("L")).astype(int)
    assert frame[40:].max() < 8 and frame[:8].min() > 240  # PALETTE's photograph is black


def test_film_of_a_killed_run_goes_on_where_its_checkpoint_does(
    tmp_path: Path, make: Callable[[], Timelapse]
) -> None:
    """The first run took five steps; its checkpoint was made after the third."""
    offer_all(make(), until=5)
    (tmp_path / "job/frames/01-000002.jpg").write_bytes(b"torn by a power cut")
    again = make()
    offer_all(again, begin=3)
    again.finish(PAINTED, PASSES[-1])
    shown = brightness(tmp_path / "job/timelapse.webp")
    assert shown == pytest.approx([255 * n / 40 for n in (11, 13, 21, 22, 23, 40)], abs=4)


def test_film_of_a_run_whose_result_could_not_be_written_is_whole_in_the_next(
    tmp_path: Path, make: Callable[[], Timelapse]
) -> None:
    """The disk was full when the result was written; the last checkpoint is of the fifth step."""
    first = make()
    offer_all(first)
    first.finish(PAINTED, PASSES[-1])
    again = make()
    offer_all(again, begin=5)
    again.finish(PAINTED, PASSES[-1])
    shown = brightness(tmp_path / "job/timelapse.webp")
    assert shown == pytest.approx([255 * n / 40 for n in (11, 12, 13, 21, 22, 23, 40)], abs=4)


def test_run_that_begins_anew_shows_nothing_of_the_one_before(
    tmp_path: Path, make: Callable[[], Timelapse]
) -> None:
    offer_all(make())
    again = make()
    offer_all(again, until=1)
    again.finish(PAINTED, PASSES[-1])
    assert len(brightness(tmp_path / "job/timelapse.webp")) == 2


@pytest.mark.parametrize("steps", [1, 50, 119, 120, 400, 100_000])
def test_film_has_a_bounded_number_of_frames_from_the_first_step_on(steps: int) -> None:
    passes = tuple(Pass(64, 48, steps) for _ in range(3))
    shown = [
        (pass_number, number)
        for pass_number in (1, 2, 3)
        for number in range(1, steps + 1)
        if timelapse.is_shown(stepped_without_picture(number, pass_number, passes))
    ]
    assert shown[0] == (1, 1) and min(3 * steps, 60) <= len(shown) < MOST_FRAMES


def stepped_without_picture(number: int, pass_number: int, passes: tuple[Pass, ...]) -> Stepped:
    return Stepped(pass_number, passes, Step(number, 1.0, {}, 0.1), torch.empty(0), PALETTE)


def test_film_that_would_be_too_large_has_fewer_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    grain = np.random.default_rng(0).integers(0, 255, (16, 48, 64, 3), np.uint8)
    frames = [Image.fromarray(one) for one in grain]
    whole = timelapse.film(frames)
    monkeypatch.setattr(timelapse, "MOST_BYTES", len(whole) // 3)
    fewer = timelapse.film(frames)
    assert len(fewer) <= len(whole) // 3
    with Image.open(io.BytesIO(fewer)) as image:
        assert 1 < image.n_frames < 9
        image.seek(image.n_frames - 1)
        image.load()
        assert image.info["duration"] == LAST_FRAME_MS


def test_large_painting_is_filmed_small() -> None:
    painted = np.zeros((3000, 9000, 3), np.float32)
    shown = timelapse.resized(timelapse.small(painted), Pass(9000, 3000, 1))
    assert shown.size == (LONGEST_PX, 107)


def test_film_that_cannot_be_kept_is_one_warning_and_no_failure(
    make: Callable[[], Timelapse], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_bytes", refuse)
    film = make()
    offer_all(film)
    film.finish(PAINTED, PASSES[-1])
    assert film.warnings == ("the time-lapse is not whole: No space left on device",)
    assert told == list(film.warnings)
