"""Where a run stands, on disk: what a child that is ended leaves to the next one.

One safetensors file for each job, in the job's folder and gone with it: the tensors, and the rest
as JSON in its header. Written whole or not at all.
"""

import json
import struct
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import torch
from torch import Tensor

from daemon import files
from daemon.engine import memory
from daemon.engine.errors import CheckpointError
from daemon.engine.stylize import Checkpoint

FACTS = "atelierd"
CODES = {torch.float32: "F32", torch.float64: "F64"}
ALIGNMENT = 8
PARTS_OF_TIME = 20
"""Writing takes at most one part in so many of a run's time, however large the picture is."""


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Puts `checkpoint` in the place of an earlier one, durably. Raises OSError.

    Written tensor by tensor: the library's own writer would hold all of them twice.
    """
    header: dict[str, Any] = {"__metadata__": {FACTS: json.dumps(checkpoint.facts)}}
    parts: list[Tensor] = []
    end = 0
    for name, tensor in checkpoint.tensors.items():
        part = tensor.detach().cpu().contiguous()
        begin, end = end, end + part.nbytes
        header[name] = {
            "dtype": CODES[part.dtype],
            "shape": list(part.shape),
            "data_offsets": [begin, end],
        }
        parts.append(part)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % ALIGNMENT)

    def fill(file: BinaryIO) -> None:
        file.write(struct.pack("<Q", len(encoded)))
        file.write(encoded)
        for part in parts:
            file.write(part.reshape(-1).view(torch.uint8).numpy().data)

    files.write_whole(path, fill, replace=True)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint of `path`, None if there is none; raises CheckpointError if it is damaged.

    Sweeps away what a child left that was ended while it wrote one.
    """
    for left in path.parent.glob(f"{files.TEMPORARY_PREFIX}*{files.TEMPORARY_SUFFIX}"):
        left.unlink(missing_ok=True)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()[FACTS])
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, facts)
    except FileNotFoundError:
        return None
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        if memory.ran_out(error):
            raise
        raise CheckpointError(f"{path} is damaged ({error})") from error
