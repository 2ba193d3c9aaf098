"""What a file lacks though it decodes: its end, holes, and zeros where a copy has not come to yet.

Copies that reserve their size first (Windows to Samba, `rsync --preallocate`, file sharers) look as
long as the whole from the beginning, and decoders of most formats paint what is missing grey or
black. What follows is a heuristic: a sound picture may end in black or have a hole where a file
system saves zeros. So it is a doubt, no verdict: such a file is waited for, then painted, and its
record tells of it.
"""

import os
from typing import BinaryIO

from daemon.intake.ends import end_of

PLAIN = ("TIFF", "BMP", "PSD", "RAW")
"""Formats that often hold pixels as they are, where black is a run of zeros."""

PADDED = ("RAW",)
"""Formats whose files cameras fill up to whole blocks."""

LEAST_END_BYTES, LEAST_PLAIN_END_BYTES = 32, 512
"""Zeros at the end that are a doubt. Compressed data and file structures end in a few at most.
Black pixels do in any number; but a copy stops at blocks, and the least of these is a sector."""

LEAST_RUN_BYTES = 1 << 14
"""Zeros within compressed data that are a doubt: parts that come out of order are larger. A flat
area of more than a megapixel may be as much in an optimised JPEG. So much is also a doubt at the
end of what cameras fill up."""

CHUNK_BYTES = 1 << 16


def doubt_of(file: BinaryIO, name: str, form: str) -> str:
    """Why a file that decodes may be incomplete; empty if nothing speaks for that.

    form: the picture's format, as Pillow calls it.
    """
    size = file.seek(0, os.SEEK_END)
    ending = "the picture may be incomplete; if it is not whole, drop it again"
    empty = empty_end(file, size)
    end = end_of(file, form, size - empty)
    if end is not None and end > size:
        return f"{name} stops before its own end: {ending}"
    # Zeros behind a file's own end are padding.
    lacking = empty if end is None else end - (size - empty)
    if lacking >= least_end(form):
        return f"{name} ends in {lacking} empty bytes: {ending}"
    hole = first_hole(file, size)
    if hole is None and form not in PLAIN:
        hole = first_run(file)
    if hole is not None and hole + empty < size:
        return f"{name} has a gap of empty bytes at {hole}: {ending}"
    return ""


def least_end(form: str) -> int:
    """How many zeros at the end of a format's file are a doubt."""
    if form in PADDED:
        return LEAST_RUN_BYTES
    return LEAST_PLAIN_END_BYTES if form in PLAIN else LEAST_END_BYTES


def empty_end(file: BinaryIO, size: int) -> int:
    """How many zero bytes a file ends in."""
    end = size
    while end > 0:
        start = max(0, end - CHUNK_BYTES)
        file.seek(start)
        chunk = file.read(end - start)
        kept = len(chunk.rstrip(b"\0"))
        if kept or not chunk:
            return size - start - kept
        end = start
    return size


def first_hole(file: BinaryIO, size: int) -> int | None:
    """Where the first part of a file begins that was never written, as far as its disk can tell."""
    try:
        at = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
        os.lseek(file.fileno(), at, os.SEEK_SET)  # where its buffer supposes it to be
    except OSError:
        return None
    return hole if hole < size else None


def first_run(file: BinaryIO) -> int | None:
    """Where the first long run of zeros within a file begins."""
    run, at, before = bytes(LEAST_RUN_BYTES), 0, b""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        found = (before + chunk).find(run)
        if found >= 0:
            return at - len(before) + found
        at += len(chunk)
        before = chunk[1 - len(run) :]
    return None
