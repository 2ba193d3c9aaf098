"""Light checkpoints: a painting on its way without the optimiser's vectors, most of the bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from daemon.engine.errors import CheckpointError
from daemon.host import files, tensorfile
from daemon.host.tensorfile import FACTS, METADATA

KEPT = ("picture", "best", "loss")
"""The tensors that no optimiser can make again: where it stands, the best picture, its loss."""

PIECE_BYTES = 1 << 20


def cut_light(checkpoint: Path, to: Path) -> None:
    """Writes what of a checkpoint a painting can go on from elsewhere, durably, in place of `to`.

    Kept are the picture, the best one, its loss, and the facts, which say that it is light. Takes
    no memory to speak of, however large the picture.  Raises OSError, and CheckpointError for a
    file that is no checkpoint.
    """
    with checkpoint.open("rb") as source:  # one file, even where another takes its name meanwhile
        try:
            header = tensorfile.read_header(source)
            begins = source.tell()
            ranges = [(begins + first, begins + last) for first, last in offsets(header)]
            encoded = tensorfile.encode_header(light_header(header))
        except (ValueError, KeyError, TypeError) as error:
            shown = files.printable(checkpoint)
            raise CheckpointError(f"{shown} is no checkpoint ({error!r})") from error

        def fill(file: BinaryIO) -> None:
            file.write(encoded)
            for first, last in ranges:
                copy_range(source, file, first, last)

        files.write_whole(to, fill, replace=True)


def offsets(header: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Where the tensors that are kept begin and end, after the header."""
    return [(first, last) for first, last in (header[name]["data_offsets"] for name in KEPT)]


def light_header(header: Mapping[str, Any]) -> dict[str, Any]:
    """The header of the light checkpoint; raises KeyError, TypeError or ValueError if none is."""
    facts = json.loads(header[METADATA][FACTS])
    light: dict[str, Any] = {METADATA: {FACTS: json.dumps({**facts, "light": True})}}
    end = 0
    for name, (first, last) in zip(KEPT, offsets(header), strict=True):
        begin, end = end, end + last - first
        light[name] = {**header[name], "data_offsets": [begin, end]}
    return light


def copy_range(source: BinaryIO, target: BinaryIO, first: int, last: int) -> None:
    """Copies the bytes from `first` to before `last`; raises CheckpointError if there are fewer."""
    source.seek(first)
    while first < last:
        piece = source.read(min(PIECE_BYTES, last - first))
        if not piece:
            raise CheckpointError(f"{files.printable(source.name)} ends too early")
        target.write(piece)
        first += len(piece)
