"""Colour profiles made for tests: of grey, of a press, and of a scanner, none of them good ones."""

import struct
from collections.abc import Mapping

from daemon.pictures.profiles import D50, fixed, text, xyz

GRID = 3


def profile_of(
    space: bytes, kind: bytes, tags: Mapping[bytes, bytes], pcs: bytes = b"XYZ "
) -> bytes:
    """A profile of version 4 with these tags beside those that every one needs."""
    tags = {
        b"desc": text("a profile for tests"),
        b"cprt": text("No copyright, use freely"),
        b"wtpt": xyz(D50),
        **tags,
    }
    body, table, at = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI", at + len(body), b"", 0x04400000) + kind + space + pcs
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(64, b"\0") + struct.pack(">I", 1) + fixed(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def grey_profile(gamma: float = 2.2) -> bytes:
    """A profile of grey by an exponent."""
    curve = b"para" + struct.pack(">IHH", 0, 0, 0) + fixed([gamma])
    return profile_of(b"GRAY", b"mntr", {b"kTRC": curve})


def cmyk_profile() -> bytes:
    """A press whose inks are clean and whose black is black: Lab by tables of 3 nodes a side."""
    nodes = range(GRID)
    inks = [(c, m, y, k) for c in nodes for m in nodes for y in nodes for k in nodes]
    lab = [lab_of(*(ink / (GRID - 1) for ink in each)) for each in inks]
    forth = table(4, 3, [lab16(*each) for each in lab])
    corners = [(light, a, b) for light in nodes for a in nodes for b in nodes]
    back = table(3, 4, [inks_of(*(at / (GRID - 1) for at in each)) for each in corners])
    return profile_of(b"CMYK", b"prtr", {b"A2B0": forth, b"B2A0": back}, b"Lab ")


def scanner_profile() -> bytes:
    """A profile of RGB that only leads out of its colours."""
    nodes = range(GRID)
    corners = [(r, g, b) for r in nodes for g in nodes for b in nodes]
    lab = [lab16(50 * (r + g + b) / (GRID - 1) / 1.5, 0, 0) for r, g, b in corners]
    return profile_of(b"RGB ", b"scnr", {b"A2B0": table(3, 3, lab)}, b"Lab ")


def lab_of(cyan: float, magenta: float, yellow: float, black: float) -> tuple[float, float, float]:
    """What such a press prints."""
    light = 100 * (1 - black) * (1 - 0.4 * cyan) * (1 - 0.5 * magenta) * (1 - 0.1 * yellow)
    rest = 1 - black
    return light, rest * (70 * magenta - 35 * cyan), rest * (85 * yellow - 45 * cyan)


def inks_of(light: float, a: float, b: float) -> tuple[int, ...]:
    """The inks for a Lab colour, each of 0..1 of its range; roughly the inverse of `lab_of`."""
    red, yellow = 2 * a - 1, 2 * b - 1
    inks = max(0, -red), max(0, red), max(0, yellow), 1 - light
    return tuple(round(min(max(ink, 0), 1) * 65535) for ink in inks)


def lab16(light: float, a: float, b: float) -> tuple[int, ...]:
    """Lab as ICC's tables of version 2 have it in 16 bits."""
    values = light / 100 * 65280, (a + 128) * 256, (b + 128) * 256
    return tuple(round(min(max(value, 0), 65535)) for value in values)


def table(inputs: int, outputs: int, nodes: list[tuple[int, ...]]) -> bytes:
    """A table of ICC's type lut16, straight curves before and behind it."""
    head = b"mft2" + bytes(4) + bytes([inputs, outputs, GRID, 0])
    matrix = fixed([1, 0, 0, 0, 1, 0, 0, 0, 1])
    straight = struct.pack(">2H", 0, 65535)
    colours = b"".join(struct.pack(f">{outputs}H", *node) for node in nodes)
    curves = struct.pack(">2H", 2, 2)
    return head + matrix + curves + straight * inputs + colours + straight * outputs
