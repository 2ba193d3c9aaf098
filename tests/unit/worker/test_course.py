import json
from pathlib import Path

import numpy as np
import torch

from daemon.engine.optimise.steps import Step
from daemon.engine.paint import Stepped
from daemon.engine.palette import Palette
from daemon.engine.schedule import Pass
from daemon.worker.course import MOST_POINTS, LossRecorder

PALETTE = Palette(np.zeros((8, 8, 3), np.uint8), "style")


def stepped(passes: tuple[Pass, ...], pass_number: int, number: int) -> Stepped:
    step = Step(number, 10.0 / number, {"content": 1.0, "style": 1 / 3}, 0.1)
    return Stepped(pass_number, passes, step, torch.empty(0), PALETTE)


def walk(
    recorder: LossRecorder, passes: tuple[Pass, ...], taken: list[int], first: int = 1
) -> None:
    """Takes so many steps of each pass; the first pass from step `first` on."""
    for pass_number, steps in enumerate(taken, start=1):
        for number in range(first if pass_number == 1 else 1, steps + 1):
            recorder.offer(stepped(passes, pass_number, number))


def told(path: Path) -> list[tuple[int, int]]:
    data = json.loads(path.read_bytes())
    assert len({len(column) for column in data.values()}) == 1
    return list(zip(data["pass"], data["step"], strict=True))


def make(tmp_path: Path, warnings: list[str] | None = None) -> LossRecorder:
    return LossRecorder(tmp_path / "course.json", ([] if warnings is None else warnings).append)


def test_short_painting_keeps_every_step(tmp_path: Path) -> None:
    recorder = make(tmp_path)
    walk(recorder, (Pass(8, 8, 3), Pass(16, 16, 2)), [3, 2])
    recorder.keep()
    assert told(tmp_path / "course.json") == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    data = json.loads((tmp_path / "course.json").read_bytes())
    assert data["total"][1] == 5.0 and data["style"][0] == 0.33333


def test_long_painting_keeps_evenly_spaced_steps_and_the_ends_of_passes(tmp_path: Path) -> None:
    passes = (Pass(8, 8, 1000), Pass(16, 16, 1000), Pass(32, 32, 1000))
    recorder = make(tmp_path)
    walk(recorder, passes, [1000, 333, 1000])  # the second has converged early
    recorder.keep()
    points = told(tmp_path / "course.json")
    assert 100 < len(points) <= MOST_POINTS and points == sorted(set(points))
    ends = {(1, 1), (1, 1000), (2, 1), (2, 333), (3, 1), (3, 1000)}
    assert ends <= set(points)


def test_run_that_goes_on_from_a_checkpoint_goes_on_with_the_course(tmp_path: Path) -> None:
    passes = (Pass(8, 8, 9),)
    before = make(tmp_path)
    walk(before, passes, [6])
    before.keep()
    after = make(tmp_path)
    walk(after, passes, [9], first=5)
    after.keep()
    assert told(tmp_path / "course.json") == [(1, number) for number in range(1, 10)]


def test_course_that_cannot_be_kept_is_told_once_and_harms_nothing(tmp_path: Path) -> None:
    warnings: list[str] = []
    (tmp_path / "taken").write_text("a file")
    recorder = LossRecorder(tmp_path / "taken" / "course.json", warnings.append)
    walk(recorder, (Pass(8, 8, 2),), [2])
    recorder.keep()
    recorder.keep()
    assert len(warnings) == 1 and "not kept" in warnings[0]
