"""Which arithmetic is fastest on this machine: tried once, and kept.

A processor's name says little: one computes bfloat16 eight times as fast as float32, the next
claims to and is slower. So one middle layer is timed each way. The answer is kept in a file,
because the same machine must paint the same bytes tomorrow.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from daemon.engine.vgg import winograd
from daemon.engine.vgg.network import Method
from daemon.engine.vgg.timings import Precision, fastest, kept_seconds, timings_file

Work = Callable[[int], object]

CHANNELS, HEIGHT, WIDTH = 256, 64, 96
"""The layer tried: the middle of the network at 384 px."""

ROUNDS = ((HEIGHT // 8, 2), (HEIGHT, 6))
"""How many rows of it are computed how often: at a glance first, then all."""

HOPELESS = 8.0
"""A way that takes so many times as long as the best is not timed again: without units for
bfloat16 one round of it takes as long as all of the others."""


@dataclass(frozen=True)
class Arithmetic:
    """How the network computes."""

    dtype: torch.dtype
    method: Method


PLAIN = Arithmetic(torch.float32, Method.DIRECT)
WAYS = {
    "float32 direct": PLAIN,
    "float32 winograd": Arithmetic(torch.float32, Method.WINOGRAD),
    "bfloat16 direct": Arithmetic(torch.bfloat16, Method.DIRECT),
}


def choose_arithmetic(device: torch.device, precision: Precision, folder: Path) -> Arithmetic:
    """The fastest arithmetic of the precision asked for; `auto` takes any.

    folder: keeps the seconds measured.  Only the CPU is tried: CUDA devices that compute bfloat16
    at all have matrix units for it, many times as fast as float32, and the library itself chooses
    among its methods.
    """
    if device.type == "cuda":
        fast = precision == "auto" and torch.cuda.is_bf16_supported(including_emulation=False)
        return WAYS["bfloat16 direct"] if fast or precision == "bfloat16" else PLAIN
    seconds = measured_before(folder) or measure(folder)
    return WAYS[fastest(seconds, precision)]


def machine_key() -> str:
    """What the timings hold for."""
    return f"{processor_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def processor_name() -> str:
    """The processor as the system calls it."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} {platform.machine()}"
    except OSError:
        pass
    return platform.processor() or platform.machine()


def measured_before(folder: Path) -> dict[str, float] | None:
    """The seconds of an earlier trial on this machine, if there was one."""
    seconds = kept_seconds(folder).get(machine_key(), {})
    return seconds if seconds.keys() == WAYS.keys() else None


def measure(folder: Path) -> dict[str, float]:
    """Times every way and keeps the seconds, as far as the folder allows it."""
    hopeful = {name: prepare(way) for name, way in WAYS.items()}
    seconds: dict[str, float] = {}
    for height, rounds in ROUNDS:
        least: dict[str, float] = {}  # other programs can only make a round slower
        for _ in range(rounds):
            for name, work in hopeful.items():
                whole_s = timed_s(work, height) * HEIGHT / height
                least[name] = min(whole_s, least.get(name, whole_s))
            bound = HOPELESS * min(least.values())
            hopeful = {name: work for name, work in hopeful.items() if least[name] <= bound}
        seconds |= least
    target = timings_file(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({machine_key(): seconds}, indent=2), "utf-8")
        temporary.replace(target)
    except OSError:
        pass  # no harm but another trial next time
    return seconds


def prepare(way: Arithmetic) -> Work:
    """One layer's work on so many of its rows, ready to be timed."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, CHANNELS, HEIGHT, WIDTH, generator=generator).to(way.dtype)
    features = features.contiguous(memory_format=torch.channels_last)
    kernel = torch.rand(CHANNELS, CHANNELS, 3, 3, generator=generator).to(way.dtype)
    if way.method is Method.WINOGRAD:
        transformed = winograd.transform_kernel(kernel)
        return lambda height: winograd.convolve(features[:, :, :height], transformed, None)
    prepared = kernel.contiguous(memory_format=torch.channels_last)
    return lambda height: F.conv2d(features[:, :, :height], prepared, padding=1)


def timed_s(work: Work, height: int) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work(height)
    return time.perf_counter() - began
