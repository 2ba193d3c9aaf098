"""Where picture-sized tensors lie that only the optimiser, or one tile at a time, looks at.

As a rule on the device. Where memory is short they lie aside: in host memory for a GPU, in a file
for the CPU. A `Vector` does the same arithmetic on both, a band at a time.
"""

import math
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from daemon.engine.fit import memory

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

    @property
    def is_aside(self) -> bool:
        """Whether tensors lie aside."""
        return self._aside is not None

    def make_room(self) -> None:
        """Gives the system back what others have freed, where memory is short and not CUDA's.

        An evaluation in tiles leaves gigabytes free that the C library keeps for the next one.
        """
        if self.is_aside and self.device.type == "cpu":
            memory.give_back()

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of any content; raises OSError where the disk is full."""
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

    def vector(self, *shape: int) -> "Vector":
        """A vector of any content, (N,), or several as rows, (rows, N). Raises OSError."""
        return Vector(self.empty(*shape), self)

    def bands(self, size: int) -> Iterator[slice]:
        """Parts of a vector of `size` values, one after the other; `release`s what they touch."""
        for first in range(0, size, BAND):
            yield slice(first, min(first + BAND, size))
            self.release()

    def release(self) -> None:
        """Lets go of a file's pages that were read or written; their content stays."""
        for pages in self._maps:
            pages.madvise(mmap.MADV_DONTNEED)


class Vector:
    """A picture-sized vector, or several as rows, whose arithmetic needs memory for a band only.

    values: (N,) or (rows, N) float32, wherever they lie. The others of an operation are as long,
    and are left as they are.
    """

    def __init__(self, values: Tensor, scratch: Scratch) -> None:
        self.values = values
        self._scratch = scratch

    def __getitem__(self, rows: int | slice) -> "Vector":
        """One of the rows, or some; what is done to it is done to this."""
        return Vector(self.values[rows], self._scratch)

    def copy(self, other: "Vector") -> "Vector":
        """Becomes what another is. Raises RuntimeError if that is of another size."""
        for mine, theirs in self._bands(other):
            mine.copy_(theirs)
        return self

    def apply(self, change: Callable[..., object], *others: "Vector") -> "Vector":
        """Lets `change` write into this, band by band; it is given the same band of the others."""
        device = self._scratch.device
        for mine, *theirs in self._bands(*others):
            here = mine.to(device)  # a view, or a copy of what lies aside on another
            change(here, *(part.to(device) for part in theirs))
            if here is not mine:
                mine.copy_(here)
        return self

    def scale(self, factor: Tensor) -> "Vector":
        """Becomes `factor`, (), times itself."""
        number = factor.to(self.values.dtype)
        return self.apply(lambda mine: mine.mul_(number))

    def add(self, other: "Vector") -> "Vector":
        """Adds another."""
        return self.apply(Tensor.add_, other)

    def add_rows(self, rows: "Vector", factors: Tensor) -> "Vector":
        """Adds each of the rows times its factor; factors: (rows,)."""
        numbers = factors.to(self.values.dtype)
        return self.apply(lambda mine, theirs: mine.addmv_(theirs.T, numbers), rows)

    def subtract_from(self, other: "Vector") -> "Vector":
        """Becomes another less itself."""
        return self.apply(lambda mine, theirs: torch.sub(theirs, mine, out=mine), other)

    def dot(self, *others: "Vector") -> Tensor:
        """The inner products with one or more others, added up in float64.

        Returns (others,), or of several rows (others, rows).
        """
        device = self._scratch.device
        shape = (len(others), *self.values.shape[:-1])
        products = torch.zeros(shape, dtype=torch.float64, device=device)
        for mine, *theirs in self._bands(*others):
            here = mine.to(device)
            for product, part in zip(products, theirs, strict=True):
                product += here @ part.to(device)
        return products

    def _bands(self, *others: "Vector") -> Iterator[list[Tensor]]:
        """The same band of this and the others, as views, one after the other."""
        every = [self.values, *(other.values for other in others)]
        size = every[0].shape[-1]
        if any(values.shape[-1] != size for values in every):
            raise RuntimeError(f"vectors of {[values.shape[-1] for values in every]} values")
        for band in self._scratch.bands(size):
            yield [values[..., band] for values in every]
