"""Soft proof: a picture with the colours that a press, or another device, makes of it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.engine.errors import PictureError
from daemon.pictures.colour import (
    BLACK_POINT,
    NO_OPTIMISATION,
    ProfileError,
    from_extended_srgb,
    from_linear,
    strips,
    transformed,
)
from daemon.pictures.limits import can_be_output
from daemon.pictures.profiles import LINEAR_SRGB, rgb_profile


def as_printed(
    pixels: NDArray[Any], profile: bytes, name: str, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """What can be printed of a picture: its colours taken to a profile's device and back.

    Relative colorimetric with black point compensation both ways: white stays white, black stays
    black, and what can be printed already stays what it is.
    pixels: (H, W, 3) uint8, uint16 or float32, as of a `Picture`.  name: what the profile is called
    in messages.  out: where it goes, which may be `pixels`.  Returns (H, W, 3) in extended sRGB.
    Raises PictureError if the profile does not lead to a device and back.
    """
    printed = np.empty(pixels.shape, np.float32) if out is None else out
    top = np.float32(1 if pixels.dtype == np.float32 else np.iinfo(pixels.dtype).max)
    try:
        if not can_be_output(profile):
            raise ProfileError("it describes a camera or scanner, or it is damaged")
        for rows in strips(pixels.shape):
            device = from_extended_srgb(pixels[rows] / top, profile, np.uint16)
            printed[rows] = seen(device, profile)
    except ProfileError as error:
        raise PictureError(
            f"{name} is no profile of what can be printed: {error}; choose another `proof_profile`"
        ) from error
    return printed


def seen(device: NDArray[np.uint16], profile: bytes) -> NDArray[np.float32]:
    """Values of a profile, (rows, W, C), as extended sRGB: what its black is, is black."""
    flags = NO_OPTIMISATION | BLACK_POINT
    return from_linear(transformed(device, profile, rgb_profile(LINEAR_SRGB), np.float32, flags))
