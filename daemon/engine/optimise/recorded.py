"""An evaluation recorded once as a CUDA graph and played again at every step.

A step of a small picture is some hundred short kernels; launched one by one from Python they
take longer than they run.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from daemon.engine.losses.objective import Evaluation

Evaluate = Callable[[Tensor], Evaluation]

WARM_UP_RUNS = 3
"""Runs before the recording, in which libraries choose their kernels and take their workspaces."""


class Recorded:
    """`evaluate` for pictures of one shape on one CUDA device, without its launch costs.

    An answer is valid until the next call, which overwrites it. The memory of a whole evaluation
    stays taken as long as this lives.
    """

    def __init__(self, evaluate: Evaluate, picture: Tensor) -> None:
        # The graph reads the targets where they lie, and holds none of them.
        self._evaluate = evaluate
        with torch.cuda.device(picture.device):
            self._picture = picture.clone()
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP_RUNS):
                    evaluate(self._picture)
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._evaluation = evaluate(self._picture)

    def __call__(self, picture: Tensor) -> Evaluation:
        """The losses and gradient at `picture`, (1, 3, H, W)."""
        self._picture.copy_(picture)
        self._graph.replay()
        return self._evaluation


def recorded(evaluate: Evaluate, picture: Tensor) -> tuple[Evaluate, str | None]:
    """`evaluate` as fast as the device allows, and a warning if that is slower than it should be.

    Raises torch.OutOfMemoryError.
    """
    if picture.device.type != "cuda":
        return evaluate, None
    try:
        return Recorded(evaluate, picture), None
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        return evaluate, (
            f"the steps could not be recorded as a CUDA graph ({str(error).splitlines()[0]}); "
            "they are launched one by one, which takes longer"
        )
