"""What a trial of the arithmetic has kept, and what follows from it. Torch-free."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Precision = Literal["auto", "float32", "bfloat16"]

PLAIN = "float32 direct"
WAITS_WELL = "bfloat16 direct"
GAIN = 1.2
"""A way must be so many times as fast as the plain one to be worth its rounding."""

OWN_WISHES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def timings_file(folder: Path) -> Path:
    """Where the seconds are kept, by machine; safe to delete."""
    return folder / "arithmetic.json"


def kept_seconds(folder: Path) -> dict[str, dict[str, float]]:
    """The seconds of each way, by machine; what is damaged is left out."""
    try:
        found = json.loads(timings_file(folder).read_text("utf-8"))
        kept = {
            machine: {way: float(value) for way, value in ways.items()}
            for machine, ways in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {machine: ways for machine, ways in kept.items() if all(map(is_time, ways.values()))}


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


def waiting(
    folder: Path, precision: str, threads: int, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """How threads wait for one another, as variables of a worker; none: they spin.

    Beside another busy program a thread that spins keeps the core from the one it waits for. To
    sleep costs little where convolutions are few and large, and much between Winograd's many
    products (docs/decisions.md): so it follows from the way that the trial found fastest.
    """
    if threads < 2 or any(name in environment for name in OWN_WISHES):
        return {}
    of_so_many = f" {threads} threads,"
    kept = [ways for machine, ways in kept_seconds(folder).items() if of_so_many in machine]
    # Heuristic: the file has one machine as a rule, the last that made a trial here.
    known = [ways for ways in kept if {PLAIN, WAITS_WELL} <= ways.keys()]
    passive = bool(known) and fastest(known[-1], precision) == WAITS_WELL
    return {"OMP_WAIT_POLICY": "PASSIVE"} if passive else {}
