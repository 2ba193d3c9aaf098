"""Devices, and what libraries say when a device or its memory fails, in the engine's words."""

import contextlib
from collections.abc import Iterator

import torch

from daemon.engine.errors import DeviceError, EngineError, OutOfMemoryError
from daemon.engine.fit import memory
from daemon.engine.schedule import Pass


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
