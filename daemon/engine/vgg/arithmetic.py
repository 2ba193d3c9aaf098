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
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.vgg import winograd
from daemon.engine.vgg.network import Method
from daemon.engine.vgg.timings import fastest, kept_seconds, timings_file

Precision = Literal["auto", "float32", "bfloat16"]

CHANNELS, HEIGHT, WIDTH = 256, 64, 96
"""The layer tried: the middle of the network at 384 px."""

ROUNDS = 8
HOPELESS = 4.0
"""A way that takes so many times as long as the best so far is not timed again: where a processor
has no units for it, one round of bfloat16 takes as long as all of the others."""


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
    work = {name: prepare(way) for name, way in WAYS.items()}
    seconds = {name: timed_s(one) for name, one in work.items()}
    bound = 2 * HOPELESS * min(seconds.values())  # in the first round libraries set themselves up
    for _ in range(ROUNDS - 1):
        for name, one in work.items():
            if seconds[name] <= bound:  # the least: other programs can only make a round slower
                seconds[name] = min(seconds[name], timed_s(one))
        bound = HOPELESS * min(seconds.values())
    target = timings_file(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({machine_key(): seconds}, indent=2), "utf-8")
        temporary.replace(target)
    except OSError:
        pass  # no harm but another trial next time
    return seconds


def prepare(way: Arithmetic) -> Callable[[], Tensor]:
    """One layer's work, ready to be timed."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, CHANNELS, HEIGHT, WIDTH, generator=generator).to(way.dtype)
    features = features.contiguous(memory_format=torch.channels_last)
    kernel = torch.rand(CHANNELS, CHANNELS, 3, 3, generator=generator).to(way.dtype)
    if way.method is Method.WINOGRAD:
        transformed = winograd.transform_kernel(kernel)
        return lambda: winograd.convolve(features, transformed, None)
    prepared = kernel.contiguous(memory_format=torch.channels_last)
    return lambda: F.conv2d(features, prepared, padding=1)


def timed_s(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
