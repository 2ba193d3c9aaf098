"""Which arithmetic is fastest on this machine: tried once, and kept.

A processor's name says little: one computes bfloat16 eight times as fast as float32, the next
claims to and is slower; and with many channels Winograd's method gains more than with few. So a
layer of every number of channels is timed each way. The answer is kept in a file, because the same
machine must paint the same bytes tomorrow: for good if the machine was quiet, and until the next
start if other programs disturbed it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import torch
import torch.nn.functional as F

from daemon.engine.vgg import winograd
from daemon.engine.vgg.processors import processor_name, processor_times, share_of_others
from daemon.engine.vgg.timings import (
    CHANNELS,
    DTYPES,
    FLOAT32,
    Precision,
    Trial,
    fastest,
    keep_trial,
    kept_trials,
    way,
)

Work = Callable[[int], object]

HEIGHT_PX, WIDTH_PX = 256, 384
"""The picture whose layers are tried."""

ROUNDS = ((8, 2), (1, 5))
"""What part of their rows is computed how often: an eighth first, once more than is timed since
libraries set themselves up, then all."""

HOPELESS = 8.0
"""A way in bfloat16 that takes so many times as long as the best in float32 is not timed again:
without units for it one round takes as long as all of the others."""


@dataclass(frozen=True)
class Arithmetic:
    """How the network computes.

    winograd: numbers of channels that are convolved by that method, the others directly.
    """

    dtype: torch.dtype
    winograd: tuple[int, ...] = ()

    def __str__(self) -> str:
        method = "direct"
        if self.winograd:
            method = f"Winograd's method for {', '.join(map(str, self.winograd))} channels"
        return f"{str(self.dtype).removeprefix('torch.')} ({method})"


PLAIN = Arithmetic(torch.float32)
DIRECT = "method=<Method.DIRECT: 'direct'>"


def choose_arithmetic(device: torch.device, precision: Precision, folder: Path) -> Arithmetic:
    """The fastest arithmetic of the precision asked for; `auto` takes any.

    folder: keeps the seconds measured.  Only the CPU is tried: CUDA devices that compute bfloat16
    at all have matrix units for it, many times as fast as float32, and the library itself chooses
    among its methods.
    """
    if device.type == "cuda":
        fast = precision == "auto" and torch.cuda.is_bf16_supported(including_emulation=False)
        return Arithmetic(torch.bfloat16) if fast or precision == "bfloat16" else PLAIN
    dtype, channels = fastest(find_trial(folder).seconds, precision)
    return Arithmetic(getattr(torch, dtype), channels)


def named_arithmetic(told: object, device: torch.device, precision: Precision) -> Arithmetic | None:
    """The arithmetic of that precision that a checkpoint tells of; None if it tells of none.

    told: as `describe_arithmetic` has it.
    """
    allowed = DTYPES if precision == "auto" else [precision]
    sets = [one for count in range(len(CHANNELS) + 1) for one in combinations(CHANNELS, count)]
    every = (Arithmetic(getattr(torch, dtype), one) for dtype in allowed for one in sets)
    return next((one for one in every if describe_arithmetic(device, one) == told), None)


def describe_arithmetic(device: torch.device, arithmetic: Arithmetic) -> str:
    """How something was computed, as checkpoints and moments are known by it.

    What is direct is told as it always was, so that a painting outlasts another version.
    """
    method = f"{winograd.FORM}={arithmetic.winograd}" if arithmetic.winograd else DIRECT
    return f"{device.type} Arithmetic(dtype={arithmetic.dtype}, {method})"


def machine_key() -> str:
    """What the timings hold for."""
    threads = torch.get_num_threads()
    return f"{processor_name()}, {threads} threads, torch {torch.__version__}, {winograd.FORM}"


def kept_trial(folder: Path) -> Trial | None:
    """An earlier trial on this machine, if there was one."""
    trial = kept_trials(folder).get(machine_key())
    return trial if trial is not None and trial.seconds.keys() == ways().keys() else None


def find_trial(folder: Path) -> Trial:
    """The trial that was kept, or another one if there was none, or if that was disturbed."""
    kept = kept_trial(folder)
    if kept is not None and kept.undisturbed:
        return kept
    made = make_trial().quickest(kept)
    keep_trial(folder, machine_key(), made)
    return made


def make_trial() -> Trial:
    """Times every way, and looks at what other programs do meanwhile."""
    before = processor_times()
    seconds = measure()
    return Trial(seconds, share_of_others(before, processor_times(), torch.get_num_threads()))


def ways() -> dict[str, tuple[str, str, int]]:
    """All that is timed: dtype, method and channels, by their words."""
    every = product(DTYPES, ("direct", "winograd"), CHANNELS)
    return {way(*one): one for one in every}


def measure() -> dict[str, float]:
    """The seconds of every way."""
    seconds: dict[str, float] = {}
    for channels in CHANNELS:
        seconds |= measure_layer(channels)
    return seconds


def measure_layer(channels: int) -> dict[str, float]:
    """The seconds of every way to compute a layer of so many channels."""
    height = HEIGHT_PX * CHANNELS[0] // channels
    hopeful = {name: prepare(*one) for name, one in ways().items() if one[2] == channels}
    seconds: dict[str, float] = {}
    for work in hopeful.values():
        work(height // ROUNDS[0][0])
    for part, rounds in ROUNDS:
        least: dict[str, float] = {}  # other programs can only make a round slower
        for _ in range(rounds):
            for name, work in hopeful.items():
                whole_s = timed_s(work, height // part) * part
                least[name] = min(whole_s, least.get(name, whole_s))
            bound = HOPELESS * min(least[name] for name in least if name.startswith(FLOAT32))
            hopeful = {
                name: work
                for name, work in hopeful.items()
                if name.startswith(FLOAT32) or least[name] <= bound
            }
        seconds |= least
    return seconds


def prepare(dtype: str, method: str, channels: int) -> Work:
    """One layer's work on so many of its rows, ready to be timed."""
    generator = torch.Generator().manual_seed(0)
    scale = channels // CHANNELS[0]
    size = (1, channels, HEIGHT_PX // scale, WIDTH_PX // scale)
    features = torch.rand(size, generator=generator).to(getattr(torch, dtype))
    features = features.contiguous(memory_format=torch.channels_last)
    kernel = torch.rand(channels, channels, 3, 3, generator=generator).to(features.dtype)
    if method == "winograd":
        transformed = winograd.transform_kernel(kernel)
        return lambda height: winograd.convolve(features[:, :, :height], transformed, None)
    prepared = kernel.contiguous(memory_format=torch.channels_last)
    return lambda height: F.conv2d(features[:, :, :height], prepared, padding=1)


def timed_s(work: Work, height: int) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work(height)
    return time.perf_counter() - began
