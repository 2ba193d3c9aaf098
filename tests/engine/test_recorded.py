"""Recording the steps; what only a CUDA device can show is in tests/gpu."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from daemon.engine.losses.objective import Evaluation
from daemon.engine.optimise import recorded as module
from daemon.engine.optimise.recorded import recorded


def evaluate(picture: Tensor) -> Evaluation:
    total = picture.sum()
    return Evaluation(total, {"content": total}, picture)


def refusing(error: Exception) -> Any:
    def refuse(*_: object) -> None:
        raise error

    return refuse


ON_CUDA: Any = SimpleNamespace(device=torch.device("cuda:0"))


def test_steps_on_the_cpu_are_not_recorded() -> None:
    assert recorded(evaluate, torch.zeros(1)) == (evaluate, None)


def test_recording_that_fails_is_told_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Recorded", refusing(RuntimeError("not while capturing\nmore")))
    plain, warning = recorded(evaluate, ON_CUDA)
    assert plain is evaluate
    assert warning and "(not while capturing)" in warning


def test_lack_of_memory_is_not_taken_for_a_failed_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "Recorded", refusing(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError):
        recorded(evaluate, ON_CUDA)
