"""Making the engine of a worker, and the arithmetic that it computes in."""

import time
from collections.abc import Callable

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.device import usable_device
from daemon.engine.engine import Engine
from daemon.engine.vgg.arithmetic import (
    Arithmetic,
    choose_arithmetic,
    kept_trial,
    named_arithmetic,
)
from daemon.messages import Event, LogLine, WorkerSettings

Tell = Callable[[Event], None]


def choose(settings: WorkerSettings, tell: Tell) -> Arithmetic:
    """The fastest arithmetic of this machine; tells where that was found beside other programs.

    Raises DeviceError.
    """
    device, folder = usable_device(settings.device), settings.engine_folder
    chosen = choose_arithmetic(device, settings.precision, folder)
    trial = kept_trial(folder) if device.type == "cpu" else None
    if trial is not None and not trial.undisturbed:
        tell(
            LogLine(
                "INFO",
                f"the trial of arithmetic was made beside other programs, which computed "
                f"{trial.others or 0.0:.0%} of what it could: {chosen} until the next "
                "start of a worker, which makes it again",
            )
        )
    return chosen


def arithmetic_of(resumed: Checkpoint | None, settings: WorkerSettings) -> Arithmetic | None:
    """What a checkpoint's painting was computed in, if this worker may compute so.

    Another trial may have chosen otherwise since; the painting is to end as it was begun.
    """
    if resumed is None:
        return None
    identity = resumed.facts.get("identity")
    told = identity.get("arithmetic") if isinstance(identity, dict) else None
    return named_arithmetic(told, usable_device(settings.device), settings.precision)


def make_engine(settings: WorkerSettings, arithmetic: Arithmetic | None, tell: Tell) -> Engine:
    """An engine that is ready to paint.  Raises WeightsError or DeviceError."""
    began = time.perf_counter()
    engine = Engine(
        settings.device,
        settings.weights,
        settings.engine_folder,
        settings.precision,
        settings.memory_bytes,
        arithmetic,
    )
    seconds = time.perf_counter() - began
    tell(LogLine("INFO", f"network ready on {settings.device} after {seconds:.1f} s"))
    return engine
