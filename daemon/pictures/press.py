"""CMYK that does not say of which press: taken as offset printing on coated paper, FOGRA39.

No profile of a press may be shipped, but what ink does on paper can be computed: the cellular
model of halftones below was fitted to Fogra's measurements of 1,617 patches (FOGRA39L, 2006, the
condition behind ISO Coated v2). It is off from them by 0.4 CIEDE2000 on average, 2.1 at most.
"""

import functools
import struct

import numpy as np
from numpy.typing import NDArray

from daemon.pictures import colour, profiles

SHARPNESS = (1.539, 1.582, 1.492)
"""Yule and Nielsen's n of X, Y and Z: light that spreads in the paper."""

DOT_GAIN = (
    ((0.8785, -0.2967), (0.8855, -0.2933), (1.0426, -0.2006)),
    ((0.8367, -0.4220), (0.8544, -0.3898), (0.9617, -0.3042)),
    ((0.7387, -0.5246), (0.8134, -0.4504), (0.8469, -0.3479)),
    ((0.8715, -0.2099), (0.8922, -0.1853), (0.8683, -0.2403)),
)
"""How a dot grows, of each ink as seen in X, Y and Z: exponent and bend of its curve."""

OVERPRINTS = (
    ((1.0, 1.0, 1.0), (0.0259, 0.0255, 0.0248)),
    ((0.8034, 0.827, 0.0927), (0.0221, 0.0237, 0.0124)),
    ((0.389, 0.1895, 0.2054), (0.0188, 0.0135, 0.0127)),
    ((0.3509, 0.1756, 0.0308), (0.0182, 0.015, 0.0092)),
    ((0.1796, 0.2677, 0.6976), (0.0117, 0.0147, 0.0237)),
    ((0.0973, 0.2128, 0.0877), (0.0118, 0.0161, 0.0127)),
    ((0.0666, 0.0468, 0.2086), (0.0124, 0.0104, 0.0154)),
    ((0.042, 0.0414, 0.0416), (0.0121, 0.0122, 0.0098)),
)
"""X, Y and Z relative to paper of full inks over each other: rows are none, Y, M, MY, C, CY, CM,
CMY; first without black, then with it."""

GRID = 17


def reflectance(inks: NDArray[np.float64]) -> NDArray[np.float64]:
    """X, Y and Z relative to the paper's of amounts of ink.

    inks: (N, 4), 0..1.  Returns (N, 3).  Source: Yule and Nielsen 1951, Neugebauer 1937; curves of
    dot gain apart for X, Y and Z, as bands of a spectrum would have them.
    """
    result = np.empty((len(inks), 3))
    for channel, n in enumerate(SHARPNESS):
        prints = np.array(OVERPRINTS)[..., channel].reshape(2, 2, 2, 2) ** (1 / n)
        mixed = np.broadcast_to(prints, (len(inks), 2, 2, 2, 2))
        for ink in range(4):
            exponent, bend = DOT_GAIN[ink][channel]
            dot = inks[:, ink] ** exponent
            dot = np.clip(dot + bend * dot * (1 - dot) * (1 - 2 * dot), 0, 1)
            dot = dot.reshape(-1, *[1] * (3 - ink))
            mixed = mixed[:, 0] + dot * (mixed[:, 1] - mixed[:, 0])
        result[:, channel] = mixed**n
    return result


def lab_of(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* of X, Y and Z relative to white: (N, 3). Source: CIE 15:2018 section 8.2.1."""
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


@functools.cache
def press_profile() -> bytes:
    """An ICC profile (version 2) from CMYK of such a press to its colours; not back.

    Source: ICC.1:2001-04 sections 6.1, 6.5.7 (lut16Type).
    """
    side = np.linspace(0, 1, GRID)
    inks = np.stack(np.meshgrid(side, side, side, side, indexing="ij"), -1).reshape(-1, 4)
    lab = lab_of(reflectance(inks)) * (652.8, 256, 256) + (0, 32768, 32768)
    grid = np.clip(np.rint(lab), 0, 65535).astype(">u2").tobytes()
    straight = struct.pack(">2H", 0, 65535)
    unity = profiles.fixed((1, 0, 0, 0, 1, 0, 0, 0, 1))
    head = struct.pack(">4s4x4B", b"mft2", 4, 3, GRID, 0) + unity + struct.pack(">2H", 2, 2)
    words = b"offset on coated paper, by FOGRA39L's measurements"
    description = b"desc" + bytes(4) + struct.pack(">I", len(words) + 1) + words + bytes(79)
    tags = {
        b"desc": description,
        b"cprt": b"text" + bytes(4) + b"No copyright, use freely\0",
        b"wtpt": profiles.xyz(profiles.D50),
        b"A2B0": head + 4 * straight + grid + 3 * straight,
    }
    return profiles.assembled(b"\x02\x40\0\0prtrCMYKLab ", tags)


def press_to_extended_srgb(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """CMYK of an unknown press as extended sRGB; see `colour.to_extended_srgb`."""
    return colour.to_extended_srgb(values, press_profile(), "cmyk")
