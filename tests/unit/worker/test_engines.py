"""The arithmetic of a worker, and what its log tells of it."""

from pathlib import Path

import pytest
import torch

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.vgg.arithmetic import Arithmetic, describe_arithmetic, machine_key, ways
from daemon.engine.vgg.timings import Trial, keep_trial
from daemon.messages import Event, LogLine, WorkerSettings
from daemon.worker import engines
from daemon.worker.engines import arithmetic_of, choose

SECONDS = dict.fromkeys(ways(), 1.0)


@pytest.mark.parametrize(("others", "words"), [(0.02, ""), (0.45, "which computed 45% of what")])
def test_log_tells_of_a_trial_that_was_made_beside_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: float, words: str
) -> None:
    keep_trial(tmp_path, machine_key(), Trial(SECONDS, others))
    winograd = Arithmetic(torch.float32, (256, 512))
    monkeypatch.setattr(engines, "choose_arithmetic", lambda *asked: winograd)
    told: list[Event] = []
    assert choose(WorkerSettings("cpu", "", tmp_path, "float32"), told.append) == winograd
    assert len(told) == bool(words)
    for event in told:
        assert isinstance(event, LogLine) and words in event.text
        assert (
            "float32 (Winograd's method for 256, 512 channels) until the next start" in event.text
        )


@pytest.mark.parametrize("identity", [None, {}, {"arithmetic": "the other way"}, []])
def test_checkpoint_that_tells_of_no_arithmetic_asks_for_none(
    tmp_path: Path, identity: object
) -> None:
    settings = WorkerSettings("cpu", "", tmp_path)
    assert arithmetic_of(Checkpoint({}, {"identity": identity}), settings) is None
    assert arithmetic_of(None, settings) is None
    bfloat16 = Arithmetic(torch.bfloat16)
    told = describe_arithmetic(torch.device("cpu"), bfloat16)
    kept = Checkpoint({}, {"identity": {"arithmetic": told}})
    assert arithmetic_of(kept, settings) == bfloat16
