"""OkLab: its published values, the way back, and colours brought inside a gamut."""

import pytest
import torch
from torch import Tensor

from daemon.engine.oklab import from_linear, from_oklab, inside, to_linear, to_oklab
from daemon.engine.pixels import SRGB_BOUNDS

WIDE = ((-0.5, 1.2),) * 3


def colours(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor(rows)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (0.627955, 0.224863, 0.125846)),
        ((0.0, 1.0, 0.0), (0.866440, -0.233888, 0.179498)),
        ((0.0, 0.0, 1.0), (0.452014, -0.032457, -0.311528)),
    ],
)
def test_primaries_and_white_lie_where_they_were_published(
    rgb: tuple[float, float, float], lab: tuple[float, float, float]
) -> None:
    # Tables of Ottosson's page and of CSS Color 4; six digits of a float32 cube root.
    assert to_oklab(colours(rgb))[0].tolist() == pytest.approx(lab, abs=2e-6)


def test_way_to_oklab_and_back_leaves_colours_beyond_srgb_too() -> None:
    rgb = torch.rand(10_000, 3, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.3
    # A cube root is steep near 0: half a hundredth of a level of 255.
    assert (from_oklab(to_oklab(rgb)) - rgb).abs().max() < 5e-5
    assert (from_oklab(to_oklab(rgb.double())) - rgb).abs().max() < 1e-7


def test_curve_of_srgb_is_mirrored_for_negative_values() -> None:
    encoded = colours((0.5, -0.5, 0.02))
    linear = to_linear(encoded)
    assert linear[0].tolist() == pytest.approx([0.214041, -0.214041, 0.001548], abs=1e-6)
    assert from_linear(linear)[0].tolist() == pytest.approx([0.5, -0.5, 0.02], abs=1e-6)


def test_colour_outside_loses_chroma_and_keeps_lightness_and_hue() -> None:
    lab = colours((0.9, 0.2, 0.1), (0.2, -0.1, 0.2), (0.5, 0.02, 0.01))
    held = inside(lab.clone(), SRGB_BOUNDS)
    rgb = from_oklab(held)
    assert rgb.min() > -1e-3 and rgb.max() < 1 + 1e-4  # SLACK of linear light, near black
    assert torch.equal(held[:, 0], lab[:, 0])
    turned = held[:, 1] * lab[:, 2] - held[:, 2] * lab[:, 1]
    assert turned.abs().max() < 1e-7, "hue is the direction of a and b"
    assert (held[:2, 1:].norm(dim=1) < lab[:2, 1:].norm(dim=1)).all()
    assert torch.equal(held[2], lab[2]), "it is inside"
    more = from_oklab(torch.cat([held[:2, :1], held[:2, 1:] * 1.02], 1))
    assert ((more < -1e-3) | (more > 1 + 1e-3)).any(1).all(), "no chroma is lost for nothing"


def test_colour_that_a_wide_photograph_has_stays() -> None:
    lab = to_oklab(colours((1.1, -0.3, 0.2)))
    assert torch.equal(inside(lab.clone(), WIDE), lab)
    assert not torch.equal(inside(lab.clone(), SRGB_BOUNDS), lab)


def test_lightness_beyond_white_becomes_white() -> None:
    held = inside(colours((1.3, 0.1, 0.0), (-0.2, 0.1, 0.0)), SRGB_BOUNDS)
    assert from_oklab(held).tolist() == [
        pytest.approx([1.0] * 3, abs=1e-3),
        pytest.approx([0.0] * 3, abs=1e-3),
    ]
