"""The header of a safetensors file, which is plain JSON: no library of tensors is needed for it."""

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

FACTS = "atelierd"
"""The name of what a checkpoint tells beside its tensors, in the header's metadata."""

METADATA = "__metadata__"
ALIGNMENT = 8
LENGTH = struct.Struct("<Q")
MOST_BYTES = 100_000_000
"""The format's own bound: whatever says it has a longer header is something else."""


def encode_header(header: Mapping[str, Any]) -> bytes:
    """The bytes that a file begins with; the tensors' come after them, in the header's order."""
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % ALIGNMENT)
    return LENGTH.pack(len(encoded)) + encoded


def read_header(file: BinaryIO) -> dict[str, Any]:
    """The header of a file, which stands at its first tensor then; ValueError if it is none."""
    told = file.read(LENGTH.size)
    if len(told) < LENGTH.size or (length := LENGTH.unpack(told)[0]) > MOST_BYTES:
        raise ValueError("it does not begin as a safetensors file does")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no mapping")
    return header
