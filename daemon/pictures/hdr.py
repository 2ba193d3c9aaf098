"""HDR pictures (PQ, HLG) as a screen of ordinary brightness shows them.

What is no brighter than HDR's reference white (203 cd/m2, ITU-R BT.2408) keeps its place; light
above is rolled off. A simple curve, no grading: it is said in the record.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.pictures import colour
from daemon.pictures.profiles import LINEAR_SRGB, RgbSpace, matrix_to_d50
from daemon.pictures.signals import HLG, PRIMARIES

REFERENCE_WHITE_NITS, PQ_PEAK_NITS, HLG_PEAK_NITS = 203.0, 10_000.0, 1000.0
KNEE = 0.8
LUMA_2020 = (0.2627, 0.6780, 0.0593)


def pq_light(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light, 1 at reference white, of PQ values in 0..1. Source: SMPTE ST 2084."""
    power = np.power(np.clip(values, 0, 1), np.float32(32 / 2523))
    ratio = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    light: NDArray[np.float32] = np.power(ratio, np.float32(16384 / 2610))
    return light * np.float32(PQ_PEAK_NITS / REFERENCE_WHITE_NITS)


def hlg_light(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light of HLG values (..., 3) as a screen of 1000 cd/m2 shows it, 1 at reference white.

    Source: ITU-R BT.2100-2 table 5.
    """
    low = values**2 / 3
    high = (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
    scene = np.where(values <= 0.5, low, high)
    luma = np.maximum(scene @ np.array(LUMA_2020, np.float32), 1e-6)[..., None]
    shown: NDArray[np.float32] = scene * np.power(luma, 0.2)
    return shown * np.float32(HLG_PEAK_NITS / REFERENCE_WHITE_NITS)


def rolled_off(linear: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    """Linear light with what is above the knee brought below 1, hue kept: (..., 3).

    peak: the brightest there is, which becomes white.
    Source: Reinhard et al. 2002 eq. 4; differs: only what is above the knee is bent.
    """
    if peak <= 1:
        return linear
    top = np.maximum(linear.max(axis=-1, keepdims=True), 1e-6)
    over, most = np.maximum(top - KNEE, 0) / (1 - KNEE), (peak - KNEE) / (1 - KNEE)
    bent = KNEE + (1 - KNEE) * over * (1 + over / most**2) / (1 + over)
    scale = np.where(top > KNEE, bent / top, 1)
    result: NDArray[np.float32] = linear * scale.astype(np.float32)
    return result


def hdr_to_extended_srgb(
    values: NDArray[Any], primaries: int, transfer: int
) -> NDArray[np.float32]:
    """HDR levels as extended sRGB: (H, W, 3), uint8 or uint16 in whole range."""
    corners = PRIMARIES.get(primaries, PRIMARIES[9])
    space = RgbSpace("HDR", corners, (1.0,))
    to_srgb = np.linalg.solve(matrix_to_d50(LINEAR_SRGB), matrix_to_d50(space))
    matrix = to_srgb.T.astype(np.float32)
    light_of = hlg_light if transfer == HLG else pq_light
    top = np.float32(np.iinfo(values.dtype).max)
    brightest = np.array([[[values.max()] * 3]], np.float32) / top
    peak = float(light_of(brightest).max())
    result = np.empty(values.shape, np.float32)
    for rows in colour.strips(values.shape):
        light = light_of(values[rows].astype(np.float32) / top)
        result[rows] = colour.from_linear(rolled_off(light, peak) @ matrix)
    return result
