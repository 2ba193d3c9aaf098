"""Where picture-sized tensors lie that only the optimiser, or one tile at a time, looks at.

As a rule on the device. Where memory is short they lie aside: in host memory for a GPU, in a file
for the CPU. The same code works on both, a band at a time.
"""

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

BAND = 1 << 21
"""Values worked on at a time: few enough for a file's pages, many enough to keep a GPU busy."""


class Scratch:
    """Makes tensors for the work on `device`; with a folder, aside.

    A file has no name, so that it is gone with the process, however that ends.
    """

    def __init__(self, device: torch.device, aside: Path | None = None) -> None:
        self.device = device
        self._aside = aside
        self._maps: list[mmap.mmap] = []

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of any content; read it band by band with `here`.

        Raises OSError where the disk is full.
        """
        if self._aside is None or not math.prod(shape):
            return torch.empty(shape, dtype=dtype, device=self.device)
        if self.device.type != "cpu":
            return torch.empty(shape, dtype=dtype)
        size = math.prod(shape) * dtype.itemsize
        self._aside.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._aside) as file:
            try:  # a full disk is told here; once the file is mapped, it would be a signal
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self._aside)) from error
            self._maps.append(mmap.mmap(file.fileno(), size))
        return torch.frombuffer(self._maps[-1], dtype=dtype).view(shape)

    def here(self, tensor: Tensor) -> Tensor:
        """A part of a tensor on the device: a view, or a copy if it lies aside on another."""
        return tensor.to(self.device)

    def bands(self, size: int) -> Iterator[slice]:
        """Parts of a vector of `size` values, one after the other; `release`s what they touch."""
        for first in range(0, size, BAND):
            yield slice(first, min(first + BAND, size))
            self.release()

    def release(self) -> None:
        """Lets go of a file's pages that were read or written; their content stays."""
        for one in self._maps:
            one.madvise(mmap.MADV_DONTNEED)
