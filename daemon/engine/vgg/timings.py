"""What a trial of the arithmetic has kept, and what follows from it. Torch-free."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Precision = Literal["auto", "float32", "bfloat16"]

FLOAT32 = "float32"
GAIN = 1.2
"""bfloat16 must be so many times as fast to be worth its rounding."""

WINOGRAD_GAIN = 1.1
"""Likewise for Winograd's method, whose rounding no painting shows: about what trials differ by."""

DTYPES = (FLOAT32, "bfloat16")
CHANNELS = (64, 128, 256, 512)
"""Those of VGG-19's layers."""

QUIET = 0.1
"""What others may compute, to what the trial can, without that being wrong."""


def timings_file(folder: Path) -> Path:
    """Where the seconds are kept, by machine; safe to delete."""
    return folder / "arithmetic.json"


@dataclass(frozen=True)
class Trial:
    """A trial of the arithmetic: the seconds of each way, and how quiet the machine was.

    seconds: by the words of `way`.  others: what other programs computed meanwhile, to what it
    could itself with all its threads; None where that is not known, as of trials that an earlier
    version made.
    """

    seconds: Mapping[str, float]
    others: float | None = None

    @property
    def undisturbed(self) -> bool:
        """Whether it is to be kept for good: another one would find the same."""
        return self.others is not None and self.others <= QUIET

    def quickest(self, earlier: "Trial | None") -> "Trial":
        """It, with the shorter times of an earlier one: other programs only make a way slower."""
        if earlier is None or self.undisturbed:
            return self
        least = {
            way: min(value, earlier.seconds.get(way, value)) for way, value in self.seconds.items()
        }
        return Trial(least, self.others)


def kept_trials(folder: Path) -> dict[str, Trial]:
    """The trials by machine; none of a file that is damaged."""
    try:
        found = json.loads(timings_file(folder).read_text("utf-8"))
        return {machine: to_trial(data) for machine, data in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def keep_trial(folder: Path, machine: str, trial: Trial) -> None:
    """Keeps a machine's trial in the place of all others, as far as the folder allows it."""
    target = timings_file(folder)
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    data = {"seconds": dict(trial.seconds), "others": trial.others}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({machine: data}, indent=2), "utf-8")
        temporary.replace(target)
    except OSError:
        pass  # no harm but another trial next time


def to_trial(data: Mapping[str, Any]) -> Trial:
    """A trial of its data; an earlier version kept the seconds alone. Raises ValueError or so."""
    others = data.get("others")
    told = data["seconds"] if "seconds" in data else data
    seconds = {way: float(value) for way, value in told.items()}
    if not all(map(is_time, seconds.values())):
        raise ValueError("seconds that cannot have been measured")
    return Trial(seconds, None if others is None else float(others))


def is_time(seconds: float) -> bool:
    """Whether it can have been measured."""
    return 0 < seconds < math.inf


def way(dtype: str, method: str, channels: int) -> str:
    """What is timed, in words: `direct` or `winograd` convolutions with so many channels."""
    return f"{dtype} {method} {channels}"


def fastest(seconds: Mapping[str, float], precision: str) -> tuple[str, tuple[int, ...]]:
    """The fastest dtype of the precision asked for, and where Winograd's method pays: channels.

    `auto` takes any dtype that is worth its rounding.
    """
    allowed = DTYPES if precision == "auto" else [precision]
    chosen = {dtype: worth_winograd(seconds, dtype) for dtype in allowed}

    def cost(dtype: str) -> float:
        whole_s = sum(
            seconds[way(dtype, "winograd" if one in chosen[dtype] else "direct", one)]
            for one in CHANNELS
        )
        return whole_s * (1.0 if dtype == FLOAT32 else GAIN)

    dtype = min(allowed, key=cost)
    return dtype, chosen[dtype]


def worth_winograd(seconds: Mapping[str, float], dtype: str) -> tuple[int, ...]:
    """The numbers of channels at which Winograd's method is worth it."""
    return tuple(
        one
        for one in CHANNELS
        if seconds[way(dtype, "winograd", one)] * WINOGRAD_GAIN < seconds[way(dtype, "direct", one)]
    )
