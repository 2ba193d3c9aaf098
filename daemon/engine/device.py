"""Devices, and what libraries say when a device or its memory fails, in the engine's words."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from daemon.engine.errors import DeviceError, EngineError, OutOfMemoryError
from daemon.engine.fit import memory
from daemon.engine.schedule import Pass

Found = TypeVar("Found")


def usable_device(name: str) -> torch.device:
    """The torch device of that name; raises DeviceError if it is not there."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"there is no kind of device called {name!r}: use cpu, cuda or cuda:N"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name} is not there: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA device(s); check nvidia-smi and the driver"
        )
    return device


@contextlib.contextmanager
def translated_errors(size: Pass) -> Iterator[None]:
    """Raises what the libraries say of memory or device as the engine's own errors."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        translation = translate(error, size)
        if translation is None:
            raise
        raise translation from error


def translate(error: Exception, size: Pass) -> EngineError | None:
    """A memory or device error of a library in the engine's words; None for any other."""
    said = (str(error) or type(error).__name__).splitlines()[0]
    if memory.is_out_of_memory(error):
        return OutOfMemoryError(
            f"not enough memory for {size.width_px}x{size.height_px} px; use a smaller size. "
            f"({said})"
        )
    return device_error(error)


def device_error(error: Exception) -> DeviceError | None:
    """The error of a device that was lost, in the engine's words; None for any other."""
    if not isinstance(error, torch.AcceleratorError):
        return None
    said = str(error).partition("\n")[0]
    return DeviceError(f"the device failed: {said}; see nvidia-smi and dmesg")


def side_by_side(works: Sequence[Callable[[], Found]], device: torch.device) -> list[Found]:
    """What small works find that do not need each other, in order.

    On CUDA each is done in a stream of its own, after all that was given to the current one, which
    then waits for all of them: a recording keeps them side by side. Elsewhere one after another.
    """
    if device.type != "cuda":
        return [work() for work in works]
    here, aside, found = torch.cuda.current_stream(device), streams(device, len(works)), []
    for work, stream in zip(works, aside, strict=True):
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            found.append(work())
    for stream in aside:
        here.wait_stream(stream)
    return found


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Computes with one thread, which waits for no other: for what is many small steps.

    LAPACK meets its threads thousands of times in a matrix of 512 rows. Two programs with two
    threads each on two processors then take a hundred times as long as one thread does.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@functools.cache
def streams(device: torch.device, number: int) -> tuple[torch.cuda.Stream, ...]:
    """So many streams of a device: always the same, since each keeps a workspace of its own."""
    return tuple(torch.cuda.Stream(device) for _ in range(number))  # type: ignore[no-untyped-call]
