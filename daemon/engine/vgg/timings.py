"""What a trial of the arithmetic has kept, and what follows from it. Torch-free."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Precision = Literal["auto", "float32", "bfloat16"]

PLAIN = "float32 direct"
GAIN = 1.2
"""A way must be so many times as fast as the plain one to be worth its rounding."""

QUIET = 0.1
"""What others may compute, to what the trial can, without that being wrong."""


def timings_file(folder: Path) -> Path:
    """Where the seconds are kept, by machine; safe to delete."""
    return folder / "arithmetic.json"


@dataclass(frozen=True)
class Trial:
    """A trial of the arithmetic: the seconds of each way, and how quiet the machine was.

    others: what other programs computed meanwhile, to what it could itself with all its threads;
    None where that is not known, as of trials that an earlier version made.
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


def fastest(seconds: Mapping[str, float], precision: str) -> str:
    """The fastest way of the precision asked for; `auto` takes any that is worth its rounding."""
    allowed = {
        way: value * (1.0 if way == PLAIN else GAIN)
        for way, value in seconds.items()
        if precision == "auto" or way.startswith(precision)
    }
    return min(allowed, key=lambda way: allowed[way])
