"""OkLab: lightness and two opponent colours, in which equal distances look about equal.

Source: Ottosson 2020, "A perceptual color space for image processing". Differs: RGB beyond sRGB is
taken as well, its curve and the cube root mirrored by the sign.
"""

import torch
from torch import Tensor

from daemon.engine.pixels import Bounds

TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
HALVINGS = 12
"""Of the search for the most chroma that is inside: to a four-thousandth of it."""

SLACK = 1e-5
"""Rounding of the way there and back, in linear light, is not outside."""


def to_oklab(rgb: Tensor) -> Tensor:
    """L, a and b of RGB in the encoding of sRGB, both (..., 3); L is 0..1 inside sRGB."""
    cones = to_linear(rgb) @ matrix(TO_CONES, rgb).T
    return signed_power(cones, 1 / 3) @ matrix(TO_LAB, rgb).T


def from_oklab(lab: Tensor) -> Tensor:
    """RGB in the encoding of sRGB, beyond 0..1 where sRGB has no such colour; both (..., 3)."""
    return from_linear(linear_of(lab))


def linear_of(lab: Tensor) -> Tensor:
    """Linear light in sRGB's primaries of L, a and b; both (..., 3)."""
    cones = lab @ matrix(TO_LAB, lab, inverse=True).T
    return cones.pow(3) @ matrix(TO_CONES, lab, inverse=True).T


def to_linear(encoded: Tensor) -> Tensor:
    """Linear light of sRGB's encoding, its curve mirrored. Source: IEC 61966-2-1; CSS Color 4."""
    size = encoded.abs()
    linear = torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055).pow(2.4))
    return linear.copysign(encoded)


def from_linear(linear: Tensor) -> Tensor:
    """The inverse of `to_linear`."""
    size = linear.abs()
    encoded = torch.where(size <= 0.0031308, size * 12.92, 1.055 * size.pow(1 / 2.4) - 0.055)
    return encoded.copysign(linear)


def inside(lab: Tensor, bounds: Bounds) -> Tensor:
    """The colours, (N, 3), with as much of their chroma as R, G and B inside `bounds` leave them.

    Hue is kept, and lightness where a grey of it is inside. Changes `lab`, and returns it.
    """
    floor, ceiling = (
        to_linear(lab.new_tensor(ends)) for ends in zip(*bounds, strict=True)
    )  # (3,) each
    greys = signed_power(torch.stack([floor.max(), ceiling.min()]), 1 / 3)
    lab[:, 0].clamp_(greys[0], greys[1])

    def fits(colours: Tensor) -> Tensor:
        linear = linear_of(colours)
        return ((linear >= floor - SLACK) & (linear <= ceiling + SLACK)).all(1)

    outside = (~fits(lab)).nonzero()[:, 0]
    colours = lab[outside]
    least, most = torch.zeros_like(colours[:, :1]), torch.ones_like(colours[:, :1])
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        ok = fits(torch.cat([colours[:, :1], colours[:, 1:] * middle], 1))[:, None]
        least, most = torch.where(ok, middle, least), torch.where(ok, most, middle)
    lab[outside, 1:] = colours[:, 1:] * least
    return lab


def signed_power(values: Tensor, exponent: float) -> Tensor:
    """A power of the size of each value, with the value's sign."""
    return values.abs().pow(exponent).copysign(values)


def matrix(rows: tuple[tuple[float, ...], ...], like: Tensor, *, inverse: bool = False) -> Tensor:
    """A matrix, or its inverse, in the type and on the device of another tensor."""
    exact = torch.tensor(rows, dtype=torch.float64)
    return (exact.inverse() if inverse else exact).to(like)
