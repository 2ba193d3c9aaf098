"""Where a run stands, on disk: what a child that is ended leaves to the next one.

One safetensors file for each job, in the job's folder and gone with it: the tensors, and the rest
as JSON in its header. Written whole or not at all.
"""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import torch
from torch import Tensor

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.errors import CheckpointError
from daemon.engine.fit import memory
from daemon.host import files
from daemon.host.tensorfile import FACTS, METADATA, encode_header

CODES = {torch.float32: "F32", torch.float64: "F64"}
PARTS_OF_TIME = 20
"""Writing takes at most one part in so many of a run's time, however large the picture is."""


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Puts `checkpoint` in the place of an earlier one, durably. Raises OSError.

    Written tensor by tensor: the library's own writer would hold all of them twice.
    """
    header: dict[str, Any] = {METADATA: {FACTS: json.dumps(checkpoint.facts)}}
    end = 0
    for name, tensor in checkpoint.tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }

    def fill(file: BinaryIO) -> None:
        file.write(encode_header(header))
        for tensor in checkpoint.tensors.values():
            part = tensor.detach().cpu().contiguous()
            file.write(part.reshape(-1).view(torch.uint8).numpy().data)
            checkpoint.release()

    files.write_whole(path, fill, replace=True)


class Stored(Mapping[str, Tensor]):
    """The tensors of a file, each read when it is asked for; nothing else holds them."""

    def __init__(self, path: Path, names: Collection[str]) -> None:
        self._path = path
        self._names = names

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        try:
            with safetensors.safe_open(self._path, framework="pt") as file:
                found: Tensor = file.get_tensor(name)
        except (OSError, safetensors.SafetensorError) as error:
            if memory.is_out_of_memory(error):
                raise
            raise CheckpointError(f"{self._path} is damaged ({error})") from error
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint of `path`, None if there is none; raises CheckpointError if it is damaged.

    Sweeps away what a child left that was ended while it wrote one.
    """
    for left in path.parent.glob(f"{files.TEMPORARY_PREFIX}*{files.TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):  # no harm but lost room
            left.unlink(missing_ok=True)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()[FACTS])
            return Checkpoint(Stored(path, list(file.keys())), facts)
    except FileNotFoundError:
        return None
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        if memory.is_out_of_memory(error):
            raise
        raise CheckpointError(f"{path} is damaged ({error})") from error
