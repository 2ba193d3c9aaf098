"""The regions of a run, from the mask that an order carries."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from daemon.engine.errors import PictureError
from daemon.messages import Blob, OrderedMask, OrderedStyle, RunOrder, order_data, to_order
from daemon.worker.regions import read_regions, shares_of

RED, BLUE = "#ff0000", "#0000ff"


@pytest.fixture
def order(tmp_path: Path) -> RunOrder:
    """A picture of 60x40 px, a quarter of which is red in its mask and the rest blue."""
    mask = Image.new("RGB", (120, 80), BLUE)
    mask.paste(RED, (0, 0, 30, 80))
    mask.save(tmp_path / "mask", "PNG")
    styles = [OrderedStyle(f"{one}.jpg", Blob("ab", tmp_path), 1.0, one) for one in (RED, BLUE)]
    return RunOrder(
        name="sea.jpg",
        picture=Blob("", tmp_path / "picture"),
        max_pixels=10_000,
        recipe={},
        styles=tuple(styles),
        result=tmp_path / "result",
        checkpoint=None,
        preview=None,
        memory_bytes=None,
        note={},
        mask=OrderedMask("sea.mask.png", Blob("7e", tmp_path / "mask"), own=True),
    )


def test_order_with_a_mask_is_read_as_it_was_said(order: RunOrder) -> None:
    assert to_order(order_data(order)) == order
    assert "mask" not in order_data(replace(order, mask=None))


def test_masks_of_an_order_have_the_shares_that_its_record_tells(order: RunOrder) -> None:
    masks = read_regions(order, (60, 40))
    assert shares_of(masks) == {RED: 0.25, BLUE: 0.75}
    assert read_regions(replace(order, mask=None), (60, 40)).levels == {}


def test_mask_beside_the_picture_has_its_proportions_and_a_presets_is_stretched(
    order: RunOrder,
) -> None:
    assert order.mask is not None
    with pytest.raises(PictureError, match=r"sea\.mask\.png is 120x80 px .* differ"):
        read_regions(order, (40, 40))
    of_preset = replace(order, mask=replace(order.mask, own=False))
    assert shares_of(read_regions(of_preset, (40, 40))) == {RED: 0.25, BLUE: 0.75}
