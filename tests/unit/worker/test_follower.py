"""Following a painting: when checkpoints are written, and when not."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.engine import Engine
from daemon.engine.judgement import Judgement
from daemon.engine.optimise.steps import Step
from daemon.engine.paint import Moment, Painted, Resting, Stepped
from daemon.engine.palette import Palette
from daemon.engine.schedule import Pass
from daemon.messages import Blob, CheckpointWritten, Event, RunOrder
from daemon.worker import follower
from daemon.worker.follower import Follower
from daemon.worker.threads import ThreadKeeper

PALETTE = Palette(np.zeros((8, 8, 3), np.uint8), "style")
EVERY_S = 60.0


class Bench:
    """A painting of ten steps, its clock, and at which of them it left a checkpoint."""

    def __init__(self, folder: Path, step_s: float) -> None:
        self.now_s = 100.0
        self.step_s = step_s
        self.number = 0
        self.cancelled_at = 99
        self.kept: list[int] = []
        nowhere, place = Path("nowhere"), folder / "checkpoint"
        self.course = folder / "course"
        order = RunOrder("a.jpg", Blob("", nowhere), 1, {}, (), nowhere, place, None, None, {})
        order = replace(order, course=self.course)
        self.follower = Follower(
            order,
            EVERY_S,
            self._hear,
            lambda: self.number >= self.cancelled_at,
            threads=ThreadKeeper(1, on_cpu=True, is_adaptive=False),
            clock=lambda: self.now_s,
        )

    def _hear(self, event: Event) -> None:
        if isinstance(event, CheckpointWritten):
            self.kept.append(self.number)

    def _moments(self) -> Iterator[Moment]:
        passes = (Pass(64, 48, 10),)
        for self.number in range(1, 11):
            self.now_s += self.step_s
            step = Step(self.number, 1.0, {"content": 1.0, "style": 1.0}, self.step_s)
            yield Stepped(1, passes, step, torch.empty(0), PALETTE)
            yield Resting(lambda: Checkpoint({}, {}))
        yield Painted(np.zeros((1, 1, 3), np.float32), (), (), cast(Judgement, None))

    def follow(self) -> Painted | None:
        return self.follower.follow(self._moments(), cast(Engine, None))


@pytest.mark.parametrize(
    ("step_s", "kept"),
    [
        (9.0, []),  # 90 s: the only one would be written 30 s before the end
        (12.0, [5]),
        (60.0, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_checkpoint_is_written_unless_the_end_is_nearer_than_the_next_one(
    tmp_path: Path, step_s: float, kept: list[int]
) -> None:
    bench = Bench(tmp_path, step_s)
    assert bench.follow()
    assert bench.kept == kept


def test_run_that_is_stopped_leaves_a_checkpoint_however_near_its_end_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 1.0)
    bench.cancelled_at = 9
    assert bench.follow() is None
    assert bench.kept == [9]


def test_whoever_goes_on_from_a_checkpoint_finds_the_losses_of_every_step_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, 60.0)
    told: list[int] = []  # up to which step, as each checkpoint came to lie there

    def write(place: Path, checkpoint: Checkpoint) -> None:
        told.append(json.loads(bench.course.read_bytes())["step"][-1])

    monkeypatch.setattr(follower, "write_checkpoint", write)
    bench.follow()
    assert told == bench.kept == [1, 2, 3, 4, 5, 6, 7, 8, 9]
