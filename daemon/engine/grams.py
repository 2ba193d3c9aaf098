"""Gram matrices of style images, kept in memory and on disk: a preset pays for them once."""

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

Grams = Mapping[str, Tensor]

KEPT_IN_MEMORY = 64
"""Sets of Gram matrices; a usual set takes 1.4 MB."""

KEPT_ON_DISK_BYTES = 256 << 20


class GramStore:
    """Gram matrices by everything they depend on. The folder may be deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, Grams] = OrderedDict()

    def get(self, key: Mapping[str, object], compute: Callable[[], Grams]) -> Grams:
        """The Gram matrices of `key` (plain data), computed only if they are nowhere yet.

        Returns layer -> (C, C) on the CPU or wherever `compute` leaves them.
        """
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        found = self._memory.get(name) or self._read(name)
        if found is None:
            found = compute()
            self._write(name, found)
        self._memory[name] = found
        self._memory.move_to_end(name)
        while len(self._memory) > KEPT_IN_MEMORY:
            self._memory.popitem(last=False)
        return found

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"

    def _read(self, name: str) -> Grams | None:
        """What an earlier process kept; a damaged file counts as none."""
        try:
            found: Grams = load_file(self._path(name))
        except (OSError, SafetensorError, ValueError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._path(name))  # the least recently used are dropped first
        return found if is_sound(found) else None

    def _write(self, name: str, grams: Grams) -> None:
        """Keeps them for the next process; a full disk costs no more than that."""
        temporary = self._path(f"{name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError, SafetensorError, ValueError):
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file({layer: gram.cpu().contiguous() for layer, gram in grams.items()}, temporary)
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


def is_sound(grams: Grams) -> bool:
    """Whether what was read can be a set of Gram matrices."""
    return bool(grams) and all(
        gram.dim() == 2 and gram.shape[0] == gram.shape[1] and bool(gram.isfinite().all())
        for gram in grams.values()
    )
