"""Statistics of style images, kept in memory and on disk: a preset pays for them once."""

import contextlib
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from daemon.engine.losses.term import Moments

StyleMoments = Mapping[str, Moments]
"""Layer -> the moments of a style image."""

CHANNELS_SUFFIX = ".channels"
KEPT_IN_MEMORY = 64
"""Style images at one size; the Gram matrices of a usual set of layers take 1.4 MB."""

KEPT_ON_DISK_BYTES = 256 << 20


class MomentStore:
    """Moments of style images by all they depend on. The folder may be deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, StyleMoments] = OrderedDict()

    def get(self, key: Mapping[str, object], compute: Callable[[], StyleMoments]) -> StyleMoments:
        """The moments of `key` (plain data), computed only if they are nowhere yet.

        Returns them on the CPU or wherever `compute` leaves them.
        """
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        moments = self._memory.get(name) or self._read(name)
        if moments is None:
            moments = compute()
            self._write(name, moments)
        self._memory[name] = moments
        self._memory.move_to_end(name)
        while len(self._memory) > KEPT_IN_MEMORY:
            self._memory.popitem(last=False)
        return moments

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"

    def _read(self, name: str) -> StyleMoments | None:
        """What an earlier process kept; a damaged file counts as none."""
        try:
            tensors = load_file(self._path(name))
        except (OSError, SafetensorError, ValueError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._path(name))  # the least recently used are dropped first
        moments = from_tensors(tensors)
        return moments if is_sound(moments) else None

    def _write(self, name: str, moments: StyleMoments) -> None:
        """Keeps them for the next process; a full disk costs no more than that."""
        temporary = self._path(f"{name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError, SafetensorError, ValueError):
            self._folder.mkdir(parents=True, exist_ok=True)
            tensors = to_tensors(moments)
            save_file({key: one.cpu().contiguous() for key, one in tensors.items()}, temporary)
            temporary.replace(self._path(name))
            self._drop_oldest()
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

    def _drop_oldest(self) -> None:
        """Holds the folder to its size."""
        files = sorted(self._folder.glob("*.safetensors"), key=lambda file: -file.stat().st_mtime)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > KEPT_ON_DISK_BYTES:
                file.unlink(missing_ok=True)


def is_sound(moments: StyleMoments) -> bool:
    """Whether what was read can be a style's moments."""
    return bool(moments) and all(
        one.products.dim() == 2
        and one.products.shape[0] == one.products.shape[1]
        and bool(one.products.isfinite().all())
        and (one.channels is None or bool(one.channels.isfinite().all()))
        for one in moments.values()
    )


def to_tensors(moments: StyleMoments) -> dict[str, Tensor]:
    """Moments as tensors by name, for a file."""
    products = {layer: part.products for layer, part in moments.items()}
    channels = {
        layer + CHANNELS_SUFFIX: part.channels
        for layer, part in moments.items()
        if part.channels is not None
    }
    return products | channels


def from_tensors(tensors: Mapping[str, Tensor]) -> StyleMoments:
    """The moments that `to_tensors` made so."""
    return {
        name: Moments(one, tensors.get(name + CHANNELS_SUFFIX))
        for name, one in tensors.items()
        if not name.endswith(CHANNELS_SUFFIX)
    }
